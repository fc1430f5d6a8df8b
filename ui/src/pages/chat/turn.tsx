// One message of a conversation: a question, or an answer with its thoughts and its cost, and the branches that begin here.

import { useState } from "preact/hooks";
import type { Message, Wait } from "../../api/chats";
import { numberField, textField } from "../../api/search";
import type { TextKey } from "../../i18n/en";
import { isPicture } from "../../lib/attach";
import { requestAddress } from "../../lib/route";
import { splitThinking } from "../../lib/thinking";
import { useUi } from "../../ui/context";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { Markdown } from "./markdown";

interface Props {
  message: Message;
  siblings: Message[];
  choose: (message: Message) => void;
  /** Null while an answer is under way. */
  again: (() => void) | null;
  edit: ((text: string) => void) | null;
  wait: Wait | null;
  /** Its end was asked for, and has not come yet. */
  stopping: boolean;
  /** Whether the page of a request may be opened. */
  records: boolean;
}

export function TurnView(props: Props) {
  return props.message.role === "user" ? <QuestionView {...props} /> : <AnswerView {...props} />;
}

function QuestionView({ message, siblings, choose, edit }: Props) {
  const { t } = useUi();
  const [draft, setDraft] = useState<string | null>(null);
  if (draft !== null && edit !== null) {
    const send = () => {
      setDraft(null);
      edit(draft);
    };
    return (
      <form
        class="turn turn-edit"
        onSubmit={(event) => {
          event.preventDefault();
          if (draft.trim() !== "") send();
        }}
      >
        <textarea
          data-testid="chat-edit-input"
          aria-label={t("chat.edit")}
          value={draft}
          rows={Math.min(12, draft.split("\n").length + 1)}
          ref={(element) => element?.focus()}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setDraft(null);
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            if (draft.trim() !== "") send();
          }}
        />
        <div class="turn-edit-tools">
          <button type="button" class="button" onClick={() => setDraft(null)}>
            {t("common.cancel")}
          </button>
          <button type="submit" class="button primary" data-testid="chat-edit-send" disabled={draft.trim() === ""}>
            {t("chat.send")}
          </button>
        </div>
      </form>
    );
  }
  return (
    <article class="turn turn-user" aria-label={t("chat.you")} data-testid="chat-question">
      <div class="turn-said">
        {message.attachments.length > 0 && <Attachments message={message} />}
        {message.text !== "" && <p>{message.text}</p>}
      </div>
      <div class="turn-tools">
        <Branches message={message} siblings={siblings} choose={choose} />
        {message.text !== "" && <CopyButton text={message.text} label={false} />}
        {edit !== null && (
          <button
            type="button"
            class="icon-button"
            data-testid="chat-edit"
            aria-label={t("chat.edit")}
            title={t("chat.edit")}
            onClick={() => setDraft(message.text)}
          >
            <Icon name="pencil" />
          </button>
        )}
      </div>
    </article>
  );
}

