// Writes records as files: CSV for tables, NDJSON for programs.

/** A cell that a table program would run as a formula is marked as text. */
const FORMULA = /^[=+\-@\t\r]/;

/** RFC 4180, with a byte order mark so that table programs read it as UTF-8. */
export function csv(columns: readonly string[], rows: readonly Record<string, unknown>[]): string {
  // Names of fields come from the page, which takes only plain ones.
  const lines = [columns.map(quoted), ...rows.map((row) => columns.map((name) => cell(own(row, name))))];
  return `\ufeff${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

export function ndjson(rows: readonly Record<string, unknown>[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function own(row: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(row, name) ? row[name] : undefined;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const isList = Array.isArray(value) && value.every((one) => typeof one !== "object");
  const text = typeof value === "string" ? value : isList ? value.join(" ") : JSON.stringify(value);
  return quoted(FORMULA.test(text) ? `'${text}` : text);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hands a text to the browser as a file; nothing leaves the machine. */
export function saveFile(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
