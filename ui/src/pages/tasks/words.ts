// Words for runs, steps and questions.

import type { Run, Step } from "../../api/tasks";
import type { TextKey } from "../../i18n/en";
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

/** Why a human is asked. */
export const ASKED: Record<string, TextKey> = {
  approve: "tasks.why_approve",
  error: "tasks.why_error",
  check: "tasks.why_check",
  cost: "tasks.why_cost",
  far: "tasks.why_far",
  doubt: "tasks.why_doubt",
};
