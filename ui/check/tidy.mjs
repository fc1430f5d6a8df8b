// Checks what the compiler does not: each file opens with a sentence, nothing is typed away, nothing is written into the page as markup.

import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const FOLDERS = ["src", "test", "check", "client", "dev"];
/** Made by a program, in its own form. */
const MADE = "src/api/schema.ts";

/** What must not stand in the code, and what to do instead. */
const BANNED = [
  [/\bas any\b|: any\b|<any>|any\[\]/, "no any: say what it is, or unknown and look"],
  [/@ts-(ignore|nocheck|expect-error)/, "no switched-off types"],
  [/\w!\.|\w!;|\w!\)/, "no non-null assertion: handle the case"],
  [/innerHTML|outerHTML|insertAdjacentHTML|document\.write/, "no markup from text: make nodes"],
  [/dangerouslySetInnerHTML/, "no markup from text: make nodes"],
  [/\bstyle="|setAttribute\("style"/, "no style attribute: the page's policy forbids it, use a class or a style object"],
  [/\beval\(|new Function\(/, "no code from text"],
  [/localStorage|sessionStorage/, "through lib/store.ts, which survives a browser that forbids it", "src/lib/store.ts"],
  [/[ \t]+$|\t/, "spaces, and none at the end of a line"],
];

async function* files(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.name === "node_modules") continue;
    if (entry.isDirectory()) yield* files(full);
    else if (/\.(tsx?|mjs|css)$/.test(entry.name)) yield full;
  }
}

const faults = [];
let count = 0;
for (const folder of FOLDERS) {
  for await (const file of files(path.join(root, folder))) {
    const name = path.relative(root, file);
    const lines = (await readFile(file, "utf8")).split("\n");
    count++;
    const opens = /^(\/\/|\/\*) [A-Z].*[.:]/.test(lines.slice(0, 2).join(" "));
    if (!opens) faults.push(`${name}:1: opens without a sentence that says what it is`);
    lines.forEach((line, at) => {
      if (!name.startsWith("src") || name === MADE) return;
      // The path of an icon is one long word.
      if (line.length > 140 && !line.includes(': "M')) faults.push(`${name}:${at + 1}: longer than 140 characters`);
      for (const [pattern, words, allowed] of BANNED) {
        // Comments and texts may say anything.
        const comment = /^\s*(\/\/|\*|\/\*\*)/.test(line);
        const code = comment ? "" : line.replace(/"(?:[^"\\]|\\.)*"/g, (text) => (text === '"style"' ? text : '""'));
        if (name !== allowed && pattern.test(code)) faults.push(`${name}:${at + 1}: ${words}`);
      }
    });
  }
}
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`tidy: ${count} files`);
