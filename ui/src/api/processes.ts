// Processes under supervision, and what the house's stores take on their disks.

import type { Span } from "../lib/range";
import { get, post } from "./base";
import { histogram, metric, starts, within } from "./requests";
import { buckets, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

export const ORDERS = ["start", "stop", "restart", "confirm"] as const;
export type Order = (typeof ORDERS)[number];

/** A word that does not change, with the figures that belong to it. */
export interface Why {
  code: string;
  exit?: number;
  signal?: number;
  times?: number;
  error?: string;
  place?: string;
  ms?: number;
  bytes?: number;
  limit_bytes?: number;
  percent?: number;
  limit_percent?: number;
}

export interface Process {
  name: string;
  state: string;
  since: string | null;
  pid: number | null;
  starts: number;
  /** The sentence in English, for what this console has no words. */
  reason: string | null;
  why: Why | null;
  /** Why a human is asked, while it is paused. */
  asked: Why | null;
  next_start: string | null;
  memory_bytes: number | null;
  memory_soft_bytes: number | null;
  memory_hard_bytes: number | null;
  pressure: number | null;
  pressure_limit: number | null;
  stop_ms: number;
  drain_ms: number;
  command: string[];
  needs: string[];
  upstreams: string[];
  critical: boolean;
}

export function processes(signal?: AbortSignal): Promise<{ processes: Process[] }> {
  return get<{ processes: Process[] }>("/processes", signal);
}

export function orderProcess(name: string, order: Order): Promise<Process> {
  return post<Process>(`/processes/${encodeURIComponent(name)}/${order}`, {});
}

/** Which orders fit where it is. */
export function ordersFor(state: string): Order[] {
  switch (state) {
    case "paused":
      return ["confirm", "stop"];
    case "stopped":
    case "failed":
      return ["start"];
    case "backoff":
      return ["start", "stop"];
    case "ready":
    case "starting":
      return ["restart", "stop"];
    default:
      return ["stop"];
  }
}

export interface Store {
  name: string;
  path: string;
  bytes: number;
  files: number;
  /** There is more than was looked at. */
  cut: boolean;
  limit_bytes: number | null;
  /** In how many days its budget is used up as things go; then the oldest goes. */
  limit_in_days: number | null;
  disk: string | null;
}

export interface StoreDisk {
  id: string;
  total_bytes: number;
  free_bytes: number;
  /** What all stores on it take. */
  store_bytes: number;
  /** What their budgets still allow. */
  may_grow_bytes: number;
  fits: boolean;
  full_in_days: number | null;
}

export interface Stores {
  at?: string;
  stores: Store[];
  disks: StoreDisk[];
}

export function stores(signal?: AbortSignal): Promise<Stores> {
  return get<Stores>("/stores", signal);
}

const STORES_MAX = 16;

/** Pressure, and what each store takes, over the range. */
export function resourcesBody(span: Span, widthMs: number): SearchBody {
  return {
    query: { bool: { filter: [{ terms: { kind: ["resource", "probe"] } }, within(span)] } },
    size: 0,
    track_total_hits: false,
    aggs: {
      pressure: { ...histogram(span, widthMs), aggs: { psi: { max: { field: "psi" } } } },
      stores: {
        terms: { field: "store", size: STORES_MAX, order: { _key: "asc" } },
        aggs: { over_time: { ...histogram(span, widthMs), aggs: { bytes: { max: { field: "store_bytes" } } } } },
      },
    },
  };
}

export interface Curve {
  name: string;
  values: (number | null)[];
}

export interface Resources {
  times: number[];
  pressure: (number | null)[];
  stores: Curve[];
  span: Span;
  widthMs: number;
}

export function readResources(answer: SearchAnswer, span: Span, widthMs: number): Resources {
  const times = starts(span, widthMs);
  const read = (aggregation: unknown, name: string) => {
    const found = new Map(buckets(aggregation).map((bucket) => [numberField(bucket, "key"), bucket]));
    return times.map((time) => metric(found.get(time), name));
  };
  return {
    times,
    pressure: read(field(answer.aggregations, "pressure"), "psi"),
    stores: buckets(field(answer.aggregations, "stores")).map((bucket) => ({
      name: textField(bucket, "key") ?? "",
      values: read(field(bucket, "over_time"), "bytes"),
    })),
    span,
    widthMs,
  };
}
