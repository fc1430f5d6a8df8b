// Tasks in a real Chromium: one is begun, answered with a changed value, done again from a step with other words, found by search;
// a definition is written, its fault is shown, and it is saved.
//
//   node tasks.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…"}'

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open, shot, inspect, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);
const status = () => id("run").getAttribute("data-status");
const step = (name) => page.locator(`[data-testid=graph-step][data-step="${name}"]`);

async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(page, name);
    if (turn < 2) await shot(page, `tasks-${name}-${turn}`);
  }
}

await run(async () => {
  await page.goto(task.address);
  await id("nav-tasks").click();
  const row = page.locator('[data-testid=task-row][data-task="letter"]');
  await row.getByTestId("task-run").click();
  await until("it asks", async () => (await id("run").count()) > 0 && (await status()) === "asking");
  seen.question = await id("run-question").innerText();
  seen.graph = await id("graph-step").evaluateAll((all) => all.map(({ dataset }) => [dataset.step, dataset.progress]));
  await look("run");
  await page.setViewportSize({ width: 360, height: 780 });
  await look("run-small");
  await page.setViewportSize({ width: 1440, height: 900 });
  seen.run = await id("run").getAttribute("data-run");

  await id("answer-comment").fill("shorter, please");
  await page.locator("details", { has: id("answer-values") }).locator("summary").click();
  const values = JSON.parse(await id("answer-values").inputValue());
  await id("answer-values").fill(JSON.stringify({ ...values, draft: "what a human wrote" }));
  await id("approve").click();
  await until("it is done", async () => (await status()) === "done");
  await step("keep").locator("a").click();
  await until("the step is shown", async () => (await id("step").getAttribute("data-step")) === "keep");
  seen.kept = await id("item-work").innerText();

  // Again from the first step, with another prompt.
  await step("draft").locator("a").click();
  await until("the step is shown", async () => (await id("step").getAttribute("data-step")) === "draft");
  await id("retry-open").click();
  const work = JSON.parse(await id("retry-work").inputValue());
  seen.work = Object.keys(work);
  await id("retry-work").fill(JSON.stringify({ ...work, prompt: "other words" }));
  await id("retry").click();
  await until("it asks again", async () => (await status()) === "asking");
  await step("draft").locator("a").click();
  await until("it was asked anew", async () => (await id("item-value").first().innerText()).includes("other words"));
  await id("reject").click();
  await until("it is over", async () => ["failed", "cancelled", "done"].includes(await status()));
  seen.rejected = await status();

  await page.goto(new URL("/tasks", base).href);
  await id("runs-find").fill("letter");
  await until("the run is found", async () => (await id("run-row").count()) === 1);
  await id("runs-find").fill("no such run");
  await until("no run is found", async () => (await id("run-row").count()) === 0);
  seen.search = new URL(page.url()).searchParams.get("text");
  await id("runs-find").fill("");
  await until("all are there", async () => (await id("run-row").count()) === 1);
  await look("list");

  await id("task-new").click();
  await id("definition-name").fill("second");
  await id("definition-text").fill("steps:\n  - name: one\n    wiat: 1s\n");
  await until("its fault is told", async () => Number(await id("definition-check").getAttribute("data-faults")) > 0);
  seen.fault = await id("definition-check").innerText();
  seen.saveOff = await id("definition-save").isDisabled();
  await look("editor");
  await id("definition-text").fill("steps:\n  - name: one\n    wait: {for: 1s}\n");
  await until("it is valid", async () => (await id("definition-check").getAttribute("data-faults")) === "0");
  await id("definition-save").click();
  await page.locator('[data-testid=task-row][data-task="second"]').waitFor();
});
