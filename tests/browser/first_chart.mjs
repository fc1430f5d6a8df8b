// Opens the console of a house that has just begun and waits until the chart of requests is drawn; prints what stands there.
//
//   node first_chart.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "requests": 20, "shots": "folder"}'
//
// bench/first_chart.py starts it, as the last of its steps.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const { seen, open, shot, run } = await start(task);
const page = await open();

await run(async () => {
  await page.goto(task.address);
  const figure = page.getByTestId("figure-requests");
  await until("the requests are counted", async () => Number(await figure.getAttribute("data-value")) >= task.requests);
  const chart = page.getByTestId("rate-peaks");
  await until("the chart is drawn", async () => (await chart.locator("svg path, canvas").count()) > 0);
  seen.requests = Number(await figure.getAttribute("data-value"));
  await shot(page, "first-chart");
});
