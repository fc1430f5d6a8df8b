// The stories, efficiencies and keys that the pages read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { changesBody, readChanges } from "../src/api/changes";
import { CLASS_BOUNDS, classQuery, efficiencyBody, parseOrder, ratio, readEfficiency, writeOrder } from "../src/api/efficiency";
import { readUsage, usageBody } from "../src/api/keys";
import type { SearchAnswer } from "../src/api/search";
import { readSources, sourcesBody } from "../src/api/sources";
import { readStory } from "../src/api/story";
import { causeOf } from "../src/lib/causes";
import { fromLocalInput, sharedOf, toLocalInput, zoneOf } from "../src/lib/range";
import { formatFor } from "../src/lib/format";
import { sentenceOf } from "../src/lib/verdict";
import { newKey } from "../src/pages/keys/dialogs";

const SPAN = { fromMs: Date.UTC(2026, 0, 27, 8), toMs: Date.UTC(2026, 0, 27, 8, 2), live: false };
const answer = (aggregations: Record<string, unknown>): SearchAnswer => ({
  took: 1,
  hits: { total: { value: 3, relation: "eq" }, hits: [] },
  aggregations,
});

test("a story is read whatever it lacks", () => {
  const empty = readStory({ found: false });
  assert.deepEqual([empty.found, empty.records, empty.verdict], [false, [], null]);
  const story = readStory({
    found: true,
    records: [{ kind: "request.start" }, { kind: "request", http_status: 200 }, 7],
    phases: [{ name: "read", start_ms: 0, duration_ms: 5 }, { name: "write", start_ms: 5, duration_ms: 9 }, { name: "odd" }],
    attempts: [{ number: 1 }, { number: 2, upstream: "local", connect_ms: 0.2 }],
    lines: [{ ts: "2026-01-27T08:00:00Z", source: "nginx", level: "info", msg: "m", by: "trace_id", record: {} }, {}],
    neighbours: [{ request_id: "r2", start_ms: -5, duration_ms: 10 }, { request_id: "r3" }],
    verdict: { cause: "loading", text: "t", rule: "r", confidence: 0.6 },
    queries: { records: { query: { term: { request_id: "r1" } }, size: 200 } },
  });
  assert.deepEqual([empty.queries, Object.keys(story.queries)], [{}, ["records"]]);
  assert.equal(story.record.kind, "request");
  assert.deepEqual(
    story.phases.map(({ name }) => name),
    ["prefill", "decode"],
  );
  assert.deepEqual([story.attempts[0]?.upstream, story.attempts[1]?.upstream], [null, "local"]);
  assert.deepEqual([story.lines.length, story.neighbours.length, story.lines[1]?.atMs], [2, 1, null]);
  assert.equal(causeOf(story.verdict?.cause ?? "")?.tone, "warn");
  assert.equal(causeOf("constructor"), null);
});

test("efficiency: classes, groups and the curve", () => {
  const body = efficiencyBody(SPAN, 60_000, "model", parseOrder(null));
  assert.deepEqual(body.sort?.[0], { token_efficiency: { order: "asc" } });
  assert.equal(body.aggs?.groups?.terms?.field, "model_name");
  assert.equal(classQuery(0), "token_efficiency:[0 TO 0.1}");
  assert.equal(classQuery(CLASS_BOUNDS.length - 1), "token_efficiency:>=10");
  const read = readEfficiency(
    answer({
      input: { value: 100 },
      output: { value: 50 },
      poor: { doc_count: 1, input: { value: 40 } },
      classes: { buckets: { c0: { doc_count: 1 }, c3: { doc_count: 2 } } },
      over_time: { buckets: [{ key: SPAN.fromMs, input: { value: 10 }, output: { value: 5 } }] },
      groups: { buckets: [{ key: "a", doc_count: 3, input: { value: 100 }, output: { value: 50 }, poor: { doc_count: 1 } }] },
    }),
    SPAN,
    60_000,
  );
  assert.deepEqual(read.classes, [1, 0, 0, 2, 0, 0, 0, 0]);
  assert.deepEqual(read.series.slice(0, 2), [0.5, null]);
  assert.deepEqual([read.poor.input, read.groups[0]?.poor, ratio(read.output, read.input)], [40, 1, 0.5]);
  assert.equal(ratio(1, 0), null);
  assert.equal(writeOrder(parseOrder("duration_ms:desc")), "duration_ms:desc");
  assert.equal(writeOrder(parseOrder("seq:asc")), null);
});

