// Chats in a real Chromium through a proxy that drops connections: answers that go on, branches, files, code and formulas, the
// list of chats, a visitor with a key; axe on each view. Prints what it saw as JSON.
//
//   node chat.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "key": "…", "shots": "…"}'
//
// tests/integration/test_browser_chat.py starts it and compares what was seen with what was sent.

import net from "node:net";

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const house = new URL(task.address);
const WORDS = Array.from({ length: 150 }, (_, number) => `w${number}`).join(" ");

/** A line between browser and house that can be cut for a while. */
async function makeLine() {
  const open = new Set();
  let isCut = false;
  const server = net.createServer((socket) => {
    if (isCut) return socket.destroy();
    const other = net.connect(Number(house.port), house.hostname);
    for (const [from, to] of [[socket, other], [other, socket]]) {
      open.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    cut() {
      isCut = true;
      for (const socket of open) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    close: () => server.close(),
  };
}

const line = await makeLine();
const base = new URL(`http://127.0.0.1:${line.port}`);
let expectErrors = false;
const { seen, open, shot, inspect: lookAt, run } = await start(task, { base, isExpected: () => expectErrors });

let page = await open();
const id = (name) => page.getByTestId(name);
const goto = (address) => page.goto(new URL(address, base).href);

/** Looks at the page with axe as it is, and takes a picture. */
async function inspect(name) {
  await lookAt(page, name);
  await shot(page, `chat-${name}`);
}

/** The same in both languages and both themes. */
async function look(name) {
  for (const turn of [0, 1, 2, 3]) {
    await id(turn % 2 === 0 ? "lang-switch" : "theme-switch").click();
    await inspect(`${name}-${turn}`);
  }
}

const answer = () => id("chat-answer").last();
const answerState = () => answer().getAttribute("data-state");
const answerText = async () => (await answer().locator(".markdown").innerText().catch(() => "")).trim();
/** For whoever reads that an answer did not end as it should. */
async function whatIsThere() {
  const states = await id("chat-answer").evaluateAll((all) => all.map((one) => one.dataset.state));
  return `but ${states.at(-1)}: ${JSON.stringify((await answer().innerText()).slice(-200))} (all: ${states.join(", ")})`;
}
const ended = (state = "done") =>
  until(`the answer is ${state}`, async () => (await answerState()) === state, whatIsThere);

async function send(text, model) {
  if (model !== undefined) await id("chat-model").selectOption(model);
  const before = await id("chat-answer").count();
  await id("chat-input").fill(text);
  await page.keyboard.press("Enter");
  await until("an answer stands there", async () => (await id("chat-answer").count()) > before);
}

/** An answer goes on over a dropped connection, and over a reload of the page. */
async function dropped() {
  await goto(`/?token=${house.searchParams.get("token")}`);
  await id("nav-chat").click();
  seen.title = await id("chat-page-title").innerText();
  seen.description = await id("chat-page-description").innerText();
  await until("the models are listed", async () => (await id("chat-model").inputValue()) !== "");
  seen.first = await id("chat-model").inputValue();
  await look("start");

  await send(WORDS, "slow");
  await until("some words are there", async () => (await answerText()).split(" ").length > 5);
  expectErrors = true;
  line.cut();
  await id("chat-away").waitFor();
  seen.atCut = (await answerText()).split(" ").length;
  line.mend();
  await ended();
  expectErrors = false;
  seen.resumed = (await answerText()) === WORDS;
  await id("chat-away").waitFor({ state: "detached" });

  await send(`again ${WORDS}`);
  await until("some words are there", async () => (await answerText()).split(" ").length > 5);
  await page.reload();
  await id("chat-answer").nth(1).waitFor();
  seen.atReload = (await answerText()).split(" ").length;
  await ended();
  seen.reloaded = (await answerText()) === `again ${WORDS}`;
}

async function stopped() {
  await send("for ever", "endless");
  await until("some words are there", async () => (await answerText()) !== "");
  await page.keyboard.press("Escape");
  await ended("stopped");
  seen.stopped = (await answerText()).startsWith("on on");

  // Before the server has answered the question, which is held on its way until the stop is pressed.
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/messages", async (route) => {
    await held;
    await route.continue();
  });
  const before = await id("chat-answer").count();
  await id("chat-input").fill("for ever again");
  await page.keyboard.press("Enter");
  await id("chat-stop").waitFor();
  await page.keyboard.press("Escape");
  await until("it is told", async () => (await id("chat-stop").getAttribute("aria-disabled")) === "true");
  letGo();
  await until("the answer stands there", async () => (await id("chat-answer").count()) > before);
  await ended("stopped");
  await page.unroute("**/messages");
  seen.stoppedEarly = (await id("chat-stop").count()) === 0;
}

async function branches() {
  await id("chat-new").click();
  await until("the page is empty", async () => (await id("chat-answer").count()) === 0);
  await send("first words", "echo");
  await ended();
  await id("chat-regenerate").click();
  await until("there are two answers", async () => (await id("chat-branches").count()) > 0);
  await ended();
  seen.answers = (await id("chat-branches").last().innerText()).trim();
  await id("chat-edit").last().click();
  await id("chat-edit-input").fill("other words");
  await id("chat-edit-send").click();
  await until("the other question is asked", async () => (await answerText()) === "other words");
  await ended();
  await id("chat-branches").first().locator("button").first().click();
  await until("the first question is back", async () => (await id("chat-question").first().innerText()).includes("first words"));
  seen.branch = await answerText();
  await look("branches");
}

async function told() {
  await id("chat-settings").click();
  await id("chat-system").fill("You are brief.");
  await id("chat-option-temperature").fill("0.3");
  await id("chat-option-max_tokens").fill("500");
  await id("chat-option-think").selectOption("none");
  await inspect("settings");
  await id("chat-settings-save").click();
  await id("chat-files").setInputFiles([
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("the word is toll") },
    { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(task.png, "base64") },
    { name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(300 * 1024, "x") },
    { name: "binary", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2]) },
  ]);
  await id("chat-attach-refused").waitFor();
  seen.refused = await id("chat-attach-refused").locator("li").allInnerTexts();
  seen.attached = await id("chat-attachments").locator("li").count();
  await send("read them");
  await ended();
  seen.pictures = await page.locator(".turn-attachments img").count();
}

