// How the house is.

import { call, type Schemas } from "./call";

export type Upstream = Schemas["Upstream"];
export type Status = Schemas["Status"];
export type Model = Schemas["Model"];

export function status(signal?: AbortSignal): Promise<Status> {
  return call("get", "/status", { signal });
}

export async function models(signal?: AbortSignal): Promise<Model[]> {
  return (await call("get", "/models", { signal })).models;
}
