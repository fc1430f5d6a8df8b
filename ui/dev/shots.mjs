// Opens the built console in a real browser against the mock, takes pictures, and fails on any console error or CSP violation.
//
//   node dev/shots.mjs FOLDER [part of a name]…      only the pictures whose name contains one of the parts

import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { startMock } from "./mock.mjs";

const folder = process.argv[2] ?? "shots";
const only = process.argv.slice(3);
await mkdir(folder, { recursive: true });

const DESK = { width: 1440, height: 900 };
const WIDE = { width: 1920, height: 1080 };
const PHONE = { width: 390, height: 844 };
const SMALL = { width: 360, height: 740 };
const TABLET = { width: 768, height: 1024 };
const ALL_VIEWS = [DESK, TABLET, SMALL];
const BOTH = ["light", "dark"];
const TONGUES = ["en", "zh"];

const openFirstRow = async (page) => {
  await page.getByTestId("requests-row").nth(2).click();
  await page.getByTestId("request-phases").waitFor();
};
const talk = (question) => async (page) => {
  const before = await page.getByTestId("chat-cost").count();
  await page.getByTestId("chat-input").fill(question);
  await page.keyboard.press("Enter");
  await page.getByTestId("chat-cost").nth(before).waitFor({ timeout: 30_000 });
};

