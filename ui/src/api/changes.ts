// What changed in the house: starts, stops, reloads, changed keys, full disks. Marks on every time axis, and a list.

import type { Span } from "../lib/range";
import { SAMPLE_FIELDS } from "./probes";
import { timestamp, within } from "./requests";
import { type Clause, field, type SearchAnswer, type SearchBody, textField } from "./search";

/** Kinds of records that tell of a change; sign-ins are none. */
const KINDS = ["process", "config", "alert", "certificate", "resource", "audit"];
/** What the machine had left, measured every few seconds, is no change. */
const NO_CHANGE: Clause[] = SAMPLE_FIELDS.map((name) => ({ exists: { field: name } }));
/** The same records as a query of Discover. */
export const CHANGES_QUERY = `kind:(${KINDS.join(" OR ")})${SAMPLE_FIELDS.map((name) => ` AND NOT _exists_:${name}`).join("")}`;
const CHANGES_MAX = 100;
const SIGN_INS = ["console session opened", "console sign-in refused: wrong or expired token"];

export interface Change {
  seq: string;
  atMs: number;
  kind: string;
  level: string;
  text: string;
}

export function changesBody(span: Span): SearchBody {
  return {
    query: { bool: { filter: [{ terms: { kind: KINDS } }, within(span)], must_not: NO_CHANGE } },
    size: CHANGES_MAX,
    track_total_hits: false,
    sort: [{ "@timestamp": { order: "desc" } }, { seq: { order: "desc" } }],
    _source: ["@timestamp", "seq", "kind", "level", "msg", "source", "key_id", "changed", "error"],
  };
}

/** The newest first. */
export function readChanges(answer: SearchAnswer): Change[] {
  return answer.hits.hits.flatMap((hit) => {
    const source = hit._source;
    const atMs = timestamp(source);
    const msg = textField(source, "msg") ?? "";
    if (atMs === null || SIGN_INS.includes(msg)) return [];
    const changed = field(source, "changed");
    const named = Array.isArray(changed) ? changed.join(", ") : changed;
    const more = [textField(source, "source"), textField(source, "key_id"), named, textField(source, "error")];
    const text = [msg, ...more].filter((part) => typeof part === "string" && part !== "").join(" · ");
    const seq = textField(source, "seq") ?? hit._id;
    return [{ seq, atMs, kind: textField(source, "kind") ?? "", level: textField(source, "level") ?? "info", text }];
  });
}