test("keys: usage by id, and a form whose empty fields are left out", () => {
  assert.equal(usageBody(SPAN).aggs?.keys?.terms?.field, "key_id");
  const used = readUsage(
    answer({ keys: { buckets: [{ key: "k", doc_count: 2, input: { value: 3 }, output: { value: 4 }, last: { value: 9 } }] } }),
  );
  assert.deepEqual(used.get("k"), { requests: 2, failed: 0, tokens: 7, lastMs: 9 });
  const form = { name: " a ", role: "user", priority: "low", models: "qwen3:*, llama3", requests: "30", expires: "7", user: " " };
  assert.deepEqual(newKey(form, 0), {
    name: "a",
    role: "user",
    priority: "low",
    models: ["qwen3:*", "llama3"],
    requests: 30,
    per_ms: 60_000,
    expires: "1970-01-08T00:00:00.000Z",
  });
});

test("sources: lines, errors and what could not be read", () => {
  assert.equal(sourcesBody(SPAN, 60_000).aggs?.sources?.terms?.field, "source");
  const bucket = {
    key: "nginx",
    doc_count: 9,
    errors: { doc_count: 1 },
    unread: { doc_count: 2 },
    last: { value: 5 },
    over_time: { buckets: [{ key: SPAN.fromMs, doc_count: 9 }] },
  };
  const { rows } = readSources(answer({ sources: { buckets: [bucket] } }), SPAN, 60_000);
  assert.deepEqual(rows, [
    { name: "nginx", lines: 9, errors: 1, warnings: 0, unread: 2, lastMs: 5, series: [9, 0, 0] },
  ]);
});

test("changes: what happened, without those who signed in", () => {
  assert.ok(JSON.stringify(changesBody(SPAN).query).includes('"terms":{"kind":["process"'));
  const hit = (source: Record<string, unknown>) => ({ _id: "1", _index: "i", _source: source });
  const at = "2026-01-27T08:00:00Z";
  const hits = [
    hit({ "@timestamp": at, seq: 4, kind: "config", level: "info", msg: "configuration reloaded", changed: ["models"] }),
    hit({ "@timestamp": at, seq: 3, kind: "audit", level: "info", msg: "console session opened" }),
    hit({ kind: "process", msg: "no time" }),
  ];
  const read = readChanges({ took: 0, hits: { hits } });
  assert.deepEqual(
    read.map(({ seq, text }) => [seq, text]),
    [["4", "configuration reloaded · models"]],
  );
});

test("zone and range are shared by all pages", () => {
  const params = new URLSearchParams("from=now-6h&tz=utc&q=a");
  assert.deepEqual(sharedOf(params), { from: "now-6h", to: null, tz: "utc", live: null });
  assert.equal(zoneOf(params), "utc");
  const at = Date.UTC(2026, 0, 27, 8, 5);
  assert.equal(toLocalInput(at, "utc"), "2026-01-27T08:05");
  assert.equal(fromLocalInput("2026-01-27T08:05", "utc"), at);
});

test("a verdict has a sentence in other languages, for every cause that has more to tell than its heading", () => {
  const said = (cause: string, record: Record<string, unknown>, phase = "read") =>
    sentenceOf(
      readStory({
        found: true,
        records: [{ kind: "request", duration_ms: 4_000, ...record }],
        phases: [{ name: phase, start_ms: 0, duration_ms: 3_000 }],
        verdict: { cause, text: "t", rule: "r", confidence: 1 },
      }),
      formatFor("zh"),
    );
  assert.deepEqual(said("prompt_reading", { input_tokens: 900 })?.values.tokens, "900");
  assert.equal(said("loading", {})?.text, "told.loading");
  assert.equal(said("cancelled", {}, "queue")?.text, "told.cancelled_queue");
  assert.equal(said("cancelled", { output_tokens: 5 })?.text, "told.cancelled_writing");
  assert.deepEqual(said("upstream_error", { error: "status 500" }), { text: "told.error", values: { error: "status 500" } });
  assert.equal(said("constructor", {}), null);
  assert.equal(causeOf("client_slow")?.text, "cause.client_slow");
});
