// Shows an answer as Markdown. The renderer comes when the first answer does, and what colours code and sets formulas when the
// first of them is there; until then the text is shown as it is.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { copyText } from "../../lib/clipboard";
import { useUi } from "../../ui/context";
import type { Helpers } from "./render-markdown";

type Renderer = typeof import("./render-markdown");

let renderer: Renderer | null = null;
const helpers: Helpers = { highlight: null, math: null };

/** Loads what this text needs; says whether something new is there. */
async function load(text: string): Promise<boolean> {
  const before = [renderer, helpers.highlight, helpers.math];
  renderer ??= await import("./render-markdown");
  if (renderer.hasCode(text)) helpers.highlight ??= await import("./highlight");
  if (renderer.hasMath(text)) helpers.math ??= await import("./math");
  return [renderer, helpers.highlight, helpers.math].some((one, at) => one !== before[at]);
}

export function Markdown({ text }: { text: string }) {
  const { t } = useUi();
  const host = useRef<HTMLDivElement>(null);
  const [version, setVersion] = useState(0);

  useEffect(() => {
    let gone = false;
    // A chunk that cannot be fetched leaves the text as it is.
    void load(text)
      .then((isNew) => {
        if (!gone && (isNew || host.current === null)) setVersion((last) => last + 1);
      })
      .catch(() => {});
    return () => {
      gone = true;
    };
  }, [text]);

  // Before the browser paints: between the plain text and the rendered one there is no empty moment.
  useLayoutEffect(() => {
    if (renderer === null || host.current === null) return;
    const words = {
      copy: t("common.copy"),
      copied: t("common.copied"),
      image: (alt: string) => t("chat.image", { alt }),
    };
    host.current.replaceChildren(renderer.renderMarkdown(text, words, copyText, helpers));
  }, [text, version, t]);

  return renderer !== null ? <div class="markdown" ref={host} /> : <div class="markdown plain">{text}</div>;
}
