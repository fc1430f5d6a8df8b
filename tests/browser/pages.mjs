// Walks through Discover, a request's page, efficiency, keys, alerts, probes and the overview in a real Chromium against a
// running house, looks at each page with axe, and prints what it saw as JSON.
//
//   node pages.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "slow": "req_…", …}'
//
// tests/integration/test_browser_pages.py starts it and compares what was seen with what was sent.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
// A query that cannot be read is answered with 400, a replay of what is not kept with 409; Chromium reports that too.
const { seen, open: opened, shot, inspect, run } = await start(task, { isExpected: (text) => /status of (400|409)/.test(text) });
const page = await opened();

const id = (name) => page.getByTestId(name);
const rows = () => id("requests-row").evaluateAll((all) => all.map((row) => row.dataset.requestId));
const open = (address) => page.goto(new URL(address, base).href);

/** Looks at the page with axe in both languages and both themes, and takes a picture. */
async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    if (turn < 2) await shot(page, `page-${name}-${turn}`);
  }
}

async function discover() {
  await page.goto(task.address);
  await id("nav-discover").click();
  await id("requests-row").first().waitFor();
  await id("query-language").selectOption("kql");
  await id("requests-search").fill('tag: "slow_request" and not http_status: 500');
  await page.keyboard.press("Enter");
  await until("only slow requests are listed", async () => (await rows()).length === task.slowCount);
  seen.slow = await rows();

  await id("saved-menu").click();
  await id("saved-name").fill("slow ones");
  await id("saved-save").click();
  await id("saved-open").waitFor();
  await open("/discover");
  await id("saved-menu").click();
  await id("saved-open").click();
  await until("the saved search is open", async () => (await rows()).length === task.slowCount);
  seen.savedLanguage = await id("query-language").inputValue();
  await look("discover");

  await open("/discover?kind=log");
  await id("requests-row").first().waitFor();
  seen.line = await page.locator("td.col-msg").first().innerText();
  await id("fields-switch").click();
  await page.locator('.field-item[data-field="source"] .field-name').click();
  await id("field-values").locator("li").first().waitFor();
  seen.sources = await id("field-values").locator("li").evaluateAll((all) => all.map((one) => one.dataset.value));
  await look("fields");
  await id("fields-switch").click();

  await open("/discover?q=tag%3A%22slow_request%22&compare=on");
  await id("different").locator("tbody tr").first().waitFor();
  seen.different = await id("different")
    .locator("tbody tr")
    .evaluateAll((all) => all.map((row) => [row.dataset.field, row.dataset.value]));

  await id("requests-search").fill("model_na");
  await id("suggestion").filter({ hasText: "model_name" }).first().click();
  await id("suggestion").filter({ hasText: "late" }).waitFor();
  seen.suggested = await id("suggestion").evaluateAll((all) => all.map((one) => one.querySelector("code").textContent));
  await page.keyboard.press("Escape");

  await id("export-menu").click();
  const download = page.waitForEvent("download");
  await id("export-ndjson").click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  seen.exported = Buffer.concat(chunks).toString("utf8").trim().split("\n").length;

  await open("/discover?q=duration_ms%3A(");
  await id("search-error").locator("mark").waitFor();
  seen.badQuery = true;

  // A request ends, and its row is there.
  await open("/discover");
  await id("requests-row").first().waitFor();
  const answer = await fetch(new URL("/v1/chat/completions", base), {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": task.key },
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "live" }] }),
  });
  await answer.text();
  const ended = Date.now();
  await page.locator(`[data-request-id="${answer.headers.get("x-request-id")}"]`).waitFor();
  seen.liveMs = Date.now() - ended;
}

/** "Why was my last request slow": Discover, the row, its story. */
async function request() {
  await open("/");
  await id("nav-discover").click();
  await page.locator(`[data-request-id="${task.slow}"]`).click();
  await id("request-story").click();
  await id("verdict").waitFor();
  seen.cause = await id("verdict").getAttribute("data-cause");
  seen.phases = await id("request-phases").locator("[data-phase]").evaluateAll((all) =>
    all.map(({ dataset }) => [dataset.phase, Number(dataset.ms)]),
  );
  seen.neighbours = Number(await id("beside").getAttribute("data-neighbours"));
  seen.storyLines = await page.locator("[data-testid=story-lines] .story-text").allInnerTexts();
  seen.storyUrl = new URL(page.url()).pathname;
  // Nothing was kept: that is said in both languages.
  await id("replay-start").click();
  await id("replay-refused").waitFor();
  seen.replay = await id("replay-refused").getAttribute("data-code");
  await look("request");
}

async function efficiency() {
  await id("nav-efficiency").click();
  await id("efficiency-row").first().waitFor();
  seen.efficiencies = await id("efficiency-row").evaluateAll((all) => all.map((row) => Number(row.dataset.efficiency)));
  seen.classes = await id("efficiency-classes").locator("li").evaluateAll((all) => all.map((one) => Number(one.dataset.count)));
  await page.locator('[data-group="model"]').click();
  await page.locator('[data-testid=efficiency-groups] tr[data-group="echo"]').waitFor();
  seen.models = await page
    .locator("[data-testid=efficiency-groups] tbody tr")
    .evaluateAll((all) => all.map((row) => row.dataset.group));
  await page.locator('[data-group="family"]').click();
  await page.locator('[data-testid=efficiency-groups] tr[data-group^="q-"]').first().waitFor();
  seen.families = await page
    .locator("[data-testid=efficiency-groups] tbody tr")
    .evaluateAll((all) => all.map((row) => row.dataset.group));
  await page.locator('th [data-field="duration_ms"]').click();
  await page.waitForURL(/sort=duration_ms/);
  await look("efficiency");
}

