// What panels ask, what they make of the answers, and how they stand.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  NEW_PANEL,
  type Panel,
  panelBody,
  readCells,
  readCurves,
  readGroups,
  readNumber,
  widthOf,
  withSaved,
} from "../src/api/dashboards";
import { moved, resized } from "../src/lib/grid";

const SPAN = { fromMs: 0, toMs: 180_000, live: false };

function panel(changes: Partial<Panel>): Panel {
  return { ...NEW_PANEL, title: "p", ...changes };
}

function answer(aggregations: Record<string, unknown>, total = 7) {
  return { took: 1, hits: { total: { value: total, relation: "eq" }, hits: [] }, aggregations };
}

test("curves are asked by the minute, and missing points are nothing or unknown", () => {
  const rate = panel({ interval_s: 60 });
  assert.equal(widthOf(rate, SPAN, 5_000), 60_000);
  assert.equal(widthOf(rate, { ...SPAN, toMs: 60_000 * 2_000 }, 5_000), 5_000, "too many points");
  assert.equal(panelBody(rate, SPAN, 60_000).aggs?.over_time?.date_histogram?.fixed_interval, "60s");
  const times = [0, 60_000, 120_000];
  const buckets = [{ key: 60_000, doc_count: 3, value: { value: 1.5 } }];
  assert.deepEqual(readCurves(rate, answer({ over_time: { buckets } }), times), [{ name: "", values: [0, 3, 0] }]);
  const mean = panel({ measure: "avg", field: "duration_ms" });
  assert.deepEqual(readCurves(mean, answer({ over_time: { buckets } }), times)[0]?.values, [null, 1.5, null]);
  const apart = panel({ by: "model_name" });
  const curves = { buckets: [{ key: "m", doc_count: 3, over_time: { buckets } }] };
  assert.deepEqual(readCurves(apart, answer({ curves }), times), [{ name: "m", values: [0, 3, 0] }]);
});

test("heat maps, groups and numbers are read", () => {
  const heat = panel({ view: "heat", measure: "p95", field: "duration_ms", by: "http_status", across: "model_name" });
  assert.equal(panelBody(heat, SPAN, 1).aggs?.rows?.aggs?.cells?.aggs?.value?.percentiles?.percents[0], 95);
  const cell = { key: "m", doc_count: 2, value: { values: { "95.0": 12 } } };
  const rows = { buckets: [{ key: 200, doc_count: 2, cells: { buckets: [cell] } }] };
  assert.deepEqual(readCells(heat, answer({ rows })), [{ row: "200", column: "m", count: 2, value: 12 }]);
  const groups = panel({ view: "table", by: "user_id", measure: "sum", field: "output_tokens" });
  const found = { buckets: [{ key: "amy", doc_count: 4, value: { value: 9 } }] };
  assert.deepEqual(readGroups(groups, answer({ groups: found })), [{ name: "amy", count: 4, value: 9 }]);
  assert.equal(readNumber(panel({ view: "number" }), answer({})), 7);
  assert.equal(readNumber(panel({ view: "number", measure: "max", field: "a" }), answer({ value: { value: 3 } })), 3);
});

test("a panel of a saved search asks what that one asks", () => {
  const saved = {
    id: "s",
    name: "slow",
    query: "tag:slow",
    language: "kql" as const,
    scope: "log",
    from: "now-1h",
    to: "now",
    columns: ["msg"],
    sort: "seq:asc",
    owner: "a",
    changed_ms: 0,
  };
  const asked = withSaved(panel({ view: "table", saved: "s" }), [saved]);
  assert.deepEqual([asked?.query, asked?.language, asked?.scope, asked?.columns], ["tag:slow", "kql", "log", ["msg"]]);
  assert.equal(withSaved(panel({ saved: "gone" }), [saved]), null);
});

test("panels are moved and sized within the grid", () => {
  assert.deepEqual(moved([1, 2, 3], 0, 2), [2, 3, 1]);
  assert.deepEqual(moved([1, 2, 3], 2, 0), [3, 1, 2]);
  assert.deepEqual(moved([1], 5, 0), [1]);
  const size = ({ width, height }: Panel) => [width, height];
  assert.deepEqual(size(resized(panel({ width: 12, height: 1 }), 1, -1)), [12, 1]);
  assert.deepEqual(size(resized(panel({ width: 6, height: 4 }), -1, 1)), [5, 5]);
});
