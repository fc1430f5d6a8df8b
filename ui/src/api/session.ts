// Who is signed in.

import { get, send } from "./base";

/** Each may do what the ones before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** How whoever has a session showed who they are. */
export type Way = "token" | "password";

export interface Session {
  id: string;
  /** Name of the user; null when the session was opened by a token. */
  user: string | null;
  way: Way;
  role: Role;
  service: string;
  version: string;
  demo: boolean;
  public_url: string | null;
}

export function session(signal?: AbortSignal): Promise<Session> {
  return get<Session>("/session", signal);
}

export async function signIn(token: string): Promise<void> {
  await send("POST", "/session", { token });
}

export async function signInAs(name: string, password: string): Promise<void> {
  await send("POST", "/session", { name, password });
}

export async function signOut(): Promise<void> {
  await send("DELETE", "/session");
}
