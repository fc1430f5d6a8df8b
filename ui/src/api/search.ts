// Elasticsearch search bodies and answers, as far as the console uses them, and safe readers for what comes back.

import { call } from "./call";

export type Clause =
  | { term: Record<string, string | number | boolean> }
  | { range: Record<string, { gte?: string | number; gt?: number; lte?: string | number; lt?: string | number }> }
  | { exists: { field: string } }
  | { terms: Record<string, string[]> }
  | { query_string: { query: string } }
  | { kql: { query: string } }
  | { bool: { filter?: Clause[]; must_not?: Clause[] } };

export interface Agg {
  aggs?: Record<string, Agg>;
  date_histogram?: {
    field: string;
    fixed_interval: string;
    min_doc_count: 0;
    extended_bounds: { min: number; max: number };
  };
  significant_terms?: { field: string; size: number; background_filter: Clause };
  terms?: { field: string; size: number; missing?: string; order?: Record<string, "asc" | "desc"> };
  percentiles?: { field: string; percents: number[] };
  sum?: { field: string };
  avg?: { field: string };
  min?: { field: string };
  max?: { field: string };
  filter?: Clause;
  filters?: { filters: Record<string, Clause> };
}

export interface SearchBody {
  query: Clause;
  size: number;
  track_total_hits: boolean;
  sort?: Record<string, { order: "asc" | "desc" }>[];
  _source?: string[];
  search_after?: unknown[];
  aggs?: Record<string, Agg>;
}

/** A document as it came: fields are data, also one named `__proto__`. */
export type Source = Record<string, unknown>;

export interface Hit {
  _id: string;
  _index: string;
  _source: Source;
  /** Where the hit stands in the order, for `search_after`. */
  sort?: unknown[];
}

export interface SearchAnswer {
  took: number;
  hits: { total?: { value: number; relation: string }; hits: Hit[] };
  aggregations?: Record<string, unknown>;
}

export function search(body: SearchBody, signal?: AbortSignal): Promise<SearchAnswer> {
  // What a hit holds depends on what was asked.
  return call("post", "/search", { body, signal }) as Promise<unknown> as Promise<SearchAnswer>;
}

/** A property of an unknown value; inherited ones do not count. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

export function numberField(value: unknown, name: string): number | null {
  const found = field(value, name);
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

export function textField(value: unknown, name: string): string | null {
  const found = field(value, name);
  if (typeof found === "string") return found;
  return typeof found === "number" || typeof found === "boolean" ? String(found) : null;
}

export function textsField(value: unknown, name: string): string[] {
  const found = field(value, name);
  if (Array.isArray(found)) return found.filter((one): one is string => typeof one === "string");
  return typeof found === "string" ? [found] : [];
}

export function buckets(aggregation: unknown): unknown[] {
  const found = field(aggregation, "buckets");
  return Array.isArray(found) ? found : [];
}

/** One of the percentiles; null when there was nothing to measure. */
export function percentile(aggregation: unknown, percent: number): number | null {
  const values = field(aggregation, "values");
  return numberField(values, percent.toFixed(1)) ?? numberField(values, String(percent));
}