const SHOTS = [
  { name: "users", at: "/users", views: [DESK, SMALL], themes: BOTH, languages: TONGUES },
  { name: "account", at: "/account", views: [DESK, SMALL], themes: BOTH, languages: TONGUES },
  { name: "overview", at: "/", views: [DESK, WIDE, PHONE], themes: ["light", "dark"], languages: ["en", "zh"] },
  { name: "overview-24h", at: "/?from=now-24h&to=now", views: [DESK], themes: ["dark"], languages: ["en"] },
  { name: "overview-7d", at: "/?from=now-7d&to=now", views: [DESK, SMALL], themes: ["light"], languages: ["en"] },
  {
    name: "overview-warn",
    at: "/",
    scenario: "warn",
    views: [DESK, PHONE],
    themes: ["light"],
    languages: ["en"],
    full: false,
  },
  {
    name: "overview-fault",
    at: "/",
    scenario: "fault",
    views: [DESK],
    themes: ["dark"],
    languages: ["zh"],
    full: false,
  },
  {
    name: "overview-empty",
    at: "/",
    scenario: "empty",
    views: [DESK, PHONE],
    themes: ["light", "dark"],
    languages: ["en", "zh"],
  },
  { name: "overview-quiet", at: "/", scenario: "quiet", views: [DESK], themes: ["light"], languages: ["en"] },
  {
    name: "overview-demo",
    at: "/",
    scenario: "demo",
    views: [DESK],
    themes: ["light"],
    languages: ["zh"],
    full: false,
  },
  {
    name: "overview-hover",
    at: "/",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => page.mouse.move(420, 330),
  },
  {
    name: "overview-range",
    at: "/",
    views: [DESK, PHONE],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => page.locator('[data-range="custom"]').click(),
  },
  {
    name: "requests",
    at: "/requests",
    views: [DESK, WIDE, PHONE],
    themes: ["light", "dark"],
    languages: ["en", "zh"],
    full: false,
  },
  { name: "requests-small", at: "/requests", views: [SMALL], themes: ["light"], languages: ["en"], full: false },
  {
    name: "requests-panel",
    at: "/requests?sort=duration_ms:desc",
    act: openFirstRow,
    views: [DESK, WIDE, PHONE],
    themes: ["light", "dark"],
    languages: ["en", "zh"],
    full: false,
  },
  {
    name: "requests-json",
    at: "/requests",
    views: [DESK],
    themes: ["dark"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await openFirstRow(page);
      await page.getByTestId("request-json").click();
    },
  },
  {
    name: "requests-error",
    at: "/requests?q=http_status%3A200%20AND%20(model_name%3A%22qwen3%3A32b%22",
    views: [DESK, PHONE],
    themes: ["light"],
    languages: ["en", "zh"],
    full: false,
  },
  {
    name: "requests-tag",
    at: "/requests?q=tag%3A%22error_request%22&from=now-24h&to=now",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
  },
  {
    name: "requests-none",
    at: "/requests?q=user_id%3Anobody",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
  },
  {
    name: "requests-help",
    at: "/requests",
    views: [DESK, PHONE],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => page.locator(".help summary").click(),
  },
  {
    name: "discover-fields",
    at: "/discover?q=http_status%3A200",
    views: [DESK, TABLET, SMALL],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("fields-switch").click();
      await page.locator('[data-field="model_name"] .field-name').click();
      await page.getByTestId("field-values").waitFor();
    },
  },
  {
    name: "discover-different",
    at: "/discover?q=tag%3A%22slow_request%22&compare=on&from=now-24h&to=now",
    views: [DESK, SMALL],
    themes: BOTH,
    languages: TONGUES,
    full: false,
  },
  {
    name: "discover-suggest",
    at: "/discover",
    views: [DESK],
    themes: ["dark"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("requests-search").fill("model_name:");
      await page.getByTestId("suggestion").first().waitFor();
      await page.keyboard.press("ArrowDown");
    },
  },
  { name: "discover-lines", at: "/discover?kind=log", views: ALL_VIEWS, themes: ["light"], languages: ["en"], full: false },
  { name: "discover-all", at: "/discover?kind=all&lang=kql", views: [DESK], themes: ["dark"], languages: ["zh"], full: false },
  {
    name: "discover-around",
    at: "/discover?kind=log",
    views: [DESK, SMALL],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("requests-row").nth(2).click();
      await page.getByTestId("request-around").click();
      await page.getByTestId("around").waitFor();
    },
  },
  {
    name: "discover-saved",
    at: "/discover?q=tag%3A%22slow_request%22",
    views: [DESK, SMALL],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("saved-menu").click();
      if ((await page.getByTestId("saved-open").count()) > 0) return;
      await page.getByTestId("saved-name").fill("Slow requests");
      await page.getByTestId("saved-save").click();
      await page.getByTestId("saved-open").first().waitFor();
    },
  },
  {
    name: "request",
    at: "/discover?q=duration_ms:%3E4000%20AND%20load_ms:%3E500&from=now-24h&to=now",
    views: ALL_VIEWS,
    themes: BOTH,
    languages: TONGUES,
    act: async (page) => {
      await page.getByTestId("requests-row").first().click();
      await page.getByTestId("request-story").click();
      await page.getByTestId("verdict").waitFor();
    },
  },
  { name: "request-missing", at: "/requests/nobody", views: [DESK], themes: ["light"], languages: ["en"], full: false },
  { name: "efficiency", at: "/efficiency", views: ALL_VIEWS, themes: BOTH, languages: TONGUES },
  { name: "efficiency-empty", at: "/efficiency", scenario: "empty", views: [DESK], themes: ["light"], languages: ["en"], full: false },
  { name: "sources", at: "/sources?from=now-24h&to=now", views: ALL_VIEWS, themes: BOTH, languages: TONGUES, full: false },
  { name: "sources-empty", at: "/sources", scenario: "empty", views: [DESK], themes: ["light"], languages: ["zh"], full: false },
  { name: "alerts", at: "/alerts?incident=i2", views: ALL_VIEWS, themes: BOTH, languages: TONGUES },
  { name: "alerts-rule", at: "/alerts?rule=slow-model", views: ALL_VIEWS, themes: BOTH, languages: TONGUES },
  {
    name: "alerts-wrong",
    at: "/alerts?rule=slow-model",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("rule-text").fill("query: 'duration_ms:>1000'\ncount: > 5");
      await page.getByTestId("try-error").waitFor();
    },
  },
  {
    name: "alerts-silence",
    at: "/alerts",
    views: [DESK, SMALL],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => page.getByTestId("silence-slow-model-menu").click(),
  },
  { name: "alerts-empty", at: "/alerts", scenario: "empty", views: [DESK], themes: ["light"], languages: TONGUES, full: false },
  { name: "probes", at: "/probes?from=now-24h&to=now", views: ALL_VIEWS, themes: BOTH, languages: TONGUES },
  { name: "probes-history", at: "/probes?from=now-24h&to=now&probe=quality-reasoning", views: [DESK, SMALL], themes: ["light"], languages: ["en"] },
  { name: "probes-empty", at: "/probes", scenario: "empty", views: [DESK], themes: ["light"], languages: TONGUES, full: false },
  { name: "efficiency-family", at: "/efficiency?by=family", views: [DESK], themes: ["light"], languages: ["zh"] },
  { name: "keys", at: "/keys", views: ALL_VIEWS, themes: BOTH, languages: TONGUES, full: false },
  {
    name: "keys-create",
    at: "/keys",
    views: [DESK, SMALL],
    themes: ["light"],
    languages: TONGUES,
    full: false,
    act: async (page) => page.getByTestId("key-create").click(),
  },
  {
    name: "keys-secret",
    at: "/keys",
    views: [DESK],
    themes: ["dark"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("key-rotate").first().click();
      await page.getByTestId("rotate-submit").click();
      await page.getByTestId("key-secret").waitFor();
    },
  },
  {
    name: "help",
    at: "/",
    views: [DESK],
    themes: ["light"],
    languages: TONGUES,
    full: false,
    act: async (page) => page.keyboard.press("?"),
  },
  {
    name: "chat-start",
    at: "/chat",
    views: [DESK, PHONE],
    themes: ["light", "dark"],
    languages: ["en", "zh"],
    full: false,
  },
  {
    name: "chat",
    at: "/chat",
    views: [DESK, WIDE, PHONE],
    themes: ["light", "dark"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await talk("Write a Bash script that prints the five largest files of a folder.")(page);
      await talk("Compare p50, p95 and p99 latency in a small table.")(page);
    },
  },
  {
    name: "chat-zh",
    at: "/chat",
    views: [DESK, PHONE],
    themes: ["light"],
    languages: ["zh"],
    full: false,
    act: talk("用三句话解释反向代理的作用。"),
  },
  {
    name: "chat-fail",
    at: "/chat",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: talk("please fail"),
  },
  {
    name: "chat-attack",
    at: "/chat",
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: talk("attack"),
  },
  {
    name: "hostile-requests",
    at: "/requests",
    scenario: "hostile",
    act: openFirstRow,
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
  },
  { name: "hostile-overview", at: "/", scenario: "hostile", views: [DESK], themes: ["light"], languages: ["en"] },
  {
    name: "signin",
    at: "/requests",
    signedOut: true,
    views: [DESK, PHONE],
    themes: ["light", "dark"],
    languages: ["en", "zh"],
    full: false,
  },
  {
    name: "signin-wrong",
    at: "/",
    signedOut: true,
    views: [DESK],
    themes: ["light"],
    languages: ["en"],
    full: false,
    act: async (page) => {
      await page.getByTestId("signin-token").fill("nonsense");
      await page.getByTestId("signin-submit").click();
      await page.locator("#signin-fault svg").waitFor();
    },
  },
  { name: "missing", at: "/nowhere", views: [DESK], themes: ["light"], languages: ["en"], full: false },
];

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const mocks = new Map();
const faults = [];
let taken = 0;
for (const shot of SHOTS) {
  if (only.length > 0 && !only.some((part) => shot.name.includes(part))) continue;
  const scenario = shot.scenario ?? "full";
  if (!mocks.has(scenario)) mocks.set(scenario, await startMock({ scenario, grow: false }));
  const mock = mocks.get(scenario);
  for (const view of shot.views)
    for (const theme of shot.themes)
      for (const language of shot.languages) await take(shot, mock, view, theme, language);
}
await browser.close();
for (const mock of mocks.values()) mock.stop();
console.log(`${taken} pictures in ${folder}`);
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}

