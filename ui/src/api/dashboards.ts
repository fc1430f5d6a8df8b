// Dashboards: kept by the server; what their panels ask, and what they make of the answers. Bodies in, figures out.

import type { QueryLanguage } from "../lib/query";
import { fixedInterval, type Span } from "../lib/range";
import { send } from "./base";
import { call } from "./call";
import { ALL_KINDS, conditionOf, parseSort, usualColumns } from "./discover";
import { NO_MODEL, total } from "./requests";
import type { Saved } from "./saved";
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
  textField,
} from "./search";

export const VIEWS = ["area", "line", "bars", "table", "heat", "number", "searches"] as const;
export type View = (typeof VIEWS)[number];

export const MEASURES = ["count", "avg", "sum", "min", "max", "p50", "p95", "p99"] as const;
export type Measure = (typeof MEASURES)[number];

export interface Panel {
  title: string;
  view: View;
  /** Id of a saved search whose records are shown. */
  saved: string;
  query: string;
  language: QueryLanguage;
  /** Kind of the records; empty means all. */
  scope: string;
  measure: Measure;
  field: string;
  by: string;
  across: string;
  /** Seconds a point; 0 means as many as fit. */
  interval_s: number;
  peaks: boolean;
  columns: string[];
  sort: string;
  /** Columns of the grid of 12, and rows. */
  width: number;
  height: number;
}

export interface Dashboard {
  name: string;
  panels: Panel[];
  from: string;
  to: string;
}

export interface KeptDashboard extends Dashboard {
  id: string;
  owner: string;
  changed_ms: number;
}

export interface ImportNote {
  line: number;
  kind: string;
  name: string;
  fate: "taken" | "changed" | "not taken";
  text: string;
}

export interface Imported {
  dashboards: Dashboard[];
  notes: ImportNote[];
}

export const WIDTH_MAX = 12;
export const HEIGHT_MAX = 12;
export const PANELS_MAX = 40;

export async function dashboards(signal?: AbortSignal): Promise<KeptDashboard[]> {
  return (await call("get", "/dashboards", { signal })).dashboards as KeptDashboard[];
}

export function keepDashboard(dashboard: Dashboard): Promise<KeptDashboard> {
  return call("post", "/dashboards", { body: plain(dashboard) }) as Promise<KeptDashboard>;
}

export function changeDashboard(id: string, dashboard: Dashboard): Promise<KeptDashboard> {
  return call("put", "/dashboards/{id}", { path: { id }, body: plain(dashboard) }) as Promise<KeptDashboard>;
}

export async function removeDashboard(id: string): Promise<void> {
  await call("delete", "/dashboards/{id}", { path: { id } });
}

/** Says what a file of Kibana's saved objects, or one of ours, would become. */
export async function importDashboards(file: Blob): Promise<Imported> {
  const answer = await send("POST", "/dashboards/import", file);
  return (await answer.json()) as Imported;
}

/** What is kept of a dashboard, and nothing else of the object at hand. */
export function plain({ name, panels, from, to }: Dashboard): Dashboard {
  return { name, panels, from, to };
}

export const NEW_PANEL: Panel = {
  title: "",
  view: "area",
  saved: "",
  query: "",
  language: "lucene",
  scope: "request",
  measure: "count",
  field: "",
  by: "",
  across: "",
  interval_s: 0,
  peaks: false,
  columns: [],
  sort: "",
  width: 6,
  height: 4,
};

/** The panel with the question of the saved search that it shows; null when that one is gone. */
export function withSaved(panel: Panel, saved: readonly Saved[]): Panel | null {
  if (panel.saved === "") return panel;
  const found = saved.find((one) => one.id === panel.saved);
  if (found === undefined) return null;
  const { query, language, scope } = found;
  const columns = panel.columns.length > 0 ? panel.columns : found.columns;
  return { ...panel, query, language, scope, columns, sort: panel.sort === "" ? found.sort : panel.sort };
}

const ROWS_MAX = 50;
const CURVES_MAX = 6;
const GROUPS_MAX = 30;
const HEAT_ROWS_MAX = 20;
const HEAT_COLUMNS_MAX = 12;
/** A curve of an own interval has at most so many points; a longer range gets wider ones. */
const POINTS_MAX = 1_500;

export function columnsOf(panel: Panel): string[] {
  return panel.columns.length > 0 ? panel.columns : usualColumns(panel.scope === "" ? ALL_KINDS : panel.scope);
}

/** Milliseconds a point. */
export function widthOf(panel: Panel, span: Span, usualMs: number): number {
  const own = panel.interval_s * 1_000;
  return own > 0 && (span.toMs - span.fromMs) / own <= POINTS_MAX ? own : usualMs;
}

export function panelCondition(panel: Panel, span: Span): Clause {
  const { query, language } = panel;
  return conditionOf({ scope: panel.scope === "" ? ALL_KINDS : panel.scope, query, language, span });
}

