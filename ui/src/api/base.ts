// Calls to the console's JSON API: one way to send, one kind of error.

const ROOT = "/console/api/v1";

/** The server asks for this header on every call that changes something; another site cannot send it. */
const GUARD = { "x-tollhouse-console": "1" };

/** An answer that takes longer than this is given up (streams are not bound by it). */
const WAIT_MS_MAX = 30_000;

export class ApiError extends Error {
  readonly status: number;
  /** Where in the query the error lies, counted from 0; null when the server did not say. */
  readonly position: number | null;
  /** The server's word for what went wrong, which stays the same whatever it says; null where it has none. */
  readonly code: string | null;

  constructor(status: number, message: string, position: number | null, code: string | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.position = position;
    this.code = code;
  }
}

type Listener = () => void;
let signedOut: Listener = () => {};

/** Called whenever the server says that the session is over. */
export function onSignedOut(listener: Listener): void {
  signedOut = listener;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await send("GET", path, undefined, bounded(signal));
  return (await answer.json()) as T;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const answer = await send("POST", path, body, bounded(signal));
  return (await answer.json()) as T;
}

export async function put<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const answer = await send("PUT", path, body, bounded(signal));
  return (await answer.json()) as T;
}

/** Sends a request that is given up when its answer takes too long. */
export function fetched(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  return send(method, path, body, bounded(signal));
}

function bounded(signal: AbortSignal | undefined): AbortSignal {
  const limit = AbortSignal.timeout(WAIT_MS_MAX);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}

/** Sends a request and returns its answer, or throws the error that it carries. */
export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store", redirect: "error" };
  if (method !== "GET")
    init.headers = { ...GUARD, ...(body === undefined ? {} : { "content-type": "application/json" }) };
  // A file goes as it is.
  if (body !== undefined) init.body = body instanceof Blob ? body : JSON.stringify(body);
  if (signal !== undefined) init.signal = signal;
  const answer = await fetch(ROOT + path, init);
  if (answer.ok) return answer;
  const error = errorOf(answer.status, await answer.text());
  if (answer.status === 401 && path !== "/session") signedOut();
  throw error;
}

/** Reads the error bodies of the console (`{"error": text}`), of OpenAI and of Elasticsearch. */
export function errorOf(status: number, text: string): ApiError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return new ApiError(status, text.trim().slice(0, 500) || `HTTP ${status}`, null);
  }
  const error = at(body, "error");
  const code = at(body, "code");
  if (typeof error === "string") return new ApiError(status, error, null, typeof code === "string" ? code : null);
  const roots = at(error, "root_cause");
  const root = Array.isArray(roots) ? (roots[0] as unknown) : undefined;
  // The innermost reason names the fault; the outer ones only say that a search failed.
  const reasons = [at(at(error, "caused_by"), "reason"), at(root, "reason"), at(error, "reason"), at(error, "message")];
  const message = reasons.find((reason) => typeof reason === "string" && reason !== "");
  const named = [at(at(error, "caused_by"), "position"), at(root, "position"), at(error, "position")];
  const number = named.find((position) => typeof position === "number");
  const shown = typeof message === "string" ? message : `HTTP ${status}`;
  return new ApiError(status, shown, typeof number === "number" ? number : positionIn(shown));
}

/** `at position 7`, `line 1, column 8` (Lucene's own wording) or `[1:8]`. */
function positionIn(message: string): number | null {
  const position = /\b(?:position|offset|character) (\d+)/i.exec(message);
  if (position) return Number(position[1]);
  const column = /\bcolumn:? (\d+)/i.exec(message);
  return column ? Number(column[1]) : null;
}

function at(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
