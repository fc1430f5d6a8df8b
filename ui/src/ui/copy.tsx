// A button that copies a text and says so for a moment.

import { useEffect, useState } from "preact/hooks";
import { copyText } from "../lib/clipboard";
import { useUi } from "./context";
import { Icon } from "./icon";

const SHOWN_MS = 1_600;

export function CopyButton({ text, label = true }: { text: string; label?: boolean }) {
  const { t } = useUi();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const words = t(copied ? "common.copied" : "common.copy");
  return (
    <button
      type="button"
      class={label ? "button" : "icon-button"}
      aria-label={words}
      title={words}
      onClick={async () => setCopied(await copyText(text))}
    >
      <Icon name={copied ? "check" : "copy"} />
      {label && <span aria-live="polite">{words}</span>}
    </button>
  );
}
