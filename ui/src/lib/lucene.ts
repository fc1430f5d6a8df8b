// Writes clauses of Lucene query syntax: the search box is plain text, and clicks add to it.

/** A value in quotes, so that nothing in it is read as syntax. */
export function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** `field:value` for any value of a document. */
export function clause(field: string, value: unknown): string {
  if (value === null || value === undefined) return `NOT ${field}:*`;
  if (typeof value === "number" || typeof value === "boolean") {
    // A leading minus would be read as "not".
    return typeof value === "number" && value < 0 ? `${field}:${quote(String(value))}` : `${field}:${value}`;
  }
  return `${field}:${quote(String(value))}`;
}

export function hasClause(query: string, part: string): boolean {
  return splitAnd(query).includes(part);
}

/**
 * Adds a clause that all results must fulfil. What is not a plain row of ANDs is put in brackets first:
 * to Lucene, AND marks only its two neighbours, so that `a b AND c` would no longer ask for `a`.
 */
export function addClause(query: string, part: string): string {
  const trimmed = query.trim();
  if (trimmed === "") return part;
  if (hasClause(trimmed, part)) return trimmed;
  return splitAnd(trimmed).every(isOne) ? `${trimmed} AND ${part}` : `(${trimmed}) AND ${part}`;
}

/** Whether a part has no space outside of quotes and brackets, but for a leading NOT. */
function isOne(part: string): boolean {
  const bare = part.startsWith("NOT ") ? part.slice(4).trim() : part;
  return splitOutside(bare, " ").length === 1;
}

export function toggleClause(query: string, part: string): string {
  if (!hasClause(query, part)) return addClause(query, part);
  return splitAnd(query)
    .filter((one) => one !== part)
    .join(" AND ");
}

/** The parts between the outermost ANDs. */
function splitAnd(query: string): string[] {
  return splitOutside(query, " AND ");
}

/** The parts between separators that stand outside of quotes and brackets. */
export function splitOutside(query: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let at = 0; at < query.length; at++) {
    const sign = query[at];
    if (sign === "\\") at++;
    else if (sign === '"') quoted = !quoted;
    else if (!quoted && (sign === "(" || sign === "[" || sign === "{")) depth++;
    else if (!quoted && (sign === ")" || sign === "]" || sign === "}")) depth--;
    else if (!quoted && depth === 0 && query.startsWith(separator, at)) {
      parts.push(query.slice(start, at).trim());
      start = at + separator.length;
      at = start - 1;
    }
  }
  parts.push(query.slice(start).trim());
  return parts.filter((part) => part !== "");
}
