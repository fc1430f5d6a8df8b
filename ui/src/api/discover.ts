// What the Discover page asks about records of any kind, and what it makes of the answers. Pure: bodies in, rows out.

import type { QueryLanguage } from "../lib/query";
import type { Span } from "../lib/range";
import { call } from "./call";
import { type Bucket, FAILED, histogram, REQUESTS, readSeries, total, within } from "./requests";
import {
  buckets,
  type Clause,
  field,
  type Hit,
  numberField,
  percentile,
  type SearchAnswer,
  type SearchBody,
  textField,
} from "./search";

export interface FieldInfo {
  name: string;
  type: string;
}

export async function fields(signal?: AbortSignal): Promise<FieldInfo[]> {
  return (await call("get", "/fields", { signal })).fields;
}

/** Which records, in which order, and what of them. */
export interface Question {
  /** Kind of the records; `all` means every kind. */
  scope: string;
  query: string;
  language: QueryLanguage;
  span: Span;
  sort: SortOrder;
  columns: string[];
}

export interface SortOrder {
  field: string;
  descending: boolean;
}

export const ALL_KINDS = "all";
export const REQUEST_KIND = "request";
export const NEWEST_FIRST: SortOrder = { field: "@timestamp", descending: true };

const USUAL_COLUMNS: Record<string, string[]> = {
  request: [
    "@timestamp",
    "http_status",
    "model_name",
    "user_id",
    "key_id",
    "input_tokens",
    "output_tokens",
    "token_efficiency",
    "duration_ms",
    "ttft_ms",
    "tags",
  ],
  log: ["@timestamp", "level", "source", "msg"],
};
const COLUMNS_OF_ALL = ["@timestamp", "kind", "level", "msg"];

/** What each row needs, whichever columns are shown. */
const ROW_BASICS = ["@timestamp", "kind", "seq", "request_id", "http_status", "cancelled", "error", "ttft_ms", "level"];

const COLUMNS_MAX = 50;
const FIELD_NAME = /^[@\w][\w.@:-]{0,199}$/;

export function usualColumns(scope: string): string[] {
  return USUAL_COLUMNS[scope] ?? COLUMNS_OF_ALL;
}

/** The columns that an address names (`a,b`); the usual ones of the scope when it names none. */
export function parseColumns(text: string | null, scope: string): string[] {
  const names = (text ?? "").split(",").filter((name) => FIELD_NAME.test(name));
  return names.length === 0 ? usualColumns(scope) : [...new Set(names)].slice(0, COLUMNS_MAX);
}

export function writeColumns(columns: string[], scope: string): string | null {
  return columns.join() === usualColumns(scope).join() ? null : columns.join();
}

/** `duration_ms:desc` as the address writes it. */
export function parseSort(text: string | null): SortOrder {
  const [, name = "", order] = /^(.*?)(?::(asc|desc))?$/.exec(text ?? "") ?? [];
  return FIELD_NAME.test(name) ? { field: name, descending: order !== "asc" } : NEWEST_FIRST;
}

export function writeSort(sort: SortOrder): string | null {
  const isDefault = sort.field === NEWEST_FIRST.field && sort.descending;
  return isDefault ? null : `${sort.field}:${sort.descending ? "desc" : "asc"}`;
}

/** The condition of a question, without its order. */
export function conditionOf({ scope, query, language, span }: Omit<Question, "sort" | "columns">): Clause {
  const filter: Clause[] = [...scopeFilter(scope, query), within(span)];
  if (query.trim() !== "") filter.push(language === "kql" ? { kql: { query } } : { query_string: { query } });
  return { bool: { filter } };
}

/** Requests are those of users, so that a number of another page leads to as many rows, unless the question is about whose they are. */
function scopeFilter(scope: string, query: string): Clause[] {
  if (scope === ALL_KINDS) return [];
  return scope === REQUEST_KIND && !/\borigin\s*:/.test(query) ? [REQUESTS] : [{ term: { kind: scope } }];
}

/** What counts as a failure among these records. */
function failures(scope: string): Clause {
  return scope === REQUEST_KIND ? FAILED : { terms: { level: ["error", "fatal"] } };
}

export function listBody(question: Question, widthMs: number, size: number): SearchBody {
  const { scope, span } = question;
  return {
    query: conditionOf(question),
    size,
    track_total_hits: true,
    sort: order(question.sort),
    _source: [...new Set([...ROW_BASICS, ...question.columns])],
    aggs: { over_time: { ...histogram(span, widthMs), aggs: { errors: { filter: failures(scope) } } } },
  };
}

/** The next records for a file, whole, behind the one at which the last part ended. */
export function exportBody(question: Question, size: number, after: unknown[] | null): SearchBody {
  const body: SearchBody = {
    query: conditionOf(question),
    size,
    track_total_hits: after === null,
    sort: order(question.sort),
  };
  return after === null ? body : { ...body, search_after: after };
}

function order(sort: SortOrder): NonNullable<SearchBody["sort"]> {
  return [{ [sort.field]: { order: sort.descending ? "desc" : "asc" } }, { seq: { order: "desc" } }];
}

export interface List {
  total: number;
  tookMs: number;
  hits: Hit[];
  series: Bucket[];
  span: Span;
  widthMs: number;
}

export function readList(answer: SearchAnswer, span: Span, widthMs: number): List {
  return {
    total: total(answer),
    tookMs: answer.took,
    hits: answer.hits.hits,
    series: readSeries(field(answer.aggregations, "over_time"), span, widthMs),
    span,
    widthMs,
  };
}

