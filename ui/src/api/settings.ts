// The configuration: what is in force and why, the text of its file, a change of it, and what was changed before.

import { ApiError, get, post } from "./base";
import type { Schemas } from "./call";

/** Who said a value. */
export type From = Schemas["SettingFrom"];
export type Value = Schemas["InForce"];
export type Fault = Schemas["Fault"];
export type Settings = Schemas["SettingsShown"];
export type DiffLine = Schemas["DiffLine"];
export type Proposal = Schemas["SettingsChecked"];
export type Applied = Schemas["SettingsApplied"];
export type Revision = Schemas["Revision"];
export type FullRevision = Schemas["WholeRevision"];

export function settings(signal?: AbortSignal): Promise<Settings> {
  return get<Settings>("/settings", signal);
}

export function checkText(text: string, signal?: AbortSignal): Promise<Proposal> {
  return post<Proposal>("/settings/check", { text }, signal);
}

export function applyText(text: string, version: string, later: boolean): Promise<Applied> {
  return post<Applied>("/settings/apply", { text, version, later });
}

export async function revisions(signal?: AbortSignal): Promise<Revision[]> {
  return (await get<{ revisions: Revision[] }>("/settings/history", signal)).revisions;
}

export function revision(id: number, signal?: AbortSignal): Promise<FullRevision> {
  return get<FullRevision>(`/settings/history/${id}`, signal);
}

/** Whether the file has become another one since it was shown. */
export function isOvertaken(error: Error): boolean {
  return error instanceof ApiError && error.code === "changed_on_disk";
}
