// What is wrong with a text, in both languages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { faultWords } from "../src/lib/fault";

const FAULT = {
  message: "`timeouts.idle`: the unit is missing",
  expected: "a duration such as 250ms, 30s, 5m or 24h",
  hint: null,
  said: {
    path: "timeouts.idle",
    what: { code: "unit_missing", figures: {} },
    expected: { code: "a_time", figures: {} },
    hint: null,
  },
};
const said = (what: { code: string; figures: Record<string, unknown> }) => ({ ...FAULT, expected: null, said: { ...FAULT.said, what, expected: null } });

test("in English a fault is told as the server tells it", () => {
  const { message, expected, hint } = FAULT;
  assert.deepEqual(faultWords(FAULT, "en"), { message, expected, hint, isEnglish: false });
});

test("in Chinese it is told by its codes", () => {
  assert.deepEqual(faultWords(FAULT, "zh"), {
    message: "`timeouts.idle`：缺少单位",
    expected: "时长，例如 250ms、30s、5m 或 24h",
    hint: null,
    isEnglish: false,
  });
  const missing = said({ code: "key_with", figures: { key: "url", expected: { code: "words", figures: { words: "a path" } } } });
  assert.equal(faultWords(missing, "zh").message, "`timeouts.idle`：url：路径");
  const filled = said({ code: "filled", figures: { words: "`{}` is not a host name", gaps: ["a/b"] } });
  assert.equal(faultWords(filled, "zh").message, "`timeouts.idle`：`a/b` 不是主机名");
  const variable = said({ code: "variable_default", figures: { name: "PORT" } });
  assert.equal(faultWords(variable, "zh").message, "`timeouts.idle`：请设置它，或给出默认值：${PORT:-default}");
});

test("what has no words here stays as the server says it, and says so", () => {
  for (const what of [{ code: "of_a_later_version", figures: {} }, { code: "words", figures: { words: "something rare" } }]) {
    const words = faultWords(said(what), "zh");
    assert.equal(words.message, FAULT.message);
    assert.equal(words.isEnglish, true);
  }
  assert.equal(faultWords({ ...FAULT, said: null }, "zh").isEnglish, true);
});
