// A talk with a model through the gate, streamed word by word.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { chat } from "../api/chat";
import { models } from "../api/status";
import { splitThinking } from "../lib/thinking";
import { useQuery } from "../lib/use-query";
import { useUi } from "../ui/context";
import { Icon } from "../ui/icon";
import { Empty, ErrorNotice } from "../ui/notice";
import { Composer } from "./chat/composer";
import {
  assistantTurn,
  type Conversation,
  messagesOf,
  nextId,
  saveConversation,
  savedConversation,
  type Turn,
  userTurn,
} from "./chat/conversation";
import { TurnView } from "./chat/turn";

/** A model that is pulled meanwhile appears by itself. */
const MODELS_EVERY_MS = 10_000;

/** Within this distance of its end the page follows the answer. */
const FOLLOW_PX = 80;

export function Chat() {
  const { t } = useUi();
  const known = useQuery("models", models, MODELS_EVERY_MS);
  const [conversation, setConversation] = useState<Conversation>(savedConversation);
  const { ask, stop, clear, busy } = useAnswer(conversation, setConversation);
  const [draft, setDraft] = useState("");
  const log = useRef<HTMLDivElement>(null);
  useFollow(log, conversation.turns);

  const { turns } = conversation;
  const names = known.data?.map((model) => model.name) ?? [];
  const model = conversation.model !== null && names.includes(conversation.model) ? conversation.model : names[0];
  const none = known.data !== null && names.length === 0;

  const send = (text: string) => {
    if (model === undefined || busy || text.trim() === "") return;
    setDraft("");
    const id = nextId(turns);
    void ask(model, [...turns, userTurn(id, text.trim())]);
  };
  const again = () => {
    if (model === undefined || busy) return;
    const last = turns.findLastIndex((turn) => turn.role === "user");
    if (last >= 0) void ask(model, turns.slice(0, last + 1));
  };

  return (
    <main class="chat">
      <div class="chat-head">
        <label class="chat-model">
          <span>{t("chat.model")}</span>
          <select
            data-testid="chat-model"
            value={model ?? ""}
            disabled={names.length === 0}
            onChange={(event) => setConversation({ ...conversation, model: event.currentTarget.value })}
          >
            {(known.data ?? []).map((one) => (
              <option key={one.name} value={one.name}>
                {one.demo ? `${one.name} (${t("nav.demo")})` : one.name}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          class="button"
          data-testid="chat-new"
          disabled={turns.length === 0}
          onClick={() => clear(model ?? null)}
        >
          <Icon name="plus" />
          {t("chat.new")}
        </button>
      </div>
      <div class="chat-log" ref={log} data-testid="chat-log">
        <div class="chat-column">
          {known.error !== null && <ErrorNotice error={known.error} retry={known.reload} />}
          {none && (
            <Empty title={t("chat.no_models")}>
              <p>{t("chat.no_models_text")}</p>
            </Empty>
          )}
          {!none && turns.length === 0 && known.error === null && <Start send={send} />}
          {turns.map((turn, at) => (
            <TurnView key={turn.id} turn={turn} again={at === turns.length - 1 && !busy ? again : null} />
          ))}
        </div>
      </div>
      <Composer draft={draft} setDraft={setDraft} send={send} stop={stop} busy={busy} ready={model !== undefined} />
    </main>
  );
}

function Start({ send }: { send: (text: string) => void }) {
  const { t } = useUi();
  const examples = [t("chat.example_1"), t("chat.example_2"), t("chat.example_3")];
  return (
    <div class="chat-start">
      <h1>{t("chat.empty_title")}</h1>
      <p class="quiet">{t("chat.empty_text")}</p>
      <ul>
        {examples.map((example) => (
          <li key={example}>
            <button type="button" onClick={() => send(example)}>
              {example}
              <Icon name="right" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Runs one answer at a time and keeps the conversation up to date while it arrives. */
function useAnswer(conversation: Conversation, setConversation: (next: Conversation) => void) {
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);

  const stop = useCallback(() => running.current?.abort(), []);
  // Leaving the page ends the answer: nobody would read it, and the model has better things to do.
  useEffect(() => () => running.current?.abort(), []);
  useEffect(() => {
    if (!busy) saveConversation(conversation);
  }, [conversation, busy]);

  const ask = async (model: string, turns: Turn[]) => {
    const controller = new AbortController();
    running.current = controller;
    setBusy(true);
    const answer = assistantTurn(nextId(turns));
    const started = performance.now();
    let raw = "";
    let thoughts = "";
    let frame = 0;
    const show = (changes: Partial<Turn>) => {
      Object.assign(answer, changes);
      // Many pieces may arrive between two pictures; each picture is drawn once.
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        setConversation({ model, turns: [...turns, { ...answer }] });
      });
    };
    setConversation({ model, turns: [...turns, { ...answer }] });

    try {
      const stream = await chat(model, messagesOf(turns), controller.signal);
      show({ requestId: stream.requestId });
      for await (const part of stream.parts) {
        const first = { firstMs: answer.firstMs ?? performance.now() - started };
        if (part.kind === "thinking") {
          thoughts += part.text;
          show({ ...first, thinking: thoughts });
        } else if (part.kind === "text") {
          raw += part.text;
          const split = splitThinking(raw);
          show({ ...first, text: split.text, thinking: thoughts + split.thinking });
        } else if (part.kind === "usage") {
          show({ inputTokens: part.inputTokens, outputTokens: part.outputTokens });
        } else {
          show({ finish: part.reason });
        }
      }
      answer.state = "done";
    } catch (error) {
      answer.state = controller.signal.aborted ? "stopped" : "failed";
      if (!controller.signal.aborted) answer.error = error instanceof Error ? error.message : String(error);
    }
    cancelAnimationFrame(frame);
    answer.totalMs = performance.now() - started;
    // Given up for a new conversation: the old answer has no place in it.
    if (running.current !== controller) return;
    running.current = null;
    const whole = { model, turns: [...turns, answer] };
    // Saved here too: when the page was left, no effect runs any more.
    saveConversation(whole);
    setBusy(false);
    setConversation(whole);
  };

  const clear = (model: string | null) => {
    const controller = running.current;
    running.current = null;
    controller?.abort();
    setBusy(false);
    setConversation({ model, turns: [] });
  };
  return { ask, stop, clear, busy };
}

/** Keeps the end in view while the reader is there; who scrolls up is left in peace. */
function useFollow(log: { current: HTMLDivElement | null }, turns: Turn[]): void {
  const follow = useRef(true);
  const count = useRef(0);
  useEffect(() => {
    const element = log.current;
    if (element === null) return;
    const scrolled = () => {
      follow.current = element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_PX;
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [log]);
  useLayoutEffect(() => {
    const element = log.current;
    if (element === null) return;
    // A question just asked is always shown.
    if (turns.length !== count.current) follow.current = true;
    count.current = turns.length;
    if (follow.current) element.scrollTop = element.scrollHeight;
  }, [log, turns]);
}
