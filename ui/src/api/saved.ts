// Saved searches, kept by the server.

import type { QueryLanguage } from "../lib/query";
import { get, post, put, send } from "./base";

export interface SavedSearch {
  name: string;
  query: string;
  language: QueryLanguage;
  /** Kind of the records; empty means the usual one of the page. */
  scope: string;
  from: string;
  to: string;
  columns: string[];
  sort: string;
}

export interface Saved extends SavedSearch {
  id: string;
  owner: string;
  changed_ms: number;
}

export async function savedSearches(signal?: AbortSignal): Promise<Saved[]> {
  return (await get<{ saved: Saved[] }>("/saved", signal)).saved;
}

export function saveSearch(search: SavedSearch): Promise<Saved> {
  return post<Saved>("/saved", search);
}

export function changeSaved(id: string, search: SavedSearch): Promise<Saved> {
  return put<Saved>(`/saved/${encodeURIComponent(id)}`, search);
}

export async function removeSaved(id: string): Promise<void> {
  await send("DELETE", `/saved/${encodeURIComponent(id)}`);
}
