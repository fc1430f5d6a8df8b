// Walks through the built console in a real browser as a person would, against the mock, and says what does not work.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { startMock } from "./mock.mjs";

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const mock = await startMock({ grow: false });
const context = await browser.newContext({
  viewport: { width: 1440, height: 900 },
  locale: "en-GB",
  permissions: ["clipboard-read", "clipboard-write"],
  acceptDownloads: true,
});
const page = await context.newPage();
const faults = [];
page.on("console", (message) => {
  if (message.type() === "error" && !/status of (400|401)/.test(message.text())) faults.push(message.text());
});
page.on("pageerror", (error) => faults.push(error.message));
const id = (name) => page.getByTestId(name);
const url = () => new URL(page.url());
const until = async (test) => {
  for (let tries = 0; tries < 40 && !test(); tries++) await page.waitForTimeout(50);
  return test();
};
/** Address, what must be there before it is looked at, and what else is opened. */
const AXE_PAGES = (requestId) => [
  ["/", "figure-requests"],
  ["/discover", "requests-row"],
  ["/discover?kind=log", "requests-row", async () => id("requests-row").first().click()],
  ["/discover?q=tag:%22slow_request%22&compare=on", "different", async () => id("saved-menu").click()],
  ["/discover?q=status%3A(", "search-error"],
  [`/requests/${requestId}`, "verdict"],
  ["/efficiency", "efficiency-row"],
  ["/alerts?incident=i2", "incident-timeline", async () => id("silence-slow-model-menu").click()],
  ["/alerts?rule=slow-model", "backtest"],
  ["/probes?from=now-24h&to=now&probe=disk-root", "probe-results"],
  ["/sources", "source-row"],
  ["/keys", "key-row", async () => id("key-create").click()],
  ["/chat", "chat-input"],
];
const step = (words) => console.log(`- ${words}`);

step("without a session: the message; a wrong token is told, the right one lets in and stays out of the page");
await page.goto(`${mock.url}/requests?q=http_status:200`);
assert.match(await id("signin-message").textContent(), /^unauthorized: gateway token missing/);
await id("signin-token").fill("wrong");
await page.keyboard.press("Enter");
await page.locator("#signin-fault svg").waitFor();
await id("signin-token").fill("toll");
await id("signin-submit").click();
await id("requests-row").first().waitFor();
assert.equal(url().search, "?q=http_status:200", "the address is kept through the sign-in");
const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
assert.ok(!kept.includes("toll"), "the token is in no storage that scripts can read");

step("a token in the address of another page is dropped at once");
await page.goto(`${mock.url}/chat?token=nonsense`);
await id("chat-input").waitFor();
assert.equal(url().search, "");

step("the overview: figures, peaks, heat map; a cell leads to exactly its requests");
await id("nav-overview").click();
await id("figure-requests").waitFor();
for (const name of ["requests", "errors", "p50", "p95", "p99"])
  assert.match(await id(`figure-${name}`).getAttribute("data-value"), /^[\d.]+$/);
assert.ok((await id("rate-peaks").getAttribute("data-peaks")).length > 0);
const cell = page.locator('[data-testid=heatmap-cell][data-status="200"]').first();
const count = await cell.getAttribute("data-count");
await cell.click();
await id("requests-row").first().waitFor();
assert.equal(await id("requests-total").getAttribute("data-total"), count);

step("the time range is kept from page to page");
await page.locator('[data-range="6h"]').click();
await id("nav-overview").click();
assert.equal(url().searchParams.get("from"), "now-6h");
await id("figure-requests").waitFor();

step("dragging over a chart zooms in");
await page.locator('[data-testid="chart-rate"] canvas').waitFor();
const box = await page.locator('[data-testid="chart-rate"] .u-over').boundingBox();
await page.mouse.move(box.x + 100, box.y + 60);
await page.mouse.down();
await page.mouse.move(box.x + 300, box.y + 60, { steps: 8 });
await page.mouse.up();
await page.waitForURL(/from=20/);
await page.goBack();
assert.equal(url().searchParams.get("from"), "now-6h");

