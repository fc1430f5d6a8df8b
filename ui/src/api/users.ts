// Users of the console, their sessions, and one's own password.

import { call, type Schemas } from "./call";
import type { Role } from "./session";

export type User = Schemas["User"];
export type OpenSession = Schemas["Session"];
export type NewUser = Schemas["NewUser"];

export async function users(signal?: AbortSignal): Promise<User[]> {
  return (await call("get", "/users", { signal })).users;
}

export function createUser(wanted: NewUser): Promise<User> {
  return call("post", "/users", { body: wanted });
}

export async function setRole(id: string, role: Role): Promise<void> {
  await call("put", "/users/{id}/role", { path: { id }, body: { role } });
}

export async function setPassword(id: string, password: string): Promise<void> {
  await call("put", "/users/{id}/password", { path: { id }, body: { password } });
}

export async function removeUser(id: string): Promise<void> {
  await call("delete", "/users/{id}", { path: { id } });
}

/** One's own sessions, or those of everybody (admins only). */
export async function sessions(all: boolean, signal?: AbortSignal): Promise<OpenSession[]> {
  return (await call("get", "/sessions", { ...(all ? { query: { of: "all" } } : {}), signal })).sessions;
}

export async function endSession(id: string): Promise<void> {
  await call("delete", "/sessions/{id}", { path: { id } });
}

export async function changePassword(current: string, password: string): Promise<void> {
  await call("put", "/account/password", { body: { current, password } });
}
