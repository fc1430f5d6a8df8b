// Who is signed in.

import { get, send } from "./base";

export interface Session {
  service: string;
  version: string;
  role: string;
  demo: boolean;
  public_url: string | null;
}

export function session(signal?: AbortSignal): Promise<Session> {
  return get<Session>("/session", signal);
}

export async function signIn(token: string): Promise<void> {
  await send("POST", "/session", { token });
}

export async function signOut(): Promise<void> {
  await send("DELETE", "/session");
}