async function take(shot, mock, view, theme, language) {
  const name = `${shot.name}-${view.width}-${theme}-${language}`;
  const context = await browser.newContext({
    viewport: view,
    colorScheme: theme,
    locale: language === "zh" ? "zh-CN" : "en-GB",
    deviceScaleFactor: view.width < 500 ? 2 : 1,
    hasTouch: view.width < 500,
  });
  const [key, value] = mock.cookie.split("=");
  if (!shot.signedOut) await context.addCookies([{ name: key, value, url: mock.url }]);
  const page = await context.newPage();
  page.on("console", (message) => {
    // The browser itself writes a line for each 400 and 401; those are wanted here.
    if (message.type() === "error" && !/status of (400|401)/.test(message.text()))
      faults.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${name}: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(mock.url) && !request.url().startsWith("data:"))
      faults.push(`${name}: outside request ${request.url()}`);
  });
  try {
    await page.goto(mock.url + shot.at);
    await page.locator("main").first().waitFor();
    await page.locator(".skeleton").first().waitFor({ state: "detached" });
    if ((await page.locator(".chart").count()) > 0) await page.locator(".chart canvas").first().waitFor();
    await shot.act?.(page);
    await page.waitForTimeout(500);
    const ran = await page.evaluate(() => `${window.ran ?? ""}${Object.prototype.polluted ?? ""}`);
    if (ran !== "") faults.push(`${name}: something ran: ${ran}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) faults.push(`${name}: ${wide} px wider than the screen`);
    await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: shot.full !== false });
    taken++;
  } catch (error) {
    faults.push(`${name}: ${error.message}`);
    await page.screenshot({ path: path.join(folder, `${name}-failed.png`) }).catch(() => {});
  }
  await context.close();
}
