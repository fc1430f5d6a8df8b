// Writes wrong texts into the editors of Settings and of a task, with the page in Chinese, and prints what each says of them as JSON.
//
//   node faults.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…", "settings": […], "tasks": […]}'
//
// tests/integration/test_browser_faults.py starts it.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open, inspect, shot, run } = await start(task);
const page = await open({ locale: "zh-CN" });
const id = (name) => page.getByTestId(name);

/** Writes a text, waits until the server has looked at it, and gives what the page says. */
async function told(box, fault, text) {
  const answered = page.waitForResponse(
    (answer) => answer.url().endsWith("/check") && JSON.parse(answer.request().postData() ?? "{}").text === text,
  );
  await id(box).fill(text);
  const { faults } = await (await answered).json();
  await until("all of it is shown", async () => (await id(fault).count()) === faults.length);
  const all = await id(fault).evaluateAll((found) => found.map((one) => ({ lang: one.lang, text: one.innerText })));
  return { text, faults: all.map((one, at) => ({ ...one, said: faults[at] })) };
}

await run(async () => {
  await page.goto(task.address);
  await page.goto(new URL("/settings?tab=file", base).href);
  await id("settings-text").waitFor();
  seen.language = await page.evaluate(() => document.documentElement.lang);
  seen.settings = [];
  for (const text of task.settings) seen.settings.push(await told("settings-text", "settings-fault", text));
  await inspect(page, "settings");
  await shot(page, "faults-settings");

  await page.evaluate(() => {
    // The draft is not kept: no question when the page is left.
    addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), { capture: true });
  });
  await id("settings-discard").click();
  await page.goto(new URL("/tasks?edit=new", base).href);
  await id("definition-name").fill("letter");
  seen.tasks = [];
  for (const text of task.tasks) seen.tasks.push(await told("definition-text", "definition-fault", text));
  await inspect(page, "tasks");
  await shot(page, "faults-tasks");
});
