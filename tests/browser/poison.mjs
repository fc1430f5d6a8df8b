// Every view of a house in which each text tries to run something or to call home: opens them one after the other in a real
// Chromium, does there what shows more of it (examines, replays, reads a change of the settings), and tells what ran.
//
//   node poison.mjs task.json       {"browser", "address", "shots", "views": ["/chat?c=…", …], "settings": "text of a file", "models": […]}
//
// tests/integration/test_browser_poison.py poisons the house and starts it.

import { readFile } from "node:fs/promises";

import { start, until } from "./driver.mjs";

const task = JSON.parse(await readFile(process.argv[2], "utf8"));
const base = new URL(task.address);
// A file of settings that cannot be read is answered with 400; Chromium reports that too.
const driver = await start(task, { isExpected: (text) => /status of 400/.test(text) });
const seen = Object.assign(driver.seen, { ran: [], links: [], views: 0, more: [] });
const page = await driver.open({ viewport: { width: 1440, height: 1100 } });
// Whatever a poisoned text manages to run ends here.
await page.exposeFunction("tellRan", (what) => seen.ran.push(what));
await page.addInitScript(() => {
  for (const name of ["alert", "prompt", "confirm", "print"]) window[name] = (what) => window.tellRan(`${name} ${what}`);
});
// Leaving a changed file of settings is asked about, and meant.
page.on("dialog", (dialog) => (dialog.type() === "beforeunload" ? dialog.accept() : dialog.dismiss()).catch(() => {}));
page.on("popup", (popup) => seen.ran.push(`popup ${popup.url()}`));

const id = (name) => page.getByTestId(name);

/** What shows more of a view than it does by itself, by the beginning of its address. */
const MORE = {
  "/doctor?part=advice": async () => {
    await id("advise").click();
    await id("advised").waitFor();
  },
  "/doctor": async () => {
    await id("examine").click();
    await id("examined").waitFor();
    await id("doctor-all").click();
  },
  "/requests/": async () => {
    const model = page.locator("select[name=replay-model]");
    await until("the models are listed", async () => (await model.locator("option").count()) > 0);
    for (const name of task.models) {
      await model.selectOption(name);
      await id("replay-start").click();
      await id("replay-now").waitFor();
    }
  },
  "/settings?tab=file": async () => {
    await id("settings-text").waitFor();
    await id("settings-text").fill(task.settings);
    await until("its faults are told", async () => Number(await id("settings-verdict").getAttribute("data-faults")) > 0);
  },
  "/tasks?edit=new": async () => {
    await id("definition-text").fill(task.definition);
    await until("its faults are told", async () => Number(await id("definition-check").getAttribute("data-faults")) > 0);
  },
};

/** Gives what was planted the time to run: pictures fail, animations begin. */
async function rest() {
  // On a busy machine a page that follows the house may never be silent for half a second; then it is looked at as it is.
  await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => {});
  await page.evaluate(() => new Promise((resolve) => setTimeout(() => requestAnimationFrame(() => resolve()), 60)));
  await page.evaluate(() => {
    for (const element of document.querySelectorAll("main a, main img, main details")) {
      element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      element.dispatchEvent(new Event("toggle"));
    }
  });
  const links = await page.evaluate(() => [...document.querySelectorAll("a[href]")].map((link) => link.protocol));
  // An address that cannot be read has no protocol, and leads nowhere.
  seen.links.push(...links.filter((one) => !/^(https?|mailto)?:$/.test(one)));
}

await driver.run(async () => {
  await page.goto(task.address);
  await id("nav-overview").waitFor();
  for (const view of task.views) {
    await page.goto(new URL(view, base).href);
    await rest();
    const more = Object.keys(MORE).find((begin) => view.startsWith(begin));
    if (more !== undefined) {
      await MORE[more]();
      seen.more.push(more);
      await rest();
      await driver.shot(page, `poison-${more.replace(/\W+/g, "-")}`);
    }
    seen.views += 1;
  }
});
