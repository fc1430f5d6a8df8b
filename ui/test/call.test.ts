// Addresses of calls: parameters in the path and behind it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf } from "../src/api/call";

test("parameters are written so that they stay what they are", () => {
  assert.equal(addressOf("/saved/{id}", { path: { id: "a/b?c" } }), "/saved/a%2Fb%3Fc");
  assert.equal(addressOf("/chats", { query: { q: "a b&c=d", more: undefined } }), "/chats?q=a%20b%26c%3Dd");
  assert.equal(addressOf("/chats/{id}/answers/{answer}", { path: { id: "1", answer: "2" } }), "/chats/1/answers/2");
});