async function markdown() {
  await id("chat-new").click();
  await until("the page is empty", async () => (await id("chat-answer").count()) === 0);
  await send(task.markdown.replaceAll("\n", "\n"), "echo");
  await ended();
  await page.locator(".turn-answer .hljs-keyword").first().waitFor();
  await page.locator(".turn-answer .katex").first().waitFor();
  seen.formulas = await page.locator(".turn-answer .katex").count();
  seen.tables = await page.locator(".turn-answer table").count();
  seen.fonts = await page.evaluate(async () => {
    await document.fonts.ready;
    return [...document.fonts].filter((font) => font.family.includes("KaTeX") && font.status === "loaded").length;
  });
  await send("think about it", "thinks");
  await ended();
  seen.folded = await id("chat-thinking").last().evaluate((element) => !element.open);
  seen.cost = await id("chat-cost").last().innerText();
  await look("markdown");
  await id("chat-share-menu").click();
  await inspect("share");
  const download = page.waitForEvent("download");
  await id("chat-share-file").click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  seen.shared = Buffer.concat(chunks).toString("utf8");
}

async function list() {
  const rows = () => id("chat-row").allInnerTexts();
  await until("all chats are listed", async () => (await rows()).length === 3);
  await id("chat-search").fill("first words");
  await until("one is found", async () => (await rows()).length === 1);
  await id("chat-row").first().hover();
  await id("chat-rename").first().click();
  await id("chat-title-input").fill("Renamed 一次");
  await page.keyboard.press("Enter");
  await until("it has its name", async () => (await rows()).join().includes("Renamed 一次"));
  await id("chat-row").first().hover();
  await id("chat-remove").first().click();
  await until("it is gone", async () => (await rows()).length === 0);
  await id("chat-search").fill("");
  await until("two are left", async () => (await rows()).length === 2);
}

/** Where nothing is kept, leaving ends the answer. */
async function unkept() {
  await id("chat-keep").uncheck();
  seen.unkeptNote = await id("chat-keep-note").innerText();
  // All places of the model server are taken: the answer waits for a turn, and says so.
  const others = new AbortController();
  const body = JSON.stringify({ model: "endless", stream: true, messages: [{ role: "user", content: "on" }] });
  const headers = { authorization: `Bearer ${task.key}`, "content-type": "application/json" };
  const ask = () => fetch(new URL("/v1/chat/completions", house), { method: "POST", headers, body, signal: others.signal });
  await Promise.all(Array.from({ length: task.places }, ask));
  await send("one two", "echo");
  const wait = id("chat-wait");
  await until("it waits for a turn", async () => (await wait.getAttribute("data-phase").catch(() => "")) === "queued");
  seen.place = await wait.innerText();
  await shot(page, "chat-queued");
  others.abort();
  await ended();
  seen.unkept = await answerText();
  await send("for ever", "endless");
  await until("some words are there", async () => (await answerText()) !== "");
  await goto("/");
  await id("figure-requests").waitFor();
  await goto("/chat");
  await id("chat-input").waitFor();
  seen.left = await id("chat-answer").count();
  await until("two are still listed", async () => (await id("chat-row").count()) === 2);
}

/** Whoever has a key chats at /chat, and sees nothing else. */
async function visitor() {
  await page.context().close();
  expectErrors = true;
  page = await open();
  await goto("/chat");
  await id("chat-key").waitFor();
  seen.keyTitle = await id("chat-page-title").innerText();
  await look("key");
  await id("chat-key").fill("wrong");
  await id("chat-key-submit").click();
  await id("chat-key-error").waitFor();
  await id("chat-key").fill(task.key);
  await id("chat-key-submit").click();
  await id("chat-input").waitFor();
  seen.visitorChats = await id("chat-row").count();
  await send("by key", "echo");
  await ended();
  seen.visitorAnswer = await answerText();
  seen.visitorRecords = await page.locator(".turn-cost a").count();
  seen.visitorSearch = await page.evaluate(async () => {
    const headers = { "x-tollhouse-console": "1", "content-type": "application/json" };
    return (await fetch("/console/api/v1/search", { method: "POST", headers, body: "{}" })).status;
  });
  await look("visitor");
  await page.setViewportSize({ width: 360, height: 740 });
  seen.phoneOverflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  await id("chat-list-open").click();
  await id("chat-row").first().waitFor();
  await inspect("phone");
  await page.keyboard.press("Alt+KeyN");
  await until("a new chat", async () => (await id("chat-answer").count()) === 0);
}

await run(async () => {
  await dropped();
  await stopped();
  await branches();
  await told();
  await markdown();
  await list();
  await unkept();
  await visitor();
});
line.close();
