// One conversation and what can be done in it. A kept one lives on the server, and its answers go on there when the connection
// drops; of an unkept one there is nothing but this page.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/base";
import {
  ask,
  askUnkept,
  type ChatSettings,
  createChat,
  follow,
  heard,
  keptChat,
  type Message,
  setChat,
  stopAnswer,
  type ToldMessage,
  type Wait,
} from "../../api/chats";
import type { Attachment } from "../../lib/attach";
import { splitThinking } from "../../lib/thinking";
import { branchOf, latestLeaf } from "../../lib/tree";

/** A dropped connection is tried again after so long, then after twice as long, up to the last. */
const RETRY_MS_MIN = 400;
const RETRY_MS_MAX = 10_000;

/** Characters of a title that is made of a question. */
const TITLE_CHARS_MAX = 60;

export const NO_SETTINGS: ChatSettings = { title: "", model: "", system: "", options: {}, head: null };

interface Talk {
  id: string | null;
  settings: ChatSettings;
  messages: Message[];
}

export interface UseTalk {
  settings: ChatSettings;
  messages: Message[];
  branch: Message[];
  /** The answer under way. */
  running: Message | null;
  /** A question is on its way to the server, or its answer is under way. */
  busy: boolean;
  /** Its end was asked for, and has not come yet. */
  stopping: boolean;
  wait: Wait | null;
  /** The connection dropped and is being tried again; the answer goes on meanwhile. */
  away: boolean;
  loading: boolean;
  error: Error | null;
  send: (text: string, attachments: Attachment[], model: string) => void;
  /** Asks a question again in other words, as a branch of its own. */
  edit: (question: Message, text: string, model: string) => void;
  again: (answer: Message, model: string) => void;
  stop: () => void;
  choose: (message: Message) => void;
  set: (changes: Partial<ChatSettings>) => void;
}

