// Reads the settings of a running house in a real Chromium, changes the file's text there (wrong first), applies and undoes the
// change, looks at each part with axe in both languages, both themes, wide and narrow, and prints what it saw as JSON.
//
//   node settings.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…"}'
//
// tests/integration/test_browser_settings.py starts it.

import { WIDE, start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const NARROW = { width: 390, height: 844 };
const { seen, open, shot, inspect, run } = await start(task);
const page = await open();
const id = (name) => page.getByTestId(name);

/** Looks at the page with axe in both languages, light and dark, wide and narrow, and takes pictures. */
async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    if (turn % 2 === 0) await id("lang-switch").click();
    const [scheme, size] = [turn % 2 === 0 ? "light" : "dark", turn === 0 || turn === 3 ? WIDE : NARROW];
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    await inspect(page, name);
    await shot(page, `settings-${name}-${turn}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    seen.overflow = Math.max(seen.overflow ?? 0, over);
  }
  await page.setViewportSize(WIDE);
}

const verdict = () => id("settings-verdict").getAttribute("data-faults");
const write = (from, to) => id("settings-text").evaluate((box, [before, after]) => {
  box.value = box.value.replace(before, after);
  box.dispatchEvent(new InputEvent("input", { bubbles: true }));
}, [from, to]);

await run(async () => {
  await page.goto(task.address);
  await id("nav-settings").click();
  await id("settings-value").first().waitFor();
  await id("settings-find").fill("timeouts.idle");
  await until("one value is left", async () => (await id("settings-value").count()) === 1);
  seen.value = await id("settings-value").innerText();
  seen.from = await id("settings-value").getAttribute("data-from");
  seen.url = page.url();
  await id("settings-find").fill("");
  await id("settings-written").check();
  await look("values");

  await id("settings-file").click();
  await id("settings-text").waitFor();
  seen.text = await id("settings-text").inputValue();
  await write("30s", "soon");
  await until("the fault is told", async () => (await verdict()) === "1");
  seen.fault = await id("settings-fault").innerText();
  seen.place = await id("settings-fault").getAttribute("data-line");
  seen.applicable = await id("settings-apply").isEnabled();
  await id("settings-fault").getByRole("button").click();
  seen.selected = await id("settings-text").evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd));
  await look("fault");

  await write("soon", "40s");
  await id("settings-changed").waitFor();
  seen.changed = await id("settings-changed").getAttribute("data-path");
  seen.diff = await id("diff").locator('[data-what="in"]').innerText();
  await look("diff");
  await id("settings-apply").click();
  await id("settings-applied").waitFor();
  seen.applied = await id("settings-applied").innerText();

  await id("settings-history").click();
  await id("revision-show").first().click();
  await id("revision-undo").waitFor();
  await look("history");
  await id("revision-undo").click();
  await id("settings-undoing").waitFor();
  await until("it can be applied", () => id("settings-apply").isEnabled());
  await id("settings-apply").click();
  await until("the undoing is over", async () => (await id("settings-undoing").count()) === 0);
  await until("its text is there", async () => (await id("settings-text").inputValue()) === seen.text);
  seen.undone = await id("settings-text").inputValue();
});
