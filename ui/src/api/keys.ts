// Keys: listed, made, rotated, revoked, and what was used with them according to the records.

import type { Span } from "../lib/range";
import { call, type Schemas } from "./call";
import { FAILED, metric, REQUESTS, within } from "./requests";
import { buckets, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

export type Key = Schemas["Key"];
export type ConfiguredKey = Schemas["ConfiguredKey"];
export type KeyList = Schemas["Keys"];

/** What a new key is to be; what is left out is not limited, or as usual. */
export type NewKey = Schemas["NewKey"];
/** With its secret, this once. */
export type MadeKey = Schemas["MadeKey"];

export function keys(signal?: AbortSignal): Promise<KeyList> {
  return call("get", "/keys", { signal });
}

export function createKey(wanted: NewKey): Promise<MadeKey> {
  return call("post", "/keys", { body: wanted });
}

export function rotateKey(id: string, overlap: string): Promise<MadeKey> {
  return call("post", "/keys/{id}/rotate", { path: { id }, body: { overlap } });
}

export async function revokeKey(id: string): Promise<void> {
  await call("post", "/keys/{id}/revoke", { path: { id } });
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
