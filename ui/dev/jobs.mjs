// Tasks, batches and answers that come later for the stand-in: one of each state that matters.

const MINUTE = 60_000;
const DAILY = `title: What happened yesterday
schedule: "0 8 * * 1-5"
timezone: Asia/Shanghai
steps:
  - {name: facts, collect: {report: errors, within: 24h}}
  - {name: draft, ask: {model: "qwen3:32b", prompt: "Sum up: {{ facts }}"}}
  - {name: release, approve: {by: [ops], expires: 24h, text: "{{ draft }}"}}
  - {name: mail, send: {channel: ops, subject: "Daily report", text: "{{ draft }}"}}
`;
const STEPS = [
  ["facts", "collect"],
  ["draft", "ask"],
  ["release", "approve"],
  ["mail", "send"],
].map(([name, kind]) => ({ name, kind, on_failure: false }));

export function makeJobs(now, scenario) {
  if (scenario === "empty") return { tasks: [], runs: [], questions: [], batches: [], later: [] };
  const run = (id, task, status, minutes, more = {}) => ({
    id,
    task,
    status,
    version: "3f2a90c1d4e5",
    created_ms: now - minutes * MINUTE,
    started_ms: now - minutes * MINUTE + 200,
    ended_ms: status === "done" || status === "failed" ? now - minutes * MINUTE + 94_000 : null,
    steps: 4,
    steps_done: status === "done" ? 4 : 2,
    step: status === "done" ? null : "release",
    tokens: 3_812,
    who: "schedule",
    ...more,
  });
  const runs = [
    run("run-4", "daily-report", "asking", 12),
    run("run-3", "warm-up", "running", 1, { steps: 1, steps_done: 0, step: "ask", tokens: 0 }),
    run("run-2", "daily-report", "failed", 1_452, { step: "mail", error: "the channel ops did not take the message: 550 mailbox full" }),
    run("run-1", "daily-report", "done", 2_892),
  ];
  const question = {
    number: 7,
    run: "run-4",
    task: "daily-report",
    step: "release",
    why: "approve",
    text: "Twelve requests failed yesterday, nine of them while qwen3:32b was loaded. May this go out?",
    by: ["ops"],
    since_ms: now - 10 * MINUTE,
    expires_ms: now + 1_430 * MINUTE,
  };
  const task = (name, more) => ({ name, version: "3f2a90c1d4e5", critical: false, is_held: false, steps: STEPS, ...more });
  const tasks = [
    task("daily-report", {
      title: "What happened yesterday",
      critical: true,
      schedule: "0 8 * * 1-5 Asia/Shanghai",
      next_ms: now + 1_120 * MINUTE,
      last_run: runs[0],
    }),
    task("warm-up", { title: "Load the model before the morning", schedule: "every 1d", is_held: true, last_run: runs[1] }),
    task("letters", { title: null, last_run: null }),
  ];
  return { tasks, runs, questions: [question], batches: makeBatches(now), later: makeLater(now) };
}

export function boardOf({ tasks, questions }) {
  const templates = [{ name: "daily-report", title: "A report that somebody reads before it goes", text: DAILY }];
  const faulty = tasks.length === 0 ? [] : [{ file: "tasks/broken.yaml", error: "tasks/broken.yaml:3:5: unknown key `shedule`" }];
  return { on: true, dir: "/var/lib/tollhouse/tasks", tasks, questions, faulty, templates };
}

/** A run with its steps; null where there is none. */
export function runOf({ runs, questions }, id, now) {
  const summary = runs.find((one) => one.id === id);
  if (summary === undefined) return null;
  const question = questions.find((one) => one.run === id) ?? null;
  const progress = (at) => {
    if (at < summary.steps_done) return "done";
    if (at > summary.steps_done) return "open";
    return { asking: "asking", running: "doing", failed: "failed" }[summary.status] ?? "open";
  };
  const steps = STEPS.slice(0, summary.steps).map(({ name, kind, on_failure }, at) => {
    const value = at < summary.steps_done ? (kind === "collect" ? { errors: 12 } : "Twelve requests failed yesterday.") : null;
    const item = {
      index: null,
      progress: progress(at),
      attempts: at < summary.steps_done ? 1 : 0,
      begun_ms: summary.started_ms + at * 9_000,
      ended_ms: at < summary.steps_done ? summary.started_ms + at * 9_000 + 7_000 : null,
      error: progress(at) === "failed" ? summary.error : null,
      maybe_twice: false,
      work: { [kind]: {} },
      value,
    };
    return { name, kind, on_failure, progress: progress(at), items: [item], value };
  });
  const history = [{ at_ms: summary.created_ms, event: "begun", by: summary.who }, { at_ms: now, event: "looked at" }];
  return { summary, steps, question, input: { day: "2026-03-02" }, children: [], history };
}

