// Finds out what is being typed in a search box at the caret: the name of a field, or a value of one.

import { quote } from "./lucene";
import type { QueryLanguage } from "./query";

export type Typed =
  | { kind: "field"; prefix: string; start: number }
  | { kind: "value"; field: string; prefix: string; start: number };

/** What a suggestion puts in the place of what was typed. */
export interface Suggestion {
  label: string;
  /** Type of a field, or how often a value is there. */
  note: string;
  insert: string;
}

const VALUE = /(?:^|[\s(!+-])([@\w][\w.@-]*)\s*:\s*((?:"(?:[^"\\]|\\.)*)|[^\s"()[\]{}<>:]*)$/;
const FIELD = /(?:^|[\s(!+-])([@\w][\w.@-]*)?$/;
const KEYWORDS: Record<QueryLanguage, string[]> = { lucene: ["AND", "OR", "NOT"], kql: ["and", "or", "not"] };
export const SUGGESTIONS_MAX = 12;

export function typedAt(text: string, caret: number): Typed | null {
  const before = text.slice(0, caret);
  const value = VALUE.exec(before);
  if (value !== null) {
    const raw = value[2] ?? "";
    const prefix = raw.startsWith('"') ? raw.slice(1).replace(/\\(.)/g, "$1") : raw;
    return { kind: "value", field: value[1] ?? "", prefix, start: caret - raw.length };
  }
  // A quote that is open without a field before it holds words.
  const quotes = before.replace(/\\./g, "").split('"').length - 1;
  const field = quotes % 2 === 0 ? FIELD.exec(before) : null;
  if (field === null) return null;
  const prefix = field[1] ?? "";
  return { kind: "field", prefix, start: caret - prefix.length };
}

/** Fields whose names begin with what was typed, then those that contain it. */
export function suggestFields(
  prefix: string,
  fields: readonly { name: string; type: string }[],
  language: QueryLanguage,
): Suggestion[] {
  const wanted = prefix.toLowerCase();
  const begins = fields.filter(({ name }) => name.toLowerCase().startsWith(wanted));
  const contains = fields.filter(({ name }) => name.toLowerCase().indexOf(wanted) > 0);
  const names = [...begins, ...contains].map(({ name, type }) => ({
    label: name,
    note: type,
    insert: language === "kql" ? `${name}: ` : `${name}:`,
  }));
  const words = KEYWORDS[language].filter((word) => prefix !== "" && word.toLowerCase().startsWith(wanted));
  const keywords = words.map((word) => ({ label: word, note: "", insert: `${word} ` }));
  return [...keywords, ...names].slice(0, SUGGESTIONS_MAX);
}

export function suggestValues(
  prefix: string,
  values: readonly { value: string | number | boolean; count: number }[],
  shown: (count: number) => string,
): Suggestion[] {
  const wanted = prefix.toLowerCase();
  const fitting = values.filter(({ value }) => String(value).toLowerCase().includes(wanted));
  return fitting.slice(0, SUGGESTIONS_MAX).map(({ value, count }) => ({
    label: String(value),
    note: shown(count),
    insert: `${typeof value === "string" ? quote(value) : value} `,
  }));
}
