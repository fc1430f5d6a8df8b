// How the house is.

import { get } from "./base";

export interface Upstream {
  name: string;
  kind: string;
  breaker: "closed" | "open" | "half_open";
  reason: string | null;
}

export interface Status {
  status: "ok" | "warn" | "fault";
  reason: string;
  upstreams: Upstream[];
  journal: { seq: number };
  index: { seq: number };
  uptime_s: number;
  version: string;
}

export interface Model {
  name: string;
  upstream: string;
  demo: boolean;
}

export function status(signal?: AbortSignal): Promise<Status> {
  return get<Status>("/status", signal);
}

export async function models(signal?: AbortSignal): Promise<Model[]> {
  return (await get<{ models: Model[] }>("/models", signal)).models;
}
