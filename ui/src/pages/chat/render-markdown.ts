// Turns a model's Markdown into a piece of page that can neither run anything nor fetch anything.
//
// Three walls, each enough by itself: raw HTML in the answer is shown as text, what the Markdown gives is cut down by
// DOMPurify to the elements below (through a Trusted Types policy), and the page's Content-Security-Policy forbids the rest.

import DOMPurify from "dompurify";
import { Marked } from "marked";

export interface Words {
  copy: string;
  copied: string;
  image: (alt: string) => string;
}

/** What is loaded when an answer needs it; null until then. */
export interface Helpers {
  highlight: typeof import("./highlight") | null;
  math: typeof import("./math") | null;
}

/** Whether a text has something that a helper is for. */
export const hasCode = (text: string) => text.includes("```") || text.includes("~~~");
export const hasMath = (text: string) => /\$|\\\(|\\\[/.test(text);

const TAGS =
  "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul".split(" ");
const ATTRIBUTES = ["href", "title", "start", "align", "class"];

/** Places that a link may lead to. Everything else keeps its text and loses its link. */
const LINKS = /^(?:https?:|mailto:)/i;

const LANGUAGE = /^language-([\w+#.-]{1,32})$/;
const COPIED_MS = 1_600;

/** A dollar sign begins a formula only where it touches one, and ends it only where no digit follows: prices stay prices. */
const INLINE_MATH = /^(?:\$\$([^$\n]+?)\$\$|\$(?=\S)((?:\\.|[^$\\\n])+?)(?<=\S)\$(?![\d\w])|\\\((.+?)\\\))/;
const BLOCK_MATH = /^(?:\$\$\s*\n?([\s\S]+?)\n?\s*\$\$|\\\[([\s\S]+?)\\\])(?:\n|$)/;

const texOf = (match: RegExpExecArray) => match.slice(1).find((part) => part !== undefined) ?? "";

const marked = new Marked({ gfm: true, breaks: true });
marked.use({
  extensions: [
    {
      name: "math",
      level: "block",
      start: (text) => /\$\$|\\\[/.exec(text)?.index,
      tokenizer: (text) => {
        const match = BLOCK_MATH.exec(text);
        return match === null ? undefined : { type: "math", raw: match[0], text: texOf(match) };
      },
      renderer: (token) => `<p><code class="math-block">${escapeHtml(String(token.text))}</code></p>`,
    },
    {
      name: "mathInline",
      level: "inline",
      start: (text) => /\$|\\\(/.exec(text)?.index,
      tokenizer: (text) => {
        const match = INLINE_MATH.exec(text);
        return match === null ? undefined : { type: "mathInline", raw: match[0], text: texOf(match) };
      },
      renderer: (token) => `<code class="math-inline">${escapeHtml(String(token.text))}</code>`,
    },
  ],
});
marked.use({
  renderer: {
    html: ({ text }) => escapeHtml(text),
    // An image could tell its server what was said: it stays a link, with its target in sight.
    image: ({ href, text }) => `<a class="image" href="${escapeHtml(href)}">${escapeHtml(text)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** The rendered answer. `copy` puts a text on the clipboard and says whether it could. */
export function renderMarkdown(
  text: string,
  words: Words,
  copy: (text: string) => Promise<boolean>,
  helpers: Helpers,
): DocumentFragment {
  const html = marked.parse(text, { async: false });
  const page = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: LINKS,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of page.querySelectorAll("a")) finishLink(link, words);
  for (const block of page.querySelectorAll("pre")) finishCode(block, words, copy, helpers);
  for (const code of page.querySelectorAll("code.math-block, code.math-inline")) finishMath(code, helpers);
  for (const table of page.querySelectorAll("table")) {
    const frame = document.createElement("div");
    frame.className = "table-scroll";
    table.replaceWith(frame);
    frame.append(table);
  }
  return page;
}

function finishLink(link: HTMLAnchorElement, words: Words): void {
  const target = link.getAttribute("href");
  const isImage = link.className === "image";
  link.className = isImage ? "image" : "";
  if (isImage) {
    const alt = link.textContent ?? "";
    const name = words.image(alt === "" ? "–" : alt);
    link.textContent = target === null ? name : `${name} (${target})`;
  }
  if (target === null) return;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  // Where a link leads is seen before it is followed.
  if (!isImage) link.title = target;
}

/** Until the formula can be set, and where it cannot, it stays as it was written. */
function finishMath(code: Element, { math }: Helpers): void {
  const node = math?.formula(code.textContent ?? "", code.className === "math-block");
  if (node !== null && node !== undefined) code.replaceWith(node);
}

function finishCode(
  block: HTMLPreElement,
  words: Words,
  copy: (text: string) => Promise<boolean>,
  { highlight }: Helpers,
): void {
  const code = block.querySelector("code");
  const language = LANGUAGE.exec(code?.className ?? "")?.[1] ?? "";
  code?.removeAttribute("class");
  const coloured = highlight?.highlighted(language, code?.textContent ?? "");
  if (coloured !== null && coloured !== undefined) code?.replaceChildren(coloured);
  const head = document.createElement("div");
  head.className = "code-head";
  const name = document.createElement("span");
  name.textContent = language;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words.copy;
  button.addEventListener("click", async () => {
    if (!(await copy(block.textContent ?? ""))) return;
    button.textContent = words.copied;
    setTimeout(() => {
      button.textContent = words.copy;
    }, COPIED_MS);
  });
  head.append(name, button);
  const frame = document.createElement("div");
  frame.className = "code";
  block.replaceWith(frame);
  frame.append(head, block);
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
