// What is told of an exception: where it was, without secrets.

import assert from "node:assert/strict";
import { test } from "node:test";
import { detailsOf, withoutSecrets } from "../src/lib/failure";

const WHERE = { path: "/alerts", version: "0.1.0", agent: "Firefox/141.0", at: "2026-01-27T10:00:00.000Z" };

test("the details of an exception say what, where and when, with the stack of each browser", () => {
  const fault = new TypeError("data.rules is undefined");
  fault.stack = "TypeError: data.rules is undefined\n    at a (http://127.0.0.1:8700/assets/main-ABCDEFGH.js:1:2345)\n    at b (<anonymous>)";
  assert.deepEqual(detailsOf(fault, WHERE).split("\n"), [
    "TypeError: data.rules is undefined",
    "path: /alerts",
    "version: 0.1.0",
    "browser: Firefox/141.0",
    "time: 2026-01-27T10:00:00.000Z",
    "at a (http://127.0.0.1:8700/assets/main-ABCDEFGH.js:1:2345)",
    "at b (<anonymous>)",
  ]);
  fault.stack = "a@http://127.0.0.1:8700/assets/main-ABCDEFGH.js:1:2345\n";
  assert.match(detailsOf(fault, WHERE), /\na@http:\/\/127\.0\.0\.1:8700\/assets\/main-ABCDEFGH\.js:1:2345$/);
  fault.stack = Array.from({ length: 200 }, (_, line) => `    at f${line} (x.js:1:1)`).join("\n");
  assert.ok(detailsOf(fault, WHERE).split("\n").length < 40);
});

test("secrets and parameters of addresses are left out of what is copied", () => {
  for (const [text, told] of [
    ["at a (https://ann:pw@host/x.js?token=abc#y:1:2)", "at a (https://host/x.js:1:2)"],
    ["Authorization: Bearer abc.def", "Authorization: *** ***"],
    ['{"password":"a b"}', '{"password":"***"}'],
    ["token=abc&x=1", "token=***&x=1"],
    ["unexpected th_3kX9aQ0bZr_4mYc0vYhV0 at 7", "unexpected *** at 7"],
    ["sk-ABCDEFGHIJ", "***"],
    [`x ${"A1b2".repeat(10)} y`, "x *** y"],
    ["Cannot read properties of undefined (reading 'length')", "Cannot read properties of undefined (reading 'length')"],
  ] as const)
    assert.equal(withoutSecrets(text), told);
});
