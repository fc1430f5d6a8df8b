// What Discover asks, what it reads, and what the search box understands while one types.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aroundBody,
  conditionOf,
  differenceBody,
  exportBody,
  listBody,
  nameOf,
  parseColumns,
  parseSort,
  type Question,
  readDifferences,
  readValues,
  recordBody,
  usualColumns,
  valuesBody,
  writeColumns,
  writeSort,
} from "../src/api/discover";
import { REQUESTS } from "../src/api/requests";
import type { Hit, SearchAnswer } from "../src/api/search";
import { suggestFields, suggestValues, typedAt } from "../src/lib/complete";
import { curlSearch } from "../src/lib/curl";
import { csv, ndjson } from "../src/lib/files";
import { addCondition, condition, hasCondition, toggleCondition } from "../src/lib/query";
import { placeOf, requestAddress } from "../src/lib/route";

const SPAN = { fromMs: Date.UTC(2026, 0, 27, 8), toMs: Date.UTC(2026, 0, 27, 8, 3), live: false };
const QUESTION: Question = {
  scope: "request",
  query: "http_status:500",
  language: "lucene",
  span: SPAN,
  sort: { field: "@timestamp", descending: true },
  columns: ["@timestamp", "model_name"],
};
const RANGE = { range: { "@timestamp": { gte: "2026-01-27T08:00:00.000Z", lte: "2026-01-27T08:03:00.000Z" } } };
const answer = (aggregations: Record<string, unknown>): SearchAnswer => ({
  took: 1,
  hits: { total: { value: 10, relation: "eq" }, hits: [] },
  aggregations,
});

test("the box goes in as Lucene or KQL, and the kind of the records beside it", () => {
  const kind = REQUESTS;
  const of = (more: Partial<Question>) => conditionOf({ ...QUESTION, ...more });
  assert.deepEqual(of({}), { bool: { filter: [kind, RANGE, { query_string: { query: "http_status:500" } }] } });
  assert.deepEqual(of({ language: "kql" }), { bool: { filter: [kind, RANGE, { kql: { query: "http_status:500" } }] } });
  assert.deepEqual(of({ scope: "all", query: " " }), { bool: { filter: [RANGE] } });
  assert.ok(!JSON.stringify(of({ span: { ...SPAN, live: true } })).includes('"lte"'), "a live range has no end");
});

test("a list asks for the shown columns and what each row needs", () => {
  const body = listBody(QUESTION, 60_000, 50);
  assert.deepEqual(body.sort, [{ "@timestamp": { order: "desc" } }, { seq: { order: "desc" } }]);
  for (const name of ["model_name", "request_id", "seq"]) assert.ok(body._source?.includes(name));
  const next = exportBody(QUESTION, 1000, ["a", 7]);
  assert.deepEqual([next.search_after, next.track_total_hits, next._source], [["a", 7], false, undefined]);
});

test("columns and order of an address are read with care", () => {
  assert.deepEqual(parseColumns("msg,<b>,a.b,msg", "log"), ["msg", "a.b"]);
  assert.deepEqual(parseColumns(null, "log"), usualColumns("log"));
  assert.equal(writeColumns(usualColumns("log"), "log"), null);
  assert.equal(writeColumns(["msg"], "log"), "msg");
  assert.deepEqual(parseSort("duration_ms:asc"), { field: "duration_ms", descending: false });
  assert.deepEqual(parseSort("a b:asc"), { field: "@timestamp", descending: true });
  assert.equal(writeSort(parseSort("seq")), "seq:desc");
});

test("records are named by request id or by number", () => {
  const hit = (source: Record<string, unknown>): Hit => ({ _id: "9", _index: "i", _source: source });
  assert.equal(nameOf(hit({ kind: "request", request_id: "r1", seq: 3 })), "r1");
  assert.equal(nameOf(hit({ kind: "log", request_id: "r1", seq: 3 })), "seq:3");
  assert.ok(JSON.stringify(recordBody("seq:3")).includes('{"term":{"seq":3}}'));
  assert.ok(JSON.stringify(recordBody("r1")).includes('{"term":{"request_id":"r1"}}'));
  assert.deepEqual(aroundBody(5, true, 2).query, { bool: { filter: [{ range: { seq: { lt: 5 } } }] } });
});

test("values of a field, with the spread of numbers", () => {
  const body = valuesBody({ bool: {} }, { name: "duration_ms", type: "double" });
  assert.deepEqual(Object.keys(body.aggs ?? {}), ["having", "values", "spread"]);
  assert.deepEqual(Object.keys(valuesBody({ bool: {} }, { name: "msg", type: "text" }).aggs ?? {}), ["having"]);
  const read = readValues(
    answer({
      having: { doc_count: 8 },
      values: { buckets: [{ key: 1, key_as_string: "true", doc_count: 5 }, { key: "b", doc_count: 3 }, { key: {} }] },
      spread: { values: { "0.0": 1, "50.0": 2, "95.0": 3, "100.0": 4 } },
    }),
  );
  assert.deepEqual(read.values, [{ value: true, count: 5 }, { value: "b", count: 3 }]);
  assert.deepEqual([read.having, read.total, read.spread?.max], [8, 10, 4]);
});

