// Batches in a real Chromium: how they stand, the records behind one, and giving up on one that is under way.
//
//   node batches.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…", "running": "batch_…", "done": "batch_…"}'
//
// tests/integration/test_browser_tasks.py starts it.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const { seen, open, shot, inspect, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);
const row = (batch) => page.locator(`[data-testid=batch-row][data-batch="${batch}"]`);
const status = (batch) => row(batch).getAttribute("data-status");

async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    if (turn < 2) await shot(page, `batches-${name}-${turn}`);
  }
}

await run(async () => {
  await page.goto(task.address);
  await id("nav-tasks").click();
  await id("tasks-batches").click();
  await row(task.done).waitFor();
  seen.tab = new URL(page.url()).searchParams.get("tab");
  await until("one is done and one is under way", async () => (await status(task.done)) === "completed" && (await status(task.running)) === "in_progress");
  seen.done = await row(task.done).innerText();
  seen.later = await id("later-row").first().innerText();
  await look("list");
  await page.setViewportSize({ width: 360, height: 780 });
  await look("list-small");
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.setViewportSize({ width: 1440, height: 900 });

  await row(task.running).getByTestId("batch-cancel").click();
  await id("batch-dialog").waitFor();
  await inspect(page, "dialog");
  await id("batch-cancel-it").click();
  await until("it is cancelled", async () => (await status(task.running)) === "cancelled");
  seen.buttons = await row(task.running).getByTestId("batch-cancel").count();

  await row(task.done).getByTestId("in-discover").click();
  await id("requests-row").first().waitFor();
  seen.records = await id("requests-row").count();
  seen.address = page.url();
});
