// What the walks through the console share: a real Chromium, what goes wrong in it, axe, pictures, and the end.
// playwright-core and axe are those that ui/ already has.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

import { misplaced } from "./layout.mjs";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium, errors } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** A page that is still misplaced after so long is so. */
const SETTLED_MS_MAX = 5_000;
export const WAIT_MS = 40_000;
export const WIDE = { width: 1440, height: 900 };

/** A wait ran out, as one of Playwright's own does. */
class NotWithin extends errors.TimeoutError {}

/** Asks again until the answer is true; `instead` tells what was there when it never was. */
export async function until(what, ask, instead = async () => "") {
  const end = Date.now() + WAIT_MS;
  while (!(await ask())) {
    if (Date.now() > end) throw new NotWithin(`not within ${WAIT_MS} ms: ${what} ${await instead().catch(String)}`.trim());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Starts Chromium for pages of `base` (by default the task's address). What is wrong in them is gathered in `seen`: errors of the
 * console, unless `isExpected` says of their text that they belong to the walk, requests to anywhere else, what axe finds, and what
 * is laid out badly.
 */
export async function start(task, { base = new URL(task.address), isExpected = () => false } = {}) {
  await mkdir(task.shots, { recursive: true });
  const browser = await chromium.launch({
    executablePath: task.browser,
    // The tests also run as root in containers, where Chromium's own sandbox cannot start.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
  });
  const seen = { errors: [], outside: [], axe: [], layout: [] };
  const pages = [];

  /** A page in a fresh browser profile. */
  async function open({ expects = isExpected, ...options } = {}) {
    const context = await browser.newContext({ viewport: WIDE, locale: "en-GB", acceptDownloads: true, ...options });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && url.host !== base.host) seen.outside.push(request.url());
    });
    page.on("pageerror", (error) => seen.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !expects(message.text())) seen.errors.push(message.text());
    });
    pages.push(page);
    return page;
  }

  const shot = (page, name) => page.screenshot({ path: path.join(task.shots, `${name}.png`) });

  /** Looks at a page as it is: with axe, and at how it is laid out. */
  async function inspect(page, name) {
    // Evaluated by the test's own door: the policy of the page forbids it to the page.
    await page.evaluate(axe);
    const found = await page.evaluate((values) => window.axe.run(document, { runOnly: values }), RULES);
    for (const { id: rule, nodes } of found.violations)
      seen.axe.push(`${name} ${rule}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
    await lookAt(page, name);
  }

  /** Looks only at how a page is laid out, once it has settled: charts take another width with the next pictures. */
  async function lookAt(page, name) {
    const end = Date.now() + SETTLED_MS_MAX;
    let found = await page.evaluate(misplaced);
    while (found.length > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      found = await page.evaluate(misplaced);
    }
    for (const what of found) seen.layout.push(`${name}: ${what}`);
  }

  /** Walks, and prints what was seen, with a failure and its picture where there is one. */
  async function run(walk) {
    try {
      await walk();
    } catch (error) {
      const last = pages.findLast((page) => !page.isClosed());
      await last?.screenshot({ path: path.join(task.shots, `${path.basename(process.argv[1], ".mjs")}-failed.png`) }).catch(() => {});
      seen.failure = String(error.stack ?? error);
      seen.ranOut = error instanceof errors.TimeoutError;
    } finally {
      await browser.close();
    }
    console.log(JSON.stringify(seen));
  }

  return { seen, open, shot, lookAt, inspect, run };
}
