// The questions that the pages ask about requests, and what they make of the answers. Pure: bodies in, rows out.

import type { PhaseTimes } from "../lib/phases";
import { BUCKETS_MAX, bucketStarts, fixedInterval, type Span } from "../lib/range";
import {
  type Agg,
  buckets,
  type Clause,
  field,
  type Hit,
  numberField,
  percentile,
  type SearchAnswer,
  type SearchBody,
  type Source,
  textField,
  textsField,
} from "./search";

/** Those of users: what the house asks its own models, to see whether they answer, is none of it. */
export const REQUESTS: Clause = {
  bool: { filter: [{ term: { kind: "request" } }], must_not: [{ terms: { origin: ["probe", "replay"] } }] },
};

/** The same condition as the tag `error_request`. */
export const FAILED: Clause = { bool: { must_not: [{ range: { http_status: { gte: 200, lte: 299 } } }] } };

/** Stands in the heat map for requests that never named a model (refused before). */
export const NO_MODEL = "(none)";

const MODELS_MAX = 12;
const STATUSES_MAX = 20;
const TOKEN_MODELS_MAX = 6;
const SLOWEST = 8;

/** What a table of requests needs. */
export const ROW_FIELDS = [
  "@timestamp",
  "request_id",
  "http_status",
  "model_name",
  "user_id",
  "key_id",
  "input_tokens",
  "output_tokens",
  "token_efficiency",
  "duration_ms",
  "ttft_ms",
  "queue_ms",
  "tags",
  "cancelled",
  "stream",
  "error",
];

export interface Row {
  id: string;
  requestId: string;
  atMs: number | null;
  status: number | null;
  model: string | null;
  user: string | null;
  key: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  efficiency: number | null;
  durationMs: number | null;
  ttftMs: number | null;
  tags: string[];
  cancelled: boolean;
  error: string | null;
}