step("search: / focuses the box, a chip adds its tag, an error shows message and place");
await page.goto(`${mock.url}/requests`);
await id("requests-row").first().waitFor();
await page.keyboard.press("/");
await page.keyboard.type("model_name:(");
await page.keyboard.press("Enter");
await id("search-error").locator("mark").waitFor();
await id("requests-search").fill("");
await page.keyboard.press("Enter");
await page.getByRole("button", { name: "Errors", exact: true }).click();
await page.waitForURL(/error_request/);
await id("requests-row").first().waitFor();
assert.equal(await page.locator(".status-2").count(), 0);
await page.getByRole("button", { name: "Errors", exact: true }).click();

step("sorting by a column, and showing more rows");
await page.waitForFunction(() => !location.search.includes("error_request"));
await page.locator('[data-field="token_efficiency"]').click();
await page.waitForURL(/sort=token_efficiency%3Adesc/);
await page.waitForFunction(() => document.querySelector(".discover-main")?.getAttribute("aria-busy") === "false");
const values = (await page.locator(".col-efficiency").allInnerTexts()).slice(1).map(Number);
assert.deepEqual(
  values,
  [...values].sort((a, b) => b - a),
);
assert.equal(await id("requests-row").count(), 50);
await id("requests-more").click();
await page.waitForFunction(() => document.querySelectorAll("[data-testid=requests-row]").length === 100);

step("one request: by keyboard, with phases, JSON, filters, next and Esc; its address opens it again");
await page.goto(`${mock.url}/requests`);
await id("requests-row").first().waitFor();
await page.locator(".row-link").first().focus();
await page.keyboard.press("Enter");
await id("request-phases").waitFor();
const opened = url().searchParams.get("open");
assert.equal(opened, await id("requests-row").first().getAttribute("data-request-id"));
await page.getByRole("button", { name: "Next request" }).click();
assert.notEqual(url().searchParams.get("open"), opened);
await id("request-json").click();
assert.equal(JSON.parse(await id("request-json-text").textContent())._source.kind, "request");
await id("request-around").click();
await id("around").locator("li").first().waitFor();
assert.equal(await id("around").locator("li").count(), 13);
await page.reload();
await id("request-phases").waitFor();
await page.keyboard.press("Escape");
await id("request-panel").waitFor({ state: "detached" });

step("KQL and Lucene: the box speaks both, fields and values are completed");
await page.goto(`${mock.url}/discover`);
await id("requests-row").first().waitFor();
await id("query-language").selectOption("kql");
await page.waitForURL(/lang=kql/);
await id("requests-search").fill("mod");
await id("suggestion").filter({ hasText: "model_name" }).first().waitFor();
await page.keyboard.press("ArrowDown");
await page.keyboard.press("Enter");
assert.equal(await id("requests-search").inputValue(), "model_name: ");
await id("suggestion").filter({ hasText: "qwen3:4b" }).waitFor();
await id("suggestion").filter({ hasText: "qwen3:4b" }).click();
assert.equal(await id("requests-search").inputValue(), 'model_name: "qwen3:4b" ');
await page.keyboard.press("Enter");
await page.waitForURL(/qwen3/);
await page.waitForFunction(() =>
  [...document.querySelectorAll("td.col-model")].every((cell) => cell.textContent === "qwen3:4b"),
);

step("fields: values with their shares, one becomes a condition, another a column");
await id("fields-switch").click();
await page.locator('[data-field="http_status"] .field-name').click();
await page.locator('[data-testid=field-values] li[data-value="200"] button').first().click();
await page.waitForURL(/http_status%3A\+200/);
await page.locator('.field-item[data-field="client_ip"] .icon-button').click();
await page.waitForURL(/cols=.*client_ip/);
await page.locator('th [data-field="client_ip"]').waitFor();
await id("fields-switch").click();

step("what is different here");
await page.goto(`${mock.url}/discover?q=tag:%22error_request%22&from=now-24h&to=now&compare=on`);
await page.locator('[data-testid=different] tr[data-field="error"]').first().waitFor();