export function useTalk(id: string | null, keep: boolean, opened: (id: string) => void): UseTalk {
  const [talk, setTalk] = useState<Talk>({ id: null, settings: NO_SETTINGS, messages: [] });
  const [wait, setWait] = useState<Wait | null>(null);
  const [away, setAway] = useState(false);
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(false);
  const [stopping, setStopping] = useState(false);
  /** What `asking` and `stopping` draw, as it is: a stop counts at any moment, also before the answer is known here. */
  const isAsking = useRef(false);
  const isStopping = useRef(false);
  /** The talk as it is; what is drawn follows with the next picture. */
  const now = useRef(talk);
  /** What is listened to; its end says that the page looks elsewhere. */
  const listening = useRef<AbortController | null>(null);
  const frame = useRef(0);

  const update = useCallback((change: (talk: Talk) => Talk) => {
    now.current = change(now.current);
    // Many pieces may arrive between two pictures; each picture is drawn once. A hidden page draws none, and still learns.
    if (document.hidden) return setTalk(now.current);
    if (frame.current !== 0) return;
    frame.current = requestAnimationFrame(() => {
      frame.current = 0;
      setTalk(now.current);
    });
  }, []);
  const put = useCallback(
    (message: Message) =>
      update((old) => ({ ...old, messages: old.messages.map((one) => (one.id === message.id ? message : one)) })),
    [update],
  );
  const add = useCallback(
    (messages: Message[]) =>
      update((old) => ({
        ...old,
        messages: [...old.messages, ...messages],
        settings: { ...old.settings, head: messages.at(-1)?.id ?? old.settings.head },
      })),
    [update],
  );

  const markStopping = useCallback((next: boolean) => {
    isStopping.current = next;
    setStopping(next);
  }, []);
  /** Ends the answer under way; one that is not known yet is ended as soon as it is. */
  const letGo = useCallback(async () => {
    const { id: chatId } = now.current;
    const answer = runningOf(now.current);
    if (answer === null) return;
    if (chatId === null) return listening.current?.abort();
    try {
      await stopAnswer(chatId, answer.id);
    } catch (cause) {
      // Without a connection it is asked for again with the next one.
      if (!(cause instanceof ApiError)) return;
      markStopping(false);
      setError(cause);
    }
  }, [markStopping]);
  const stop = useCallback(() => {
    if (isStopping.current || (!isAsking.current && runningOf(now.current) === null)) return;
    markStopping(true);
    void letGo();
  }, [letGo, markStopping]);

  /** Follows an answer on the server until it ends, over as many connections as it takes. */
  const attach = useCallback(
    async (chatId: string, answer: Message) => {
      listening.current?.abort();
      const controller = new AbortController();
      listening.current = controller;
      let message = answer;
      let pause = RETRY_MS_MIN;
      let isAgain = false;
      while (!controller.signal.aborted && message.state === "running") {
        try {
          for await (const news of follow(chatId, message.id, controller.signal)) {
            if (controller.signal.aborted) return;
            if (isAgain && isStopping.current) void letGo();
            isAgain = false;
            message = heard(message, news);
            pause = RETRY_MS_MIN;
            setAway(false);
            setWait(news.wait);
            put(message);
          }
        } catch (cause) {
          if (controller.signal.aborted) return;
          if (cause instanceof ApiError && cause.status < 500) {
            setError(cause);
            break;
          }
        }
        if (message.state !== "running" || controller.signal.aborted) break;
        isAgain = true;
        setAway(true);
        await slept(pause, controller.signal);
        pause = Math.min(pause * 2, RETRY_MS_MAX);
      }
      if (controller.signal.aborted) return;
      setAway(false);
      setWait(null);
      markStopping(false);
    },
    [put, letGo, markStopping],
  );

  useEffect(() => {
    if (id !== null && id === now.current.id) return;
    listening.current?.abort();
    setWait(null);
    setAway(false);
    setError(null);
    markStopping(false);
    setLoading(id !== null);
    now.current = { id, settings: NO_SETTINGS, messages: [] };
    setTalk(now.current);
    if (id === null) return;
    const controller = new AbortController();
    const open = async () => {
      try {
        const { messages, ...settings } = await keptChat(id, controller.signal);
        if (controller.signal.aborted) return;
        const { title, model, system, options, head } = settings;
        now.current = { id, settings: { title, model, system, options, head }, messages };
        setTalk(now.current);
        const running = messages.findLast((message) => message.state === "running");
        if (running !== undefined) void attach(id, running);
      } catch (cause) {
        if (!controller.signal.aborted) setError(asError(cause));
      }
      if (!controller.signal.aborted) setLoading(false);
    };
    void open();
    return () => controller.abort();
  }, [id, attach]);
  // Whoever leaves the page leaves an unkept answer; a kept one goes on.
  useEffect(() => () => listening.current?.abort(), []);

  const begin = async (parent: string | null, text: string, attachments: Attachment[], model: string) => {
    if (isAsking.current) return;
    setError(null);
    isAsking.current = true;
    setAsking(true);
    try {
      if (keep || now.current.id !== null) await beginKept(parent, text, attachments, model);
      else await beginUnkept(parent, text, attachments, model);
    } catch (cause) {
      setError(asError(cause));
    }
    isAsking.current = false;
    setAsking(false);
    if (runningOf(now.current) === null) markStopping(false);
    else if (isStopping.current) void letGo();
  };

  const beginKept = async (parent: string | null, text: string, attachments: Attachment[], model: string) => {
    let chatId = now.current.id;
    if (chatId === null) {
      chatId = (await createChat({ ...now.current.settings, model })).id;
      now.current = { ...now.current, id: chatId };
      setTalk(now.current);
      opened(chatId);
    }
    const { question, answer } = await ask(chatId, { parent, text, attachments, model });
    // Who went to another chat meanwhile finds it where it was asked.
    if (now.current.id !== chatId) return;
    // The server calls it so, too.
    const title = text.trim().split("\n")[0]?.slice(0, TITLE_CHARS_MAX) ?? "";
    if (now.current.settings.title === "") update((old) => ({ ...old, settings: { ...old.settings, title } }));
    add(question === null ? [answer] : [question, answer]);
    void attach(chatId, answer);
  };

  const beginUnkept = async (parent: string | null, text: string, attachments: Attachment[], model: string) => {
    const question = text === "" && attachments.length === 0 ? null : local("user", parent, { text, attachments });
    const answer = local("assistant", question?.id ?? parent, { state: "running", told: { model } });
    add(question === null ? [answer] : [question, answer]);
    listening.current?.abort();
    const controller = new AbortController();
    listening.current = controller;
    let message = answer;
    try {
      const { system, options } = now.current.settings;
      const told = messagesOf(system, branchOf(now.current.messages, message.parent));
      for await (const news of askUnkept(model, told, options, controller.signal)) {
        message = heard(message, news);
        setWait(news.wait);
        put(message);
      }
      if (message.state === "running") throw new Error("the connection dropped");
    } catch (cause) {
      const told = { ...message.told, total_ms: Date.now() - message.created_ms };
      message = controller.signal.aborted
        ? { ...message, state: "stopped", told }
        : { ...message, state: "failed", told: { ...told, error: asError(cause).message } };
      put(message);
    }
    // Another talk may have begun meanwhile.
    if (listening.current !== controller) return;
    setWait(null);
    markStopping(false);
  };

  const branch = branchOf(talk.messages, talk.settings.head);
  const last = branch.at(-1);
  const running = runningOf(talk);

  const save = (settings: ChatSettings) => {
    const chatId = now.current.id;
    if (chatId !== null) setChat(chatId, settings).catch((cause: unknown) => setError(asError(cause)));
  };
  const set = (changes: Partial<ChatSettings>) => {
    const settings = { ...now.current.settings, ...changes };
    update((old) => ({ ...old, settings }));
    save(settings);
  };

  return {
    settings: talk.settings,
    messages: talk.messages,
    branch,
    running,
    busy: asking || running !== null,
    stopping,
    wait,
    away,
    loading,
    error,
    send: (text, attachments, model) => void begin(last?.id ?? null, text, attachments, model),
    edit: (question, text, model) => void begin(question.parent, text, question.attachments, model),
    again: (answer, model) => void begin(answer.parent, "", [], model),
    stop,
    choose: (message) => set({ head: latestLeaf(now.current.messages, message.id) }),
    set,
  };
}

