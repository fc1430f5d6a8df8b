// What is wrong with this installation, and what the records advise.

import { call, type Schemas } from "./call";

export type Check = Schemas["Check"];
export type CheckStatus = Schemas["CheckStatus"];
export type Examined = Schemas["Examined"];
export type Advice = Schemas["AdvicePiece"];
export type Advised = Schemas["Advised"];

/** Looks; the four layers of the defence in place of the fault-finding chart where that is wanted. Nothing is changed. */
export function examine(security: boolean): Promise<Examined> {
  return call("post", "/doctor", { body: { security } });
}

/** By the records of so many days. */
export function advise(days: number): Promise<Advised> {
  return call("post", "/advise", { body: { days } });
}
