// Lucene clauses, thoughts, event streams, JSON pieces, addresses, server errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf } from "../src/api/base";
import { jsonTokens } from "../src/lib/json";
import { addClause, clause, hasClause, toggleClause } from "../src/lib/lucene";
import { address, placeOf } from "../src/lib/route";
import { EventReader } from "../src/lib/sse";
import { splitThinking } from "../src/lib/thinking";

const SLOW = 'tag:"slow_request"';

test("values become clauses in which nothing is syntax", () => {
  assert.equal(clause("model_name", "qwen3:32b"), 'model_name:"qwen3:32b"');
  assert.equal(clause("path", 'a "b" \\c'), 'path:"a \\"b\\" \\\\c"');
  assert.equal(clause("http_status", 200), "http_status:200");
  assert.equal(clause("delta", -3), 'delta:"-3"');
  assert.equal(clause("stream", true), "stream:true");
  assert.equal(clause("model_name", null), "NOT model_name:*");
});

test("chips go in and out of a query and leave the rest alone", () => {
  assert.equal(toggleClause("", SLOW), SLOW);
  assert.equal(toggleClause(SLOW, SLOW), "");
  assert.equal(toggleClause("http_status:200", SLOW), `http_status:200 AND ${SLOW}`);
  assert.equal(toggleClause(`http_status:200 AND ${SLOW}`, SLOW), "http_status:200");
  assert.equal(addClause("a:1 OR b:2", SLOW), `(a:1 OR b:2) AND ${SLOW}`);
  assert.equal(toggleClause(`(a:1 OR b:2) AND ${SLOW}`, SLOW), "(a:1 OR b:2)");
  assert.equal(addClause("timeout qwen", SLOW), `(timeout qwen) AND ${SLOW}`);
  assert.equal(addClause("NOT http_status:[200 TO 299]", SLOW), `NOT http_status:[200 TO 299] AND ${SLOW}`);
  assert.equal(addClause('error:"a b" AND (a b)', SLOW), `error:"a b" AND (a b) AND ${SLOW}`);
  assert.equal(addClause(SLOW, SLOW), SLOW);
  assert.ok(!hasClause(`error:"x AND ${"tag"}"`, "tag"));
  assert.ok(!hasClause(`(a:1 AND ${SLOW}) OR b:2`, SLOW));
});

test("thoughts are told from the answer, also while they arrive", () => {
  assert.deepEqual(splitThinking("Hello"), { thinking: "", text: "Hello" });
  assert.deepEqual(splitThinking("<thi"), { thinking: "", text: "" });
  assert.deepEqual(splitThinking("<think>\nhm"), { thinking: "hm", text: "" });
  assert.deepEqual(splitThinking("<think>hm</think>\n\nHi"), { thinking: "hm", text: "Hi" });
  assert.deepEqual(splitThinking("Use <think> here"), { thinking: "", text: "Use <think> here" });
});

test("events are read from any cut of the stream", () => {
  const stream = 'data: {"a":1}\n\n: note\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n';
  for (let size = 1; size <= stream.length; size++) {
    const reader = new EventReader();
    const events: string[] = [];
    for (let at = 0; at < stream.length; at += size) events.push(...reader.push(stream.slice(at, at + size)));
    assert.deepEqual(events, ['{"a":1}', "two\nlines", "[DONE]"], `pieces of ${size}`);
  }
});

test("JSON is cut into pieces that give the same text again", () => {
  const value = { a: 'x "y" \\', n: -1.5e9, list: [true, null, {}], nested: { "k:": "1" } };
  const text = JSON.stringify(value, null, 2);
  const tokens = jsonTokens(text);
  assert.equal(tokens.map((token) => token.text).join(""), text);
  const kinds = (kind: string) => tokens.filter((token) => token.kind === kind).map((token) => token.text);
  assert.deepEqual(kinds("key"), ['"a"', '"n"', '"list"', '"nested"', '"k:"']);
  assert.deepEqual(kinds("number"), ["-1500000000"]);
  assert.deepEqual(kinds("word"), ["true", "null"]);
});

test("addresses name a page and its state, and nothing else", () => {
  assert.equal(address("discover", { q: "a b", open: null, from: "" }), "/discover?q=a+b");
  assert.equal(address("overview", {}), "/");
  const place = placeOf({ pathname: "/requests/", search: "?open=1" });
  assert.equal(place.page, "discover");
  assert.equal(place.params.get("open"), "1");
  assert.equal(placeOf({ pathname: "/nowhere", search: "" }).page, null);
});

test("errors of the console, of OpenAI and of Elasticsearch are understood", () => {
  const cause = { type: "parse_exception", reason: "unexpected ) at position 7" };
  const search = {
    error: { root_cause: [cause], type: "search_phase_execution_exception", reason: "all shards failed" },
  };
  const cases: [unknown, string, number | null][] = [
    [{ error: "unauthorized" }, "unauthorized", null],
    [{ error: { message: "rate limit exceeded", type: "x" } }, "rate limit exceeded", null],
    [search, cause.reason, 7],
    [{ error: { reason: "bad query", position: 3 } }, "bad query", 3],
    [{ error: { reason: "Encountered <EOF> at line 1, column 12." } }, "Encountered <EOF> at line 1, column 12.", 12],
    [{}, "HTTP 400", null],
  ];
  for (const [body, message, position] of cases) {
    const error = errorOf(400, JSON.stringify(body));
    assert.equal(error.message, message);
    assert.equal(error.position, position);
  }
  assert.equal(errorOf(502, "<html>bad gateway</html>").message, "<html>bad gateway</html>");
});
