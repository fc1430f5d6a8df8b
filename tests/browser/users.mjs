// Signs in to a running house by name and password in a real Chromium, makes, changes and removes users, changes the own
// password, looks at each page with axe in both languages and themes, and prints what it saw as JSON.
//
//   node users.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "password": "…", "shots": "…"}'
//
// tests/integration/test_browser_users.py starts it.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const WAIT_MS = 15_000;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };

await mkdir(task.shots, { recursive: true });
const browser = await chromium.launch({
  executablePath: task.browser,
  // The tests also run as root in containers, where Chromium's own sandbox cannot start.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
});
const seen = { errors: [], outside: [], axe: [] };

async function opened() {
  const context = await browser.newContext({ viewport: WIDE, locale: "en-GB" });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.host !== base.host) seen.outside.push(request.url());
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => {
    // Whoever is not signed in, or types a wrong password, is told so by a status; Chromium reports that too.
    if (message.type() === "error" && !/status of 40[013]/.test(message.text())) seen.errors.push(message.text());
  });
  return page;
}

/** Looks at a page with axe in both languages, light and dark, wide and narrow, and takes pictures. */
async function look(page, name) {
  for (const turn of [0, 1, 2, 3]) {
    if (turn % 2 === 0) await page.getByTestId("lang-switch").click();
    const [scheme, size] = [turn % 2 === 0 ? "light" : "dark", turn === 0 || turn === 3 ? WIDE : NARROW];
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    // Evaluated by the test's own door: the policy of the page forbids it to the page.
    await page.evaluate(axe);
    const found = await page.evaluate((values) => window.axe.run(document, { runOnly: values }), RULES);
    for (const { id: rule, nodes } of found.violations)
      seen.axe.push(`${name} ${rule}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
    await page.screenshot({ path: path.join(task.shots, `users-${name}-${turn}.png`) });
  }
  await page.setViewportSize(WIDE);
}

async function signIn(page, name, password) {
  await page.getByTestId("signin-name").fill(name);
  await page.getByTestId("signin-password").fill(password);
  await page.keyboard.press("Enter");
}

try {
  // An admin by token makes a user.
  const admin = await opened();
  await admin.goto(task.address);
  await admin.getByTestId("nav-users").click();
  await admin.getByTestId("user-create").click();
  await admin.locator("input[name=name]").fill("ann");
  await admin.locator("select[name=role]").selectOption("operator");
  await admin.locator("input[name=new-password]").fill(task.password);
  await admin.getByTestId("user-submit").click();
  const row = admin.locator('[data-testid=user-row][data-user="ann"]');
  await row.waitFor();

  // The user is told of a wrong password, signs in with the right one, and sees what the role may see.
  const user = await opened();
  await user.goto(new URL("/account", base).href);
  await user.getByTestId("signin-name").waitFor();
  await look(user, "signin");
  await signIn(user, "ann", "not the password");
  seen.wrong = await user.getByTestId("signin-password-error").innerText();
  await signIn(user, "ann", task.password);
  await user.getByTestId("session-row").waitFor();
  seen.title = await user.title();
  seen.keysShown = await user.getByTestId("nav-keys").count();
  await look(user, "account");
  await user.locator("input[name=current-password]").fill(task.password);
  await user.locator("input[name=new-password]").fill(task.changed);
  await user.getByTestId("password-submit").click();
  await user.getByTestId("password-done").locator("svg").waitFor();

  // The admin sees the session, gives another role, and removes the user: the user's page shows the sign-in again.
  await admin.reload();
  await admin.getByTestId("session-row").first().waitFor();
  seen.sessions = await admin.getByTestId("session-row").count();
  await look(admin, "users");
  await row.getByTestId("user-role").selectOption("admin");
  await user.goto(base.origin);
  await user.getByTestId("nav-keys").waitFor();
  await row.getByTestId("user-remove").click();
  await admin.getByTestId("user-submit").click();
  await row.waitFor({ state: "detached" });
  await user.getByTestId("signin-name").waitFor();

  // The token's form still lets in.
  await user.getByTestId("signin-token").fill(new URL(task.address).searchParams.get("token"));
  await user.getByTestId("signin-submit").click();
  await user.getByTestId("nav-users").waitFor();
} catch (error) {
  seen.failure = String(error.stack ?? error);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
