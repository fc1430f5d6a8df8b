// Time ranges: what the address says, what it means at a moment, and the buckets that follow.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BUCKETS_MAX,
  bucketStarts,
  bucketWidth,
  fixedInterval,
  momentOf,
  presetOf,
  rangeOf,
  resolve,
} from "../src/lib/range";

const NOW = Date.UTC(2026, 0, 27, 8, 0, 30);

test("moments are now, date math, or ISO times", () => {
  const cases: [string, number | null][] = [
    ["now", NOW],
    ["now-15m", NOW - 900_000],
    ["now-7d", NOW - 7 * 86_400_000],
    ["2026-01-27T08:00:00.000Z", Date.UTC(2026, 0, 27, 8)],
    ["2026-01-27", Date.UTC(2026, 0, 27)],
    ["now+1h", null],
    ["now-1y", null],
    ["yesterday", null],
    ["", null],
    ["2026-13-45T99:99", null],
  ];
  for (const [text, ms] of cases) assert.equal(momentOf(text, NOW), ms, text);
});

test("an address without a readable range has the default one", () => {
  const range = (search: string) => rangeOf(new URLSearchParams(search), NOW);
  assert.deepEqual(range(""), { from: "now-1h", to: "now" });
  assert.deepEqual(range("from=now-24h&to=now"), { from: "now-24h", to: "now" });
  assert.deepEqual(range("from=<script>&to=now"), { from: "now-1h", to: "now" });
  assert.deepEqual(range("from=now&to=now-1h"), { from: "now-1h", to: "now" });
  assert.equal(presetOf(range("from=now-6h")), "6h");
  assert.equal(presetOf(range("from=now-5h")), null);
});

test("each span gets round buckets, never more than the limit", () => {
  const cases: [string, string][] = [
    ["now-15m", "10s"],
    ["now-1h", "60s"],
    ["now-6h", "300s"],
    ["now-24h", "900s"],
    ["now-7d", "7200s"],
  ];
  for (const [from, interval] of cases) {
    const span = resolve({ from, to: "now" }, NOW);
    const width = bucketWidth(span);
    assert.equal(fixedInterval(width), interval, from);
    const starts = bucketStarts(span, width);
    assert.ok(starts.length <= BUCKETS_MAX + 2);
    assert.ok((starts[0] ?? 0) <= span.fromMs && (starts[0] ?? 0) > span.fromMs - width);
    assert.ok((starts.at(-1) ?? 0) <= span.toMs && (starts.at(-1) ?? 0) > span.toMs - width);
  }
  for (let days = 1; days < 20_000; days *= 3) {
    const span = { fromMs: NOW - days * 86_400_000, toMs: NOW, live: false };
    assert.ok((span.toMs - span.fromMs) / bucketWidth(span) <= BUCKETS_MAX, `${days} days`);
  }
});
