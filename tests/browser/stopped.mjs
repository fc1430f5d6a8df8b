// Provokes real exceptions in pages of the console, by answers that are not what the house gives, and looks at what is shown instead.
//
//   node stopped.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…"}'
//
// tests/integration/test_browser_stopped.py starts it.

import { WIDE, start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
// The exception itself is told in the browser's console, for those who look there.
const { seen, open, shot, inspect, lookAt, run } = await start(task, { isExpected: (text) => /^TypeError: Cannot read prop/.test(text) });
const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
const id = (name) => page.getByTestId(name);
const ALERTS = "**/console/api/v1/alerts";
const SESSION = "**/console/api/v1/session";
const answered = (body) => (route) => route.fulfill({ contentType: "application/json", body });

/** What is shown in the place of a page. */
const stopped = async () => ({
  page: await id("stopped").getAttribute("data-page"),
  words: await id("stopped").innerText(),
});

async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    await shot(page, `stopped-${name}-${turn}`);
    if (turn === 0) seen.chinese = await stopped();
  }
  for (const width of [360, 720, 2200]) {
    await page.setViewportSize({ width, height: 900 });
    await lookAt(page, `${name}, ${width}`);
    await shot(page, `stopped-${name}-${width}`);
  }
  await page.setViewportSize(WIDE);
}

await run(async () => {
  await page.goto(task.address);
  await id("nav-alerts").waitFor();
  await page.route(ALERTS, answered("{}"));
  await id("nav-alerts").click();
  await id("stopped").waitFor();
  seen.english = await stopped();
  await look("page");
  await page.locator(".stopped-details summary").click();
  seen.shown = await page.locator(".stopped-details pre").innerText();
  await inspect(page, "details");
  await shot(page, "stopped-details");
  await id("stopped-copy").click();
  await until("the details are copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) !== "");
  seen.copied = await page.evaluate(() => navigator.clipboard.readText());

  // Still wrong: it is tried, and ends the same way.
  await id("stopped-again").click();
  await id("stopped").waitFor();
  // The other pages go on, and this one is tried anew when one comes back.
  await id("nav-probes").click();
  await id("probes-page").waitFor();
  seen.elsewhere = await id("stopped").count();
  await page.goBack();
  await id("stopped").waitFor();
  await page.unroute(ALERTS);
  await id("stopped-again").click();
  await id("rules-table").waitFor();
  seen.again = await id("stopped").count();

  // An address inside the page tries it anew, too.
  await page.route(ALERTS, answered("{}"));
  await page.reload();
  await id("stopped").waitFor();
  await page.unroute(ALERTS);
  await page.evaluate(() => {
    history.pushState(null, "", "/alerts?live=off");
    dispatchEvent(new PopStateEvent("popstate"));
  });
  await id("rules-table").waitFor();

  // The frame around all pages.
  await page.route(SESSION, answered("null"));
  await page.goto(base.origin);
  await id("stopped").waitFor();
  seen.whole = await stopped();
  await inspect(page, "whole");
  await shot(page, "stopped-whole");
  await page.setViewportSize({ width: 360, height: 780 });
  await lookAt(page, "whole, 360");
  await page.unroute(SESSION);
  await id("stopped-again").click();
  await id("nav-alerts").waitFor();
});
