// The console's calls with their types, which are made from the server's own description (schema.ts): no path, body or answer
// stands here that the server does not know.

import { fetched } from "./base";
import type { components, paths } from "./schema";

/** What is sent and answered, by the names of the description. */
export type Schemas = components["schemas"];

type Root = "/console/api/v1";
type Method = "get" | "post" | "put" | "delete";
/** The paths that have this method, as they stand behind the root. */
type PathOf<M extends Method> = {
  [P in keyof paths]: P extends `${Root}${infer Rest}` ? (paths[P][M] extends object ? Rest : never) : never;
}[keyof paths];
type Operation<M extends Method, P extends string> = `${Root}${P}` extends keyof paths ? paths[`${Root}${P}`][M] : never;

type JsonOf<R> = R extends { content: { "application/json": infer T } } ? T : never;
type Done = 200 | 201 | 202;
/** What a call answers when it did what was asked; nothing where it only says that it did. */
type AnswerOf<O> = O extends { responses: infer R }
  ? [JsonOf<R[Extract<keyof R, Done>]>] extends [never]
    ? undefined
    : JsonOf<R[Extract<keyof R, Done>]> | (204 extends keyof R ? undefined : never)
  : never;
type Sent<B> = B extends { content: { "application/json": infer T } } ? T : never;
type BodyOf<O> = O extends { requestBody: infer B }
  ? { body: Sent<B> }
  : O extends { requestBody?: infer B }
    ? [B] extends [undefined]
      ? object
      : { body?: Sent<B> }
    : object;
type PathIn<O> = O extends { parameters: { path: infer T extends Record<string, string> } } ? { path: T } : object;
type QueryIn<O> = O extends { parameters: { query?: infer T } } ? ([T] extends [undefined] ? object : { query?: T }) : object;

type Wanted<O> = BodyOf<O> & PathIn<O> & QueryIn<O> & { signal?: AbortSignal | undefined };
/** What must be said of a call may be left out where there is nothing that must. */
type Said<O> = object extends Wanted<O> ? [wanted?: Wanted<O>] : [wanted: Wanted<O>];

interface Parts {
  path?: Record<string, string>;
  query?: Record<string, string | undefined>;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Makes a call, and gives its answer; throws the error that it answers. */
export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  ...[wanted]: Said<Operation<M, P>>
): Promise<AnswerOf<Operation<M, P>>> {
  const parts = (wanted ?? {}) as Parts;
  const answer = await fetched(method.toUpperCase(), addressOf(path, parts), parts.body, parts.signal);
  const text = answer.status === 204 ? "" : await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as AnswerOf<Operation<M, P>>;
}

/** A path with its parameters in it. */
export function addressOf(path: string, { path: values = {}, query = {} }: Parts): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const asked = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
  return asked.length === 0 ? filled : `${filled}?${asked.join("&")}`;
}
