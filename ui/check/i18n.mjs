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

// What the server says by codes: each code of its catalogues has a text in both languages, whose placeholders are its figures.
const SAID = /^ {2}([a-z_]+): ("(?:[^"\\]|\\.)*"),$/gm;
const said = async (language) => {
  const source = await readFile(path.join(src, "i18n", `said-${language}.ts`), "utf8");
  return new Map([...source.matchAll(SAID)].map((match) => [match[1], match[2]]));
};
const crates = path.join(src, "..", "..", "crates");
const codes = new Map();
const catalogue = await readFile(path.join(crates, "probe", "src", "said.rs"), "utf8");
for (const [, code, figures] of catalogue.matchAll(/^ {4}([a-z_]+) => \w+ \{([^}]*)\}/gm))
  codes.set(code, new Set([...figures.matchAll(/(\w+):/g)].map((match) => match[1])));
for (const file of ["watch/src/told.rs", "watch/src/expected.rs", "tollhouse/src/watching/desk.rs", "console/src/api.rs"]) {
  const source = await readFile(path.join(crates, file), "utf8");
  for (const [, code] of source.matchAll(/\b(?:told|said)\(\s*"([a-z_]+)"/g)) codes.set(code, null);
  for (const [, one, other] of source.matchAll(/let code = if .*? \{ "([a-z_]+)" \} else \{ "([a-z_]+)" \}/g))
    for (const code of [one, other]) codes.set(code, null);
}
// What the doctor says, and what to do when a rule of our own fires: in English the server's own words are shown, in Chinese by codes.
const doctor = new Map();
for (const file of ["doctor/src/said.rs", "doctor/src/advise/said.rs"]) {
  const source = await readFile(path.join(crates, file), "utf8");
  for (const [, code, figures] of source.matchAll(/^ {4}([a-z_]+) => \w+ \{([^}]*)\}/gm))
    doctor.set(code, new Set([...figures.matchAll(/(\w+):/g)].map((match) => match[1])));
}
const lines = await readFile(path.join(crates, "doctor", "src", "data", "lines.tsv"), "utf8");
for (const [code] of lines.matchAll(/\b(?:do_)?line_[a-z_]+/g)) doctor.set(code, doctor.get(code) ?? new Set());
const rules = await readFile(path.join(crates, "config", "src", "config", "default_alerts.rs"), "utf8");
for (const [, rule] of rules.matchAll(/\b(?:about|probe|objective)\(\s*"([a-z-]+)"/g))
  doctor.set(`runbook_${rule.replaceAll("-", "_")}`, new Set());
const doctorZh = new Map();
for (const file of ["doctor-zh.ts", "runbooks-zh.ts"]) {
  const source = await readFile(path.join(src, "i18n", file), "utf8");
  for (const [, code, words] of source.matchAll(/^ {2}([a-z_]+): (["'].*["']),$/gm)) doctorZh.set(code, words);
}
for (const [code, figures] of doctor) {
  if (!doctorZh.has(code)) faults.push(`${code}: the doctor says it, and neither doctor-zh.ts nor runbooks-zh.ts has words for it`);
  for (const [, name] of (doctorZh.get(code) ?? "").matchAll(/\{(\w+)\}/g))
    if (!figures.has(name)) faults.push(`${code}: the doctor has no figure ${name}`);
}
for (const code of doctorZh.keys()) if (!doctor.has(code)) faults.push(`${code}: the doctor does not say it`);
const verdicts = await readFile(path.join(crates, "doctor", "src", "verdict.rs"), "utf8");
const inRules = await readFile(path.join(src, "i18n", "rules-zh.ts"), "utf8");
const rulesZh = new Set([...inRules.matchAll(/^ {2}"?([a-z-]+)"?: "/gm)].map((match) => match[1]));
const rulesOfVerdicts = new Set([...verdicts.match(/const RULES[^=]*= \[([^\]]+)\]/)[1].matchAll(/"([a-z-]+)"/g)].map((match) => match[1]));
for (const rule of rulesOfVerdicts) if (!rulesZh.has(rule)) faults.push(`${rule}: a rule of verdicts has no words in rules-zh.ts`);
for (const rule of rulesZh) if (!rulesOfVerdicts.has(rule)) faults.push(`${rule}: no rule of verdicts`);
if (doctor.size < 250) faults.push(`only ${doctor.size} codes were found in the doctor's catalogues`);

// What is wrong with the texts of Settings and tasks: by codes, and by the words of the readers' sources.
const faultTexts = await readFile(path.join(src, "i18n", "faults-zh.ts"), "utf8");
const [faultCodesText, faultWordsText] = faultTexts.split("export const faultWordsZh");
const faultCodesZh = new Map([...faultCodesText.matchAll(/^ {2}([a-z_]+): (".*"),$/gm)].map((match) => [match[1], match[2]]));
const faultWordsZh = new Map([...faultWordsText.matchAll(/^ {2}("(?:[^"\\]|\\.)*"):\s+(".*"),$/gm)].map((match) => [JSON.parse(match[1]), match[2]]));
const faultCodes = new Map();
for (const file of ["config/src/saying.rs", "tasks/src/definition/saying.rs"]) {
  const source = await readFile(path.join(crates, file), "utf8");
  for (const [, code, figures] of source.matchAll(/^ {4}([a-z_]+) => \w+ \{([^}]*)\}/gm))
    faultCodes.set(code, new Set([...figures.matchAll(/(\w+):/g)].map((match) => match[1])));
}
const readersSaying = await readFile(path.join(crates, "config", "src", "saying.rs"), "utf8");
for (const [, code, figures] of readersSaying.split("#[cfg(test)]")[0].matchAll(/\{"code": "([a-z_]+)", "figures": \{([^}]*)\}/g))
  if (code !== "filled") faultCodes.set(code, new Set([...figures.matchAll(/"(\w+)":/g)].map((match) => match[1])));
for (const [code, figures] of faultCodes) {
  if (!faultCodesZh.has(code)) faults.push(`${code}: a reader says it, and faults-zh.ts has no words for it`);
  for (const [, name] of (faultCodesZh.get(code) ?? "").matchAll(/\{([a-z]+)\}/g))
    if (!figures.has(name)) faults.push(`${code}: the reader has no figure ${name}`);
}
for (const code of faultCodesZh.keys()) if (!faultCodes.has(code)) faults.push(`${code}: no reader says it`);
const readers = (await readdir(path.join(crates, "config", "src", "sections"))).map((name) => `config/src/sections/${name}`);
const faultWords = new Set();
for (const file of [...readers, "config/src/sections.rs", "config/src/decode.rs", "tasks/src/definition/read.rs"])
  for (const words of literals(await readFile(path.join(crates, file), "utf8"))) faultWords.add(words);
// Examples are the same in all languages; what a probe asks by default and what is counted are not said.
const SAME = /^[{>]|^Answer with one word|^characters in one line$/;
for (const words of faultWords)
  if (!SAME.test(words) && !faultWordsZh.has(words)) faults.push(`"${words}": a reader says it, and faults-zh.ts has no words for it`);
for (const words of faultWordsZh.keys()) if (!faultWords.has(words)) faults.push(`"${words}": no reader says it`);

/** The sentences that stand in a Rust source: its literals with a space that are no format strings and no reasons of lints. */
function literals(source) {
  const found = [];
  const code = source.split("#[cfg(test)]")[0];
  const token = /\/\/.*|'(?:\\.[^']*|[^'\\])'|(format(?:_args)?!\(\s*|reason = )?"((?:[^"\\]|\\.)*)"/g;
  for (const [, isOther, text] of code.matchAll(token)) {
    if (text === undefined || isOther !== undefined || !/[a-z]\S* |^a /.test(text.trim())) continue;
    found.push(text.replaceAll('\\"', '"').replaceAll("\\\\", "\\"));
  }
  return found;
}

const [saidEn, saidZh] = await Promise.all([said("en"), said("zh")]);
for (const [code, figures] of codes) {
  const [one, other] = [saidEn.get(code), saidZh.get(code)];
  if (one === undefined || other === undefined) faults.push(`${code}: the server says it, and a language has no words for it`);
  else if (placeholders(one) !== placeholders(other)) faults.push(`${code}: placeholders differ`);
  else
    for (const [, name] of one.matchAll(/\{(\w+)\}/g))
      if (figures !== null && !figures.has(name)) faults.push(`${code}: the server has no figure ${name}`);
}
for (const code of saidEn.keys())
  if (!codes.has(code) && !code.startsWith("figure_")) faults.push(`${code}: the server does not say it`);
if (codes.size < 100) faults.push(`only ${codes.size} codes were found in the catalogues`);

if (en.size === 0) faults.push("no text was found in en.ts");
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`i18n: ${en.size} texts and ${codes.size + doctor.size + faultCodes.size} codes and ${faultWords.size} sentences of the server in 2 languages`);
