// Keys: listed, made, rotated, revoked, and what was used with them according to the records.

import type { Span } from "../lib/range";
import { get, post, send } from "./base";
import { FAILED, metric, REQUESTS, within } from "./requests";
import { buckets, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

export interface Key {
  id: string;
  name: string;
  user: string | null;
  role: string;
  models: string[];
  requests: number | null;
  per_ms: number | null;
  tokens: number | null;
  tokens_per_ms: number | null;
  concurrent: number | null;
  tokens_per_day: number | null;
  tokens_per_month: number | null;
  prompt_chars: number | null;
  priority: string;
  weight: number;
  allow: string[];
  created: string;
  expires: string | null;
  revoked: string | null;
  old_secrets_until: string[];
  state: string;
}

export interface ConfiguredKey {
  id: string;
  user: string | null;
  models: string[];
}

export interface KeyList {
  keys: Key[];
  configured: ConfiguredKey[];
}

/** What a new key is to be; what is left out is not limited, or as usual. */
export interface NewKey {
  name: string;
  user?: string;
  role?: string;
  models?: string[];
  requests?: number;
  per_ms?: number;
  tokens_per_day?: number;
  tokens_per_month?: number;
  concurrent?: number;
  prompt_chars?: number;
  priority?: string;
  allow?: string[];
  expires?: string;
}

/** With its secret, this once. */
export interface MadeKey extends Key {
  key: string;
}

export function keys(signal?: AbortSignal): Promise<KeyList> {
  return get<KeyList>("/keys", signal);
}

export function createKey(wanted: NewKey): Promise<MadeKey> {
  return post<MadeKey>("/keys", wanted);
}

export function rotateKey(id: string, overlap: string): Promise<MadeKey> {
  return post<MadeKey>(`/keys/${encodeURIComponent(id)}/rotate`, { overlap });
}

export async function revokeKey(id: string): Promise<void> {
  await send("POST", `/keys/${encodeURIComponent(id)}/revoke`);
}

export interface Usage {
  requests: number;
  failed: number;
  tokens: number;
  lastMs: number | null;
}

const KEYS_MAX = 1000;

export function usageBody(span: Span): SearchBody {
  return {
    query: { bool: { filter: [REQUESTS, within(span)] } },
    size: 0,
    track_total_hits: false,
    aggs: {
      keys: {
        terms: { field: "key_id", size: KEYS_MAX },
        aggs: {
          failed: { filter: FAILED },
          input: { sum: { field: "input_tokens" } },
          output: { sum: { field: "output_tokens" } },
          last: { max: { field: "@timestamp" } },
        },
      },
    },
  };
}

export function readUsage(answer: SearchAnswer): Map<string, Usage> {
  return new Map(
    buckets(field(answer.aggregations, "keys")).map((bucket) => [
      textField(bucket, "key") ?? "",
      {
        requests: numberField(bucket, "doc_count") ?? 0,
        failed: numberField(field(bucket, "failed"), "doc_count") ?? 0,
        tokens: (metric(bucket, "input") ?? 0) + (metric(bucket, "output") ?? 0),
        lastMs: metric(bucket, "last"),
      },
    ]),
  );
}
