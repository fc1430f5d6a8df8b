// A conversation: its turns, and how it outlives a reload of the page.

import type { ChatMessage } from "../../api/chat";
import { keepSessionText, sessionText } from "../../lib/store";

export interface Turn {
  id: number;
  role: "user" | "assistant";
  text: string;
  thinking: string;
  state: "streaming" | "done" | "stopped" | "failed";
  error: string | null;
  finish: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  /** Milliseconds until the first sign of an answer, and until its end. */
  firstMs: number | null;
  totalMs: number | null;
  requestId: string | null;
}

export interface Conversation {
  model: string | null;
  turns: Turn[];
}

const NAME = "conversation";

export function userTurn(id: number, text: string): Turn {
  return { ...assistantTurn(id), role: "user", text, state: "done" };
}

export function assistantTurn(id: number): Turn {
  return {
    id,
    role: "assistant",
    text: "",
    thinking: "",
    state: "streaming",
    error: null,
    finish: null,
    inputTokens: null,
    outputTokens: null,
    firstMs: null,
    totalMs: null,
    requestId: null,
  };
}

/** What the model is told: a failed answer without a word is not part of the talk, and neither are thoughts. */
export function messagesOf(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap((turn) => (turn.text.trim() === "" ? [] : [{ role: turn.role, content: turn.text }]));
}

export function nextId(turns: readonly Turn[]): number {
  return Math.max(0, ...turns.map((turn) => turn.id)) + 1;
}

export function saveConversation(conversation: Conversation): void {
  keepSessionText(NAME, JSON.stringify(conversation));
}

export function savedConversation(): Conversation {
  return readConversation(sessionText(NAME));
}

/** What cannot be read is an empty conversation; an answer that was under way when the page went is a stopped one. */
export function readConversation(text: string | null): Conversation {
  const none: Conversation = { model: null, turns: [] };
  if (text === null) return none;
  try {
    const saved = JSON.parse(text) as Partial<Conversation> | null;
    if (saved === null || !Array.isArray(saved.turns)) return none;
    const turns = saved.turns
      .filter((turn) => typeof turn?.text === "string" && (turn.role === "user" || turn.role === "assistant"))
      .map((turn, at): Turn => {
        const state = turn.state === "streaming" ? "stopped" : (turn.state ?? "done");
        return { ...assistantTurn(at + 1), ...turn, id: at + 1, state };
      });
    return { model: typeof saved.model === "string" ? saved.model : null, turns };
  } catch {
    return none;
  }
}
