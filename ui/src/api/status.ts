// How the house is.

import { call, type Schemas } from "./call";

export type Upstream = Schemas["Upstream"];
export type Status = Schemas["Status"];
export type Model = Schemas["Model"];

/** How the house is; `beyond` waits (two seconds at most) until there are records behind that number. */
export function status(signal?: AbortSignal, beyond?: number): Promise<Status> {
  return call("get", "/status", { signal, query: beyond === undefined ? {} : { beyond: String(beyond) } });
}

export async function models(signal?: AbortSignal): Promise<Model[]> {
  return (await call("get", "/models", { signal })).models;
}
