// What is expected of the next hours: requests and tokens with an interval, and whether the places will do.

import type { Span } from "../lib/range";
import { call, type Schemas } from "./call";

export type ForecastPoint = Schemas["ForecastPoint"];
export type ForecastSeries = Schemas["ForecastSeries"];
export type Forecast = Schemas["Forecast"];

export function forecast(signal?: AbortSignal): Promise<Forecast> {
  return call("get", "/forecast", { signal });
}

/** A forecast in the buckets of a chart. */
export interface Ahead {
  /** Begins of the buckets behind the last one that was measured. */
  times: number[];
  values: number[];
  low: number[];
  high: number[];
}

const HOUR_MS = 3_600_000;
/** The part of a chart that lies ahead is at most this share of what lies behind. */
const AHEAD_SHARE = 0.34;

/**
 * What is expected of each bucket behind `lastMs`. The points are of one hour each; a narrower bucket gets its part of
 * the hour it lies in, drawn evenly between the middles of the hours.
 */
export function ahead(points: ForecastPoint[], span: Span, widthMs: number, lastMs: number): Ahead {
  const known = points.flatMap((point) => {
    const begin = Date.parse(point.at);
    return Number.isNaN(begin) ? [] : [{ middle: begin + HOUR_MS / 2, point }];
  });
  const first = known[0];
  const last = known.at(-1);
  const found: Ahead = { times: [], values: [], low: [], high: [] };
  if (first === undefined || last === undefined) return found;
  const end = Math.min(lastMs + (span.toMs - span.fromMs) * AHEAD_SHARE, last.middle + HOUR_MS / 2);
  const share = widthMs / HOUR_MS;
  for (let at = lastMs + widthMs; at < end; at += widthMs) {
    const middle = Math.min(Math.max(at + widthMs / 2, first.middle), last.middle);
    const next = Math.max(known.findIndex((one) => one.middle >= middle), 0);
    const right = known[next] ?? last;
    const left = known[Math.max(next - 1, 0)] ?? first;
    const way = right.middle === left.middle ? 0 : (middle - left.middle) / (right.middle - left.middle);
    const between = (read: (point: ForecastPoint) => number) =>
      Math.max(0, (read(left.point) + (read(right.point) - read(left.point)) * way) * share);
    found.times.push(at);
    found.values.push(between((point) => point.value));
    found.low.push(between((point) => point.low));
    found.high.push(between((point) => point.high));
  }
  return found;
}
