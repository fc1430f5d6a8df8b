// Alerts: rules and how they stand, incidents, channels, and what a rule would have told.

import type { Span } from "../lib/range";
import { get, post, put, send } from "./base";
import { histogram, metric, starts, within } from "./requests";
import { type Agg, buckets, field, numberField, percentile, type SearchAnswer, type SearchBody } from "./search";

export type Origin = "built-in" | "file" | "console";

export type RuleState = "calm" | "pending" | "firing" | "held" | "off" | "failing";

export interface RuleGroup {
  /** Value of the field by which the rule groups; empty when it groups by none. */
  group: string;
  state: string;
  since: string | null;
  value: number | null;
  shown: string | null;
  usual: number | null;
  last_told: string | null;
  incident: string | null;
}

export interface Rule {
  name: string;
  on: boolean;
  built_in: boolean;
  /** Who says what it is. */
  origin: Origin;
  /** What was saved of it on its page; `problem` says why that is not in force. */
  saved: { text: string; by: string; at: string; problem: string | null } | null;
  objective: { bad: string; goal: number; over: string } | null;
  state: RuleState;
  error: string | null;
  held_by: string | null;
  severity: string;
  query: string;
  measured: string;
  limit: string;
  baseline: string | null;
  within: string;
  group_by: string | null;
  for: string;
  samples: number;
  cooldown: string;
  resolve: string | null;
  quiet: { from: string; to: string; zone: string | null } | null;
  needs: string[];
  notify: string[] | null;
  escalate: { after: string; notify: string[] } | null;
  runbook: string | null;
  silenced_until: string | null;
  /** The rule as it stands in the configuration, in one line. */
  yaml: string;
  groups: RuleGroup[];
}

export interface Incident {
  id: string;
  rule: string;
  severity: string;
  state: "open" | "ended";
  title: string;
  text: string;
  groups: string[];
  figures: { name: string; value: string }[];
  worst: string[];
  runbook: string | null;
  link: string | null;
  began: string;
  ended: string | null;
  acknowledged: { at: string; by: string } | null;
  escalated: string | null;
  timeline: { at: string; text: string }[];
}

export interface Channel {
  name: string;
  kind: string;
  waiting: number;
  oldest: string | null;
}

export interface Report {
  name: string;
  at: string;
  zone: string | null;
  next: string;
  last: string | null;
}

export interface Alerts {
  rules: Rule[];
  incidents: Incident[];
  channels: Channel[];
  reports: Report[];
}

export function alerts(signal?: AbortSignal): Promise<Alerts> {
  return get<Alerts>("/alerts", signal);
}

/** Incidents that began before a moment. */
export function earlierIncidents(before: string, signal?: AbortSignal): Promise<{ incidents: Incident[]; more: boolean }> {
  return get(`/alerts/incidents?before=${encodeURIComponent(before)}&limit=50`, signal);
}

export function incident(id: string, signal?: AbortSignal): Promise<Incident> {
  return get(`/alerts/incidents/${encodeURIComponent(id)}`, signal);
}

export function acknowledge(id: string): Promise<Incident> {
  return post(`/alerts/incidents/${encodeURIComponent(id)}/acknowledge`, {});
}

export function silence(rule: string, time: string): Promise<unknown> {
  return post(`/alerts/${encodeURIComponent(rule)}/silence`, { for: time });
}

export function unsilence(rule: string): Promise<unknown> {
  return post(`/alerts/${encodeURIComponent(rule)}/unsilence`, {});
}

/** Keeps a rule beside those of the configuration's file. */
export function saveRule(name: string, rule: string): Promise<unknown> {
  return put(`/alerts/rules/${encodeURIComponent(name)}`, { rule });
}

export async function removeRule(name: string): Promise<void> {
  await send("DELETE", `/alerts/rules/${encodeURIComponent(name)}`);
}

export interface ChannelTest {
  ok: boolean;
  error: string | null;
  refused: string[];
}

export function testChannel(name: string): Promise<ChannelTest> {
  return post(`/alerts/channels/${encodeURIComponent(name)}/test`, {});
}

export interface Standing {
  group: string;
  all: number;
  bad: number;
  /** The share of the budget that is left; below zero when more is gone. */
  left: number;
  /** How many times too fast it goes, over an hour, six hours and three days. */
  rates: (number | null)[];
}

export interface Objective {
  rule: string;
  goal: number;
  over: string;
  bad: string;
  group_by: string | null;
  groups: Standing[];
  error: string | null;
}

export function objectives(signal?: AbortSignal): Promise<{ objectives: Objective[] }> {
  return get("/alerts/objectives", signal);
}

export interface ToldMessage {
  at: string;
  state: string;
  /** Each group with what was measured of it. */
  groups: [string, number | null][];
}

export interface Backtest {
  rule: string;
  days: number;
  fired: number;
  looks: number;
  messages: ToldMessage[];
  yaml: string;
}

/** What a rule's text would have told in the last days; an unreadable one is an error that says where. */
export function backtest(name: string, rule: string, days: number, signal?: AbortSignal): Promise<Backtest> {
  return post("/alerts/backtest", { name, rule, days }, signal);
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
