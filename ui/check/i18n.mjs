// Checks the texts: each key exists in both languages with the same {placeholders}, is used, and no text is used that does not exist.

import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const src = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "src");
const KEY = /^ {2}"([a-z0-9_.]+)":\s*(?:\n\s*)?("(?:[^"\\]|\\.)*"|`[^`]*`)/gm;

async function texts(language) {
  const source = await readFile(path.join(src, "i18n", `${language}.ts`), "utf8");
  return new Map([...source.matchAll(KEY)].map((match) => [match[1], match[2]]));
}

async function* sources(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "i18n") yield* sources(full);
    } else if (/\.tsx?$/.test(entry.name)) yield full;
  }
}

const placeholders = (text) =>
  [...text.matchAll(/\{(\w+)\}/g)]
    .map((match) => match[1])
    .sort()
    .join(",");

const [en, zh] = await Promise.all([texts("en"), texts("zh")]);
const faults = [];
for (const [key, text] of en) {
  const other = zh.get(key);
  if (other === undefined) faults.push(`${key}: not in zh.ts`);
  else if (placeholders(other) !== placeholders(text)) faults.push(`${key}: placeholders differ`);
}
for (const key of zh.keys()) if (!en.has(key)) faults.push(`${key}: not in en.ts`);

const used = new Set();
for await (const file of sources(src)) {
  const source = await readFile(file, "utf8");
  // A key is always written whole in the code, so that a plain search finds it.
  for (const match of source.matchAll(/"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"/g)) if (en.has(match[1])) used.add(match[1]);
  for (const match of source.matchAll(/\bt\("([^"]+)"/g)) {
    if (!en.has(match[1])) faults.push(`${path.relative(src, file)}: unknown text ${match[1]}`);
  }
}
for (const key of en.keys()) if (!used.has(key)) faults.push(`${key}: used nowhere`);

if (en.size === 0) faults.push("no text was found in en.ts");
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`i18n: ${en.size} texts in 2 languages`);
