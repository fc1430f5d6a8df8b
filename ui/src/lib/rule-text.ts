// The text of an alert rule: from one line to one key a line, for people who edit it.

/** What says no more than nothing: the default holds. */
const UNSAID = /^[a-z_]+: null$|^needs: \[\]$/;

/** `{query: '…', count: ">= 5"}` with each key on its own line; what is no flow mapping stays as it is. */
export function blockOf(yaml: string): string {
  const text = yaml.trim();
  if (!text.startsWith("{") || !text.endsWith("}")) return text;
  return splitTop(text.slice(1, -1))
    .filter((line) => !UNSAID.test(line))
    .join("\n");
}

/** The parts between commas that stand outside of quotes and brackets. */
function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quote = "";
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? "";
    if (quote !== "") {
      if (sign === "\\" && quote === '"') at++;
      else if (sign === quote) quote = "";
    } else if ((sign === '"' || sign === "'") && /(^|[\s{[,:])$/.test(text.slice(0, at))) quote = sign;
    else if (sign === "{" || sign === "[") depth++;
    else if (sign === "}" || sign === "]") depth--;
    else if (sign === "," && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts.filter((part) => part !== "");
}
