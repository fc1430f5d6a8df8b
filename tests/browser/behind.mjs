// Walks every page in a real Chromium and looks, in both languages, whether each part with a figure leads to the query behind it;
// then runs doctor and advice, reads what a probe said in Chinese, and goes from the overview to why the last request was slow.
//
//   node behind.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "slow": "req_…", "shots": "…"}'

import { addresses } from "./addresses.mjs";
import { WIDE, start, until } from "./driver.mjs";
import { compared, outline } from "./layout.mjs";
import { latinWords } from "./words.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open: opened, shot, lookAt, inspect, run } = await start(task);
const page = await opened({ permissions: ["clipboard-read", "clipboard-write"] });
const id = (name) => page.getByTestId(name);

const PAGES = addresses({ request: task.slow, run: task.run });

/** Parts that show a figure and neither lead to Discover nor give the query as curl, by themselves or by the tools of their page. */
const withoutQuery = () => {
  const WAYS = 'a[href^="/discover"], a[href^="/requests/"], [data-testid="copy-curl"]';
  return [...document.querySelectorAll("main .panel, main [data-testid=panel], main section.area-layers")]
    // A text that somebody writes has no figures of ours.
    .filter((part) => part.checkVisibility() && /\d/.test(part.innerText) && part.querySelector("textarea") === null)
    .filter((part) => part.querySelector(WAYS) === null && part.closest("main").querySelector(`.toolbar ${WAYS.split(", ")[2]}`) === null)
    .map((part) => part.querySelector("h2, h1")?.textContent ?? part.className);
};
/** Panels with a figure that have no way of their own: what stands in the tools of the page is the query of the whole page. */
const withoutOwn = () =>
  [...document.querySelectorAll("main section.panel, main [data-testid=panel]")]
    // A text that somebody writes has no figures of ours.
    .filter((part) => part.checkVisibility() && /\d/.test(part.innerText) && part.querySelector("textarea") === null)
    .filter((part) => part.querySelector('a[href^="/discover"], a[href^="/requests/"], [data-testid="copy-curl"]') === null)
    .map((part) => part.querySelector("h2, h1")?.textContent ?? part.getAttribute("aria-label") ?? part.className);

/** No panel waits for its data any more. */
const isLoaded = async () => (await page.locator("main").count()) > 0 && (await page.locator("main .skeleton").count()) === 0;

async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    if (turn < 2) await shot(page, `behind-${name}-${turn}`);
  }
}

/** What each panel gives as a line for the shell, by the panel's title. */
async function lines() {
  const found = {};
  for (const button of await page.locator("main section").getByTestId("copy-curl").all()) {
    const title = await button.evaluate((one) => {
      const part = one.closest("section");
      return part.querySelector("h2")?.textContent ?? part.getAttribute("aria-label");
    });
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await button.click();
    await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) !== "");
    found[title] = await page.evaluate(() => navigator.clipboard.readText());
  }
  return found;
}

const NARROW = { width: 360, height: 780 };
const outlines = {};

await run(async () => {
  await page.goto(task.address);
  await id("nav-overview").waitFor();
  seen.figures = {};
  seen.latin = {};
  seen.lines = {};
  for (const [name, path] of Object.entries(PAGES)) {
    await page.goto(new URL(path, base).href);
    await until(`${name} is there`, isLoaded);
    // Dashboards draw their panels when they come into view.
    await until(`${name} has a part`, async () => name === "discover" || (await page.locator("main .panel, main .empty, main [data-testid=panel]").count()) > 0);
    seen.figures[name] = { without: await page.evaluate(withoutQuery), own: await page.evaluate(withoutOwn) };
    outlines[name] = await page.evaluate(outline);
    if (["overview", "request", "dashboards"].includes(name)) seen.lines[name] = await lines();
    await inspect(page, name);
    await shot(page, `behind-${name.replace(" ", "-")}`);
    await page.setViewportSize(NARROW);
    await lookAt(page, `${name}, narrow`);
    await id("lang-switch").click();
    await lookAt(page, `${name}, narrow, Chinese`);
    await page.setViewportSize(WIDE);
    await lookAt(page, `${name}, Chinese`);
    seen.latin[name] = await page.evaluate(latinWords);
    await id("lang-switch").click();
  }
  seen.outlines = await compared(outlines);

  // Why was my last request slow: in three clicks.
  await page.goto(new URL("/", base).href);
  const slowest = page.locator('.area-slowest a[href^="/requests/"]').first();
  await slowest.waitFor();
  await slowest.click();
  await id("verdict").waitFor();
  seen.clicks = 1;
  seen.verdict = { cause: await id("verdict").getAttribute("data-cause"), text: await id("verdict").innerText() };
  await shot(page, "behind-slow");

  // What probes say, in Chinese.
  await page.goto(new URL("/probes", base).href);
  await id("probe-row").first().waitFor();
  await id("lang-switch").click();
  seen.probes = await id("probe-row").evaluateAll((all) => all.map((row) => [row.dataset.probe, row.innerText]));
  seen.light = await id("light").innerText();
  await shot(page, "behind-probes-zh");
  await page.goto(new URL("/alerts", base).href);
  await id("incident").first().waitFor();
  seen.incidents = await id("incident").allInnerTexts();
  await id("lang-switch").click();

  await id("nav-doctor").click();
  await id("examine").click();
  await id("examined").waitFor({ timeout: 30_000 });
  await id("doctor-all").click();
  seen.steps = await id("doctor-step").evaluateAll((all) => all.map(({ dataset }) => [dataset.check, dataset.status]));
  seen.stepWords = await id("doctor-step").first().innerText();
  await id("lang-switch").click();
  seen.latin.doctor = await page.evaluate(latinWords);
  await id("lang-switch").click();
  await look("doctor");
  await id("doctor-security").click();
  await id("examine").click();
  await id("examined").waitFor({ timeout: 30_000 });
  await id("doctor-all").click();
  seen.layers = await page.locator("main .panel h2").allInnerTexts();
  await id("doctor-advice").click();
  await id("advise").click();
  await id("advised").waitFor({ timeout: 30_000 });
  seen.advice = await id("advice").evaluateAll((all) => all.map(({ dataset }) => [dataset.advice, dataset.word]));
  seen.figures.advice = { without: await page.evaluate(withoutQuery), own: await page.evaluate(withoutOwn) };
  await look("advice");
  await page.setViewportSize({ width: 360, height: 780 });
  await look("advice-small");
});
