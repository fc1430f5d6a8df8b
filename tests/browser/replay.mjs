// A kept request asked once more of another model, in a real Chromium: both answers side by side, and one below the other on a phone.
//
//   node replay.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "request": "req_…", "model": "thinks", "shots": "…"}'

import { WIDE, start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const { seen, open, shot, inspect, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);

/** What stands on one side, and where. */
const side = (name) =>
  id(name).evaluate((element) => {
    const { x, y, right, bottom } = element.getBoundingClientRect();
    const [model, text] = [element.querySelector(".tag").textContent, element.querySelector(":scope > .replay-text").textContent];
    return { model, text, figures: [...element.querySelectorAll("dd")].map((one) => one.textContent), box: { x, y, right, bottom } };
  });

await run(async () => {
  await page.goto(task.address);
  await id("nav-overview").waitFor();
  await page.goto(new URL(`/requests/${task.request}`, task.address).href);
  await until("the models are listed", async () => (await page.locator("select[name=replay-model]").locator("option").count()) > 1);
  await page.locator("select[name=replay-model]").selectOption(task.model);
  await id("replay-start").click();
  await id("replay-now").waitFor();
  await id("replay-now").scrollIntoViewIfNeeded();
  seen.wide = [await side("replay-before"), await side("replay-now")];
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, "replay");
    await shot(page, `replay-${turn}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  seen.narrow = [await side("replay-before"), await side("replay-now")];
  await inspect(page, "replay, narrow");
  await page.setViewportSize(WIDE);
  await id("replay-now").locator("a").click();
  await id("verdict").waitFor();
  seen.record = new URL(page.url()).pathname;
});