async function keys() {
  await id("nav-keys").click();
  await id("key-create").click();
  await page.locator("input[name=name]").fill("made here");
  await page.locator("input[name=requests]").fill("30");
  await id("key-submit").click();
  const secret = await id("key-secret").innerText();
  await id("secret-done").click();
  const call = () => fetch(new URL("/v1/models", base), { headers: { "x-api-key": secret } });
  seen.keyWorks = (await call()).status;
  const row = page.locator("[data-testid=key-row]").filter({ hasText: "made here" });
  seen.limits = await row.locator(".tag").first().innerText();
  await look("keys");
  await row.getByTestId("key-revoke").click();
  await id("revoke-submit").click();
  await row.waitFor({ state: "detached" });
  seen.keyRevoked = (await call()).status;
}

/** An incident with its time line, taken over; a rule silenced, told again, and tried with another text. */
async function alerts() {
  await id("nav-alerts").click();
  const incident = id("incident").first();
  await incident.waitFor();
  await incident.locator(".expand-head").click();
  await page.waitForURL(/incident=/);
  await id("incident-timeline").locator("li").first().waitFor();
  await id("acknowledge").click();
  await id("acknowledge").waitFor({ state: "detached" });
  seen.timeline = await id("incident-timeline").locator("li").allInnerTexts();
  seen.rules = await id("rule-row").evaluateAll((all) => all.map((row) => [row.dataset.rule, row.dataset.state]));
  await look("alerts");

  const row = page.locator('[data-testid=rule-row][data-rule="late"]');
  await id("silence-late-menu").click();
  await page.locator('[data-silence="1h"]').click();
  await row.getByTestId("silenced").waitFor();
  await row.getByTestId("unsilence").click();
  await row.getByTestId("silenced").waitFor({ state: "detached" });

  await row.locator("a").click();
  const fired = () => id("backtest").getAttribute("data-fired");
  await id("backtest").waitFor();
  seen.fired = [await fired()];
  await look("rule");
  const text = await id("rule-text").inputValue();
  await id("rule-text").fill(text.replace(/count:.*/, 'count: ">= 99"'));
  await until("the changed rule is tried", async () => (await fired()) === "0");
  seen.fired.push("0");
  await id("rule-text").fill(text.replace(/count:.*/, "count: many"));
  seen.wrongRule = await id("try-error").innerText();
  seen.configuration = await id("rule-configuration").textContent();

  // A channel is tried, and a rule is made, kept and taken away.
  await id("nav-alerts").click();
  await id("channel-test").first().click();
  await id("channel-told").waitFor();
  seen.channelWorks = await id("channel-told").getAttribute("data-ok");
  await id("objectives-table").waitFor();
  seen.objectives = await page
    .locator("[data-objective]")
    .evaluateAll((all) => all.map((row) => [row.dataset.objective, row.dataset.group, Number(row.dataset.left)]));
  await id("new-rule-link").click();
  await page.waitForURL(/new=rule/);
  await id("rule-name").fill("made-here");
  await id("backtest").waitFor();
  await look("new rule");
  await id("rule-save").click();
  const made = page.locator('[data-testid=rule-page][data-rule="made-here"]');
  await made.waitFor();
  seen.madeOrigin = await made.locator("[data-origin]").getAttribute("data-origin");
  await id("rule-text").fill((await id("rule-text").inputValue()).replace(/count:.*/, 'count: ">= 77"'));
  await until("it may be saved", async () => !(await id("rule-save").isDisabled()));
  await id("rule-save").click();
  await until("it is in force", async () => (await made.innerText()).includes("≥ 77"));
  seen.madeRule = true;
}

/** The light and its layers, one probe run now, and what it found over time. */
async function probes() {
  await id("nav-probes").click();
  await id("layer").first().waitFor();
  const model = id("probe-row").filter({ hasText: "echo" }).first();
  await model.getByTestId("probe-run").click();
  await until("it has run", async () => (await model.getAttribute("data-outcome")) !== "");
  // Before its first run nothing is known of its layer.
  const layers = () => id("layer").evaluateAll((all) => all.map(({ dataset }) => [dataset.layer, dataset.colour]));
  await until("its layer shows it", async () => (await layers()).some(([layer, colour]) => layer === "answer" && colour !== "grey"));
  seen.layers = await layers();
  seen.light = await id("light").evaluate(({ dataset }) => [dataset.layer, dataset.colour]);
  seen.outcomes = await id("probe-row").evaluateAll((all) => all.map(({ dataset }) => [dataset.probe, dataset.outcome]));
  await model.getByTestId("probe-open").click();
  await page.waitForURL(/probe=/);
  await until("its history is shown", async () => Number(await id("probe-history").getAttribute("data-total")) > 0);
  const disks = () => page.locator("[data-testid=rooms] li").evaluateAll((all) => all.map(({ dataset }) => dataset.disk));
  await until("a disk has been looked at", async () => (await disks()).length > 0);
  seen.disks = await disks();
  await look("probes");
}

/** The light of the probes, the forecast or why there is none, and only the users' requests. */
async function overview() {
  await id("nav-overview").click();
  await id("state-layer").first().waitFor();
  await id("forecast").waitFor();
  seen.forecastTold = await id("forecast").getAttribute("data-told");
  seen.stateLayers = await id("state-layer").evaluateAll((all) => all.map(({ dataset }) => [dataset.layer, dataset.colour]));
  seen.requests = Number(await id("figure-requests").getAttribute("data-value"));
  await look("overview");
}

await run(async () => {
  await discover();
  await request();
  await efficiency();
  await keys();
  await alerts();
  await probes();
  await overview();
});
