// Where a question is written.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";

interface Props {
  draft: string;
  setDraft: (text: string) => void;
  send: (text: string) => void;
  stop: () => void;
  busy: boolean;
  ready: boolean;
}

const HEIGHT_PX_MAX = 220;

export function Composer({ draft, setDraft, send, stop, busy, ready }: Props) {
  const { t } = useUi();
  const field = useRef<HTMLTextAreaElement>(null);

  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, HEIGHT_PX_MAX)}px`;
  }, [draft]);
  useEffect(() => {
    // On a phone the keyboard would cover the page.
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  useEffect(() => {
    if (!busy) return;
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") stop();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [busy, stop]);

  const keyDown = (event: KeyboardEvent) => {
    // While an input method composes (Chinese, Japanese), Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!busy) send(draft);
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) send(draft);
      }}
    >
      <div class="composer-box">
        <textarea
          ref={field}
          data-testid="chat-input"
          rows={1}
          aria-label={t("chat.input")}
          placeholder={t("chat.placeholder")}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={keyDown}
        />
        {busy ? (
          <button
            type="button"
            class="round stop"
            data-testid="chat-stop"
            aria-label={t("chat.stop")}
            title={`${t("chat.stop")} (Esc)`}
            onClick={stop}
          >
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="submit"
            class="round"
            data-testid="chat-send"
            aria-label={t("chat.send")}
            title={t("chat.send")}
            disabled={!ready || draft.trim() === ""}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
    </form>
  );
}
