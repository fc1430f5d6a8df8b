// Checks a description of calls against the schema of OpenAPI 3.1 itself, and real answers against what it says of them.
//
//   node openapi.mjs < {"description": …, "answers": [{"method", "path", "status", "body"}]}
//
// Prints {"faults": […], "answered": ["get /path 200", …]}.

import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** Objects that hold more than is described: what others made, or what was asked for. */
const OPEN = new Set(["Attempt", "CompletionBody", "Hit", "Hits", "OpenApi", "Refusal", "SearchAnswer", "SearchBody"]);

const parts = [];
for await (const part of process.stdin) parts.push(part);
const { description, answers } = JSON.parse(Buffer.concat(parts).toString());

const faults = [];
const verdict = await new Validator().validate(structuredClone(description));
if (!verdict.valid) faults.push(`the description: ${JSON.stringify(verdict.errors)}`);

// A member that is not described is a fault here, so that the description cannot fall behind.
for (const [name, schema] of Object.entries(description.components.schemas)) {
  if (schema.properties && !("additionalProperties" in schema) && !OPEN.has(name)) schema.additionalProperties = false;
}
const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
for (const format of ["int32", "int64", "double"]) ajv.addFormat(format, true);
ajv.addSchema({ $id: "https://tollhouse.invalid/", ...description });

const answered = [];
for (const { method, path, status, body } of answers) {
  const name = `${method} ${path} ${status}`;
  const told = description.paths[path]?.[method]?.responses[status];
  if (told === undefined) {
    faults.push(`${name}: this status is not described`);
    continue;
  }
  answered.push(name);
  const schema = told.content?.["application/json"]?.schema;
  if (schema === undefined) {
    if (body !== null && told.content === undefined) faults.push(`${name}: a body that is not described`);
    continue;
  }
  const check = ajv.getSchema(`https://tollhouse.invalid/${schema.$ref}`);
  if (!check(body)) faults.push(`${name}: ${ajv.errorsText(check.errors, { dataVar: "it" })}: ${JSON.stringify(body).slice(0, 600)}`);
}
console.log(JSON.stringify({ faults, answered }));
