// What is told of an exception to whoever is to find its cause: what it says, where it was, and its stack, without secrets.

export interface Where {
  /** The page's path; never its parameters, which hold what was searched for. */
  path: string;
  /** Of the house; empty where that is not known. */
  version: string;
  /** The browser. */
  agent: string;
  /** When, as the records write it. */
  at: string;
}

const STACK_LINES_MAX = 30;
const LINE_CHARS_MAX = 400;

/** One fact a line, then the stack. */
export function detailsOf(fault: Error, { path, version, agent, at }: Where): string {
  const head = [`${fault.name}: ${fault.message}`, `path: ${path}`, `version: ${version}`, `browser: ${agent}`, `time: ${at}`];
  return [...head, ...stackOf(fault)].map((line) => withoutSecrets(line.slice(0, LINE_CHARS_MAX))).join("\n");
}

/** Where it came from, the innermost first. */
function stackOf({ stack = "" }: Error): string[] {
  const lines = stack.split("\n").map((line) => line.trim());
  // Some browsers write the message first, which is told already, and may have lines of its own; places in files have colons.
  return lines.filter((line) => /^at |@.*:\d+$/.test(line)).slice(0, STACK_LINES_MAX);
}

const SECRETS: readonly [RegExp, string][] = [
  // Parameters and fragments of addresses, and who signs in by them.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s\/@]*@/gi, "$1"],
  [/([a-z][a-z0-9+.-]*:\/\/[^\s?#)]*)[?#][^\s):]*/gi, "$1"],
  [/\b(bearer|basic)\s+[^\s"',;]+/gi, "$1 ***"],
  [/\b(key|token|secret|password|cookie|authorization)(["']\s*:\s*)"(?:[^"\\]|\\.)*"/gi, '$1$2"***"'],
  [/\b((?:api[-_]?)?key|token|secret|password|cookie|authorization)(["']?\s*[=:]\s*["']?)(?!\*)[^\s"',;&)]+/gi, "$1$2***"],
  [/\b(?:sk|th)[-_][\w-]{8,}/g, "***"],
  // No name of ours is as long as this without a dot or a slash.
  [/[\w-]{32,}/g, "***"],
];

/** The text with what looks like a key, a password or a parameter of an address left out. */
export function withoutSecrets(text: string): string {
  return SECRETS.reduce((left, [secret, instead]) => left.replace(secret, instead), text);
}
