// Chats that the server keeps, and the answers that it writes for them.

import { EventReader } from "../lib/sse";
import type { Attachment } from "../lib/attach";
import { send } from "./base";
import { call, type Schemas } from "./call";
import { field, numberField, textField } from "./search";

/** What the chat page is, and who may chat here. */
export type About = Schemas["ChatAbout"];
export type ChatModel = Schemas["ChatModel"];

export type Options = Record<string, number | string>;

export type ChatSettings = Required<Omit<Schemas["ChatSettings"], "options">> & { options: Options };
export type FoundChat = Schemas["FoundChat"];

export type MessageState = "done" | "running" | "stopped" | "left" | "failed" | "interrupted";

export interface Message {
  id: string;
  parent: string | null;
  role: "user" | "assistant";
  state: MessageState;
  created_ms: number;
  /** What is known of an answer: model, tokens, times, what went wrong. */
  told: Record<string, unknown>;
  text: string;
  thinking: string;
  attachments: Attachment[];
}

export interface KeptChat extends ChatSettings {
  id: string;
  created_ms: number;
  changed_ms: number;
  messages: Message[];
}

/** How an answer waits before its first word. */
export interface Wait {
  phase: string;
  position: number | null;
}

/** What an event of an answer under way says. */
export interface News {
  /** It begins anew: what was known before is in it. */
  whole: boolean;
  text: string;
  thinking: string;
  told: Record<string, unknown>;
  state: MessageState;
  wait: Wait | null;
}

const path = (id: string) => `/chats/${encodeURIComponent(id)}`;

export function about(signal?: AbortSignal): Promise<About> {
  return call("get", "/chat", { signal });
}

export async function showKey(key: string): Promise<void> {
  await call("post", "/chat/session", { body: { key } });
}

export async function hideKey(): Promise<void> {
  await call("delete", "/chat/session");
}

export async function chatModels(signal?: AbortSignal): Promise<ChatModel[]> {
  return (await call("get", "/chat/models", { signal })).models;
}

export async function chats(words: string, signal?: AbortSignal): Promise<FoundChat[]> {
  return (await call("get", "/chats", { query: { q: words }, signal })).chats;
}

export function createChat(settings: ChatSettings): Promise<KeptChat> {
  return call("post", "/chats", { body: settings }) as Promise<KeptChat>;
}

export function keptChat(id: string, signal?: AbortSignal): Promise<KeptChat> {
  return call("get", "/chats/{id}", { path: { id }, signal }) as Promise<KeptChat>;
}

export async function setChat(id: string, settings: ChatSettings): Promise<void> {
  await call("put", "/chats/{id}", { path: { id }, body: settings });
}

export async function removeChat(id: string): Promise<void> {
  await call("delete", "/chats/{id}", { path: { id } });
}

export async function removeChats(): Promise<void> {
  await call("delete", "/chats");
}

/** A question with its place, or without words the wish to have `parent` answered again. */
export interface Question {
  parent: string | null;
  text: string;
  attachments: Attachment[];
  model: string;
}

interface Added {
  question: Message | null;
  answer: Message;
}

export function ask(id: string, question: Question): Promise<Added> {
  return call("post", "/chats/{id}/messages", { path: { id }, body: question }) as Promise<Added>;
}

export async function stopAnswer(id: string, answer: string): Promise<void> {
  await call("post", "/chats/{id}/answers/{answer}/stop", { path: { id, answer } });
}

/** An answer as far as it is, then what is added, until it ends or the connection does. */
export async function* follow(id: string, answer: string, signal: AbortSignal): AsyncGenerator<News> {
  yield* newsIn(await send("GET", `${path(id)}/answers/${encodeURIComponent(answer)}`, undefined, signal));
}

export type ContentPart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

/** A message as the model is told it. */
export interface ToldMessage {
  role: "system" | "user" | "assistant";
  content: string | ContentPart[];
}

/** An answer of which nothing is kept, as it grows. Whoever stops reading cancels it. */
export async function* askUnkept(
  model: string,
  messages: ToldMessage[],
  options: Options,
  signal: AbortSignal,
): AsyncGenerator<News> {
  yield* newsIn(await send("POST", "/chat", { ...options, model, messages }, signal));
}

async function* newsIn(reply: Response): AsyncGenerator<News> {
  if (reply.body === null) return;
  const reader = reply.body.getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const data of events.push(decoder.decode(value, { stream: true }))) yield newsOf(JSON.parse(data));
    }
  } finally {
    reader.releaseLock();
  }
}

const STATES: readonly string[] = ["done", "running", "stopped", "left", "failed", "interrupted"];

export function newsOf(data: unknown): News {
  const state = textField(data, "state") ?? "";
  const wait = field(data, "wait");
  const told = field(data, "told");
  return {
    whole: field(data, "whole") === true,
    text: textField(data, "text") ?? "",
    thinking: textField(data, "thinking") ?? "",
    told: typeof told === "object" && told !== null ? (told as Record<string, unknown>) : {},
    state: STATES.includes(state) ? (state as MessageState) : "failed",
    wait: wait === undefined ? null : { phase: textField(wait, "phase") ?? "", position: numberField(wait, "position") },
  };
}

/** The message with what was added. */
export function heard(message: Message, news: News): Message {
  const before = news.whole ? { text: "", thinking: "" } : message;
  return {
    ...message,
    text: before.text + news.text,
    thinking: before.thinking + news.thinking,
    told: news.told,
    state: news.state,
  };
}
