// Builds src/ into dist/: index.html and hashed files under assets/. The same sources always give the same bytes.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, "dist");

/** What a browser fetches before the first page is drawn, gzip. Charts and Markdown are lazy and not in it. */
const FIRST_LOAD_BYTES_MAX = 150_000;

await rm(dist, { recursive: true, force: true });
await mkdir(path.join(dist, "assets"), { recursive: true });

/** Every browser that the console is for reads WOFF2: KaTeX's fonts in older forms stay out. */
const newFontsOnly = {
  name: "new-fonts-only",
  setup(builder) {
    builder.onLoad({ filter: /katex\.css$/ }, async ({ path: file }) => {
      const style = await readFile(file, "utf8");
      return { contents: style.replace(/,\s*url\([^)]*\.(?:woff|ttf)\) format\([^)]*\)/g, ""), loader: "css" };
    });
  },
};

const result = await build({
  absWorkingDir: root,
  entryPoints: { main: "src/main.tsx", mark: "src/mark.svg", math: "src/style/math.css" },
  outdir: "dist/assets",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox124", "safari17.5"],
  minify: true,
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "copy", ".woff2": "file" },
  plugins: [newFontsOnly],
  publicPath: "/assets",
  logLevel: "warning",
});

const outputs = Object.entries(result.metafile.outputs);
const fileName = (test) => {
  const found = outputs.find(([name, output]) => test(name, output));
  if (found === undefined) throw new Error("the build gave no such file");
  return path.basename(found[0]);
};
const script = fileName((name, output) => output.entryPoint === "src/main.tsx" && name.endsWith(".js"));
const style = path.basename(outputs.find(([name]) => path.basename(name) === script)[1].cssBundle);
const math = fileName((name, output) => output.entryPoint === "src/style/math.css");
const mark = fileName((name) => name.endsWith(".svg"));

const template = await readFile(path.join(root, "src/index.html"), "utf8");
const page = template.replace("{{script}}", script).replace("{{style}}", style).replace("{{mark}}", mark).replace("{{math}}", math);
await writeFile(path.join(dist, "index.html"), page);

// Static imports of the entry are part of the first load too.
const entry = outputs.find(([name]) => path.basename(name) === script)[1];
const first = new Set([
  script,
  style,
  ...entry.imports.filter((i) => i.kind === "import-statement").map((i) => path.basename(i.path)),
]);

let firstLoad = gzipSync(page).length;
for (const name of (await readdir(path.join(dist, "assets"))).sort()) {
  const bytes = await readFile(path.join(dist, "assets", name));
  const gzip = gzipSync(bytes, { level: 9 }).length;
  if (first.has(name)) firstLoad += gzip;
  console.log(`${name.padEnd(28)} ${String(bytes.length).padStart(8)} B ${String(gzip).padStart(7)} B gzip`);
}
console.log(`first load ${firstLoad} B gzip (at most ${FIRST_LOAD_BYTES_MAX})`);
if (firstLoad > FIRST_LOAD_BYTES_MAX) {
  console.error("the first load is too large: move code into a lazy chunk");
  process.exit(1);
}
