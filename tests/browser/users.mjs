// Signs in to a running house by name and password in a real Chromium, makes, changes and removes users, changes the own
// password, looks at each page with axe in both languages and themes, and prints what it saw as JSON.
//
//   node users.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "password": "…", "shots": "…"}'
//
// tests/integration/test_browser_users.py starts it.

import { WIDE, start } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const NARROW = { width: 390, height: 844 };
// Whoever is not signed in, or types a wrong password, is told so by a status; Chromium reports that too.
const { seen, open, shot, inspect, run } = await start(task, { isExpected: (text) => /status of 40[013]/.test(text) });

/** Looks at a page with axe in both languages, light and dark, wide and narrow, and takes pictures. */
async function look(page, name) {
  for (const turn of [0, 1, 2, 3]) {
    if (turn % 2 === 0) await page.getByTestId("lang-switch").click();
    const [scheme, size] = [turn % 2 === 0 ? "light" : "dark", turn === 0 || turn === 3 ? WIDE : NARROW];
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    await inspect(page, name);
    await shot(page, `users-${name}-${turn}`);
  }
  await page.setViewportSize(WIDE);
}

async function signIn(page, name, password) {
  await page.getByTestId("signin-name").fill(name);
  await page.getByTestId("signin-password").fill(password);
  await page.keyboard.press("Enter");
}

await run(async () => {
  // An admin by token makes a user.
  const admin = await open();
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
  const user = await open();
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
  const given = admin.waitForResponse((answer) => answer.request().method() === "PUT" && answer.url().endsWith("/role"));
  await row.getByTestId("user-role").selectOption("admin");
  await given;
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
});
