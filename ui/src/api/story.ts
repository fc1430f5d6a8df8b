// The whole story of one request, as the server tells it.

import type { Phase, PhaseName } from "../lib/phases";
import { call } from "./call";
import { field, numberField, type SearchBody, type Source, textField } from "./search";

export interface Attempt {
  number: number;
  /** Known of the last one only: the record tells how many there were before. */
  upstream: string | null;
  connectMs: number | null;
  error: string | null;
}

export interface StoryLine {
  atMs: number | null;
  source: string;
  level: string | null;
  msg: string;
  /** By which id it belongs to the request: `request_id` or `trace_id`. */
  by: string | null;
  record: Source;
}

export interface Neighbour {
  requestId: string;
  model: string | null;
  upstream: string | null;
  /** Begin of it, counted from the begin of the request; may lie before it. */
  startMs: number;
  durationMs: number;
}

export interface Story {
  found: boolean;
  /** How it ended, or how it began while it runs. */
  record: Source;
  records: Source[];
  attempts: Attempt[];
  lines: StoryLine[];
  neighbours: Neighbour[];
  phases: Phase[];
  /** The searches whose answers all this is, by what each was for. */
  queries: Record<string, SearchBody>;
  verdict: { cause: string; text: string; rule: string; ruleName: string; confidence: number } | null;
}

export async function story(requestId: string, signal?: AbortSignal): Promise<Story> {
  return readStory(await call("get", "/requests/{id}/story", { path: { id: requestId }, signal }));
}

export function readStory(answer: unknown): Story {
  const records = list(answer, "records").filter(isSource);
  const end = records.findLast((record) => textField(record, "kind") === "request");
  const verdict = field(answer, "verdict");
  const cause = textField(verdict, "cause");
  return {
    found: field(answer, "found") === true,
    record: end ?? records[0] ?? {},
    records,
    attempts: list(answer, "attempts").map(readAttempt),
    lines: list(answer, "lines").map(readLine),
    neighbours: list(answer, "neighbours").flatMap(readNeighbour),
    phases: list(answer, "phases").flatMap(readPhase),
    queries: readQueries(field(answer, "queries")),
    verdict:
      cause === null
        ? null
        : {
            cause,
            text: textField(verdict, "text") ?? "",
            rule: textField(verdict, "rule") ?? "",
            ruleName: textField(verdict, "rule_name") ?? "",
            confidence: numberField(verdict, "confidence") ?? 0,
          },
  };
}

/** They are written by the house and only copied here, never looked into. */
function readQueries(queries: unknown): Record<string, SearchBody> {
  return isSource(queries) ? (queries as Record<string, SearchBody>) : {};
}

function list(value: unknown, name: string): unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}

function isSource(value: unknown): value is Source {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readAttempt(value: unknown, at: number): Attempt {
  return {
    number: numberField(value, "number") ?? at + 1,
    upstream: textField(value, "upstream"),
    connectMs: numberField(value, "connect_ms"),
    error: textField(value, "error"),
  };
}

function readLine(value: unknown): StoryLine {
  const record = field(value, "record");
  const at = Date.parse(textField(value, "ts") ?? "");
  return {
    atMs: Number.isNaN(at) ? null : at,
    source: textField(value, "source") ?? "",
    level: textField(value, "level"),
    msg: textField(value, "msg") ?? "",
    by: textField(value, "by"),
    record: isSource(record) ? record : {},
  };
}

function readNeighbour(value: unknown): Neighbour[] {
  const requestId = textField(value, "request_id");
  const startMs = numberField(value, "start_ms");
  const durationMs = numberField(value, "duration_ms");
  if (requestId === null || startMs === null || durationMs === null) return [];
  return [{ requestId, model: textField(value, "model"), upstream: textField(value, "upstream"), startMs, durationMs }];
}

/** The server's words for the phases, and those of the console. */
const PHASE_NAMES: Record<string, PhaseName> = {
  gateway: "gateway",
  queue: "queue",
  connect: "connect",
  server: "server",
  load: "load",
  read: "prefill",
  prefill: "prefill",
  wait: "wait",
  write: "decode",
  decode: "decode",
  network: "rest",
  rest: "rest",
};

function readPhase(value: unknown): Phase[] {
  const name = PHASE_NAMES[textField(value, "name") ?? ""];
  const startMs = numberField(value, "start_ms");
  const durationMs = numberField(value, "duration_ms");
  return name === undefined || startMs === null || durationMs === null ? [] : [{ name, startMs, durationMs }];
}
