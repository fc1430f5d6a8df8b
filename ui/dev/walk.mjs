// Walks through the built console in a real browser as a person would, against the mock, and says what does not work.

import assert from "node:assert/strict";
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
await page.waitForFunction(() => document.querySelector(".requests-main")?.getAttribute("aria-busy") === "false");
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
await page.reload();
await id("request-phases").waitFor();
await page.keyboard.press("Escape");
await id("request-panel").waitFor({ state: "detached" });

step("a new request is on the screen within a second");
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
assert.equal(await id("chat-model").inputValue(), "qwen3:4b");

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

step("a session that ends brings the sign-in page");
await context.clearCookies();
await id("nav-overview").click();
await id("signin-token").waitFor();

await browser.close();
mock.stop();
assert.deepEqual(faults, [], "the console of the browser stays empty");
console.log("all well");
