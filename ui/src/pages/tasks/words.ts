// Words for runs, steps and questions.

import type { Batch, Later } from "../../api/batches";
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
