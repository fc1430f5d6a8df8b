// Shows an answer as Markdown. The renderer comes when the first answer does; until then its text is shown as it is.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { copyText } from "../../lib/clipboard";
import { useUi } from "../../ui/context";

type Renderer = typeof import("./render-markdown");

let renderer: Renderer | null = null;

export function Markdown({ text }: { text: string }) {
  const { t } = useUi();
  const host = useRef<HTMLDivElement>(null);
  const [ready, setReady] = useState(renderer !== null);

  useEffect(() => {
    if (ready) return;
    let gone = false;
    void import("./render-markdown").then((loaded) => {
      renderer = loaded;
      if (!gone) setReady(true);
    });
    return () => {
      gone = true;
    };
  }, [ready]);

  // Before the browser paints: between the plain text and the rendered one there is no empty moment.
  useLayoutEffect(() => {
    if (renderer === null || host.current === null) return;
    const words = {
      copy: t("common.copy"),
      copied: t("common.copied"),
      image: (alt: string) => t("chat.image", { alt }),
    };
    host.current.replaceChildren(renderer.renderMarkdown(text, words, copyText));
  }, [text, ready, t]);

  return ready ? <div class="markdown" ref={host} /> : <div class="markdown plain">{text}</div>;
}
