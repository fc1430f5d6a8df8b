// What the pages Alerts and Probes and the forecast read and write.

import assert from "node:assert/strict";
import { test } from "node:test";
import { asConfiguration, measuredBody, measuredOf, readMeasured } from "../src/api/alerts";
import { changesBody } from "../src/api/changes";
import { conditionOf } from "../src/api/discover";
import { ahead } from "../src/api/forecast";
import { certificates, curvesOf, historyBody, machineBody, type Probe, readHistory, readMachine, rooms } from "../src/api/probes";
import type { SearchAnswer } from "../src/api/search";
import { formatFor } from "../src/lib/format";
import { mayOperate } from "../src/lib/rights";
import { blockOf } from "../src/lib/rule-text";

const SPAN = { fromMs: Date.UTC(2026, 0, 27, 8), toMs: Date.UTC(2026, 0, 27, 8, 2), live: false };
const MINUTE = 60_000;
const answer = (aggregations: Record<string, unknown>): SearchAnswer => ({
  took: 1,
  hits: { total: { value: 3, relation: "eq" }, hits: [] },
  aggregations,
});

test("a rule's text: one key a line, commas in quotes and brackets stay", () => {
  const flow = `{query: 'a:"b, c" AND d', count: ">= 5, really", quiet: {from: "22:00", to: "07:00"}, notify: [a, b], for: null, needs: [], runbook: don't}`;
  assert.deepEqual(blockOf(flow).split("\n"), [
    `query: 'a:"b, c" AND d'`,
    `count: ">= 5, really"`,
    `quiet: {from: "22:00", to: "07:00"}`,
    "notify: [a, b]",
    "runbook: don't",
  ]);
  assert.equal(blockOf("query: a\ncount: 5"), "query: a\ncount: 5");
});

test("what goes into the configuration file keeps the indentation", () => {
  assert.equal(asConfiguration("slow", "{query: a}"), "alerts:\n  slow: {query: a}\n");
  assert.equal(asConfiguration("slow", "query: a\nquiet:\n  from: x"), "alerts:\n  slow:\n    query: a\n    quiet:\n      from: x\n");
  assert.equal(asConfiguration("with space", "{}"), 'alerts:\n  "with space": {}\n');
});

test("the measure of a rule is read from its text, and drawn", () => {
  assert.deepEqual(measuredOf(`{query: 'it''s: {a}', count: ">= 5"}`)?.query, "it's: {a}");
  assert.deepEqual(measuredOf('query: "a:\\"b\\""\naverage: duration_ms'), {
    query: 'a:"b"',
    measure: "average",
    field: "duration_ms",
    percent: 95,
  });
  const measured = measuredOf("{query: kind:request, percentile: ttft_ms, percent: 99, above: 2000}");
  assert.deepEqual([measured?.query, measured?.measure, measured?.percent], ["kind:request", "percentile", 99]);
  assert.equal(measuredOf("count: 5"), null);
  if (measured === null) return;
  assert.deepEqual(measuredBody(measured, SPAN, MINUTE).aggs?.over_time?.aggs?.value?.percentiles?.percents, [99]);
  const buckets = [{ key: SPAN.fromMs, doc_count: 3, value: { values: { "99.0": 7 } } }];
  assert.deepEqual(readMeasured(answer({ over_time: { buckets } }), measured, SPAN, MINUTE).values, [7, null, null]);
});

const PROBE: Probe = {
  id: "disk-root",
  name: "/",
  kind: "disk",
  layer: "resource",
  about: "",
  looks: [],
  every_s: 900,
  running: false,
  next: null,
  since: null,
  last: {
    at: "2026-01-27T08:00:00Z",
    outcome: "warn",
    found: "",
    said: [],
    duration_ms: 1,
    fields: { used_percent: 91, free_bytes: 5, full_in_days: 12 },
  },
};

