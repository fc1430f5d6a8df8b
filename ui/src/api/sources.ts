// What came from each source of log lines, according to the records. Pure: bodies in, rows out.

import type { Span } from "../lib/range";
import { histogram, metric, starts, total, within } from "./requests";
import { buckets, field, numberField, type SearchAnswer, type SearchBody, textField } from "./search";

const SOURCES_MAX = 200;

export interface SourceRow {
  name: string;
  lines: number;
  errors: number;
  warnings: number;
  /** Lines that could not be read as their format, and are kept as they came. */
  unread: number;
  lastMs: number | null;
  /** Lines by bucket of the span. */
  series: number[];
}

export interface Sources {
  total: number;
  rows: SourceRow[];
}

export function sourcesBody(span: Span, widthMs: number): SearchBody {
  return {
    query: { bool: { filter: [{ term: { kind: "log" } }, within(span)] } },
    size: 0,
    track_total_hits: true,
    aggs: {
      sources: {
        terms: { field: "source", size: SOURCES_MAX },
        aggs: {
          errors: { filter: { terms: { level: ["error", "fatal"] } } },
          warnings: { filter: { term: { level: "warn" } } },
          unread: { filter: { exists: { field: "ingest_error" } } },
          last: { max: { field: "@timestamp" } },
          over_time: histogram(span, widthMs),
        },
      },
    },
  };
}

export function readSources(answer: SearchAnswer, span: Span, widthMs: number): Sources {
  const times = starts(span, widthMs);
  const count = (bucket: unknown, name: string) => numberField(field(bucket, name), "doc_count") ?? 0;
  const rows = buckets(field(answer.aggregations, "sources")).map((bucket): SourceRow => {
    const found = new Map(
      buckets(field(bucket, "over_time")).map((one) => [numberField(one, "key"), numberField(one, "doc_count") ?? 0]),
    );
    return {
      name: textField(bucket, "key") ?? "",
      lines: numberField(bucket, "doc_count") ?? 0,
      errors: count(bucket, "errors"),
      warnings: count(bucket, "warnings"),
      unread: count(bucket, "unread"),
      lastMs: metric(bucket, "last"),
      series: times.map((time) => found.get(time) ?? 0),
    };
  });
  return { total: total(answer), rows };
}
