// Values that the server knows by words of its own, in the language of the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rule } from "../src/api/alerts";
import { whoWords } from "../src/lib/who";
import { timeWords, whenWords } from "../src/pages/alerts/words";
import { keyWords } from "../src/pages/keys/words";
import { errorWords, questionWords, waitingWords } from "../src/pages/tasks/words";
import { uiFor } from "../src/ui/context";

const EN = uiFor("en", "auto", "utc");
const ZH = uiFor("zh", "auto", "utc");

test("who did something is said in the page's language, and names stay names", () => {
  for (const [who, en, zh] of [
    ["schedule", "schedule", "计划"],
    ["command line", "command line", "命令行"],
    ["console: ann", "console: ann", "控制台：ann"],
    ["console: admin", "console: admin", "控制台：管理员"],
    ["link: ops", "link: ops", "链接：ops"],
    ["link of ops", "link: ops", "链接：ops"],
    ["openclaw", "openclaw", "openclaw"],
    ["constructor", "constructor", "constructor"],
    ["other: ann", "other: ann", "other: ann"],
  ] as const)
    assert.deepEqual([whoWords(who, EN.t).toLowerCase(), whoWords(who, ZH.t)], [en, zh]);
});

test("what a run waits for and fails at is said in the page's language", () => {
  assert.equal(waitingWords("time", ZH), "等待到点");
  assert.equal(waitingWords("run", ZH), "等待由它发起的运行");
  assert.equal(waitingWords("room: the graphics card is 91% busy", ZH), "让路：GPU 占用 91%");
  assert.equal(waitingWords("room: 2 requests of users wait for local", ZH), "让路：local 有 2 个请求在等待");
  assert.equal(waitingWords("room: local works on 1 requests of users", EN), "it gives way: local works on 1 requests of users");
  assert.equal(waitingWords("room: of a later version", ZH), "让路：of a later version");
  assert.equal(waitingWords("of a later version", ZH), "of a later version");
  assert.equal(errorWords("draft: 900 tokens were used, 300 were planned", ZH.t), "draft：已用 900 个 token，计划 300 个");
  assert.equal(errorWords("mail: the channel ops did not take it: 550", ZH.t), "mail：the channel ops did not take it: 550");
  assert.equal(errorWords("cannot be read", ZH.t), "cannot be read");
  const text = "the check `chars > 5` is not met";
  assert.equal(questionWords({ why: "check", text }, ZH.t), "检查“chars > 5”未通过");
  assert.equal(questionWords({ why: "approve", text }, ZH.t), text, "what a definition asks stays as it is");
});

test("times of rules and roles of keys are said for people", () => {
  assert.deepEqual(["5m", "24h", "7d", "90s", "1h30m", ""].map((time) => timeWords(time, EN.format)), [
    "5 min",
    "1 d",
    "7 d",
    "1.5 min",
    "1h30m",
    "",
  ]);
  assert.equal(timeWords("5m", ZH.format), "5 分钟");
  assert.deepEqual([keyWords("logs:read", EN.t), keyWords("logs:read", ZH.t), keyWords("high", ZH.t)], ["logs:read", "读取日志", "高"]);
});

test("when a rule tells is said with units, and of a newest record what it fulfils", () => {
  const rule = { objective: null, baseline: null, group_by: null, within: "5m" } as Rule;
  const said = (more: Partial<Rule>) => [EN, ZH].map(({ t, format }) => whenWords({ ...rule, ...more }, t, format));
  assert.deepEqual(said({ measured: "records", limit: ">= 5" }), ["records ≥ 5 within 5 min", "5 分钟内，记录数 ≥ 5"]);
  assert.deepEqual(said({ measured: "share of http_status:>=500", limit: "> 20" }), [
    "share of http_status:>=500 > 20% within 5 min",
    "5 分钟内，http_status:>=500 的占比 > 20%",
  ]);
  assert.deepEqual(said({ measured: "newest record with outcome:fault", limit: ">= 1", group_by: "probe" }), [
    "the newest record within 5 min fulfils outcome:fault, by probe",
    "5 分钟内的最新记录符合 outcome:fault，按 probe 分组",
  ]);
  assert.equal(said({ measured: "time without a record", limit: "> 1800" })[0], "time without a record > 30 min within 5 min");
  assert.match(said({ measured: "average of duration_ms", limit: "> 30%", baseline: "7d" })[0] ?? "", / > 30% away/);
});
