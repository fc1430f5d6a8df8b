// Processes and resources in a real Chromium: one that waits for a human is looked at, confirmed, restarted and stopped, each time
// after the window has said what will be done; what the stores take is shown.
//
//   node upkeep.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…"}'

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open, shot, inspect, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);
const row = (name) => page.locator(`[data-testid=process-row][data-process="${name}"]`);
const state = (name) => row(name).getAttribute("data-state");

async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    if (turn < 2) await shot(page, `upkeep-${name}-${turn}`);
  }
}

/** Opens the window of an order, reads what it says, and gives the order. */
async function order(name, what) {
  await row(name).getByTestId(`process-${what}`).click();
  await id("process-dialog").waitFor();
  const said = await id("process-dialog").locator("dd").allInnerTexts();
  await inspect(page, `order-${what}`);
  await shot(page, `upkeep-order-${what}`);
  await id("process-order").click();
  await id("process-dialog").waitFor({ state: "detached" });
  return said;
}

await run(async () => {
  await page.goto(task.address);
  await id("nav-processes").click();
  await until("it waits for a human", async () => (await state("crashing")) === "paused");
  seen.waiting = await id("processes-waiting").innerText();
  seen.why = await row("crashing").locator(".process-why").innerText();
  await look("processes");
  await page.setViewportSize({ width: 360, height: 780 });
  await look("processes-small");
  await page.setViewportSize({ width: 1440, height: 900 });

  // A window is a place of its own, and can be left.
  await row("crashing").getByTestId("process-confirm").click();
  await id("process-dialog").waitFor();
  seen.place = new URL(page.url()).search;
  await page.keyboard.press("Escape");
  await id("process-dialog").waitFor({ state: "detached" });
  seen.stillPaused = await state("crashing");

  seen.confirm = await order("crashing", "confirm");
  await until("it runs", async () => (await state("crashing")) === "ready");
  const pid = () => row("steady").locator("td").nth(6).innerText();
  const before = await pid();
  seen.restart = await order("steady", "restart");
  await until("it is another one", async () => (await state("steady")) === "ready" && (await pid()) !== before);
  seen.stop = await order("steady", "stop");
  await until("it is stopped", async () => (await state("steady")) === "stopped");

  // What it says leads to Discover.
  await row("crashing").getByTestId("process-lines").click();
  await id("requests-row").first().waitFor();
  seen.lines = await page.locator("td.col-msg").allInnerTexts();

  await page.goto(new URL("/resources", base).href);
  await id("store").first().waitFor();
  seen.stores = await id("store").evaluateAll((all) => all.map((one) => [one.dataset.store, Number(one.dataset.bytes)]));
  seen.fits = await id("store-disk").first().getAttribute("data-fits");
  await look("resources");
  await page.setViewportSize({ width: 360, height: 780 });
  await look("resources-small");
});
