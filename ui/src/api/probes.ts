// Probes: how the house's three layers are, what each probe found, and its history from the records.

import type { Span } from "../lib/range";
import { readSaid, type Said } from "../lib/said";
import { call, type Schemas } from "./call";
import { histogram, metric, starts, timestamp, within } from "./requests";
import { type Agg, buckets, type Clause, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

export type Colour = Schemas["Colour"];
export type Layer = Schemas["Layer"];
export type LayerLight = Schemas["LayerLight"];
export type Light = Schemas["Light"];
export type Probe = Schemas["Probe"];
export type ProbeResult = Schemas["ProbeResult"];
export type Probes = Schemas["ProbeBoard"];

export function probes(signal?: AbortSignal): Promise<Probes> {
  return call("get", "/probes", { signal });
}

/** Runs it now; one that takes long goes on by itself. */
export function runProbe(id: string): Promise<Probe> {
  return call("post", "/probes/{id}/run", { path: { id } });
}

/** What of a probe's records is worth a curve, by its kind. */
export interface CurveOf {
  field: string;
  unit: "ms" | "percent" | "share" | "number" | "days";
  /** One curve for each value of this field. */
  by?: string;
}

const CURVES: Record<string, CurveOf[]> = {
  model: [
    { field: "ttft_ms", unit: "ms" },
    { field: "duration_ms", unit: "ms" },
  ],
  quality: [{ field: "score", unit: "share", by: "test_type" }],
  disk: [{ field: "used_percent", unit: "percent" }],
  certificate: [{ field: "days_left", unit: "days" }],
  gpu: [
    { field: "gpu_memory_used_percent", unit: "percent" },
    { field: "gpu_utilisation", unit: "percent" },
  ],
  memory: [{ field: "memory_used_percent", unit: "percent" }],
  clock: [{ field: "skew_ms", unit: "ms" }],
};

const DURATION: CurveOf[] = [{ field: "duration_ms", unit: "ms" }];
const TYPES_MAX = 6;
const GPUS_MAX = 8;
const RESULTS_SHOWN = 20;

export function curvesOf(kind: string): CurveOf[] {
  return Object.hasOwn(CURVES, kind) ? (CURVES[kind] ?? DURATION) : DURATION;
}

/** The records of one probe. */
export function recordsOf(probe: Probe): Clause[] {
  return [{ term: { kind: "probe" } }, { term: { probe: probe.name } }, { term: { probe_kind: probe.kind } }];
}

export function historyBody(probe: Probe, span: Span, widthMs: number): SearchBody {
  const curves = curvesOf(probe.kind);
  const by = curves[0]?.by;
  const means = Object.fromEntries(curves.map((one): [string, Agg] => [one.field, { avg: { field: one.field } }]));
  const overTime = { ...histogram(span, widthMs), aggs: { ...means, wrong: { filter: { terms: { outcome: ["warn", "fault"] } } } } };
  const parts: Record<string, Agg> =
    by === undefined ? {} : { parts: { terms: { field: by, size: TYPES_MAX, order: { _key: "asc" } }, aggs: { over_time: overTime } } };
  return {
    query: { bool: { filter: [...recordsOf(probe), within(span)] } },
    size: RESULTS_SHOWN,
    track_total_hits: true,
    sort: [{ "@timestamp": { order: "desc" } }, { seq: { order: "desc" } }],
    aggs: { over_time: overTime, ...parts },
  };
}

export interface HistoryRow {
  seq: string;
  atMs: number | null;
  outcome: string;
  found: string;
  said: Said[];
  testType: string | null;
  durationMs: number | null;
}

export interface HistoryCurve {
  /** Field of the record, or the value by which the curves are told apart. */
  name: string;
  values: (number | null)[];
}

export interface History {
  total: number;
  times: number[];
  curves: HistoryCurve[];
  unit: CurveOf["unit"];
  /** Moments at which something was not well. */
  wrong: number[];
  rows: HistoryRow[];
  span: Span;
  widthMs: number;
}

export function readHistory(answer: SearchAnswer, probe: Probe, span: Span, widthMs: number): History {
  const wanted = curvesOf(probe.kind);
  const times = starts(span, widthMs);
  const byTime = (aggregation: unknown) =>
    new Map(buckets(aggregation).map((bucket) => [numberField(bucket, "key"), bucket]));
  const values = (found: Map<number | null, unknown>, name: string) => times.map((time) => metric(found.get(time), name));
  const all = byTime(field(answer.aggregations, "over_time"));
  const first = wanted[0] ?? { field: "duration_ms", unit: "ms" as const };
  const curves =
    first.by === undefined
      ? wanted.map((one) => ({ name: one.field, values: values(all, one.field) }))
      : buckets(field(answer.aggregations, "parts")).map((part) => ({
          name: textField(part, "key") ?? "",
          values: values(byTime(field(part, "over_time")), first.field),
        }));
  return {
    total: answer.hits.total?.value ?? answer.hits.hits.length,
    times,
    curves,
    unit: first.unit,
    wrong: times.filter((time) => (numberField(field(all.get(time), "wrong"), "doc_count") ?? 0) > 0),
    rows: answer.hits.hits.map((hit) => ({
      seq: textField(hit._source, "seq") ?? hit._id,
      atMs: timestamp(hit._source),
      outcome: textField(hit._source, "outcome") ?? "",
      found: textField(hit._source, "found") ?? textField(hit._source, "msg") ?? "",
      said: readSaid(field(hit._source, "said")),
      testType: textField(hit._source, "test_type"),
      durationMs: numberField(hit._source, "duration_ms"),
    })),
    span,
    widthMs,
  };
}

/** Records of what the machine had left: measured every few seconds, not events. */
export const SAMPLE_FIELDS = ["gpu_memory_used_bytes", "memory_available_bytes"];

/** GPU and memory over the range: of each GPU how full and how busy it was, and the machine's memory. */
export function machineBody(span: Span, widthMs: number): SearchBody {
  return {
    query: { bool: { filter: [{ terms: { kind: ["resource", "probe"] } }, within(span)] } },
    size: 0,
    track_total_hits: false,
    aggs: {
      memory: { ...histogram(span, widthMs), aggs: { used: { max: { field: "memory_used_percent" } } } },
      gpus: {
        terms: { field: "gpu", size: GPUS_MAX, order: { _key: "asc" } },
        aggs: {
          over_time: {
            ...histogram(span, widthMs),
            aggs: {
              memory: { max: { field: "gpu_memory_used_percent" } },
              busy: { avg: { field: "gpu_utilisation" } },
            },
          },
        },
      },
    },
  };
}

export interface MachineCurve {
  what: "memory" | "gpu_memory" | "gpu_busy";
  /** Which GPU; empty for the machine's memory. */
  gpu: string;
  values: (number | null)[];
}

export interface Machine {
  times: number[];
  curves: MachineCurve[];
  span: Span;
  widthMs: number;
}

export function readMachine(answer: SearchAnswer, span: Span, widthMs: number): Machine {
  const times = starts(span, widthMs);
  const read = (aggregation: unknown, name: string) => {
    const found = new Map(buckets(aggregation).map((bucket) => [numberField(bucket, "key"), bucket]));
    return times.map((time) => metric(found.get(time), name));
  };
  const curves: MachineCurve[] = [
    { what: "memory", gpu: "", values: read(field(answer.aggregations, "memory"), "used") },
    ...buckets(field(answer.aggregations, "gpus")).flatMap((bucket): MachineCurve[] => {
      const gpu = textField(bucket, "key") ?? "";
      const over = field(bucket, "over_time");
      return [
        { what: "gpu_memory", gpu, values: read(over, "memory") },
        { what: "gpu_busy", gpu, values: read(over, "busy") },
      ];
    }),
  ];
  return { times, curves: curves.filter(({ values }) => values.some((value) => value !== null)), span, widthMs };
}

/** How full a disk is, and when it will be full as things go. */
export interface Room {
  id: string;
  name: string;
  outcome: string;
  usedPercent: number | null;
  freeBytes: number | null;
  /** Days from the probe's last run; null when it does not fill. */
  fullInDays: number | null;
  fullAtMs: number | null;
}

const DAY_MS = 86_400_000;

export function rooms(list: Probe[]): Room[] {
  return list.flatMap((probe) => {
    if (probe.kind !== "disk" || probe.last === null) return [];
    const { fields, at, outcome } = probe.last;
    const days = numberField(fields, "full_in_days");
    const atMs = Date.parse(at);
    return [
      {
        id: probe.id,
        name: probe.name,
        outcome,
        usedPercent: numberField(fields, "used_percent"),
        freeBytes: numberField(fields, "free_bytes"),
        fullInDays: days,
        fullAtMs: days === null || Number.isNaN(atMs) ? null : atMs + days * DAY_MS,
      },
    ];
  });
}

export interface CertificateLeft {
  id: string;
  name: string;
  outcome: string;
  daysLeft: number;
}

/** Certificates, the one that ends first at the top. */
export function certificates(list: Probe[]): CertificateLeft[] {
  const found = list.flatMap((probe) => {
    if (probe.kind !== "certificate" || probe.last === null) return [];
    const daysLeft = numberField(probe.last.fields, "days_left");
    return daysLeft === null ? [] : [{ id: probe.id, name: probe.name, outcome: probe.last.outcome, daysLeft }];
  });
  return found.sort((a, b) => a.daysLeft - b.daysLeft);
}