export function panelBody(panel: Panel, span: Span, widthMs: number): SearchBody {
  const base = { query: panelCondition(panel, span), size: 0, track_total_hits: true };
  const value = valueAgg(panel);
  switch (panel.view) {
    case "area":
    case "line":
    case "bars": {
      const overTime: Agg = {
        date_histogram: {
          field: "@timestamp",
          fixed_interval: fixedInterval(widthMs),
          min_doc_count: 0,
          extended_bounds: { min: span.fromMs, max: span.toMs },
        },
        ...value,
      };
      if (panel.by === "") return { ...base, aggs: { over_time: overTime } };
      const terms = { field: panel.by, size: CURVES_MAX };
      return { ...base, aggs: { curves: { terms, ...value, aggs: { ...value.aggs, over_time: overTime } } } };
    }
    case "heat":
      return {
        ...base,
        aggs: {
          rows: {
            terms: { field: panel.by, size: HEAT_ROWS_MAX },
            aggs: { cells: { terms: { field: panel.across, size: HEAT_COLUMNS_MAX }, ...value } },
          },
        },
      };
    case "number":
      return { ...base, ...value };
    case "table": {
      if (panel.by !== "") return { ...base, aggs: { groups: { terms: { field: panel.by, size: GROUPS_MAX }, ...value } } };
      const sort = parseSort(panel.sort);
      const order = [{ [sort.field]: { order: sort.descending ? "desc" : "asc" } }, { seq: { order: "desc" } }];
      const names = [...new Set([...columnsOf(panel), "@timestamp", "kind", "seq", "request_id"])];
      return { ...base, size: ROWS_MAX, sort: order as NonNullable<SearchBody["sort"]>, _source: names };
    }
    case "searches":
      return base;
  }
}

function valueAgg({ measure, field: name }: Panel): { aggs?: Record<string, Agg> } {
  switch (measure) {
    case "count":
      return {};
    case "avg":
      return { aggs: { value: { avg: { field: name } } } };
    case "sum":
      return { aggs: { value: { sum: { field: name } } } };
    case "min":
      return { aggs: { value: { min: { field: name } } } };
    case "max":
      return { aggs: { value: { max: { field: name } } } };
    case "p50":
    case "p95":
    case "p99":
      return { aggs: { value: { percentiles: { field: name, percents: [Number(measure.slice(1))] } } } };
  }
}

/** What a bucket says of what the panel measures. */
function valueIn(panel: Panel, bucket: unknown): number | null {
  if (panel.measure === "count") return numberField(bucket, "doc_count") ?? 0;
  const value = field(bucket, "value");
  if (panel.measure.startsWith("p")) return percentile(value, Number(panel.measure.slice(1)));
  return numberField(value, "value");
}

export interface Curve {
  name: string;
  values: (number | null)[];
}

/** The curves of an answer over the given times; one without a name where nothing tells them apart. */
export function readCurves(panel: Panel, answer: SearchAnswer, times: readonly number[]): Curve[] {
  const aggs = answer.aggregations;
  const none = panel.measure === "count" || panel.measure === "sum" ? 0 : null;
  const valuesOf = (histogram: unknown) => {
    const found = new Map(buckets(histogram).map((bucket) => [numberField(bucket, "key"), bucket]));
    return times.map((time) => {
      const bucket = found.get(time);
      return bucket === undefined ? none : (valueIn(panel, bucket) ?? none);
    });
  };
  if (panel.by === "") return [{ name: "", values: valuesOf(field(aggs, "over_time")) }];
  return buckets(field(aggs, "curves")).map((bucket) => ({
    name: textField(bucket, "key") ?? NO_MODEL,
    values: valuesOf(field(bucket, "over_time")),
  }));
}

export interface Cell {
  row: string;
  column: string;
  count: number;
  value: number | null;
}

export function readCells(panel: Panel, answer: SearchAnswer): Cell[] {
  return buckets(field(answer.aggregations, "rows")).flatMap((row) =>
    buckets(field(row, "cells")).map((cell) => ({
      row: textField(row, "key") ?? NO_MODEL,
      column: textField(cell, "key") ?? NO_MODEL,
      count: numberField(cell, "doc_count") ?? 0,
      value: valueIn(panel, cell),
    })),
  );
}

export interface Group {
  name: string;
  count: number;
  value: number | null;
}

export function readGroups(panel: Panel, answer: SearchAnswer): Group[] {
  return buckets(field(answer.aggregations, "groups")).map((bucket) => ({
    name: textField(bucket, "key") ?? NO_MODEL,
    count: numberField(bucket, "doc_count") ?? 0,
    value: valueIn(panel, bucket),
  }));
}

export function readNumber(panel: Panel, answer: SearchAnswer): number | null {
  if (panel.measure === "count") return total(answer);
  return valueIn(panel, answer.aggregations);
}

export function readHits(answer: SearchAnswer): Hit[] {
  return answer.hits.hits;
}