export const textOf = (task) => ({ task, version: "3f2a90c1d4e5", text: DAILY, is_in_force: true });

/** One fault that everybody makes, told as the house tells it. */
export function checkOf(text) {
  const line = text.split("\n").findIndex((one) => one.startsWith("shedule"));
  if (line < 0) return { faults: [], steps: STEPS };
  const keys = "name, title, timezone, schedule, every, catch_up, critical, timeout, concurrency, needs, plan, input, steps, on_failure";
  const fault = {
    line: line + 1,
    column: 1,
    width: 7,
    message: "unknown key `shedule`",
    expected: `one of: ${keys}`,
    hint: "did you mean `schedule`?",
    said: {
      path: null,
      what: { code: "key_unknown", figures: { key: "`shedule`" } },
      expected: { code: "one_of", figures: { names: keys } },
      hint: { code: "did_you_mean", figures: { name: "schedule" } },
    },
  };
  return { faults: [fault], steps: [] };
}

function makeBatches(now) {
  const batch = (number, status, total, completed, failed, more = {}) => ({
    id: `batch_${String(number).padStart(32, "0a1b2c3d")}`,
    key_id: "k-7f3a",
    user: "team-search",
    status,
    is_over: ["completed", "failed", "expired", "cancelled"].includes(status),
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    total,
    completed,
    failed,
    created_ms: now - number * 40 * MINUTE,
    expires_ms: now - number * 40 * MINUTE + 1_440 * MINUTE,
    in_progress_ms: now - number * 40 * MINUTE + 900,
    finalizing_ms: null,
    cancelling_ms: null,
    ended_ms: null,
    input_file_id: "file-1",
    output_file_id: null,
    error_file_id: null,
    errors: [],
    ...more,
  });
  const fault = { code: "duplicate_custom_id", message: "the custom_id `a-7` stands in line 3 already", param: "custom_id", line: 7 };
  return [
    batch(1, "in_progress", 5_000, 1_830, 4),
    batch(2, "validating", 200, 0, 0, { user: null, endpoint: "/v1/embeddings" }),
    batch(3, "completed", 120, 120, 0, { ended_ms: now - 60 * MINUTE, output_file_id: "file-2" }),
    batch(4, "failed", 12, 0, 0, { ended_ms: now - 158 * MINUTE, errors: [fault], key_id: null, user: null }),
    batch(5, "cancelled", 900, 410, 2, { ended_ms: now - 150 * MINUTE, output_file_id: "file-3", error_file_id: "file-4" }),
  ];
}

function makeLater(now) {
  const one = (number, status, more = {}) => ({
    id: `${more.api === "response" ? "resp" : "chatcmpl"}_${String(number).padStart(24, "9f8e7d6c")}`,
    api: "chat",
    key_id: "k-7f3a",
    user: "team-search",
    model: "qwen3:32b",
    status,
    is_over: ["completed", "failed", "cancelled"].includes(status),
    created_ms: now - number * 7 * MINUTE,
    ended_ms: null,
    expires_ms: now + 1_300 * MINUTE,
    http_status: null,
    has_webhook: false,
    ...more,
  });
  return [
    one(1, "in_progress", { has_webhook: true }),
    one(2, "completed", { api: "response", ended_ms: now - 11 * MINUTE, http_status: 200 }),
    one(3, "failed", { ended_ms: now - 18 * MINUTE, http_status: 503 }),
  ];
}

export function batchPageOf({ batches, later }) {
  const open = (all) => all.filter(({ is_over }) => !is_over).length;
  const use = { open: open(batches), files: 4, bytes: 48_300_000, bytes_max: 10 * 2 ** 30, later_open: open(later) };
  return { on: true, batches, has_more: false, use };
}

/** Gives up on a batch or on an answer that comes later; null where there is none. */
export function cancelled(all, id, now) {
  const found = all.find((one) => one.id === id);
  if (found === undefined) return null;
  return Object.assign(found, { status: "cancelled", is_over: true, ended_ms: now });
}
