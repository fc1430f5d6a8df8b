// Users of the console, their sessions, and one's own password.

import { get, post, send } from "./base";
import type { Role, Way } from "./session";

export interface User {
  id: string;
  name: string;
  role: Role;
  created_ms: number;
  signed_in_ms: number | null;
}

export interface OpenSession {
  id: string;
  user_id: string | null;
  user: string | null;
  role: Role;
  way: Way;
  address: string;
  agent: string;
  created_ms: number;
  seen_ms: number;
  expires_ms: number;
}

export interface NewUser {
  name: string;
  role: Role;
  password: string;
}

export async function users(signal?: AbortSignal): Promise<User[]> {
  return (await get<{ users: User[] }>("/users", signal)).users;
}

export function createUser(wanted: NewUser): Promise<User> {
  return post<User>("/users", wanted);
}

export async function setRole(id: string, role: Role): Promise<void> {
  await send("PUT", `/users/${encodeURIComponent(id)}/role`, { role });
}

export async function setPassword(id: string, password: string): Promise<void> {
  await send("PUT", `/users/${encodeURIComponent(id)}/password`, { password });
}

export async function removeUser(id: string): Promise<void> {
  await send("DELETE", `/users/${encodeURIComponent(id)}`);
}

/** One's own sessions, or those of everybody (admins only). */
export async function sessions(all: boolean, signal?: AbortSignal): Promise<OpenSession[]> {
  return (await get<{ sessions: OpenSession[] }>(all ? "/sessions?of=all" : "/sessions", signal)).sessions;
}

export async function endSession(id: string): Promise<void> {
  await send("DELETE", `/sessions/${encodeURIComponent(id)}`);
}

export async function changePassword(current: string, password: string): Promise<void> {
  await send("PUT", "/account/password", { current, password });
}
