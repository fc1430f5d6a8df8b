// Writes conditions in the language of the search box, Lucene or KQL, and adds them to what stands there.

import * as lucene from "./lucene";

export type QueryLanguage = "lucene" | "kql";

export function languageOf(params: URLSearchParams): QueryLanguage {
  return params.get("lang") === "kql" ? "kql" : "lucene";
}

/** `field` has `value`, or with `not` has it not; a missing value asks for records without the field. */
export function condition(language: QueryLanguage, field: string, value: unknown, not = false): string {
  if (language === "lucene") return `${not ? "NOT " : ""}${lucene.clause(field, value)}`;
  if (value === null || value === undefined) return not ? `${field}: *` : `not ${field}: *`;
  const plain = (typeof value === "number" && value >= 0) || typeof value === "boolean";
  return `${not ? "not " : ""}${field}: ${plain ? value : lucene.quote(String(value))}`;
}

export function hasCondition(language: QueryLanguage, query: string, part: string): boolean {
  return parts(language, query).includes(part);
}

/** Adds a condition that all results must fulfil. */
export function addCondition(language: QueryLanguage, query: string, part: string): string {
  if (language === "lucene") return lucene.addClause(query, part);
  const trimmed = query.trim();
  if (trimmed === "") return part;
  if (hasCondition(language, trimmed, part)) return trimmed;
  const isRow = lucene.splitOutside(trimmed, " or ").length === 1;
  return `${isRow ? trimmed : `(${trimmed})`} and ${part}`;
}

export function toggleCondition(language: QueryLanguage, query: string, part: string): string {
  if (!hasCondition(language, query, part)) return addCondition(language, query, part);
  const rest = parts(language, query).filter((one) => one !== part);
  return rest.join(language === "lucene" ? " AND " : " and ");
}

function parts(language: QueryLanguage, query: string): string[] {
  return lucene.splitOutside(query, language === "lucene" ? " AND " : " and ");
}
