// Where a question is written, with the pictures and files that go with it.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TextKey } from "../../i18n/en";
import { type Attachment, isPicture, type Refusal, readAttachment, tooMuch } from "../../lib/attach";
import { useUi } from "../../ui/context";
import { Icon } from "../../ui/icon";

interface Props {
  send: (text: string, attachments: Attachment[]) => void;
  stop: () => void;
  /** The last question comes back to be asked in other words. */
  editLast: () => void;
  busy: boolean;
  /** Its end was asked for. */
  stopping: boolean;
  ready: boolean;
}

const HEIGHT_PX_MAX = 220;

const REFUSALS: Record<Refusal, TextKey> = {
  large_image: "chat.attach_large_image",
  large_text: "chat.attach_large_text",
  binary: "chat.attach_binary",
  many: "chat.attach_many",
  together: "chat.attach_together",
};

export function Composer({ send, stop, editLast, busy, stopping, ready }: Props) {
  const { t } = useUi();
  const [draft, setDraft] = useState("");
  const [attachments, setAttachments] = useState<Attachment[]>([]);
  const [refused, setRefused] = useState<string[]>([]);
  const [over, setOver] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const files = useRef<HTMLInputElement>(null);

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
  // Always there: an answer may be on the page before it is known here that there is one.
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) stop();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [stop]);

  const take = async (list: Iterable<File>) => {
    const added: Attachment[] = [];
    const words: string[] = [];
    for (const file of list) {
      const read = await readAttachment(file).catch((): Refusal => "binary");
      if (typeof read === "string") words.push(t(REFUSALS[read], { name: file.name }));
      else added.push(read);
    }
    const next = [...attachments, ...added];
    const much = tooMuch(next);
    if (much === null) setAttachments(next);
    else words.push(t(REFUSALS[much], { name: "" }));
    setRefused(words);
  };
  const sendNow = () => {
    const text = draft.trim();
    if (busy || !ready || (text === "" && attachments.length === 0)) return;
    send(text, attachments);
    setDraft("");
    setAttachments([]);
    setRefused([]);
  };
  const keyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowUp" && draft === "" && !busy) {
      event.preventDefault();
      editLast();
      return;
    }
    // While an input method composes (Chinese, Japanese), Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    sendNow();
  };

  return (
    <form
      class={over ? "composer composer-over" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        sendNow();
      }}
      onDragOver={(event) => {
        if (event.dataTransfer?.types.includes("Files") !== true) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {refused.length > 0 && (
        <ul class="composer-refused" role="alert" data-testid="chat-attach-refused">
          {refused.map((words) => (
            <li key={words}>{words}</li>
          ))}
        </ul>
      )}
      {attachments.length > 0 && (
        <ul class="composer-attachments" data-testid="chat-attachments">
          {attachments.map((one, at) => (
            <li key={`${at} ${one.name}`}>
              {isPicture(one.image) && <img src={one.image} alt="" />}
              <span class="attachment-name">{one.name}</span>
              <button
                type="button"
                class="icon-button"
                aria-label={t("chat.attach_remove", { name: one.name })}
                title={t("chat.attach_remove", { name: one.name })}
                onClick={() => setAttachments(attachments.filter((other) => other !== one))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="composer-box">
        <input
          ref={files}
          type="file"
          multiple
          hidden
          data-testid="chat-files"
          onChange={(event) => {
            // Copied first: the list is emptied with the input.
            void take([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
        <button
          type="button"
          class="icon-button"
          data-testid="chat-attach"
          aria-label={t("chat.attach")}
          title={t("chat.attach")}
          onClick={() => files.current?.click()}
        >
          <Icon name="clip" />
        </button>
        <textarea
          ref={field}
          data-testid="chat-input"
          rows={1}
          aria-label={t("chat.input")}
          placeholder={t("chat.placeholder")}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={keyDown}
          onPaste={(event) => {
            const pasted = [...(event.clipboardData?.files ?? [])];
            if (pasted.length === 0) return;
            event.preventDefault();
            void take(pasted);
          }}
        />
        {busy ? (
          <button
            type="button"
            class="round stop"
            data-testid="chat-stop"
            aria-label={t(stopping ? "chat.stopping" : "chat.stop")}
            title={stopping ? t("chat.stopping") : `${t("chat.stop")} (Esc)`}
            aria-disabled={stopping}
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
            disabled={!ready || (draft.trim() === "" && attachments.length === 0)}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
    </form>
  );
}
