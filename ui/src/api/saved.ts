// Saved searches, which all share.

import type { QueryLanguage } from "../lib/query";
import { call, type Schemas } from "./call";

/** The description says of the language only that it is a word. */
interface InLanguage {
  language: QueryLanguage;
}
export type SavedSearch = Required<Schemas["SavedSearch"]> & InLanguage;
export type Saved = Schemas["Saved"] & InLanguage;

export async function savedSearches(signal?: AbortSignal): Promise<Saved[]> {
  return (await call("get", "/saved", { signal })).saved as Saved[];
}

export function saveSearch(search: SavedSearch): Promise<Saved> {
  return call("post", "/saved", { body: search }) as Promise<Saved>;
}

export function changeSaved(id: string, search: SavedSearch): Promise<Saved> {
  return call("put", "/saved/{id}", { path: { id }, body: search }) as Promise<Saved>;
}

export async function removeSaved(id: string): Promise<void> {
  await call("delete", "/saved/{id}", { path: { id } });
}
