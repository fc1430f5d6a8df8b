// Makes src/api/schema.ts, the types of all calls, from openapi.json; with --check it only looks whether it is up to date.

import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const description = new URL("../openapi.json", import.meta.url);
const types = new URL("../src/api/schema.ts", import.meta.url);

const ast = await openapiTS(description, { alphabetize: true, rootTypes: false });
const made = `// The types of the console's calls: made from openapi.json by \`npm run api\`.\n\n${astToString(ast)}`;
if (process.argv.includes("--check")) {
  const kept = await readFile(types, "utf8").catch(() => "");
  if (kept !== made) {
    console.error("src/api/schema.ts is not what openapi.json says: npm run api");
    process.exit(1);
  }
  console.log("api: the types are those of openapi.json");
} else {
  await writeFile(types, made);
}
