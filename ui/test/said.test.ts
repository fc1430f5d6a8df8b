// What the server says by codes, in both languages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readSaid, saidWords } from "../src/lib/said";
import { uiFor } from "../src/ui/context";

const EN = uiFor("en", "auto", "utc");
const ZH = uiFor("zh", "auto", "utc");
const DISK = { code: "disk_above", figures: { used_percent: 91.3, limit_percent: 90, free_bytes: 86e9 } };

test("codes and figures become a sentence of the page's language", () => {
  const said = [{ code: "of_probe", figures: { name: "/" } }, DISK, { code: "disk_full_in", figures: { days: 12 } }];
  assert.equal(saidWords(said, "", EN), "/: 91.3% used (limit 90%), 86 GB free, full in 12 days");
  assert.equal(saidWords(said, "", ZH), "/：已用 91.3%（上限 90%），剩余 86 GB，12 天后写满");
  const more = [DISK, { code: "more", figures: { count: 2 } }];
  assert.equal(saidWords(more, "", EN), "91.3% used (limit 90%), 86 GB free (and 2 more)");
  assert.equal(saidWords(more, "", ZH), "已用 91.3%（上限 90%），剩余 86 GB（另有 2 项）");
  const port = [{ code: "process_runs", figures: { pid: 14711 } }];
  assert.equal(saidWords(port, "", EN), "process 14711 runs");
});

test("what this page has no words for is said as the server says it", () => {
  assert.equal(saidWords([{ code: "of_a_later_version", figures: {} }], "it is so", ZH), "it is so");
  assert.equal(saidWords([], "a record from before", ZH), "a record from before");
  assert.deepEqual(readSaid("x"), []);
  assert.deepEqual(readSaid([{ code: "no_card" }, 7, null]), [{ code: "no_card", figures: {} }]);
});

test("an incident's line names what is measured", () => {
  const figures = { rule: "slow", group: " (qwen3)", measured: "95th percentile of duration_ms", value: "9000", within_s: 300 };
  assert.equal(saidWords([{ code: "fires", figures }], "", ZH).includes("duration_ms"), true);
  assert.match(saidWords([{ code: "fires", figures }], "", ZH), /^slow \(qwen3\)：5 分钟内/);
});

test("an incident's line is a sentence, not what the configuration calls it", () => {
  const line = (code: string, figures: Record<string, string | number>) =>
    [EN, ZH].map((ui) => saidWords([{ code, figures: { rule: "late", ...figures } }], "", ui));
  assert.deepEqual(line("fires", { group: " (ann)", measured: "records", value: "52", within_s: 300 }), [
    "late (ann): 52 records in 5 min",
    "late (ann)：5 分钟内 52 条记录",
  ]);
  assert.deepEqual(line("fires_many", { measured: "budget for http_status:>=500", groups: "a, b" }), [
    "late: the budget goes too fast (a, b)",
    "late：预算消耗过快（a, b）",
  ]);
  assert.deepEqual(line("fires_many", { measured: "records", groups: "a, b" }), ["late: a, b", "late：a, b"]);
  assert.deepEqual(line("budget_left", { left_percent: -19_900 }), ["0% of it left", "剩余 0%"]);
  assert.deepEqual(line("budget_left", { left_percent: 61.5 }), ["61.5% of it left", "剩余 61.5%"]);
});