const SEQ = /^seq:(\d{1,18})$/;

/** How the address names a record: requests by their id, which people and programs know, the others by their number. */
export function nameOf(hit: Hit): string {
  const source = hit._source;
  const requestId = textField(source, "request_id");
  if (textField(source, "kind") === REQUEST_KIND && requestId !== null) return requestId;
  return `seq:${textField(source, "seq") ?? hit._id}`;
}

/** One record, whenever it was. */
export function recordBody(name: string): SearchBody {
  const seq = SEQ.exec(name)?.[1];
  const filter: Clause[] =
    seq === undefined ? [{ term: { kind: REQUEST_KIND } }, { term: { request_id: name } }] : [{ term: { seq: Number(seq) } }];
  return {
    query: { bool: { filter } },
    size: 1,
    track_total_hits: false,
    sort: [{ "@timestamp": { order: "desc" } }],
  };
}

/** What was written just before or after a record, of any kind. */
export function aroundBody(seq: number, before: boolean, size: number): SearchBody {
  return {
    query: { bool: { filter: [{ range: { seq: before ? { lt: seq } : { gt: seq } } }] } },
    size,
    track_total_hits: false,
    sort: [{ seq: { order: before ? "desc" : "asc" } }],
    _source: ["@timestamp", "kind", "seq", "request_id", "level", "msg", "source", "error", "http_status", "model_name"],
  };
}

export interface FieldValues {
  /** Records that have the field at all, and all records. */
  having: number;
  total: number;
  values: { value: string | number | boolean; count: number }[];
  /** Of numbers only. */
  spread: { min: number; median: number; p95: number; max: number } | null;
}

const VALUES_SHOWN = 10;
const NUMBERS = new Set(["long", "integer", "short", "byte", "double", "float", "half_float", "unsigned_long"]);

export function isNumber(type: string): boolean {
  return NUMBERS.has(type);
}

/** A text is searched by its words: it has no values that could be counted. */
export function hasValues(type: string): boolean {
  return type !== "text" && type !== "date";
}

export function valuesBody(condition: Clause, info: FieldInfo, size = VALUES_SHOWN): SearchBody {
  const numbers = isNumber(info.type)
    ? { spread: { percentiles: { field: info.name, percents: [0, 50, 95, 100] } } }
    : {};
  const values = hasValues(info.type) ? { values: { terms: { field: info.name, size } } } : {};
  return {
    query: condition,
    size: 0,
    track_total_hits: true,
    aggs: { having: { filter: { exists: { field: info.name } } }, ...values, ...numbers },
  };
}

export function readValues(answer: SearchAnswer): FieldValues {
  const aggs = answer.aggregations;
  const spread = field(aggs, "spread");
  const [min, median, p95, max] = [0, 50, 95, 100].map((percent) => percentile(spread, percent));
  const known = typeof min === "number" && typeof median === "number" && typeof p95 === "number";
  return {
    having: numberField(field(aggs, "having"), "doc_count") ?? 0,
    total: total(answer),
    values: buckets(field(aggs, "values")).flatMap((bucket) => {
      // A boolean's key is a number, and its words stand beside it.
      const word = field(bucket, "key_as_string");
      const key = word === "true" || word === "false" ? word === "true" : field(bucket, "key");
      const plain = typeof key === "string" || typeof key === "number" || typeof key === "boolean";
      return plain ? [{ value: key, count: numberField(bucket, "doc_count") ?? 0 }] : [];
    }),
    spread: known && typeof max === "number" ? { min, median, p95, max } : null,
  };
}

export interface Difference {
  field: string;
  value: string;
  /** Share of the records here that have it, and of all that they are compared with. */
  here: number;
  there: number;
  count: number;
  score: number;
}

/** The fields in which records differ in a way that tells something. */
const TELLING = [
  "model_name",
  "user_id",
  "key_id",
  "upstream",
  "path",
  "finish_reason",
  "error",
  "client_ip",
  "tags",
  "source",
  "level",
  "kind",
  "caller",
  "claimed_agent",
  "asked_model",
];
const DIFFERENCES_OF_A_FIELD = 3;

/** Which values are more frequent among the records of the condition than among those that they are compared with. */
export function differenceBody(condition: Clause, background: Clause): SearchBody {
  const aggs = TELLING.map((name) => {
    const significant = { field: name, size: DIFFERENCES_OF_A_FIELD, background_filter: background };
    return [name, { significant_terms: significant }] as const;
  });
  return { query: condition, size: 0, track_total_hits: true, aggs: Object.fromEntries(aggs) };
}

export function readDifferences(answer: SearchAnswer): Difference[] {
  const found = TELLING.flatMap((name) => {
    const aggregation = field(answer.aggregations, name);
    const here = numberField(aggregation, "doc_count") ?? 0;
    const there = numberField(aggregation, "bg_count") ?? 0;
    return buckets(aggregation).map((bucket): Difference => {
      const count = numberField(bucket, "doc_count") ?? 0;
      return {
        field: name,
        value: textField(bucket, "key") ?? "",
        here: here > 0 ? count / here : 0,
        there: there > 0 ? (numberField(bucket, "bg_count") ?? 0) / there : 0,
        count,
        score: numberField(bucket, "score") ?? 0,
      };
    });
  });
  return found.sort((a, b) => b.score - a.score);
}

/** One line that says what a record is about. */
export function headline(hit: Hit): string {
  const source = hit._source;
  const parts = [textField(source, "msg"), textField(source, "model_name"), textField(source, "error")];
  return parts.filter((part) => part !== null && part !== "").join(" · ");
}

