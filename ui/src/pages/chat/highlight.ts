// Colours code. A chunk of its own, loaded with the first block of code; it makes nodes, never markup.

import { common, createLowlight } from "lowlight";

const lowlight = createLowlight(common);

/** Longer code stays as it is: colouring it would hold the page up. */
const CODE_CHARS_MAX = 40_000;

type Tree = ReturnType<typeof lowlight.highlight>["children"];

/** The code as coloured nodes; null where the language is not known. */
export function highlighted(language: string, code: string): DocumentFragment | null {
  if (code.length > CODE_CHARS_MAX || !lowlight.registered(language)) return null;
  const fragment = document.createDocumentFragment();
  append(fragment, lowlight.highlight(language, code).children);
  return fragment;
}

function append(parent: Node, children: Tree): void {
  for (const child of children) {
    if (child.type === "text") parent.appendChild(document.createTextNode(child.value));
    if (child.type !== "element") continue;
    const span = document.createElement("span");
    const names = child.properties.className;
    if (Array.isArray(names)) span.className = names.filter((name) => /^[\w-]+$/.test(String(name))).join(" ");
    append(span, child.children as Tree);
    parent.appendChild(span);
  }
}