step("a saved search is kept by the server, opened again and removed");
await id("saved-menu").click();
await id("saved-name").fill("Errors of a day");
await id("saved-save").click();
await id("saved-open").waitFor();
assert.deepEqual([mock.state.saved[0].query, mock.state.saved[0].from], ['tag:"error_request"', "now-24h"]);
await page.goto(`${mock.url}/discover`);
await id("saved-menu").click();
await id("saved-open").click();
await page.waitForURL(/error_request.*from=now-24h/);
await id("saved-menu").click();
await id("saved-remove").click();
await id("saved-open").waitFor({ state: "detached" });
await page.keyboard.press("Escape");
await id("saved-name").waitFor({ state: "detached" });

step("export: what was found as NDJSON and CSV");
await id("export-menu").click();
const total = Number(await id("requests-total").getAttribute("data-total"));
const file = async (name) => {
  const waiting = page.waitForEvent("download");
  await id(name).click();
  const chunks = [];
  for await (const chunk of await (await waiting).createReadStream()) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8").trim().split(/\r?\n/);
};
const lines = await file("export-ndjson");
assert.equal(lines.length, total);
assert.ok(lines.every((line) => JSON.parse(line).tags.includes("error_request")));
await id("export-menu").click();
assert.match((await file("export-csv"))[0], /^\ufeff?@timestamp,http_status,model_name/);

step("lines of other sources; one request's story and its lines");
await page.goto(`${mock.url}/discover?kind=log&q=source:ollama%20AND%20level:info&from=now-24h&to=now`);
await id("requests-row").first().click();
await id("request-panel").waitFor();
const traced = mock.state.docs.findLast((doc) => doc.source === "ollama" && doc.level === "info").trace_id;
const told = mock.state.docs.findLast((doc) => doc.kind === "request" && doc.trace_id === traced).request_id;
await page.goto(`${mock.url}/requests/${told}`);
await id("verdict").waitFor();
assert.ok((await page.locator("[data-testid=story-lines] tbody tr").count()) >= 3);
await page.locator("[data-testid=request-phases] [data-phase=load]").waitFor();

