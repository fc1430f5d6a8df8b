// Sets formulas with KaTeX. A chunk of its own, loaded with the first formula; its style and fonts come from our own files.

import katex from "katex";

const FORMULA_CHARS_MAX = 4_000;

interface Drawn {
  attributes?: Record<string, string>;
  children?: Drawn[];
  toNode(): Node;
}

/** KaTeX makes a tree before it makes nodes; here it can be looked at. */
const draw = (katex as unknown as { __renderToDomTree: (tex: string, options: object) => Drawn }).__renderToDomTree;

/** The formula as nodes; null where it cannot be read. Nothing in it can lead anywhere or load anything (`trust`). */
export function formula(tex: string, displayMode: boolean): Node | null {
  if (tex.length > FORMULA_CHARS_MAX) return null;
  loadStyle();
  try {
    const tree = draw(tex, { displayMode, throwOnError: true, trust: false, strict: "ignore", maxSize: 20, maxExpand: 200 });
    setAside(tree);
    const node = tree.toNode();
    if (node instanceof Element) putBack(node);
    return node;
  } catch {
    return null;
  }
}

const ASIDE = "data-style";

/** The page's policy forbids style attributes, which KaTeX writes for drawn signs; what a script sets it allows. */
function setAside(tree: Drawn): void {
  const { attributes, children = [] } = tree;
  if (attributes?.style !== undefined) {
    attributes[ASIDE] = attributes.style;
    delete attributes.style;
  }
  for (const child of children) setAside(child);
}

function putBack(node: Element): void {
  for (const element of node.querySelectorAll<SVGElement | HTMLElement>(`[${ASIDE}]`)) {
    element.style.cssText = element.getAttribute(ASIDE) ?? "";
    element.removeAttribute(ASIDE);
  }
}

let loaded = false;

function loadStyle(): void {
  if (loaded) return;
  loaded = true;
  const address = document.querySelector<HTMLMetaElement>('meta[name="math-style"]')?.content;
  if (address === undefined) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address;
  document.head.append(link);
}
