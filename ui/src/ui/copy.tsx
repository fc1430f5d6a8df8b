// A button that copies a text and says so for a moment.

import { useCopied } from "../lib/use-copied";
import { useUi } from "./context";
import { Icon } from "./icon";

export function CopyButton({ text, label = true }: { text: string; label?: boolean }) {
  const { t } = useUi();
  const [copied, copy] = useCopied();
  const words = t(copied ? "common.copied" : "common.copy");
  return (
    <button
      type="button"
      class={label ? "button" : "icon-button"}
      aria-label={words}
      title={words}
      onClick={() => void copy(text)}
    >
      <Icon name={copied ? "check" : "copy"} />
      {label && <span aria-live="polite">{words}</span>}
    </button>
  );
}