step("efficiency: worst first, by model, and the way into Discover");
await id("nav-efficiency").click();
await id("efficiency-row").first().waitFor();
const shares = await page.locator("[data-testid=efficiency-row]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.efficiency)));
assert.deepEqual(
  shares,
  [...shares].sort((a, b) => a - b),
);
await page.locator('[data-group="model"]').click();
await page.locator('[data-testid=efficiency-groups] tr[data-group="qwen3:4b"] a').click();
await page.waitForURL(/discover.*qwen3/);

step("sources: what each sent, and its lines");
await id("nav-sources").click();
await page.locator('[data-testid=source-row][data-source="nginx"] a').first().click();
await page.waitForURL(/kind=log.*nginx/);
await id("requests-row").first().waitFor();

step("alerts: an incident is acknowledged, a rule silenced and told again, its text tried while one writes");
await id("nav-alerts").click();
await page.locator('[data-incident="i1"] .expand-head').click();
await page.waitForURL(/incident=i1/);
await id("acknowledge").click();
await page.locator('[data-incident="i1"]').getByText("Acknowledged by console: admin").waitFor();
await id("silence-failing-requests-menu").click();
await page.locator('[data-silence="4h"]').click();
const silenced = page.locator('[data-testid=rule-row][data-rule="failing-requests"]');
await silenced.getByTestId("silenced").waitFor();
await silenced.getByTestId("unsilence").click();
await silenced.getByTestId("silenced").waitFor({ state: "detached" });
await page.locator('[data-testid=rule-row][data-rule="slow-model"] a').click();
await id("backtest").waitFor();
await page.locator('[data-days="30"]').click();
await page.waitForFunction(() => Number(document.querySelector("[data-testid=backtest]")?.dataset.fired) > 60);
await id("rule-text").fill("query: 'duration_ms:>1000'\ncount:");
assert.match(await id("try-error").textContent(), /line 2/);
await id("rule-text").fill("query: 'duration_ms:>1000'\ncount: \">= 9\"");
await id("try-error").waitFor({ state: "detached" });
assert.equal(await id("rule-configuration").textContent(), "alerts:\n  slow-model:\n    query: 'duration_ms:>1000'\n    count: \">= 9\"\n");

step("probes: the light and its reason, one run now, its history");
await id("nav-probes").click();
assert.equal(await id("light").getAttribute("data-layer"), "resource");
assert.deepEqual(await id("layer").evaluateAll((all) => all.map(({ dataset }) => dataset.colour)), ["green", "green", "green", "yellow"]);
const root = page.locator('[data-testid=probe-row][data-probe="disk-root"]');
await root.getByTestId("probe-run").click();
await root.getByTestId("probe-open").click();
await page.waitForURL(/probe=disk-root/);
await id("probe-results").locator("tbody tr").first().waitFor();
assert.equal(await page.locator('[data-testid=rooms] li').first().getAttribute("data-full-in"), "12");

step("keys: made, its secret shown once, revoked");
await id("nav-keys").click();
await id("key-create").click();
await page.locator("input[name=name]").fill("walker");
await page.locator("input[name=requests]").fill("30");
await id("key-submit").click();
assert.match(await id("key-secret").textContent(), /^th_/);
await id("secret-done").click();
const row = page.locator("[data-testid=key-row]").filter({ hasText: "walker" });
assert.match(await row.textContent(), /30 requests/);
await row.getByTestId("key-revoke").click();
await id("revoke-submit").click();
await row.waitFor({ state: "detached" });
assert.ok(!(await page.content()).includes("4mYc0vYhV0cXkq3aM1xq8sZ2"), "no secret stays in the page");

step("keys lead from page to page; the zone is one for all");
await page.keyboard.press("?");
await id("help-dialog").waitFor();
await page.keyboard.press("Escape");
await page.keyboard.press("g");
await page.keyboard.press("d");
await id("requests-row").first().waitFor();
await page.locator('[data-range="custom"]').click();
await page.locator('[data-zone="utc"]').click();
await id("nav-efficiency").click();
assert.equal(url().searchParams.get("tz"), "utc");
await page.keyboard.press("/");
await page.waitForFunction(() => document.activeElement?.getAttribute("role") === "combobox");
assert.deepEqual([url().pathname, url().searchParams.get("tz")], ["/discover", "utc"]);

step("a new request is on the screen within a second");
await page.goto(`${mock.url}/discover`);
await id("requests-row").first().waitFor();
const before = Date.now();
const fresh = mock.state.add();
await page.locator(`[data-request-id="${fresh.request_id}"]`).waitFor({ timeout: 3_000 });
console.log(`  ${Date.now() - before} ms`);
assert.ok(Date.now() - before < 1_000);

step("paused, nothing is asked any more; a hidden tab asks nothing either");
await id("live-switch").click();
await page.waitForTimeout(700);
const asked = mock.state.searches.length;
mock.state.add();
await page.waitForTimeout(1_200);
assert.equal(mock.state.searches.length, asked);

step("chat: Enter sends, Esc stops and the server hears it, regenerate answers anew, a reload keeps the talk");
await id("nav-chat").click();
await id("chat-model").selectOption("qwen3:4b");
await id("chat-input").fill("Write a script");
await page.keyboard.press("Shift+Enter");
await page.keyboard.type("please");
assert.equal(await id("chat-input").inputValue(), "Write a script\nplease");
await page.keyboard.press("Enter");
await id("chat-stop").waitFor();
await page.locator(".markdown").waitFor();
await page.keyboard.press("Escape");
await page.locator('[data-testid=chat-answer][data-state="stopped"]').waitFor();
assert.ok(await until(() => mock.state.cancelled === 1), "the server hears of the stop");
await id("chat-regenerate").click();
await page.locator('[data-testid=chat-answer][data-state="done"]').waitFor({ timeout: 15_000 });
assert.equal(await id("chat-answer").count(), 1);
assert.match(await id("chat-cost").textContent(), /tokens\/s/);
await page.locator(".code-head button").first().click();
assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^#!\/usr\/bin\/env bash/);
await page.reload();
await page.locator('[data-testid=chat-answer][data-state="done"]').waitFor();
await page.waitForFunction(() => document.querySelector("[data-testid=chat-model]")?.value === "qwen3:4b");

step("leaving the page, and a new chat, end an answer");
await id("chat-input").fill("And now?");
await page.keyboard.press("Enter");
await id("chat-stop").waitFor();
await page.waitForTimeout(500);
await id("chat-new").click();
await page.waitForTimeout(500);
assert.equal(await id("chat-answer").count(), 0);
assert.ok(await until(() => mock.state.cancelled === 2), "the server hears of the new chat");

step("language and theme are remembered");
await id("lang-switch").click();
assert.equal(await id("nav-chat").textContent(), "对话");
await id("theme-switch").click();
await id("theme-switch").click();
await page.reload();
await id("chat-input").waitFor();
assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
assert.equal(dark, "rgb(12, 18, 17)");

step("accessible: no finding of axe on any page, in both languages and themes");
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
const findings = [];
for (const language of ["en", "zh"]) {
  for (const theme of ["light", "dark"]) {
    await page.evaluate(
      ([one, other]) => {
        localStorage.setItem("language", one);
        localStorage.setItem("theme", other);
      },
      [language, theme],
    );
    for (const [path, ready, act] of AXE_PAGES(told)) {
      await page.goto(mock.url + path);
      await id(ready).first().waitFor();
      await act?.();
      await page.waitForTimeout(150);
      // Evaluated by the test's own door: the policy of the page forbids it to the page.
      await page.evaluate(axe);
      const found = await page.evaluate((options) => window.axe.run(document, options), rules);
      for (const { id: rule, nodes } of found.violations)
        findings.push(`${language} ${theme} ${path} ${rule}: ${nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
    }
  }
}
assert.deepEqual([...new Set(findings)], []);

step("hostile records are text on every page");
const hostile = await startMock({ grow: false, scenario: "hostile" });
const [cookieName, cookieValue] = hostile.cookie.split("=");
const outside = [];
const foreign = await browser.newContext({ viewport: { width: 1440, height: 900 } });
await foreign.addCookies([{ name: cookieName, value: cookieValue, url: hostile.url }]);
const victim = await foreign.newPage();
victim.on("pageerror", (error) => faults.push(error.message));
victim.on("console", (message) => message.type() === "error" && faults.push(message.text()));
victim.on("request", (request) => request.url().startsWith(hostile.url) || outside.push(request.url()));
const evil = hostile.state.docs.findLast((doc) => doc.kind === "request" && doc.constructor === "data");
for (const [path, ready] of [
  ["/", "figure-requests"],
  [`/discover?compare=on&cols=@timestamp,model_name,user_id,error,tags,constructor&open=${evil.request_id}`, "request-panel"],
  ["/discover?kind=all", "requests-row"],
  [`/requests/${evil.request_id}`, "verdict"],
  ["/efficiency?by=model", "efficiency-row"],
  ["/sources", "source-row"],
  ["/keys", "keys-table"],
]) {
  await victim.goto(hostile.url + path);
  await victim.getByTestId(ready).first().waitFor();
  if (path.includes("compare")) {
    await victim.getByTestId("fields-switch").click();
    await victim.locator('.field-item[data-field="user_id"] .field-name').click();
    await victim.getByTestId("field-values").waitFor();
    await victim.getByTestId("requests-search").fill("model_name:");
    await victim.getByTestId("suggestion").first().waitFor();
  }
  await victim.waitForTimeout(150);
  const ran = await victim.evaluate(() => `${window.ran ?? ""}${Object.prototype.polluted ?? ""}`);
  assert.equal(ran, "", `${path}: nothing ran`);
}
assert.deepEqual(outside, []);
await foreign.close();
hostile.stop();

step("a session that ends brings the sign-in page");
await context.clearCookies();
await id("nav-overview").click();
await id("signin-token").waitFor();

await browser.close();
mock.stop();
assert.deepEqual(faults, [], "the console of the browser stays empty");
console.log("all well");
