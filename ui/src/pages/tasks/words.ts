// Words for runs, steps and questions.

import type { Batch, Later } from "../../api/batches";
import type { Question, Run, Step } from "../../api/tasks";
import type { TextKey } from "../../i18n/en";
import { saidWords } from "../../lib/said";
import type { Translate, Ui } from "../../ui/context";
import type { LampColour } from "../../ui/lamp";

export const STATUSES: Record<Run["status"], { text: TextKey; colour: LampColour }> = {
  queued: { text: "tasks.queued", colour: "grey" },
  running: { text: "tasks.running", colour: "yellow" },
  waiting: { text: "tasks.waiting", colour: "yellow" },
  asking: { text: "tasks.asking", colour: "yellow" },
  paused: { text: "tasks.paused", colour: "grey" },
  done: { text: "tasks.done", colour: "green" },
  failed: { text: "tasks.failed", colour: "red" },
  cancelled: { text: "tasks.cancelled", colour: "grey" },
};

export const PROGRESS: Record<Step["progress"], { text: TextKey; colour: LampColour }> = {
  open: { text: "tasks.open", colour: "grey" },
  doing: { text: "tasks.running", colour: "yellow" },
  waiting: { text: "tasks.waiting", colour: "yellow" },
  asking: { text: "tasks.asking", colour: "yellow" },
  done: { text: "tasks.done", colour: "green" },
  skipped: { text: "tasks.skipped", colour: "grey" },
  failed: { text: "tasks.failed", colour: "red" },
};

export const KINDS: Record<Step["kind"], TextKey> = {
  ask: "tasks.kind_ask",
  collect: "tasks.kind_collect",
  run: "tasks.kind_run",
  write: "tasks.kind_write",
  send: "tasks.kind_send",
  approve: "tasks.kind_approve",
  wait: "tasks.kind_wait",
  task: "tasks.kind_task",
};

export const BATCH_STATUSES: Record<Batch["status"], { text: TextKey; colour: LampColour }> = {
  validating: { text: "batches.validating", colour: "yellow" },
  in_progress: { text: "tasks.running", colour: "yellow" },
  finalizing: { text: "batches.finalizing", colour: "yellow" },
  completed: { text: "tasks.done", colour: "green" },
  failed: { text: "tasks.failed", colour: "red" },
  expired: { text: "batches.expired", colour: "red" },
  cancelling: { text: "batches.cancelling", colour: "yellow" },
  cancelled: { text: "tasks.cancelled", colour: "grey" },
};

export const LATER_STATUSES: Record<Later["status"], { text: TextKey; colour: LampColour }> = {
  queued: { text: "tasks.queued", colour: "grey" },
  in_progress: { text: "tasks.running", colour: "yellow" },
  completed: { text: "tasks.done", colour: "green" },
  failed: { text: "tasks.failed", colour: "red" },
  cancelled: { text: "tasks.cancelled", colour: "grey" },
};

/** Why a human is asked. */
export const ASKED: Record<string, TextKey> = {
  approve: "tasks.why_approve",
  error: "tasks.why_error",
  check: "tasks.why_check",
  cost: "tasks.why_cost",
  far: "tasks.why_far",
  doubt: "tasks.why_doubt",
};

/** What the engine asks about by itself; the words of a step that asks are the definition's. */
export function questionWords({ why, text }: Pick<Question, "why" | "text">, t: Translate): string {
  return why === "approve" ? text : oddWords(text, t);
}

/** Why a run failed or halts: the step, and what is odd of it; what programs and servers said stays as it is. */
export function errorWords(error: string, t: Translate): string {
  const [, step, odd] = /^([\w-]+): (.*)$/s.exec(error) ?? [];
  return step === undefined || odd === undefined ? error : t("tasks.error_of", { step, error: oddWords(odd, t) });
}

/** The server's sentences for what is odd, with their figures in the order of the text's. */
const ODD: readonly [RegExp, TextKey, readonly string[]][] = [
  [/^the check `(.*)` is not met$/s, "tasks.odd_check", ["check"]],
  [/^(\d+) tokens were used, (\d+) were planned$/, "tasks.odd_cost", ["tokens", "plan"]],
  [/^the output has (\d+) characters, earlier ones had (\d+) to (\d+)$/, "tasks.odd_far", ["chars", "least", "most"]],
  [/^its effect may have come before its worker was lost$/, "tasks.odd_doubt", []],
];

function oddWords(text: string, t: Translate): string {
  for (const [sentence, key, names] of ODD) {
    const found = sentence.exec(text);
    if (found !== null) return t(key, Object.fromEntries(names.map((name, at) => [name, found[at + 1] ?? ""])));
  }
  return text;
}

/** Why a task gives way: the server's sentences, the codes that probes have for the same, and the figures in their order. */
const ROOM: readonly [RegExp, string, readonly string[]][] = [
  [/^(\d+) requests of users wait for (.+)$/, "requests_wait", ["count", "upstream"]],
  [/^(.+) works on (\d+) requests of users$/, "requests_run", ["upstream", "count"]],
  [/^the graphics card is ([\d.]+)% busy$/, "card_busy", ["busy_percent"]],
];

function roomWords(why: string, ui: Ui): string {
  for (const [sentence, code, names] of ROOM) {
    const found = sentence.exec(why);
    if (found === null) continue;
    const value = (name: string, text: string) => (name === "upstream" ? text : Number(text));
    return saidWords([{ code, figures: Object.fromEntries(names.map((name, at) => [name, value(name, found[at + 1] ?? "")])) }], why, ui);
  }
  return why;
}

/** What a run waits for: `time`, `run`, `room: why`. */
export function waitingWords(waiting: string, ui: Ui): string {
  const { t } = ui;
  if (waiting === "time") return t("tasks.waits_time");
  if (waiting === "run") return t("tasks.waits_run");
  const why = /^room: (.*)$/s.exec(waiting)?.[1];
  return why === undefined ? waiting : t("tasks.waits_room", { why: roomWords(why, ui) });
}
