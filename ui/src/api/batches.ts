// Batches and answers that come later: how they stand, and giving up on one.

import { call, type Schemas } from "./call";

export type BatchPage = Schemas["BatchPage"];
export type Batch = Schemas["ConsoleBatch"];
export type BatchUse = Schemas["BatchUse"];
export type LaterPage = Schemas["LaterPage"];
export type Later = Schemas["ConsoleLater"];

const AT_ONCE = 50;

/** The newest first; `after` is the last one of the page before. */
export function batches(after: string | undefined, signal?: AbortSignal): Promise<BatchPage> {
  return call("get", "/batches", { query: asked(after), signal });
}

export function cancelBatch(id: string): Promise<Batch> {
  return call("post", "/batches/{id}/cancel", { path: { id } });
}

/** As {@link batches}. */
export function later(after: string | undefined, signal?: AbortSignal): Promise<LaterPage> {
  return call("get", "/later", { query: asked(after), signal });
}

export function cancelLater(id: string): Promise<Later> {
  return call("post", "/later/{id}/cancel", { path: { id } });
}

function asked(after: string | undefined): { limit: string; after?: string } {
  return after === undefined ? { limit: String(AT_ONCE) } : { limit: String(AT_ONCE), after };
}
