// Time ranges as the address names them (`now-1h`, ISO times), and the bucket widths that suit them.

import type { Zone } from "./format";

/** A range as written in the address. Both ends are date math on `now`, or ISO 8601 times. */
export interface TimeRange {
  from: string;
  to: string;
}

/** A range at one moment, in milliseconds since 1970; `live` says that its end is now. */
export interface Span {
  fromMs: number;
  toMs: number;
  live: boolean;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: Record<string, number> = { s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY };

export const PRESETS = ["15m", "1h", "6h", "24h", "7d"] as const;
export type Preset = (typeof PRESETS)[number];

export const DEFAULT_RANGE: TimeRange = { from: "now-1h", to: "now" };

export function presetRange(preset: Preset): TimeRange {
  return { from: `now-${preset}`, to: "now" };
}

export function presetOf(range: TimeRange): Preset | null {
  return PRESETS.find((preset) => range.to === "now" && range.from === `now-${preset}`) ?? null;
}

/** The range that an address names; what cannot be read gives the default. */
export function rangeOf(params: URLSearchParams, nowMs = Date.now()): TimeRange {
  const range = { from: params.get("from") ?? DEFAULT_RANGE.from, to: params.get("to") ?? DEFAULT_RANGE.to };
  const fromMs = momentOf(range.from, nowMs);
  const toMs = momentOf(range.to, nowMs);
  return fromMs !== null && toMs !== null && fromMs < toMs ? range : DEFAULT_RANGE;
}

export function resolve(range: TimeRange, nowMs: number): Span {
  const fromMs = momentOf(range.from, nowMs) ?? nowMs - HOUR;
  const toMs = momentOf(range.to, nowMs) ?? nowMs;
  return { fromMs: Math.min(fromMs, toMs - 1), toMs, live: range.to === "now" };
}

/** Milliseconds of `now`, `now-15m` or an ISO time; null when it is none of these. */
export function momentOf(text: string, nowMs: number): number | null {
  if (text === "now") return nowMs;
  const math = /^now-(\d{1,6})([smhdw])$/.exec(text);
  if (math) return nowMs - Number(math[1]) * (UNITS[math[2] ?? ""] ?? 0);
  if (!/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

const WIDTHS: readonly number[] = [
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  7 * DAY,
  30 * DAY,
];

/** No chart has more buckets than this. */
export const BUCKETS_MAX = 100;

/** The narrowest round bucket width, in milliseconds, that keeps the span within `BUCKETS_MAX` buckets. */
export function bucketWidth(span: Span): number {
  const length = span.toMs - span.fromMs;
  const round = WIDTHS.find((width) => length / width <= BUCKETS_MAX);
  return round ?? Math.ceil(length / BUCKETS_MAX / DAY) * DAY;
}

/** A width as `fixed_interval` writes it. */
export function fixedInterval(widthMs: number): string {
  return `${widthMs / SECOND}s`;
}

/** Begin of each bucket of the span, as `date_histogram` aligns them (to 1970, UTC). */
export function bucketStarts(span: Span, widthMs: number): number[] {
  const starts: number[] = [];
  for (let at = Math.floor(span.fromMs / widthMs) * widthMs; at <= span.toMs; at += widthMs) starts.push(at);
  return starts;
}

/** Value for `<input type="datetime-local">`, in the chosen zone. */
export function toLocalInput(ms: number, zone: Zone = "local"): string {
  const date = new Date(ms);
  if (zone === "utc") return date.toISOString().slice(0, 16);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The moment that `<input type="datetime-local">` names; NaN when it names none. */
export function fromLocalInput(text: string, zone: Zone): number {
  return new Date(zone === "utc" ? `${text}Z` : text).getTime();
}

/** What every page keeps of an address: range, zone, and whether it refreshes itself. */
export const SHARED = ["from", "to", "tz", "live"] as const;

export function sharedOf(params: URLSearchParams): Record<string, string | null> {
  return Object.fromEntries(SHARED.map((name) => [name, params.get(name)]));
}

export function zoneOf(params: URLSearchParams): Zone {
  return params.get("tz") === "utc" ? "utc" : "local";
}