function Attachments({ message }: { message: Message }) {
  const { t } = useUi();
  return (
    <ul class="turn-attachments">
      {message.attachments.map((one, at) => (
        <li key={`${at} ${one.name}`}>
          {isPicture(one.image) ? (
            <img src={one.image} alt={t("chat.picture", { name: one.name })} />
          ) : (
            <span class="attachment">
              <Icon name="requests" />
              {one.name}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

function AnswerView({ message, siblings, choose, again, wait, stopping, records }: Props) {
  const { t } = useUi();
  const split = splitThinking(message.text);
  const thinking = message.thinking + split.thinking;
  const running = message.state === "running";
  return (
    <article
      class="turn turn-answer"
      data-testid="chat-answer"
      data-state={message.state === "running" ? "streaming" : message.state}
      aria-busy={running}
    >
      {thinking !== "" && <Thinking text={thinking} under={running && split.text === ""} />}
      {running && split.text === "" && thinking === "" && !stopping && <Waiting wait={wait} />}
      {split.text !== "" && <Markdown text={split.text} />}
      {running && stopping && (
        <p class="turn-note" role="status" data-testid="chat-stopping">
          {t("chat.stopping")}
        </p>
      )}
      <Ending message={message} />
      {!running && (
        <Cost message={message} records={records}>
          <Branches message={message} siblings={siblings} choose={choose} />
          {split.text !== "" && <CopyButton text={split.text} label={false} />}
          {again !== null && (
            <button
              type="button"
              class="icon-button"
              data-testid="chat-regenerate"
              aria-label={t("chat.regenerate")}
              title={t("chat.regenerate")}
              onClick={again}
            >
              <Icon name="again" />
            </button>
          )}
        </Cost>
      )}
    </article>
  );
}

const WAITS: Record<string, TextKey> = {
  queued: "chat.wait_queued",
  connecting: "chat.wait_connecting",
  loading: "chat.wait_loading",
  reading: "chat.wait_reading",
};

function Waiting({ wait }: { wait: Wait | null }) {
  const { t, format } = useUi();
  const known = WAITS[wait?.phase ?? ""];
  const words =
    wait !== null && wait.position !== null
      ? t("chat.wait_position", { position: format.count(wait.position) })
      : t(known ?? "chat.thinking");
  return (
    <p class="turn-wait" role="status" data-testid="chat-wait" data-phase={wait?.phase ?? ""}>
      <i />
      <i />
      <i />
      <span class={known === undefined ? "visually-hidden" : ""}>{words}</span>
    </p>
  );
}

/** Open while the model thinks, folded as soon as it speaks. */
function Thinking({ text, under }: { text: string; under: boolean }) {
  const { t } = useUi();
  return (
    <details class="thinking" open={under} data-testid="chat-thinking">
      <summary>
        <Icon name="right" />
        {t(under ? "chat.thinking" : "chat.thought")}
      </summary>
      <div>{text}</div>
    </details>
  );
}

/** How it ended, where that was not the usual way. */
function Ending({ message }: { message: Message }) {
  const { t } = useUi();
  const error = textField(message.told, "error");
  if (message.state === "failed") {
    return (
      <p class="turn-error" role="alert">
        <Icon name="warning" />
        <span>
          {t("chat.failed")}: {error ?? "–"}
        </span>
      </p>
    );
  }
  if (message.state === "interrupted") return <p class="turn-note">{t("chat.interrupted")}</p>;
  if (message.state === "left") return <p class="turn-note">{t("chat.left")}</p>;
  if (textField(message.told, "finish") === "length") return <p class="turn-note">{t("chat.length")}</p>;
  return null;
}

function Branches({ message, siblings, choose }: Pick<Props, "message" | "siblings" | "choose">) {
  const { t } = useUi();
  const at = siblings.findIndex((one) => one.id === message.id);
  if (siblings.length < 2 || at < 0) return null;
  const step = (by: number) => {
    const other = siblings[at + by];
    if (other !== undefined) choose(other);
  };
  return (
    <span class="branches" role="group" aria-label={t("chat.branches")} data-testid="chat-branches">
      <button
        type="button"
        class="icon-button branch-back"
        aria-label={t("chat.branch_before")}
        title={t("chat.branch_before")}
        disabled={at === 0}
        onClick={() => step(-1)}
      >
        <Icon name="right" />
      </button>
      <span>
        {at + 1}/{siblings.length}
      </span>
      <button
        type="button"
        class="icon-button"
        aria-label={t("chat.branch_after")}
        title={t("chat.branch_after")}
        disabled={at === siblings.length - 1}
        onClick={() => step(1)}
      >
        <Icon name="right" />
      </button>
    </span>
  );
}

interface CostProps {
  message: Message;
  records: boolean;
  children: preact.ComponentChildren;
}

function Cost({ message, records, children }: CostProps) {
  const { t, format } = useUi();
  const of = (name: string) => numberField(message.told, name);
  const [input, output, first, whole] = [of("input_tokens"), of("output_tokens"), of("first_ms"), of("total_ms")];
  const facts: string[] = [];
  if (message.state === "stopped") facts.push(t("chat.stopped"));
  const model = textField(message.told, "model");
  if (model !== null && model !== "") facts.push(model);
  if (input !== null || output !== null) {
    facts.push(t("chat.tokens", { input: format.count(input), output: format.count(output) }));
  }
  if (whole !== null) facts.push(format.duration(whole));
  if (first !== null && message.text + message.thinking !== "") facts.push(t("chat.first", { time: format.duration(first) }));
  if (output !== null && first !== null && whole !== null && whole - first > 50 && output > 1) {
    facts.push(t("chat.speed", { speed: format.decimal(output / ((whole - first) / 1000), 1) }));
  }
  const request = textField(message.told, "request_id");
  return (
    <footer class="turn-cost">
      <ul data-testid="chat-cost">
        {facts.map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
        {request !== null && records && (
          <li>
            <Link href={requestAddress(request, {})}>{t("chat.record")}</Link>
          </li>
        )}
      </ul>
      <div class="turn-tools">{children}</div>
    </footer>
  );
}
