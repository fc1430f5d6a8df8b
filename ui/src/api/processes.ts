// Processes under supervision, and what the house's stores take on their disks.

import type { Span } from "../lib/range";
import { call, type Schemas } from "./call";
import { histogram, metric, starts, within } from "./requests";
import { buckets, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

export const ORDERS = ["start", "stop", "restart", "confirm"] as const;
export type Order = (typeof ORDERS)[number];

/** A word that does not change, with the figures that belong to it. */
export type Why = Schemas["Why"];
export type Process = Schemas["Process"];

export async function processes(signal?: AbortSignal): Promise<{ processes: Process[] }> {
  return call("get", "/processes", { signal });
}

export function orderProcess(name: string, order: Order): Promise<Process> {
  return call("post", `/processes/{name}/${order}`, { path: { name } });
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

export type Store = Schemas["Store"];
export type StoreDisk = Schemas["StoreDisk"];
export type Stores = Schemas["Stores"];

export function stores(signal?: AbortSignal): Promise<Stores> {
  return call("get", "/stores", { signal });
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
