// A kept request asked once more, of another model.

import { send } from "./base";
import type { Schemas } from "./call";

export type Replayed = Schemas["Replayed"];

/** Waits as long as the model takes; the signal ends it. */
export async function replay(id: string, model: string, signal: AbortSignal): Promise<Replayed> {
  const answer = await send("POST", `/requests/${encodeURIComponent(id)}/replay`, { model }, signal);
  return (await answer.json()) as Replayed;
}
