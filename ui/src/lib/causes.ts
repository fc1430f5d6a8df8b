// The words of a verdict (docs/causes.md) and what they mean for people.

import type { TextKey } from "../i18n/en";

export type Tone = "ok" | "warn" | "fault";

interface Cause {
  text: TextKey;
  tone: Tone;
}

const CAUSES: Record<string, Cause> = {
  ok: { text: "cause.ok", tone: "ok" },
  running: { text: "cause.running", tone: "warn" },
  cancelled: { text: "cause.cancelled", tone: "warn" },
  interrupted: { text: "cause.interrupted", tone: "fault" },
  failed: { text: "cause.failed", tone: "fault" },
  refused_key: { text: "cause.refused_key", tone: "fault" },
  refused_guessing: { text: "cause.refused_guessing", tone: "fault" },
  refused_secret_in_address: { text: "cause.refused_secret_in_address", tone: "fault" },
  refused_role: { text: "cause.refused_role", tone: "fault" },
  refused_address: { text: "cause.refused_address", tone: "fault" },
  refused_model: { text: "cause.refused_model", tone: "fault" },
  refused_rate: { text: "cause.refused_rate", tone: "fault" },
  refused_budget: { text: "cause.refused_budget", tone: "fault" },
  refused_size: { text: "cause.refused_size", tone: "fault" },
  refused_crowded: { text: "cause.refused_crowded", tone: "fault" },
  refused_prompt: { text: "cause.refused_prompt", tone: "fault" },
  refused_context: { text: "cause.refused_context", tone: "fault" },
  refused_body: { text: "cause.refused_body", tone: "fault" },
  refused_path: { text: "cause.refused_path", tone: "fault" },
  body_incomplete: { text: "cause.body_incomplete", tone: "fault" },
  bad_request: { text: "cause.bad_request", tone: "fault" },
  unknown_model: { text: "cause.unknown_model", tone: "fault" },
  unsupported: { text: "cause.unsupported", tone: "fault" },
  unrecorded: { text: "cause.unrecorded", tone: "fault" },
  queue_full: { text: "cause.queue_full", tone: "fault" },
  upstream_unreachable: { text: "cause.upstream_unreachable", tone: "fault" },
  upstream_silent: { text: "cause.upstream_silent", tone: "fault" },
  upstream_slow: { text: "cause.upstream_slow", tone: "fault" },
  upstream_broken: { text: "cause.upstream_broken", tone: "fault" },
  upstream_busy: { text: "cause.upstream_busy", tone: "fault" },
  upstream_error: { text: "cause.upstream_error", tone: "fault" },
  out_of_memory: { text: "cause.out_of_memory", tone: "fault" },
  upstream_restarted: { text: "cause.upstream_restarted", tone: "fault" },
  truncated_by_server: { text: "cause.truncated_by_server", tone: "warn" },
  truncated_by_gateway: { text: "cause.truncated_by_gateway", tone: "warn" },
  gateway_slow: { text: "cause.gateway_slow", tone: "warn" },
  queue: { text: "cause.queue", tone: "warn" },
  connecting: { text: "cause.connecting", tone: "warn" },
  loading: { text: "cause.loading", tone: "warn" },
  prompt_reading: { text: "cause.prompt_reading", tone: "warn" },
  decoding_slow: { text: "cause.decoding_slow", tone: "warn" },
  decoding_spilled: { text: "cause.decoding_spilled", tone: "warn" },
  decoding_hot: { text: "cause.decoding_hot", tone: "warn" },
  decoding_shared: { text: "cause.decoding_shared", tone: "warn" },
  not_explained: { text: "cause.not_explained", tone: "warn" },
  upstream_waiting: { text: "cause.upstream_waiting", tone: "warn" },
  client_slow: { text: "cause.client_slow", tone: "warn" },
};

/** Null for a word of a later version, which then speaks for itself. */
export function causeOf(word: string): Cause | null {
  return Object.hasOwn(CAUSES, word) ? (CAUSES[word] ?? null) : null;
}
