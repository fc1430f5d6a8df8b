// Peaks, heat steps, phases, formats, sparklines.

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFor } from "../src/lib/format";
import { HEAT_STEPS, heatStep } from "../src/lib/heat";
import { peaks } from "../src/lib/peaks";
import { type PhaseTimes, phases } from "../src/lib/phases";
import { sparkline } from "../src/lib/sparkline";

test("peaks lie above the mean plus two deviations, else the largest stands alone", () => {
  assert.deepEqual(peaks([1, 1, 1, 1, 1, 1, 1, 1, 20, 1]), [8]);
  assert.deepEqual(peaks([4, 5, 6, 5]), [2]);
  assert.deepEqual(peaks([0, 3, 0, 3]), [1]);
  assert.deepEqual(peaks([3, 3, 3]), []);
  assert.deepEqual(peaks([0, 0, 0, 0]), []);
  assert.deepEqual(peaks([7]), []);
  assert.deepEqual(peaks([]), []);
});

test("heat steps grow with the duration and stay in their range", () => {
  let before = 0;
  for (let value = 0; value <= 10_000; value += 50) {
    const step = heatStep(value, 10_000);
    assert.ok(step >= before && step < HEAT_STEPS);
    before = step;
  }
  assert.equal(heatStep(0.5, 12_000), 0);
  assert.equal(heatStep(12_000, 12_000), HEAT_STEPS - 1);
  assert.equal(heatStep(0, 0), 0);
});

const NOTHING: PhaseTimes = {
  duration: null,
  queue: null,
  connect: null,
  load: null,
  prefill: null,
  ttft: null,
  decode: null,
};

test("phases follow one another and fill the whole", () => {
  const list = phases({ duration: 1000, queue: 100, connect: 10, load: 50, prefill: 140, ttft: 320, decode: 670 });
  assert.deepEqual(
    list.map((phase) => [phase.name, phase.startMs, phase.durationMs]),
    [
      ["queue", 0, 100],
      ["connect", 100, 10],
      ["load", 110, 50],
      ["prefill", 160, 140],
      ["wait", 300, 20],
      ["decode", 320, 670],
    ],
  );
});

test("phases that were not measured are found from the first token and the end", () => {
  const names = (times: Partial<PhaseTimes>) => phases({ ...NOTHING, ...times }).map((phase) => phase.name);
  assert.deepEqual(names({ duration: 1000, connect: 5, ttft: 400 }), ["connect", "wait", "decode"]);
  assert.deepEqual(names({ duration: 1000, connect: 5 }), ["connect", "rest"]);
  assert.deepEqual(names({ duration: 0.4 }), ["rest"]);
  assert.deepEqual(names({}), []);
});

test("phases never reach beyond the duration, whatever was measured", () => {
  const wild = [-5, 0, 3, 70, 500, 5_000, null];
  for (const queue of wild)
    for (const prefill of wild)
      for (const ttft of wild)
        for (const decode of wild) {
          let at = 0;
          for (const phase of phases({ ...NOTHING, duration: 600, queue, prefill, ttft, decode })) {
            assert.equal(phase.startMs, at);
            assert.ok(phase.durationMs > 0);
            at += phase.durationMs;
          }
          assert.ok(at <= 600 + 1e-9);
        }
});

test("durations and counts read well in both languages", () => {
  const en = formatFor("en");
  const zh = formatFor("zh");
  const cases: [number | null, string][] = [
    [null, "–"],
    [Number.NaN, "–"],
    [0, "0 ms"],
    [0.35, "0.35 ms"],
    [5.04, "5.0 ms"],
    [850, "850 ms"],
    [999.7, "1.00 s"],
    [3_240, "3.24 s"],
    [42_000, "42.0 s"],
    [59_960, "1 min 0 s"],
    [125_000, "2 min 5 s"],
    [7_260_000, "2 h 1 min"],
    [266_400_000, "3 d 2 h"],
  ];
  for (const [ms, text] of cases) assert.equal(en.duration(ms), text);
  assert.equal(zh.duration(125_000), "2 分钟 5 秒");
  assert.equal(zh.width(7_200_000), "2 小时");
  assert.equal(en.compact(1_234), "1,234");
  assert.equal(en.compact(63_200), "63.2k");
  assert.equal(zh.compact(63_200), "6.32万");
  assert.equal(en.percent(0.0916), "9.2%");
  assert.equal(en.tick(20_000), "20 s");
  assert.equal(en.tick(1_500), "1.5 s");
});

test("a sparkline spans its box", () => {
  assert.equal(sparkline([0, 10], 100, 20), "M0 19L100 1");
  assert.equal(sparkline([], 100, 20), "");
});
