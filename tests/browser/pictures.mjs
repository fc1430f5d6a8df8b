// The pictures of the README, of a running house: the overview, and the three clicks to why the last request was slow.
//
//   node pictures.mjs '{"browser": "/usr/bin/chromium", "address": "http://…/?token=…", "slow": "req_…", "folder": "docs/images", …}'
//
// tests/integration/test_browser_large.py starts it with TOLLHOUSE_PICTURES.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { deflateSync } from "node:zlib";

import { start, until } from "./driver.mjs";

const task = JSON.parse(process.argv[2]);
const base = new URL(task.address);
const { seen, open, run } = await start(task);
const page = await open({ viewport: { width: 1280, height: 800 } });
const id = (name) => page.getByTestId(name);
const COLOURS_MAX = 256;

/** A PNG with a palette of the colours that occur most, which is a third of the size; other colours become the nearest of them. */
async function small(png) {
  const { width, height, pixels, palette } = await page.evaluate(async ([data, most]) => {
    const image = await createImageBitmap(await (await fetch(data)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data: bytes } = context.getImageData(0, 0, image.width, image.height);
    const counts = new Map();
    const colours = new Uint32Array(bytes.length / 4);
    for (let at = 0; at < colours.length; at += 1) {
      // Of each of the three the last two bits are below what an eye tells apart in a page.
      const colour = ((bytes[at * 4] & 0xfc) << 16) | ((bytes[at * 4 + 1] & 0xfc) << 8) | (bytes[at * 4 + 2] & 0xfc);
      colours[at] = colour;
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    const kept = [...counts].sort(([, one], [, other]) => other - one).slice(0, most).map(([colour]) => colour);
    const far = (one, other) => [16, 8, 0].reduce((sum, bits) => sum + (((one >> bits) & 255) - ((other >> bits) & 255)) ** 2, 0);
    const place = new Map();
    for (const colour of counts.keys()) {
      let best = 0;
      for (let at = 1; at < kept.length; at += 1) if (far(colour, kept[at]) < far(colour, kept[best])) best = at;
      place.set(colour, best);
    }
    // White stays white.
    const full = (colour) => [16, 8, 0].map((bits) => (((colour >> bits) & 255) === 0xfc ? 255 : (colour >> bits) & 255));
    return { width: image.width, height: image.height, pixels: Array.from(colours, (colour) => place.get(colour)), palette: kept.flatMap(full) };
  }, [`data:image/png;base64,${png.toString("base64")}`, COLOURS_MAX]);
  const rows = Buffer.alloc((width + 1) * height);
  for (let row = 0; row < height; row += 1) Buffer.from(pixels.slice(row * width, (row + 1) * width)).copy(rows, row * (width + 1) + 1);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const parts = [["IHDR", head], ["PLTE", Buffer.from(palette)], ["IDAT", deflateSync(rows, { level: 9 })], ["IEND", Buffer.alloc(0)]];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts.map(([name, data]) => chunk(name, data))]);
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

async function keep(name, language) {
  await page.mouse.move(0, 0);
  await until("nothing is waited for", async () => (await page.locator("main .skeleton, main [aria-busy=true]").count()) === 0);
  // Charts fade in.
  await page.waitForTimeout(500);
  const png = await page.screenshot();
  seen.bytes[`${name}-${language}`] = png.length;
  shots.push([name + (language === "zh" ? ".zh-CN.png" : ".png"), png]);
}

const shots = [];

await run(async () => {
  seen.bytes = {};
  await page.goto(task.address);
  await id("nav-overview").waitFor();
  for (const language of ["en", "zh"]) {
    if (!(await page.evaluate(() => document.documentElement.lang)).startsWith(language)) await id("lang-switch").click();
    await page.goto(new URL("/?from=now-24h&to=now", base).href);
    await id("figure-requests").waitFor();
    await keep("overview", language);
    await page.goto(new URL("/", base).href);
    await id("nav-discover").click();
    await page.locator(`[data-request-id="${task.slow}"]`).waitFor();
    await keep("slow-1", language);
    await page.locator(`[data-request-id="${task.slow}"]`).click();
    await id("request-phases").waitFor();
    await keep("slow-2", language);
    await id("request-story").click();
    await id("verdict").waitFor();
    await keep("slow-3", language);
  }
  // The policy of the console forbids the page to read pictures of its own making: it is done on a page of nobody.
  await page.goto("about:blank");
  for (const [name, png] of shots) await writeFile(path.join(task.folder, name), await small(png));
});