test("differences come with their shares, the most telling first", () => {
  const body = differenceBody({ bool: {} }, { bool: {} });
  assert.ok("significant_terms" in (body.aggs?.model_name ?? {}));
  const bucket = (key: string, score: number) => ({ key, doc_count: 4, bg_count: 10, score });
  const read = readDifferences(
    answer({
      model_name: { doc_count: 8, bg_count: 100, buckets: [bucket("a", 1)] },
      user_id: { doc_count: 8, bg_count: 100, buckets: [bucket("u", 2)] },
    }),
  );
  assert.deepEqual(
    read.map(({ field, value, here, there }) => [field, value, here, there]),
    [
      ["user_id", "u", 0.5, 0.1],
      ["model_name", "a", 0.5, 0.1],
    ],
  );
});

test("conditions are written and added in both languages", () => {
  assert.equal(condition("lucene", "user_id", 'a"b'), 'user_id:"a\\"b"');
  assert.equal(condition("kql", "user_id", 'a"b', true), 'not user_id: "a\\"b"');
  assert.equal(condition("kql", "n", -1), 'n: "-1"');
  assert.equal(condition("kql", "n", null), "not n: *");
  assert.equal(addCondition("kql", "a: 1 or b: 2", "c: 3"), "(a: 1 or b: 2) and c: 3");
  assert.equal(addCondition("kql", 'm: "x or y"', "c: 3"), 'm: "x or y" and c: 3');
  assert.ok(hasCondition("kql", "a: 1 and c: 3", "c: 3"));
  assert.equal(toggleCondition("kql", "a: 1 and c: 3", "c: 3"), "a: 1");
  assert.equal(toggleCondition("lucene", "a:1 AND c:3", "a:1"), "c:3");
});

test("the caret tells whether a field or a value is being typed", () => {
  const at = (text: string) => typedAt(text, text.length);
  assert.deepEqual(at("http_status:200 AND mod"), { kind: "field", prefix: "mod", start: 20 });
  assert.deepEqual(at("(NOT mod"), { kind: "field", prefix: "mod", start: 5 });
  assert.deepEqual(at("model_name:"), { kind: "value", field: "model_name", prefix: "", start: 11 });
  assert.deepEqual(at('a AND user_id: "team \\"a'), { kind: "value", field: "user_id", prefix: 'team "a', start: 15 });
  assert.equal(at('"words of a mes'), null);
  assert.deepEqual(at(""), { kind: "field", prefix: "", start: 0 });
  assert.equal(typedAt("model_name:qw rest", 13)?.kind, "value");
});

test("suggestions: the beginning counts first, values are quoted", () => {
  const fields = [
    { name: "asked_model", type: "keyword" },
    { name: "model_name", type: "keyword" },
  ];
  assert.deepEqual(
    suggestFields("model", fields, "kql").map(({ insert }) => insert),
    ["model_name: ", "asked_model: "],
  );
  assert.equal(suggestFields("an", fields, "lucene")[0]?.insert, "AND ");
  const values = [
    { value: "qwen3:4b", count: 2 },
    { value: 200, count: 1 },
  ];
  assert.deepEqual(
    suggestValues("", values, String).map(({ insert }) => insert),
    ['"qwen3:4b" ', "200 "],
  );
});

test("files: CSV keeps commas and quotes, and no cell is a formula", () => {
  const rows = [{ a: '=cmd|"x"', b: -5, c: ["x", "y"], d: { e: 1 } }];
  assert.equal(csv(["a", "b", "c", "d", "__proto__"], rows), "\ufeffa,b,c,d,__proto__\r\n\"'=cmd|\"\"x\"\"\",-5,x y,\"{\"\"e\"\":1}\",\r\n");
  assert.equal(ndjson(rows), `${JSON.stringify(rows[0])}\n`);
});

test("a question as a line for the shell survives quotes", () => {
  const line = curlSearch("http://h/", "gate", { q: "it's" });
  assert.ok(line.includes("http://h/es/gate-*/_search") && line.includes(`it'\\''s`));
});

test("addresses: old ones work, requests have one of their own", () => {
  const place = (path: string) => placeOf(new URL(path, "http://h"));
  assert.equal(place("/requests?q=a").page, "discover");
  assert.deepEqual([place("/requests/a%2Fb").page, place("/requests/a%2Fb").id], ["request", "a/b"]);
  assert.equal(place("/requests/%E0").id, "%E0");
  assert.equal(requestAddress("a/b", { from: "now-1h" }), "/requests/a%2Fb?from=now-1h");
  assert.equal(place("/nowhere").page, null);
});