/** The answer under way in what is shown. */
function runningOf({ messages, settings }: Talk): Message | null {
  const last = branchOf(messages, settings.head).at(-1);
  return last?.state === "running" ? last : null;
}

let count = 0;

function local(role: Message["role"], parent: string | null, more: Partial<Message>): Message {
  count += 1;
  const empty = { state: "done" as const, created_ms: Date.now(), told: {}, text: "", thinking: "", attachments: [] };
  return { ...empty, id: `here-${count}`, parent, role, ...more };
}

/** What the model is told of an unkept chat: thoughts and answers without a word are no part of the talk. */
export function messagesOf(system: string, branch: readonly Message[]): ToldMessage[] {
  const told: ToldMessage[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
  for (const { role, text, attachments } of branch) {
    const said = role === "user" ? text : splitThinking(text).text;
    if (role === "assistant" && said.trim() === "") continue;
    const files = attachments.flatMap((one) => (one.text === undefined ? [] : [`[${one.name}]\n${one.text}\n\n`]));
    const images = attachments.flatMap((one) => (one.image === undefined ? [] : [one.image]));
    const content = files.join("") + said;
    const parts = images.map((url) => ({ type: "image_url" as const, image_url: { url } }));
    told.push({ role, content: parts.length === 0 ? content : [{ type: "text", text: content }, ...parts] });
  }
  return told;
}

function slept(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    // A browser that is online again need not wait.
    addEventListener("online", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
