// What the pages ask the server, and what they make of its answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  newestBody,
  overviewBody,
  partOf,
  readNewest,
  readOverview,
  readPhaseTimes,
  readRow,
} from "../src/api/requests";
import type { SearchAnswer } from "../src/api/search";

const SPAN = { fromMs: Date.UTC(2026, 0, 27, 8), toMs: Date.UTC(2026, 0, 27, 8, 3), live: false };
const WIDTH = 60_000;
const KIND = { bool: { filter: [{ term: { kind: "request" } }], must_not: [{ terms: { origin: ["probe", "replay"] } }] } };

test("every question of the overview is about requests", () => {
  for (const body of [overviewBody(SPAN, WIDTH), newestBody()]) {
    assert.deepEqual("bool" in body.query ? body.query.bool.filter?.[0] : null, KIND);
    assert.ok(!JSON.stringify(body).includes("query_string"));
  }
});

test("a live range has no end: what is written this moment is in it", () => {
  const body = JSON.stringify(overviewBody({ ...SPAN, live: true }, WIDTH).query);
  assert.ok(body.includes('"gte"') && !body.includes('"lte"'));
});

test("a figure of the overview is asked for alone by the same question", () => {
  const whole = overviewBody(SPAN, WIDTH);
  const heat = partOf(whole, ["heat"]);
  assert.deepEqual([heat.query, heat.size, heat.sort, Object.keys(heat.aggs ?? {})], [whole.query, 0, undefined, ["heat"]]);
  assert.deepEqual(heat.aggs?.heat, whole.aggs?.heat);
  const slowest = partOf(whole, [], true);
  assert.deepEqual([slowest.sort, slowest.size, slowest.aggs], [whole.sort, whole.size, undefined]);
});

const percentiles = (p50: number | null, p95: number | null, p99: number | null) => ({
  values: { "50.0": p50, "95.0": p95, "99.0": p99 },
});

const ANSWER: SearchAnswer = {
  took: 4,
  hits: {
    total: { value: 3, relation: "eq" },
    hits: [
      {
        _id: "12",
        _index: "s-2026.01.27",
        _source: {
          "@timestamp": "2026-01-27T08:01:10.000Z",
          request_id: "r1",
          http_status: 200,
          model_name: "qwen3:32b",
          duration_ms: 3100.5,
          tags: ["slow_request"],
          error: null,
        },
      },
    ],
  },
  aggregations: {
    errors: { doc_count: 1 },
    duration: percentiles(100, 3000, 3100),
    ttft: percentiles(null, null, null),
    input_tokens: { value: 30 },
    output_tokens: { value: 60 },
    tokens_per_second: { value: null },
    over_time: {
      buckets: [{ key: SPAN.fromMs + WIDTH, doc_count: 3, errors: { doc_count: 1 }, duration: percentiles(1, 2, 3) }],
    },
    heat: {
      buckets: [
        {
          key: 200,
          doc_count: 2,
          models: { buckets: [{ key: "qwen3:32b", doc_count: 2, duration: { value: 1600 } }] },
        },
        { key: 401, doc_count: 1, models: { buckets: [{ key: "(none)", doc_count: 1, duration: { value: 0.3 } }] } },
      ],
    },
    tokens: {
      buckets: [
        {
          key: "qwen3:32b",
          doc_count: 2,
          input: { value: 30 },
          output: { value: 60 },
          over_time: { buckets: [{ key: SPAN.fromMs, doc_count: 2, input: { value: 30 }, output: { value: 60 } }] },
        },
      ],
    },
  },
};

test("an overview is read from an Elasticsearch answer; buckets that are missing are empty", () => {
  const overview = readOverview(ANSWER, SPAN, WIDTH);
  assert.equal(overview.total, 3);
  assert.equal(overview.errors, 1);
  assert.deepEqual(overview.durations, { p50: 100, p95: 3000, p99: 3100 });
  assert.deepEqual(overview.ttft, { p50: null, p95: null });
  assert.equal(overview.tokensPerSecond, null);
  assert.deepEqual(
    overview.series.map((bucket) => [bucket.count, bucket.errors, bucket.p95]),
    [
      [0, 0, null],
      [3, 1, 2],
      [0, 0, null],
      [0, 0, null],
    ],
  );
  assert.deepEqual(overview.heat, [
    { status: 200, model: "qwen3:32b", count: 2, meanMs: 1600 },
    { status: 401, model: "(none)", count: 1, meanMs: 0.3 },
  ]);
  assert.deepEqual(overview.tokens, [{ model: "qwen3:32b", values: [90, 0, 0, 0], input: 30, output: 60 }]);
  assert.equal(overview.slowest[0]?.requestId, "r1");
});

test("an answer without anything is an empty overview, not an error", () => {
  const overview = readOverview({ took: 0, hits: { hits: [] } }, SPAN, WIDTH);
  assert.equal(overview.total, 0);
  assert.equal(overview.series.length, 4);
  assert.deepEqual(overview.heat, []);
  assert.equal(readNewest({ took: 0, hits: { hits: [] } }), null);
});

test("hostile documents are data", () => {
  const source = JSON.parse('{"__proto__":{"error":"x"},"constructor":"y","http_status":"<b>","tags":[1,{},"t"]}');
  const row = readRow({ _id: "1", _index: "s", _source: source });
  assert.equal(row.status, null);
  assert.equal(row.error, null);
  assert.deepEqual(row.tags, ["t"]);
  assert.equal(row.requestId, "1");
  assert.equal(readPhaseTimes(source).duration, null);
});
