// Tasks: what runs by itself, its runs step by step, what humans are asked, and the definitions.

import { call, type Schemas } from "./call";

export type TaskBoard = Schemas["TaskBoard"];
export type Task = Schemas["TaskSummary"];
export type Run = Schemas["RunSummary"];
export type RunPage = Schemas["RunPage"];
export type RunDetail = Schemas["RunDetail"];
export type Step = Schemas["StepDetail"];
export type Item = Schemas["ItemDetail"];
export type Question = Schemas["TaskQuestion"];
export type TaskText = Schemas["TaskText"];
export type TaskCheck = Schemas["TaskCheck"];
export type Fault = Schemas["TaskFault"];

/** What a human changes: values that later steps see, and keys of the step that is done again. */
export interface Edits {
  values?: Record<string, unknown>;
  work?: Record<string, unknown>;
}

export function board(signal?: AbortSignal): Promise<TaskBoard> {
  return call("get", "/tasks", { signal });
}

/** Runs that fit, the newest first; `before` is the `next` of the page before. */
export interface Wanted {
  task: string;
  status: string;
  text: string;
  before?: string | undefined;
}

const RUNS_AT_ONCE = 50;

export function runs({ task, status, text, before }: Wanted, signal?: AbortSignal): Promise<RunPage> {
  const some = (value: string) => (value === "" ? undefined : value);
  const query = { task: some(task), status: some(status), text: some(text), before, limit: String(RUNS_AT_ONCE) };
  return call("get", "/tasks/runs", { query: defined(query), signal });
}

function defined(query: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter((one): one is [string, string] => one[1] !== undefined));
}

export function run(id: string, signal?: AbortSignal): Promise<RunDetail> {
  return call("get", "/tasks/runs/{id}", { path: { id }, signal });
}

export function pauseRun(id: string): Promise<RunDetail> {
  return call("post", "/tasks/runs/{id}/pause", { path: { id } });
}

export function resumeRun(id: string): Promise<RunDetail> {
  return call("post", "/tasks/runs/{id}/resume", { path: { id } });
}

export function cancelRun(id: string): Promise<RunDetail> {
  return call("post", "/tasks/runs/{id}/cancel", { path: { id } });
}

/** Answers the question that was shown; refused when another one is asked by now. */
export function answerRun(question: Question, agrees: boolean, comment: string, edits: Edits): Promise<RunDetail> {
  const sent = { path: { id: question.run }, body: { comment, number: question.number, edits: edits as Schemas["TaskEdits"] } };
  return agrees ? call("post", "/tasks/runs/{id}/approve", sent) : call("post", "/tasks/runs/{id}/reject", sent);
}

/** Does a step and all behind it again. */
export function retryRun(id: string, step: string, edits: Edits): Promise<RunDetail> {
  return call("post", "/tasks/runs/{id}/retry", { path: { id }, body: { step, edits: edits as Schemas["TaskEdits"] } });
}

export function definition(task: string, signal?: AbortSignal): Promise<TaskText> {
  return call("get", "/tasks/definitions/{task}", { path: { task }, signal });
}

export function checkDefinition(task: string, text: string, signal?: AbortSignal): Promise<TaskCheck> {
  return call("post", "/tasks/definitions/{task}/check", { path: { task }, body: { text }, signal });
}

/** `version` is the one that was changed; null for a new task. */
export function saveDefinition(task: string, text: string, version: string | null): Promise<TaskText> {
  return call("put", "/tasks/definitions/{task}", { path: { task }, body: { text, version } });
}

export async function removeDefinition(task: string): Promise<void> {
  await call("delete", "/tasks/definitions/{task}", { path: { task } });
}

/** Begins a run now; gives its id. */
export async function beginRun(task: string): Promise<string> {
  return (await call("post", "/tasks/definitions/{task}/run", { path: { task }, body: {} as Schemas["TaskOrder"] })).id;
}

export function holdTask(task: string): Promise<Task> {
  return call("post", "/tasks/definitions/{task}/hold", { path: { task } });
}

export function releaseTask(task: string): Promise<Task> {
  return call("post", "/tasks/definitions/{task}/release", { path: { task } });
}

/** Whether nothing more happens to it unless a human wants it. */
export const isOver = ({ status }: Run): boolean => status === "done" || status === "failed" || status === "cancelled";
