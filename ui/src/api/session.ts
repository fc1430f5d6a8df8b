// Who is signed in, and by what one can sign in.

import { call, type Schemas } from "./call";

/** Each may do what the ones before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const satisfies Role[];
export type Role = Schemas["Role"];

/** How whoever has a session showed who they are. */
export type Way = Schemas["Way"];
export type Session = Schemas["SessionNow"];

export function session(signal?: AbortSignal): Promise<Session> {
  return call("get", "/session", { signal });
}

export async function signIn(token: string): Promise<void> {
  await call("post", "/session", { body: { token } });
}

export async function signInAs(name: string, password: string): Promise<void> {
  await call("post", "/session", { body: { name, password } });
}

/** Ends the session; gives the address at which the browser signs out at its provider, too. */
export async function signOut(): Promise<string | null> {
  return (await call("delete", "/session"))?.location ?? null;
}

/** Name of the provider at which one can sign in; null where there is none. */
export async function provider(signal?: AbortSignal): Promise<string | null> {
  return (await call("get", "/sign-in", { signal })).oidc?.name ?? null;
}

/** Begins to sign in at the provider, to come back to a page: the address to go to. */
export async function signInAtProvider(to: string): Promise<string> {
  return (await call("post", "/session/oidc", { body: { to } })).location;
}