test("a disk's day, and certificates by the days left", () => {
  const [room] = rooms([PROBE, { ...PROBE, last: null }]);
  assert.equal(room?.fullAtMs, Date.UTC(2026, 1, 8, 8));
  const certificate = (id: string, days: unknown): Probe => ({
    ...PROBE,
    id,
    kind: "certificate",
    last: PROBE.last === null ? null : { ...PROBE.last, fields: { days_left: days } },
  });
  const found = certificates([certificate("a", 61), certificate("b", 9), certificate("c", "soon")]);
  assert.deepEqual(
    found.map(({ id }) => id),
    ["b", "a"],
  );
});

test("a probe's history: curves of its kind, one for each type of question", () => {
  const body = historyBody(PROBE, SPAN, MINUTE);
  assert.ok(body.aggs?.over_time?.aggs?.used_percent);
  const quality = { ...PROBE, kind: "quality" };
  assert.equal(historyBody(quality, SPAN, MINUTE).aggs?.parts?.terms?.field, "test_type");
  const overTime = (value: number, wrong: number) => ({
    buckets: [{ key: SPAN.fromMs + MINUTE, doc_count: 2, score: { value }, wrong: { doc_count: wrong } }],
  });
  const read = readHistory(
    answer({ over_time: overTime(0.9, 1), parts: { buckets: [{ key: "logic", over_time: overTime(0.8, 0) }] } }),
    quality,
    SPAN,
    MINUTE,
  );
  assert.deepEqual(read.curves, [{ name: "logic", values: [null, 0.8, null] }]);
  assert.deepEqual(read.wrong, [SPAN.fromMs + MINUTE]);
  assert.deepEqual(curvesOf("toString"), curvesOf("http"));
});

test("GPU and memory: only curves that have a value", () => {
  assert.ok(machineBody(SPAN, MINUTE).aggs?.gpus);
  const machine = readMachine(
    answer({
      memory: { buckets: [] },
      gpus: { buckets: [{ key: "A10", over_time: { buckets: [{ key: SPAN.fromMs, memory: { value: 70 }, busy: { value: null } }] } }] },
    }),
    SPAN,
    MINUTE,
  );
  assert.deepEqual(
    machine.curves.map(({ what, gpu, values }) => [what, gpu, values[0]]),
    [["gpu_memory", "A10", 70]],
  );
});

test("a forecast is drawn behind the last bucket, at most a third of what was", () => {
  const hour = 3_600_000;
  const points = [0, 1, 2, 3].map((at) => ({
    at: new Date(SPAN.toMs + at * hour).toISOString(),
    value: 60 + at * 60,
    low: 30,
    high: 120 + at * 60,
  }));
  const span = { fromMs: SPAN.toMs - 6 * hour, toMs: SPAN.toMs, live: true };
  const found = ahead(points, span, hour / 4, SPAN.toMs - hour / 4);
  assert.equal(found.times[0], SPAN.toMs);
  assert.ok(found.times.every((time) => time < SPAN.toMs + 2.1 * hour));
  // A quarter of the hour's value, and more towards the next hour's.
  assert.deepEqual([found.values[0], found.values[2]], [15, 16.875]);
  assert.ok(found.values.every((value, at) => (found.low[at] ?? 1) < value && value < (found.high[at] ?? 0)));
  assert.deepEqual(ahead([], span, hour, SPAN.toMs).times, []);
});

test("samples are no changes, probes' requests no user's", () => {
  assert.ok(JSON.stringify(changesBody(SPAN).query).includes("gpu_memory_used_bytes"));
  const condition = (query: string) =>
    JSON.stringify(conditionOf({ scope: "request", query, language: "lucene", span: SPAN }));
  assert.ok(condition("duration_ms:>5").includes('"origin":["probe","replay"]'));
  assert.ok(!condition("origin:probe").includes('"term":{"origin"'));
});

test("roles, bytes and how long ago", () => {
  assert.deepEqual(["viewer", "operator", "admin", ""].map(mayOperate), [false, true, true, false]);
  const format = formatFor("en", "utc");
  assert.deepEqual([0, 999, 1_500, 86e9, 1.2e12].map(format.bytes), ["0 B", "999 B", "1.5 kB", "86 GB", "1.2 TB"]);
  assert.match(format.relative(1_000, 361_000), /^6 min/);
  assert.match(formatFor("zh").relative(7_200_000, 0), /2小时后/);
});
