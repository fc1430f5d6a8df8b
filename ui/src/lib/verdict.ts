// The sentence of a verdict in other languages than English, in which the server says it: from the same records.

import type { Story } from "../api/story";
import { field, numberField, textField } from "../api/search";
import type { TextKey } from "../i18n/en";
import type { Format } from "./format";
import type { PhaseName } from "./phases";

export interface Sentence {
  text: TextKey;
  values: Record<string, string>;
}

/** What made a request slow, by the phase that took the most of it. */
const SLOW: Record<string, TextKey> = {
  queue: "told.queue",
  connecting: "told.connecting",
  loading: "told.loading",
  prompt_reading: "told.reading",
  decoding_slow: "told.decoding",
  decoding_spilled: "told.decoding",
  decoding_hot: "told.decoding",
  decoding_shared: "told.decoding",
  upstream_waiting: "told.waiting",
  gateway_slow: "told.gateway",
  client_slow: "told.client",
};

/** Null for a cause whose heading says all there is to say. */
export function sentenceOf(story: Story, format: Format): Sentence | null {
  const { record, verdict } = story;
  if (verdict === null) return null;
  const number = (name: string) => numberField(record, name);
  const total = format.duration(number("duration_ms"));
  const longest = story.phases.reduce<Story["phases"][number] | null>(
    (found, phase) => (found === null || phase.durationMs > found.durationMs ? phase : found),
    null,
  );
  const slow = Object.hasOwn(SLOW, verdict.cause) ? SLOW[verdict.cause] : undefined;
  if (slow !== undefined) {
    const took = format.duration(longest?.durationMs ?? null);
    const speed = format.decimal(number("tokens_per_second"), 1);
    const values = { took, total, speed, tokens: format.count(number("input_tokens")), others: String(story.neighbours.length) };
    return { text: slow, values };
  }
  switch (verdict.cause) {
    case "ok": {
      const [asked, model] = [textField(record, "asked_model"), textField(record, "model_name") ?? textField(record, "model")];
      return asked !== null && model !== null ? { text: "told.ok_other", values: { asked, model } } : { text: "told.ok", values: {} };
    }
    case "running":
      return { text: "told.running", values: {} };
    case "interrupted":
      return { text: "told.interrupted", values: {} };
    case "cancelled":
      return cancelled(number("output_tokens") ?? 0, total, longest?.name ?? null, format);
    case "truncated_by_gateway":
      return { text: "told.truncated_gateway", values: {} };
    case "truncated_by_server": {
      const values = { counted: format.count(number("prompt_tokens_counted")), read: format.count(number("input_tokens")) };
      return { text: "told.truncated_server", values };
    }
  }
  const error = field(record, "error");
  return typeof error === "string" && error !== "" ? { text: "told.error", values: { error } } : null;
}

function cancelled(tokens: number, time: string, longest: PhaseName | null, format: Format): Sentence {
  if (tokens > 0) return { text: "told.cancelled_writing", values: { time, tokens: format.count(tokens) } };
  return { text: longest === "queue" ? "told.cancelled_queue" : "told.cancelled", values: { time } };
}
