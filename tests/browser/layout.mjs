// How a page is laid out, whatever its data says: what is wrong with it by itself, and its outline, which is compared with the one
// that is kept in outlines.json.

import { readFile, writeFile } from "node:fs/promises";

const KEPT = new URL("outlines.json", import.meta.url);

/**
 * Runs in the page: what is wider than the window or opens beyond it, covered by something else, cut off without a sign of it, or
 * larger than the box that it stands in. Where a dialog is open, only the dialog counts.
 */
export const misplaced = () => {
  const found = [];
  const root = document.documentElement;
  const top = document.querySelector("dialog[open]") ?? document.body;
  const name = (element) => {
    const words = (element.getAttribute("aria-label") ?? element.innerText ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
    const id = element.dataset.testid ?? element.getAttribute("class") ?? "";
    return `${element.localName}${id === "" ? "" : `[${id}]`} "${words}"`;
  };
  const isShown = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && element.closest(".visually-hidden, [inert]") === null;
  if (root.scrollWidth > root.clientWidth) found.push(`wider than the window by ${root.scrollWidth - root.clientWidth} px`);

  for (const element of top.querySelectorAll(".popover")) {
    const { left, right } = element.getBoundingClientRect();
    if (isShown(element) && (left < 0 || right > innerWidth)) found.push(`${name(element)} reaches out of the window`);
  }

  for (const element of top.querySelectorAll("button, a[href], input, select, textarea, summary")) {
    if (!isShown(element) || getComputedStyle(element).pointerEvents === "none") continue;
    // A link that is broken over two lines has its middle beside its words.
    const box = element.getClientRects()[0];
    if (box === undefined || box.width < 2 || box.height < 2) continue;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
    const there = document.elementFromPoint(x, y);
    if (there === null || element.contains(there) || there.contains(element) || there.closest("label")?.contains(element)) continue;
    // What is scrolled out of its own box, or lies under a bar that stays, is reached by scrolling.
    const isScrolled = (one) => one !== null && (/auto|scroll|hidden|clip/.test(getComputedStyle(one).overflow) || isScrolled(one.parentElement));
    const stays = (one) => one !== null && (/fixed|sticky/.test(getComputedStyle(one).position) || stays(one.parentElement));
    if (stays(there) || isScrolled(element.parentElement)) continue;
    found.push(`${name(element)} is covered by ${name(there)}`);
  }

  for (const element of top.querySelectorAll("*")) {
    const hasWords = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
    if (!hasWords || !isShown(element) || element.closest("svg, canvas, .katex") !== null) continue;
    const style = getComputedStyle(element);
    const isCut = /hidden|clip/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1 && style.textOverflow !== "ellipsis";
    if (isCut) found.push(`the words of ${name(element)} are cut off`);
    if (!element.matches("button, a.button, .tag, .lamp, h1, h2, label")) continue;
    const words = document.createRange();
    words.selectNodeContents(element);
    const [inner, outer] = [words.getBoundingClientRect(), element.getBoundingClientRect()];
    if (inner.right > outer.right + 2 || inner.left < outer.left - 2) found.push(`${name(element)} is wider than its box`);
  }
  return found;
};

/** Runs in the page: its parts in the order in which they are read, each with its place and width in twelfths of the page. */
export const outline = () => {
  const main = document.querySelector("main").getBoundingClientRect();
  const twelfths = (px) => Math.round((px / main.width) * 12);
  return [...document.querySelectorAll("main h1, main .panel, main [data-testid=panel]")]
    .filter((part) => part.checkVisibility() && part.parentElement.closest(".panel, [data-testid=panel]") === null)
    .map((part) => {
      const { x, width } = part.getBoundingClientRect();
      if (part.localName === "h1") return part.textContent.trim();
      // Why a request was slow is another cause on another machine.
      const words = part.dataset.testid === "verdict" ? "Verdict" : part.getAttribute("aria-label") ?? part.querySelector("h2")?.textContent ?? part.className;
      return `${words.trim()} ${twelfths(x - main.x)}+${twelfths(width)}`;
    });
};

/** Parts that are there once something was measured, which may be before or after the page was looked at. */
const isSometimes = (part) => /^(GPU and memory|Disks) /.test(part);

/** Where outlines are others than those that are kept; with UPDATE_OUTLINES they are kept as they are now. */
export async function compared(outlines) {
  if (process.env.UPDATE_OUTLINES) {
    await writeFile(KEPT, `${JSON.stringify(outlines, null, 1)}\n`);
    return [];
  }
  const kept = JSON.parse(await readFile(KEPT, "utf8"));
  const names = [...new Set([...Object.keys(kept), ...Object.keys(outlines)])];
  const lasting = (parts) => JSON.stringify(parts?.filter((part) => !isSometimes(part)));
  return names
    .filter((name) => lasting(kept[name]) !== lasting(outlines[name]))
    .map((name) => ({ name, kept: kept[name], now: outlines[name] }));
}
