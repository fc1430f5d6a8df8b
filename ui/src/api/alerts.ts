// Alerts: rules and how they stand, incidents, channels, and what a rule would have told.

import type { Span } from "../lib/range";
import { call, type Schemas } from "./call";
import { histogram, metric, starts, within } from "./requests";
import { type Agg, buckets, field, numberField, percentile, type SearchAnswer, type SearchBody } from "./search";

export type Rule = Schemas["AlertRule"];
export type RuleGroup = Schemas["RuleGroup"];
export type Incident = Schemas["Incident"];
export type Channel = Schemas["Channel"];
export type Report = Schemas["Report"];
export type Alerts = Schemas["AlertList"];
export type ChannelTest = Schemas["ChannelTest"];
export type Objective = Schemas["Objective"];
export type Standing = Schemas["Standing"];
export type Backtest = Schemas["BacktestResult"];

export function alerts(signal?: AbortSignal): Promise<Alerts> {
  return call("get", "/alerts", { signal });
}

const EARLIER_AT_ONCE = 50;

/** Incidents that began before a moment. */
export function earlierIncidents(before: string, signal?: AbortSignal): Promise<Schemas["Incidents"]> {
  return call("get", "/alerts/incidents", { query: { before, limit: String(EARLIER_AT_ONCE) }, signal });
}

export function incident(id: string, signal?: AbortSignal): Promise<Incident> {
  return call("get", "/alerts/incidents/{id}", { path: { id }, signal });
}

export function acknowledge(id: string): Promise<Incident> {
  return call("post", "/alerts/incidents/{id}/acknowledge", { path: { id } });
}

export function silence(rule: string, time: string): Promise<unknown> {
  return call("post", "/alerts/{rule}/silence", { path: { rule }, body: { for: time } });
}

export function unsilence(rule: string): Promise<unknown> {
  return call("post", "/alerts/{rule}/unsilence", { path: { rule } });
}

/** Keeps a rule beside those of the configuration's file. */
export function saveRule(rule: string, text: string): Promise<unknown> {
  return call("put", "/alerts/rules/{rule}", { path: { rule }, body: { rule: text } });
}

export async function removeRule(rule: string): Promise<void> {
  await call("delete", "/alerts/rules/{rule}", { path: { rule } });
}

export function testChannel(channel: string): Promise<ChannelTest> {
  return call("post", "/alerts/channels/{channel}/test", { path: { channel } });
}

export function objectives(signal?: AbortSignal): Promise<Schemas["Objectives"]> {
  return call("get", "/alerts/objectives", { signal });
}

/** What a rule's text would have told in the last days; an unreadable one is an error that says where. */
export function backtest(name: string, rule: string, days: number, signal?: AbortSignal): Promise<Backtest> {
  return call("post", "/alerts/backtest", { body: { name, rule, days }, signal });
}

/** What a rule measures, as far as a chart can draw it. */
export interface Measured {
  query: string;
  measure: "count" | "sum" | "average" | "percentile";
  field: string;
  percent: number;
}

/** Reads query and measure from a rule's text; null when it names no query. */
export function measuredOf(yaml: string): Measured | null {
  const query = valueOf(yaml, "query");
  if (query === null) return null;
  for (const measure of ["sum", "average", "percentile"] as const) {
    const name = valueOf(yaml, measure);
    if (name !== null) return { query, measure, field: name, percent: Number(valueOf(yaml, "percent") ?? 95) };
  }
  // Of an objective the bad ones are drawn.
  const bad = valueOf(yaml, "bad");
  return { query: bad === null ? query : `(${query}) AND (${bad})`, measure: "count", field: "", percent: 0 };
}

/** A plain or quoted scalar behind `key:`, in flow or block style. */
function valueOf(yaml: string, key: string): string | null {
  const found = new RegExp(`(?:^|[{,\\n])\\s*${key}:\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|'((?:[^']|'')*)'|([^,}\\n]+))`).exec(yaml);
  if (found === null) return null;
  const [, double, single, plain] = found;
  if (double !== undefined) return double.replace(/\\(.)/g, "$1");
  const text = single?.replaceAll("''", "'") ?? plain?.trim() ?? "";
  return text === "" || text === "null" ? null : text;
}

export function measuredBody(measured: Measured, span: Span, widthMs: number): SearchBody {
  const own: Record<string, Agg> =
    measured.measure === "sum"
      ? { value: { sum: { field: measured.field } } }
      : measured.measure === "average"
        ? { value: { avg: { field: measured.field } } }
        : measured.measure === "percentile"
          ? { value: { percentiles: { field: measured.field, percents: [measured.percent] } } }
          : {};
  return {
    query: { bool: { filter: [{ query_string: { query: measured.query } }, within(span)], must_not: [{ term: { kind: "alert" } }] } },
    size: 0,
    track_total_hits: false,
    aggs: { over_time: { ...histogram(span, widthMs), aggs: own } },
  };
}

export interface Curve {
  times: number[];
  values: (number | null)[];
  span: Span;
  widthMs: number;
}

export function readMeasured(answer: SearchAnswer, measured: Measured, span: Span, widthMs: number): Curve {
  const found = new Map(buckets(field(answer.aggregations, "over_time")).map((bucket) => [numberField(bucket, "key"), bucket]));
  const times = starts(span, widthMs);
  const values = times.map((time) => {
    const bucket = found.get(time);
    if (measured.measure === "count") return numberField(bucket, "doc_count") ?? 0;
    if (measured.measure === "percentile") return percentile(field(bucket, "value"), measured.percent);
    return metric(bucket, "value");
  });
  return { times, values, span, widthMs };
}

/** What stands in the configuration file to keep a rule so. */
export function asConfiguration(name: string, yaml: string): string {
  const text = yaml.trim();
  const key = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  if (text.startsWith("{") || !text.includes("\n")) return `alerts:\n  ${key}: ${text}\n`;
  const lines = text.split("\n").map((line) => `    ${line}`.trimEnd());
  return `alerts:\n  ${key}:\n${lines.join("\n")}\n`;
}
