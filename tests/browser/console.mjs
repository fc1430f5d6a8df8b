// Walks through the console in a real Chromium as a person would, and prints what it saw as JSON.
//
//   node console.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "target/screenshots", …}'
//
// tests/integration/test_browser.py starts it and compares what was seen with what was sent.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const token = base.searchParams.get("token");
let badQuery = false;
// A query that cannot be read is answered with 400; Chromium reports that too.
const { seen, open, shot, run } = await start(task, { isExpected: (text) => badQuery && /status of 400/.test(text) });

const get = (page, id) => page.getByTestId(id);
const text = async (page, id) => (await get(page, id).first().innerText()).trim();

/** The value behind a figure. */
const figure = async (page, id) => Number(await get(page, id).first().getAttribute("data-value"));

async function signInByForm() {
  // The first question for the session is answered with 401, which Chromium reports as an error.
  const page = await open({ expects: () => true });
  await page.goto(base.origin);
  await get(page, "signin-token").waitFor();
  await shot(page, "sign-in");
  await get(page, "signin-token").fill("wrong");
  await get(page, "signin-submit").click();
  await get(page, "signin-error").waitFor();
  await get(page, "signin-token").fill(token);
  await get(page, "signin-submit").click();
  await get(page, "figure-requests").waitFor();
  seen.signedIn = true;
  await page.context().close();
}

async function overview(page) {
  await page.goto(task.address);
  await get(page, "figure-requests").waitFor();
  seen.url = page.url();
  await until(
    `the overview shows ${task.requests} requests`,
    async () => (await figure(page, "figure-requests")) === task.requests,
  );
  seen.requests = await figure(page, "figure-requests");
  seen.failedShare = await figure(page, "figure-errors");
  seen.times = {};
  for (const name of ["p50", "p95", "p99"]) seen.times[name] = await text(page, `figure-${name}`);
  seen.heat = await get(page, "heatmap-cell").evaluateAll((cells) =>
    cells.map(({ dataset }) => [Number(dataset.status), dataset.model, Number(dataset.count)]),
  );
  await shot(page, "overview-light");
}

async function themesAndLanguages(page) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const grounds = new Set([await ground()]);
  for (let turn = 0; turn < 3 && grounds.size < 2; turn += 1) {
    await get(page, "theme-switch").click();
    grounds.add(await ground());
  }
  seen.themes = grounds.size;
  await shot(page, "overview-dark");
  await get(page, "lang-switch").click();
  await until("the page is Chinese", () => page.evaluate(() => document.documentElement.lang.startsWith("zh")));
  seen.chinese = await text(page, "nav-overview");
  await shot(page, "overview-dark-zh");
  await get(page, "nav-discover").click();
  await get(page, "requests-row").first().waitFor();
  await shot(page, "requests-dark-zh");
  await get(page, "lang-switch").click();
  await until("the page is English", () => page.evaluate(() => document.documentElement.lang.startsWith("en")));
  seen.english = await text(page, "nav-overview");
}

async function requests(page) {
  await get(page, "nav-discover").click();
  const began = Date.now();
  await get(page, "requests-search").fill('tag:"slow_request"');
  await get(page, "requests-search").press("Enter");
  const rows = () => get(page, "requests-row").evaluateAll((all) => all.map((row) => row.dataset.requestId));
  await until("only slow requests are listed", async () => (await rows()).length === task.slow);
  seen.slow = await rows();
  seen.searchMs = Date.now() - began;
  await get(page, "requests-row").first().click();
  await get(page, "request-panel").waitFor();
  await get(page, "request-phases").waitFor();
  seen.panel = await text(page, "request-panel");
  await shot(page, "request-opened");
  badQuery = true;
  await get(page, "requests-search").fill("(status:200");
  await get(page, "requests-search").press("Enter");
  await get(page, "search-error").waitFor();
  seen.badQuery = true;
  await shot(page, "bad-query");
}

async function chat(page) {
  await get(page, "nav-chat").click();
  await get(page, "chat-input").waitFor();
  await get(page, "chat-model").selectOption(task.model);
  await get(page, "chat-input").fill("你好");
  await get(page, "chat-send").click();
  await until("the answer is whole", async () =>
    (await get(page, "chat-answer").last().innerText().catch(() => "")).includes(task.answer),
  );
  seen.answer = (await get(page, "chat-answer").last().innerText()).trim();
  await shot(page, "chat");

  await get(page, "chat-model").selectOption(task.endless);
  await get(page, "chat-input").fill("and now for ever");
  await get(page, "chat-send").click();
  const last = () => get(page, "chat-answer").last().innerText();
  await until("the second answer begins", async () => (await get(page, "chat-answer").count()) >= 2 && (await last()) !== "");
  await get(page, "chat-stop").click();
  await get(page, "chat-stop").waitFor({ state: "hidden" });
  const stopped = await last();
  await new Promise((resolve) => setTimeout(resolve, 300));
  seen.stopped = (await last()) === stopped;
  await shot(page, "chat-stopped");
}

async function onAPhone() {
  const page = await open({ viewport: { width: 390, height: 844 } });
  await page.goto(task.address);
  await get(page, "figure-requests").waitFor();
  seen.phoneOverflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  await shot(page, "overview-phone");
  await page.context().close();
}

await run(async () => {
  await signInByForm();
  const page = await open();
  await overview(page);
  await themesAndLanguages(page);
  await requests(page);
  await chat(page);
  await onAPhone();
});
