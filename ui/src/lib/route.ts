// The address holds all state of a page; this reads it, changes it, and tells who listens.

import { useEffect, useState } from "preact/hooks";

export type Page =
  | "overview"
  | "discover"
  | "request"
  | "efficiency"
  | "alerts"
  | "probes"
  | "sources"
  | "processes"
  | "resources"
  | "doctor"
  | "tasks"
  | "keys"
  | "users"
  | "settings"
  | "account"
  | "dashboards"
  | "chat";

export const PATHS: Record<Page, string> = {
  overview: "/",
  discover: "/discover",
  request: "/requests/",
  efficiency: "/efficiency",
  alerts: "/alerts",
  probes: "/probes",
  sources: "/sources",
  keys: "/keys",
  processes: "/processes",
  resources: "/resources",
  doctor: "/doctor",
  tasks: "/tasks",
  users: "/users",
  settings: "/settings",
  account: "/account",
  dashboards: "/dashboards",
  chat: "/chat",
};

/** Addresses of earlier versions go on to work. */
const FORMER: Record<string, Page> = { "/requests": "discover" };

export interface Place {
  page: Page | null;
  /** What the path names: the id of a request. */
  id: string;
  params: URLSearchParams;
}

export type Changes = Record<string, string | null>;

export function placeOf(url: { pathname: string; search: string }): Place {
  const path = url.pathname.replace(/\/+$/, "") || "/";
  const params = new URLSearchParams(url.search);
  const request = /^\/requests\/([^/]+)$/.exec(path)?.[1];
  if (request !== undefined) return { page: "request", id: decoded(request), params };
  const found = (Object.keys(PATHS) as Page[]).find((page) => PATHS[page] === path);
  return { page: found ?? FORMER[path] ?? null, id: "", params };
}

/** Where one is, in one word: another place has another. */
export function addressOf({ page, id, params }: Place): string {
  return `${page ?? ""} ${id} ${params.toString()}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Address of a page with these parameters; null leaves one out. */
export function address(page: Page, params: Changes): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== "") search.set(name, value);
  const text = search.toString();
  return text === "" ? PATHS[page] : `${PATHS[page]}?${text}`;
}

/** Address of the page of one request. */
export function requestAddress(requestId: string, params: Changes): string {
  const [, search = ""] = address("discover", params).split("?");
  const path = PATHS.request + encodeURIComponent(requestId);
  return search === "" ? path : `${path}?${search}`;
}

/** The same parameters with some changed. */
export function changed(params: URLSearchParams, changes: Changes): Changes {
  return { ...Object.fromEntries(params), ...changes };
}

const listeners = new Set<() => void>();

export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  for (const listener of listeners) listener();
}

/** A key in the address (`?token=`) belongs to the server alone; should one ever be seen here, it goes at once. */
export function dropToken(): void {
  const url = new URL(location.href);
  if (!url.searchParams.has("token")) return;
  url.searchParams.delete("token");
  history.replaceState(null, "", url.pathname + url.search);
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location));
  useEffect(() => {
    const update = () => setPlace(placeOf(location));
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return place;
}
