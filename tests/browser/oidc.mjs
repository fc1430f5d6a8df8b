// Signs in at a real OpenID Connect provider in a real Chromium: there and back to the page that was asked for, out again there
// too, and a user whom nobody gave a role. Looks at the pages with axe in both languages, and prints what it saw as JSON.
//
//   node oidc.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/", "provider": "http://…", "shots": "…"}'
//
// tests/integration/test_oidc.py starts it.

import { WIDE, start } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
// Whoever is not signed in is told so by a status, and the provider's own pages are not ours to judge.
const isExpected = (text) => /status of 40[01]/.test(text) || !text.includes(base.host);
const { seen, open, shot, inspect, run } = await start(task, { isExpected });

/** Goes through the provider's pages. */
async function logIn(page, name) {
  await page.getByTestId("provider-submit").click();
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.locator("button[type=submit]").click();
}

/** Looks at a page in both languages, light and wide, dark and narrow. */
async function look(page, name) {
  for (const [scheme, size] of [["light", WIDE], ["dark", { width: 390, height: 844 }]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    await inspect(page, name);
    await shot(page, `oidc-${name}-${scheme}`);
    await page.getByTestId("lang-switch").click();
  }
  await page.setViewportSize(WIDE);
}

await run(async () => {
  const ann = await open();
  await ann.goto(new URL("/users?from=now-1h", base).href);
  await ann.getByTestId("provider-submit").waitFor();
  seen.button = await ann.getByTestId("provider-submit").innerText();
  await look(ann, "signin");
  await logIn(ann, "ann");
  await ann.getByTestId("users-page").waitFor();
  seen.arrived = new URL(ann.url()).pathname + new URL(ann.url()).search;
  const row = ann.locator('[data-testid=user-row][data-user="Ann"]');
  await row.waitFor();
  seen.roleIsFixed = await row.getByTestId("user-role").isDisabled();
  await look(ann, "users");
  await ann.getByTestId("sign-out").click();
  await ann.waitForURL((url) => url.href.startsWith(`${task.provider}/session/end`));

  const eve = await open();
  await eve.goto(base.href);
  await logIn(eve, "eve");
  await eve.getByTestId("signin-provider-error").waitFor();
  seen.refused = await eve.getByTestId("signin-provider-error").innerText();
  seen.addressAfter = new URL(eve.url()).search;
  await look(eve, "refused");
});
