// How many tokens come out for those that go in: by group, by class, request by request. Pure: bodies in, rows out.

import type { Span } from "../lib/range";
import { histogram, metric, REQUESTS, type Row, ROW_FIELDS, readRow, starts, total, within } from "./requests";
import type { SortOrder } from "./discover";
import { type Agg, buckets, type Clause, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

/** By which the requests are put together. */
export const GROUPS = ["user", "key", "model", "family", "agent", "path"] as const;
export type Group = (typeof GROUPS)[number];

export const GROUP_FIELDS: Record<Group, string> = {
  user: "user_id",
  key: "key_id",
  model: "model_name",
  family: "prompt_family",
  agent: "claimed_agent",
  path: "path",
};

export function groupOf(text: string | null): Group {
  return GROUPS.find((group) => group === text) ?? "user";
}

/** Classes of the distribution: each from its own bound up to the next. */
export const CLASS_BOUNDS = [0, 0.1, 0.25, 0.5, 1, 2, 5, 10] as const;

/** Below this, a request brings little for what it asks the model to read. */
export const POOR_BELOW = 0.1;

const GROUPS_SHOWN = 20;
const ROWS_SHOWN = 50;
export const NO_GROUP = "(none)";

/** Sortable columns of the table. */
const COLUMNS = ["@timestamp", "input_tokens", "output_tokens", "token_efficiency", "duration_ms"];
export const WORST_FIRST: SortOrder = { field: "token_efficiency", descending: false };

export function parseOrder(text: string | null): SortOrder {
  const [name = "", order] = (text ?? "").split(":");
  return COLUMNS.includes(name) ? { field: name, descending: order !== "asc" } : WORST_FIRST;
}

export function writeOrder(sort: SortOrder): string | null {
  const isDefault = sort.field === WORST_FIRST.field && !sort.descending;
  return isDefault ? null : `${sort.field}:${sort.descending ? "desc" : "asc"}`;
}

function classRange(at: number): { gte: number; lt?: number } {
  const gte = CLASS_BOUNDS[at] ?? 0;
  const lt = CLASS_BOUNDS[at + 1];
  return lt === undefined ? { gte } : { gte, lt };
}

/** The class in Lucene, for the search box. */
export function classQuery(at: number): string {
  const { gte, lt } = classRange(at);
  return lt === undefined ? `token_efficiency:>=${gte}` : `token_efficiency:[${gte} TO ${lt}}`;
}

/** Only requests that were answered have an efficiency. */
function answered(span: Span): Clause {
  return { bool: { filter: [REQUESTS, within(span), { exists: { field: "token_efficiency" } }] } };
}

const TOKENS: Record<string, Agg> = {
  input: { sum: { field: "input_tokens" } },
  output: { sum: { field: "output_tokens" } },
};

export function efficiencyBody(span: Span, widthMs: number, group: Group, sort: SortOrder): SearchBody {
  const classes = CLASS_BOUNDS.map((_, at): [string, Clause] => [`c${at}`, { range: { token_efficiency: classRange(at) } }]);
  return {
    query: answered(span),
    size: ROWS_SHOWN,
    track_total_hits: true,
    sort: [{ [sort.field]: { order: sort.descending ? "desc" : "asc" } }, { seq: { order: "desc" } }],
    _source: ROW_FIELDS,
    aggs: {
      ...TOKENS,
      poor: { filter: { range: { token_efficiency: { gte: 0, lt: POOR_BELOW } } }, aggs: TOKENS },
      classes: { filters: { filters: Object.fromEntries(classes) } },
      over_time: { ...histogram(span, widthMs), aggs: TOKENS },
      groups: {
        terms: { field: GROUP_FIELDS[group], size: GROUPS_SHOWN, missing: NO_GROUP, order: { input: "desc" } },
        aggs: {
          ...TOKENS,
          poor: { filter: { range: { token_efficiency: { gte: 0, lt: POOR_BELOW } } } },
          duration: { avg: { field: "duration_ms" } },
        },
      },
    },
  };
}

export interface GroupRow {
  name: string;
  requests: number;
  input: number;
  output: number;
  poor: number;
  meanMs: number | null;
}

export interface Efficiency {
  total: number;
  input: number;
  output: number;
  poor: { requests: number; input: number };
  classes: number[];
  /** Output for each input token, by bucket; null where nothing was read. */
  series: (number | null)[];
  times: number[];
  groups: GroupRow[];
  rows: Row[];
  span: Span;
  widthMs: number;
}

export function readEfficiency(answer: SearchAnswer, span: Span, widthMs: number): Efficiency {
  const aggs = answer.aggregations;
  const poor = field(aggs, "poor");
  const classes = field(field(aggs, "classes"), "buckets");
  const found = new Map(buckets(field(aggs, "over_time")).map((bucket) => [numberField(bucket, "key"), bucket]));
  const times = starts(span, widthMs);
  return {
    total: total(answer),
    input: metric(aggs, "input") ?? 0,
    output: metric(aggs, "output") ?? 0,
    poor: { requests: numberField(poor, "doc_count") ?? 0, input: metric(poor, "input") ?? 0 },
    classes: CLASS_BOUNDS.map((_, at) => numberField(field(classes, `c${at}`), "doc_count") ?? 0),
    series: times.map((time) => ratio(metric(found.get(time), "output"), metric(found.get(time), "input"))),
    times,
    groups: buckets(field(aggs, "groups")).map(readGroup),
    rows: answer.hits.hits.map(readRow),
    span,
    widthMs,
  };
}

function readGroup(bucket: unknown): GroupRow {
  return {
    name: textField(bucket, "key") ?? NO_GROUP,
    requests: numberField(bucket, "doc_count") ?? 0,
    input: metric(bucket, "input") ?? 0,
    output: metric(bucket, "output") ?? 0,
    poor: numberField(field(bucket, "poor"), "doc_count") ?? 0,
    meanMs: metric(bucket, "duration"),
  };
}

export function ratio(output: number | null, input: number | null): number | null {
  return input === null || output === null || input <= 0 ? null : output / input;
}