export interface Bucket {
  startMs: number;
  count: number;
  errors: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface HeatCell {
  status: number;
  model: string;
  count: number;
  meanMs: number | null;
}

export interface TokenSeries {
  model: string;
  /** Input and output tokens together, one value a bucket. */
  values: number[];
  input: number;
  output: number;
}

export interface Overview {
  total: number;
  errors: number;
  durations: { p50: number | null; p95: number | null; p99: number | null };
  ttft: { p50: number | null; p95: number | null };
  inputTokens: number;
  outputTokens: number;
  tokensPerSecond: number | null;
  series: Bucket[];
  heat: HeatCell[];
  tokens: TokenSeries[];
  slowest: Row[];
  span: Span;
  widthMs: number;
}

export function overviewBody(span: Span, widthMs: number): SearchBody {
  return {
    query: { bool: { filter: [REQUESTS, within(span)] } },
    size: SLOWEST,
    track_total_hits: true,
    sort: [{ duration_ms: { order: "desc" } }],
    _source: ROW_FIELDS,
    aggs: {
      errors: { filter: FAILED },
      duration: { percentiles: { field: "duration_ms", percents: [50, 95, 99] } },
      ttft: { percentiles: { field: "ttft_ms", percents: [50, 95] } },
      input_tokens: { sum: { field: "input_tokens" } },
      output_tokens: { sum: { field: "output_tokens" } },
      tokens_per_second: { avg: { field: "tokens_per_second" } },
      over_time: {
        ...histogram(span, widthMs),
        aggs: {
          errors: { filter: FAILED },
          duration: { percentiles: { field: "duration_ms", percents: [50, 95, 99] } },
        },
      },
      heat: {
        terms: { field: "http_status", size: STATUSES_MAX, order: { _key: "asc" } },
        aggs: {
          models: {
            terms: { field: "model_name", size: MODELS_MAX, missing: NO_MODEL },
            aggs: { duration: { avg: { field: "duration_ms" } } },
          },
        },
      },
      tokens: {
        terms: { field: "model_name", size: TOKEN_MODELS_MAX, order: { output: "desc" } },
        aggs: {
          input: { sum: { field: "input_tokens" } },
          output: { sum: { field: "output_tokens" } },
          over_time: {
            ...histogram(span, widthMs),
            aggs: { input: { sum: { field: "input_tokens" } }, output: { sum: { field: "output_tokens" } } },
          },
        },
      },
    },
  };
}

/** The part of a question that makes the named figures of it, with its rows only where `rows` says so. */
export function partOf(body: SearchBody, names: readonly string[], rows = false): SearchBody {
  const { query, track_total_hits, aggs = {} } = body;
  const own = Object.fromEntries(Object.entries(aggs).filter(([name]) => names.includes(name)));
  const part = rows ? { ...body, aggs: own } : { query, track_total_hits, size: 0, aggs: own };
  if (names.length > 0) return part;
  const { aggs: _, ...bare } = part;
  return bare;
}

export function readOverview(answer: SearchAnswer, span: Span, widthMs: number): Overview {
  const aggs = answer.aggregations;
  const duration = field(aggs, "duration");
  const ttft = field(aggs, "ttft");
  return {
    total: total(answer),
    errors: numberField(field(aggs, "errors"), "doc_count") ?? 0,
    durations: { p50: percentile(duration, 50), p95: percentile(duration, 95), p99: percentile(duration, 99) },
    ttft: { p50: percentile(ttft, 50), p95: percentile(ttft, 95) },
    inputTokens: metric(aggs, "input_tokens") ?? 0,
    outputTokens: metric(aggs, "output_tokens") ?? 0,
    tokensPerSecond: metric(aggs, "tokens_per_second"),
    series: readSeries(field(aggs, "over_time"), span, widthMs),
    heat: readHeat(field(aggs, "heat")),
    tokens: buckets(field(aggs, "tokens")).map((bucket) => readTokens(bucket, span, widthMs)),
    slowest: answer.hits.hits.map(readRow),
    span,
    widthMs,
  };
}

/** The newest request of all: tells an empty range from an empty house. */
export function newestBody(): SearchBody {
  return {
    query: { bool: { filter: [REQUESTS] } },
    size: 1,
    track_total_hits: false,
    sort: [{ "@timestamp": { order: "desc" } }],
    _source: ["@timestamp"],
  };
}

export function readNewest(answer: SearchAnswer): number | null {
  const hit = answer.hits.hits[0];
  return hit === undefined ? null : timestamp(hit._source);
}

export function readRow(hit: Hit): Row {
  const source = hit._source;
  return {
    id: hit._id,
    requestId: textField(source, "request_id") ?? hit._id,
    atMs: timestamp(source),
    status: numberField(source, "http_status"),
    model: textField(source, "model_name"),
    user: textField(source, "user_id"),
    key: textField(source, "key_id"),
    inputTokens: numberField(source, "input_tokens"),
    outputTokens: numberField(source, "output_tokens"),
    efficiency: numberField(source, "token_efficiency"),
    durationMs: numberField(source, "duration_ms"),
    ttftMs: numberField(source, "ttft_ms"),
    tags: textsField(source, "tags"),
    cancelled: field(source, "cancelled") === true,
    error: textField(source, "error"),
  };
}

export function readPhaseTimes(source: Source): PhaseTimes {
  return {
    duration: numberField(source, "duration_ms"),
    queue: numberField(source, "queue_ms"),
    connect: numberField(source, "connect_ms"),
    load: numberField(source, "load_ms"),
    prefill: numberField(source, "prefill_ms"),
    ttft: numberField(source, "ttft_ms"),
    decode: numberField(source, "decode_ms"),
  };
}

export function timestamp(source: Source): number | null {
  const value = field(source, "@timestamp");
  if (typeof value === "number") return value;
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

export function within(span: Span): Clause {
  const gte = new Date(span.fromMs).toISOString();
  // A live range stays open: a record written this very moment is in.
  return { range: { "@timestamp": span.live ? { gte } : { gte, lte: new Date(span.toMs).toISOString() } } };
}

export function histogram(span: Span, widthMs: number): Agg {
  return {
    date_histogram: {
      field: "@timestamp",
      fixed_interval: fixedInterval(widthMs),
      min_doc_count: 0,
      extended_bounds: { min: span.fromMs, max: span.toMs },
    },
  };
}

/** The buckets of the span in order; those that the server left out are empty ones. */
export function readSeries(aggregation: unknown, span: Span, widthMs: number): Bucket[] {
  const found = new Map(buckets(aggregation).map((bucket) => [numberField(bucket, "key"), bucket]));
  return starts(span, widthMs).map((startMs) => {
    const bucket = found.get(startMs);
    const duration = field(bucket, "duration");
    return {
      startMs,
      count: numberField(bucket, "doc_count") ?? 0,
      errors: numberField(field(bucket, "errors"), "doc_count") ?? 0,
      p50: percentile(duration, 50),
      p95: percentile(duration, 95),
      p99: percentile(duration, 99),
    };
  });
}

function readHeat(aggregation: unknown): HeatCell[] {
  return buckets(aggregation).flatMap((byStatus) =>
    buckets(field(byStatus, "models")).map((byModel) => ({
      status: numberField(byStatus, "key") ?? 0,
      model: textField(byModel, "key") ?? NO_MODEL,
      count: numberField(byModel, "doc_count") ?? 0,
      meanMs: metric(byModel, "duration"),
    })),
  );
}

function readTokens(bucket: unknown, span: Span, widthMs: number): TokenSeries {
  const found = new Map(buckets(field(bucket, "over_time")).map((one) => [numberField(one, "key"), one]));
  const values = starts(span, widthMs).map((startMs) => {
    const one = found.get(startMs);
    return (metric(one, "input") ?? 0) + (metric(one, "output") ?? 0);
  });
  return {
    model: textField(bucket, "key") ?? NO_MODEL,
    values,
    input: metric(bucket, "input") ?? 0,
    output: metric(bucket, "output") ?? 0,
  };
}

export function starts(span: Span, widthMs: number): number[] {
  // One more than the limit: the first bucket may begin before the span.
  return bucketStarts(span, widthMs).slice(0, BUCKETS_MAX + 2);
}

export function metric(aggregations: unknown, name: string): number | null {
  return numberField(field(aggregations, name), "value");
}

export function total(answer: SearchAnswer): number {
  return answer.hits.total?.value ?? answer.hits.hits.length;
}
