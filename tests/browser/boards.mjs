// Dashboards in a real Chromium: the four views that are ready, an own one made by keyboard and by drag, one taken over from
// Kibana. Prints what it saw as JSON.
//
//   node boards.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "shots": "…", "kibana": "file.ndjson"}'
//
// tests/integration/test_browser_dashboards.py starts it and compares what was seen with what /es says.

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
// A name that is taken is answered with 409; Chromium reports that too.
const driver = await start(task, { isExpected: (text) => /status of 409/.test(text) });
const { seen } = driver;
const page = await driver.open({
  viewport: { width: 1440, height: 1100 },
  permissions: ["clipboard-read", "clipboard-write"],
});
const id = (name) => page.getByTestId(name);
const goto = (address) => page.goto(new URL(address, base).href);

/** Looks at the page with axe as it is, and takes a picture. */
async function inspect(name) {
  await driver.inspect(page, name);
  await driver.shot(page, `boards-${name}`);
}

/** The same in both languages and both themes. */
async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(`${name}-${turn}`);
  }
}

const titles = () => id("panel").evaluateAll((all) => all.map((panel) => panel.getAttribute("aria-label")));

/** The tutorial's four views. */
async function ready() {
  await page.goto(task.address);
  await id("nav-dashboards").click();
  await id("panel-row").first().waitFor();
  await id("panel-cell").first().waitFor();
  await id("panel-curves").locator("canvas").waitFor();
  await id("panel-search").first().waitFor();
  seen.titles = await titles();
  seen.widthMs = Number(await id("panel-curves").getAttribute("data-width"));
  seen.cells = await id("panel-cell").evaluateAll((all) =>
    all.map(({ dataset }) => [dataset.row, dataset.column, Number(dataset.count), Number(dataset.value)]),
  );
  seen.efficiencies = await page
    .locator("[data-testid=panel-row] [data-field=token_efficiency]")
    .evaluateAll((all) => all.map((cell) => Number(cell.textContent.replace(",", ""))));
  seen.searches = await id("panel-search").locator("strong").allInnerTexts();
  await look("ready");
  // The minute under way is no peak yet: a range that ends later has it behind itself.
  const span = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
  await goto(`/dashboards?from=${span(-30)}&to=${span(3)}`);
  const told = async () => ((await id("panel-curves").getAttribute("data-peaks")) ?? "").split(" ").filter((one) => one !== "");
  await until("the peak is found", async () => (await told()).length > 0);
  seen.peaks = (await told()).map(Number);
  const isRed = () =>
    page.evaluate(() => {
      const canvas = document.querySelector("[data-testid=panel-curves] canvas");
      if (canvas === null) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4)
        if (data[at] > 180 && data[at + 1] < 110 && data[at + 2] < 110 && data[at + 3] > 200) return true;
      return false;
    });
  await until("the peak is drawn red", isRed);
  seen.red = true;
  await inspect("peaks");
  await goto("/dashboards");
  await id("panel-cell").first().waitFor();
  await id("copy-curl").first().click();
  seen.curl = await page.evaluate(() => navigator.clipboard.readText());
  await page.locator('[data-testid=panel-cell][data-row="404"]').click();
  await id("requests-row").first().waitFor();
  seen.cellRows = await id("requests-row").count();
  await page.goBack();
  await id("panel-search").first().click();
  await id("requests-row").first().waitFor();
  seen.searchAddress = new URL(page.url()).search;
  await page.goBack();
  await id("panel-cell").first().waitFor();
  await page.setViewportSize({ width: 360, height: 740 });
  await until("the page fits a phone", async () => {
    seen.phoneOverflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    return seen.phoneOverflow <= 0;
  }).catch(() => {});
  await inspect("phone");
  await page.setViewportSize({ width: 1440, height: 1100 });
}

/** An own dashboard, one panel of each kind. */
async function own() {
  await goto("/dashboards");
  await id("dashboard-new").click();
  await id("dashboard-name").fill("My own");
  const add = async (title, fill) => {
    await id("panel-add").click();
    await id("panel-title").fill(title);
    await fill();
    await id("panel-done").click();
  };
  await add("Requests by model", async () => {
    await id("panel-view").selectOption("bars");
    await id("panel-by").fill("model_name");
  });
  await add("How many", async () => {
    await id("panel-view").selectOption("number");
    await id("panel-saved").selectOption({ label: "slow ones" });
  });
  await add("By user", async () => {
    await id("panel-view").selectOption("table");
    await id("panel-by").fill("model_name");
    await id("panel-measure").selectOption("p95");
    await id("panel-field").fill("duration_ms");
  });
  await id("panel-number").waitFor();
  await id("panel-edit").first().click();
  await inspect("editor");
  await page.keyboard.press("Escape");
  await inspect("workshop");
  const grips = id("panel-grip");
  await grips.nth(1).focus();
  await page.keyboard.press("ArrowLeft");
  seen.afterKey = await titles();
  await grips.nth(0).focus();
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Shift+ArrowUp");
  seen.size = await id("panel").first().evaluate((panel) => [
    panel.style.getPropertyValue("--wide"),
    panel.style.getPropertyValue("--high"),
  ]);
  await grips.nth(2).dragTo(id("panel").nth(0));
  await until("the panel was dragged", async () => (await titles())[0] === "By user");
  seen.afterDrag = await titles();
  await id("dashboard-save").click();
  await id("dashboard").waitFor();
  await page.reload();
  await id("panel-number").waitFor();
  await id("panel-group").first().waitFor();
  seen.kept = await titles();
  seen.number = Number(await id("panel-number").getAttribute("data-value"));
  seen.groups = await id("panel-group").evaluateAll((all) => all.map((row) => row.dataset.group));
  seen.address = new URL(page.url()).search;
  await inspect("own");
  const download = page.waitForEvent("download");
  await id("dashboard-export").click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  seen.exported = JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

async function kibana() {
  await goto("/dashboards");
  await id("dashboard-import").click();
  await id("import-file").setInputFiles(task.kibana);
  await id("import-note").first().waitFor();
  seen.notes = await id("import-note").evaluateAll((all) => all.map((row) => [row.dataset.fate, row.innerText]));
  await inspect("import");
  await id("import-keep").click();
  await id("dashboard").waitFor();
  await until("the one of Kibana is open", async () => (await titles()).includes("Slow requests"));
  await id("panel-cell").first().waitFor();
  seen.imported = await titles();
  await inspect("imported");
}

await driver.run(async () => {
  await ready();
  await own();
  await kibana();
});
