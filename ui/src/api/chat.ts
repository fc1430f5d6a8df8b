// One streamed answer of a model of which nothing is kept, as OpenAI's API sends it.

import { EventReader } from "../lib/sse";
import { ApiError, send } from "./base";
import { field, numberField } from "./search";

export type ContentPart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string | ContentPart[];
}

export type ChatPart =
  | { kind: "text"; text: string }
  | { kind: "thinking"; text: string }
  | { kind: "usage"; inputTokens: number | null; outputTokens: number | null }
  | { kind: "finish"; reason: string };

export interface ChatStream {
  /** Name of the request in the journal, for the link to its record. */
  requestId: string | null;
  parts: AsyncGenerator<ChatPart>;
}

export async function chat(
  model: string,
  messages: ChatMessage[],
  options: Record<string, number | string>,
  signal: AbortSignal,
): Promise<ChatStream> {
  const body = { ...options, model, messages, stream: true, stream_options: { include_usage: true } };
  const answer = await send("POST", "/chat", body, signal);
  if (answer.body === null) throw new ApiError(answer.status, "the answer has no body", null);
  return { requestId: answer.headers.get("x-request-id"), parts: parts(answer.body) };
}

async function* parts(body: ReadableStream<Uint8Array>): AsyncGenerator<ChatPart> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const data of events.push(decoder.decode(value, { stream: true }))) {
        if (data === "[DONE]") whole = true;
        else yield* partsOf(JSON.parse(data));
      }
    }
  } finally {
    reader.releaseLock();
  }
  if (!whole) throw new ApiError(502, "the answer broke off", null);
}

/** What one chunk of the stream says. */
export function* partsOf(chunk: unknown): Generator<ChatPart> {
  const error = field(chunk, "error");
  if (error !== undefined) {
    const message = typeof error === "string" ? error : field(error, "message");
    throw new ApiError(503, typeof message === "string" ? message : "the model gave an error", null);
  }
  const choices = field(chunk, "choices");
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const delta = field(choice, "delta");
  // Servers do not agree on the name of the thoughts.
  const thinking = field(delta, "reasoning_content") ?? field(delta, "reasoning") ?? field(delta, "thinking");
  if (typeof thinking === "string" && thinking !== "") yield { kind: "thinking", text: thinking };
  const text = field(delta, "content");
  if (typeof text === "string" && text !== "") yield { kind: "text", text };
  const reason = field(choice, "finish_reason");
  if (typeof reason === "string") yield { kind: "finish", reason };
  const usage = field(chunk, "usage");
  if (typeof usage === "object" && usage !== null) {
    yield {
      kind: "usage",
      inputTokens: numberField(usage, "prompt_tokens"),
      outputTokens: numberField(usage, "completion_tokens"),
    };
  }
}
