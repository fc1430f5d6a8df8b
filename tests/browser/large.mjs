// Every page in a real Chromium, in both languages, over a store with many records while requests come in: how long each takes until
// it can be used, how long the overview of all records takes, and how long a slow request's row on an open Discover page.
//
//   node large.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "request": "req_…", "days": 7, "key": "…", …}'
//
// tests/integration/test_browser_large.py starts it.

import { addresses } from "./addresses.mjs";
import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open, shot, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);
const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
const all = `from=${day(-task.days)}&to=${day(task.days)}`;

/** Runs in the page at each of its pictures: nothing waits for its data any more, what is drawn is drawn, and a click would count. */
const isUsable = () => {
  const main = document.querySelector("main");
  if (main === null || main.querySelector(".skeleton, [aria-busy=true]") !== null) return false;
  if (main.querySelector("h1, .panel, [data-testid=requests-row]") === null) return false;
  if ([...main.querySelectorAll(".chart")].some((chart) => chart.querySelector("canvas, .empty, .quiet") === null)) return false;
  return performance.now();
};

/** Milliseconds from the begin of the navigation until the page can be used; without what a visit before left in the cache. */
async function usableMs(address) {
  await page.goto(new URL(address, base).href, { waitUntil: "commit" });
  const there = await page.waitForFunction(isUsable, undefined, { polling: "raf" });
  return there.jsonValue();
}

/** A slow request ends while Discover is open: milliseconds from its last byte to its row. */
async function rowMs() {
  const ask = { model: "late", messages: [{ role: "user", content: "at last" }] };
  const headers = { "content-type": "application/json", "x-api-key": task.key };
  const answer = await fetch(new URL("/v1/chat/completions", base), { method: "POST", headers, body: JSON.stringify(ask) });
  await answer.text();
  const ended = Date.now();
  await page.locator(`[data-request-id="${answer.headers.get("x-request-id")}"]`).waitFor();
  return Date.now() - ended;
}

await run(async () => {
  await page.goto(task.address);
  await id("nav-overview").waitFor();
  seen.pages = {};
  for (const language of ["en", "zh"]) {
    if ((await page.evaluate(() => document.documentElement.lang)).startsWith(language) === false) await id("lang-switch").click();
    for (const [name, address] of Object.entries(addresses(task))) {
      (seen.pages[name] ??= []).push(Math.round(await usableMs(address)));
      await shot(page, `large-${name.replace(" ", "-")}-${language}`);
    }
  }
  await id("lang-switch").click();
  seen.overview = [];
  for (let round = 0; round < task.rounds; round += 1) seen.overview.push(Math.round(await usableMs(`/?${all}`)));
  await shot(page, "large-overview");
  seen.requests = Number(await id("figure-requests").getAttribute("data-value"));
  await page.goto(new URL("/discover", base).href);
  await id("requests-row").first().waitFor();
  await until("all are counted", async () => (await page.locator("main .skeleton").count()) === 0);
  seen.rows = [];
  for (let round = 0; round < 3; round += 1) seen.rows.push(await rowMs());
});
