// What the mock's alerts, probes and forecast say.

const HOUR_MS = 3_600_000;
const at = (ms) => new Date(ms).toISOString();

const RULE = {
  on: true,
  built_in: false,
  state: "calm",
  error: null,
  held_by: null,
  severity: "warning",
  baseline: null,
  within: "5m",
  group_by: null,
  origin: "built-in",
  for: "0s",
  samples: 1,
  cooldown: "30m",
  resolve: "1m",
  quiet: null,
  needs: [],
  notify: null,
  escalate: null,
  runbook: null,
  runbook_said: [],
  objective: null,
  saved: null,
  silenced_until: null,
  groups: [],
};
const GROUP = { since: null, value: 0, shown: "0", usual: null, last_told: null, incident: null };

/** Rules in every state, with incidents of the last days. */
export function makeAlerts(nowMs) {
  const incident = (id, rule, severity, hoursAgo, minutes, more = {}) => {
    const began = nowMs - hoursAgo * HOUR_MS;
    const ended = minutes === null ? null : began + minutes * 60_000;
    return {
      id,
      rule,
      severity,
      state: ended === null ? "open" : "ended",
      title: `${rule}: qwen3:32b`,
      title_said: [],
      text_said: [],
      runbook_said: [],
      text: "7 requests of qwen3:32b took longer than 5 s within 5 minutes",
      groups: ["qwen3:32b"],
      figures: [
        { name: "qwen3:32b", value: "7" },
        { name: "limit", value: ">= 5" },
      ],
      worst: ["12.4 s  qwen3:32b  amy  req_4fd0c2", "9.8 s  qwen3:32b  team-a  req_0a77be", "9.1 s  qwen3:32b  team-a  req_c41d90"],
      runbook: "Look at the queue: is one user sending long prompts? A second server for this model helps at once.",
      link: `https://gate.example/discover?kind=all&q=${encodeURIComponent("duration_ms:>5000 AND model_name:\"qwen3:32b\"")}&from=${at(began - 300_000)}&to=${at(ended ?? nowMs)}`,
      began: at(began),
      ended: ended === null ? null : at(ended),
      acknowledged: null,
      escalated: null,
      timeline: [
        { at: at(began - 40_000), text: "qwen3:32b: pending with 5", said: [] },
        { at: at(began), text: "qwen3:32b: firing with 7", said: [] },
        { at: at(began + 1_400), text: "told to ops", said: [{ code: "moment_told", figures: {} }] },
        ...(ended === null ? [] : [{ at: at(ended), text: "qwen3:32b: over", said: [{ code: "moment_over", figures: {} }] }]),
      ],
      ...more,
    };
  };
  return {
    at: at(nowMs),
    rules: [
      {
        ...RULE,
        name: "slow-model",
        built_in: true,
        state: "firing",
        query: "duration_ms:>5000",
        measured: "records",
        limit: ">= 5",
        group_by: "model_name",
        runbook: "Look at the queue.",
        yaml: "{query: 'duration_ms:>5000', count: \">= 5\", within: 5m, group_by: model_name, cooldown: 30m}",
        groups: [
          { ...GROUP, group: "qwen3:32b", state: "firing", since: at(nowMs - 0.4 * HOUR_MS), value: 7, shown: "7", last_told: at(nowMs - 0.4 * HOUR_MS), incident: "i1" },
          { ...GROUP, group: "llama3.3:70b", state: "pending", since: at(nowMs - 20_000), value: 5, shown: "5" },
          { ...GROUP, group: "qwen3:4b", state: "calm" },
        ],
      },
      {
        ...RULE,
        name: "failing-requests",
        built_in: true,
        severity: "critical",
        query: "kind:request",
        measured: "share of http_status:>=500",
        limit: "> 20%",
        samples: 10,
        escalate: { after: "15m", notify: ["boss"] },
        yaml: "{query: 'kind:request', ratio: 'http_status:>=500', above: 20%, samples: 10, within: 5m, severity: critical}",
        groups: [{ ...GROUP, group: "", state: "calm" }],
      },
      {
        ...RULE,
        name: "latency-baseline",
        query: "kind:request",
        measured: "average of duration_ms",
        limit: "> 30%",
        baseline: "7d",
        within: "1h",
        group_by: "model_name",
        silenced_until: at(nowMs + 3 * HOUR_MS),
        yaml: "{query: 'kind:request', average: duration_ms, baseline: 7d, deviation: '> 30%', within: 1h, group_by: model_name}",
      },
      {
        ...RULE,
        name: "error-patterns",
        built_in: true,
        state: "held",
        held_by: "house-down",
        query: 'kind:log AND (OutOfMemoryError OR "out of memory")',
        measured: "records",
        limit: ">= 1",
        group_by: "source",
        needs: ["house-down"],
        quiet: { from: "22:00", to: "07:00", zone: "Asia/Shanghai" },
        yaml: "{query: 'kind:log AND (OutOfMemoryError OR \"out of memory\")', count: \">= 1\", group_by: source}",
      },
      {
        ...RULE,
        name: "old-rule",
        state: "off",
        on: false,
        severity: "info",
        query: "kind:request AND input_tokens:>20000",
        measured: "sum of input_tokens",
        limit: "> 1000000",
        within: "1h",
        resolve: null,
        notify: [],
        yaml: "{query: 'kind:request AND input_tokens:>20000', sum: input_tokens, above: 1000000, within: 1h}",
      },
    ],
    incidents: [
      incident("i1", "slow-model", "warning", 0.4, null),
      incident("i2", "failing-requests", "critical", 7, 26, {
        acknowledged: { at: at(nowMs - 6.9 * HOUR_MS), by: "link of ops" },
        escalated: at(nowMs - 6.75 * HOUR_MS),
        title: "failing-requests: 34%",
        groups: [""],
      }),
      incident("i3", "slow-model", "warning", 30, 41),
      incident("i4", "error-patterns", "warning", 52, 2, { title: "error-patterns: ollama" }),
      incident("i5", "slow-model", "warning", 77, 12),
      incident("i6", "latency-baseline", "warning", 120, 180, { title: "latency-baseline: deepseek-r1:14b" }),
    ],
    silences: [{ rule: "latency-baseline", until: at(nowMs + 3 * HOUR_MS) }],
    channels: [
      { name: "ops", kind: "smtp", waiting: 0, oldest: null },
      { name: "dd", kind: "dingtalk", waiting: 3, oldest: at(nowMs - 0.5 * HOUR_MS) },
    ],
    reports: [{ name: "errors-daily", at: "08:00", zone: "Asia/Shanghai", next: at(nowMs + 9 * HOUR_MS), last: at(nowMs - 15 * HOUR_MS) }],
  };
}

/** What a rule would have told: one alert each ten hours, as long as its text can be read. */
export function backtestOf({ name, rule, days }, nowMs) {
  const text = rule ?? "";
  const wrong = text.split("\n").findIndex((line) => /^\w+:\s*(>|<|$)/.test(line));
  if (wrong >= 0) return { error: `alerts.${name}: line ${wrong + 1}, column 8: a comparison such as ">= 5" was expected` };
  const messages = [];
  for (let hours = days * 24 - 3; hours > 0; hours -= 10) {
    messages.push({ at: at(nowMs - hours * HOUR_MS), state: "firing", groups: [["qwen3:32b", 5 + (hours % 4)]] });
    messages.push({ at: at(nowMs - hours * HOUR_MS + 900_000), state: "resolved", groups: [["qwen3:32b", 0]] });
  }
  return { rule: name, days, fired: messages.length / 2, looks: days * 288, messages, yaml: text };
}

export function makeProbeList(nowMs) {
  const probe = (id, name, kind, layer, outcome, found, fields, more = {}) => ({
    id,
    name,
    kind,
    layer,
    about: more.about ?? name,
    looks: [],
    every_s: more.every_s ?? 900,
    running: false,
    next: at(nowMs + 540_000),
    since: at(nowMs - 5 * HOUR_MS),
    last: { at: at(nowMs - 360_000), outcome, found, said: [], duration_ms: more.duration_ms ?? 1.2, fields },
  });
  const layer = (name, colour, reason, probes) => ({ layer: name, colour, reason, said: [], probes, since: colour === "grey" ? null : at(nowMs - 5 * HOUR_MS) });
  return {
    light: {
      colour: "yellow",
      layer: "resource",
      reason: "/: 91.3% used (limit 91%), full in 12 days",
      said: [],
      layers: [
        layer("process", "green", "2 checks are well", 2),
        layer("answer", "green", "1 check is well", 1),
        layer("quality", "green", "3 types of questions are as good as ever", 1),
        layer("resource", "yellow", "/: 91.3% used (limit 91%), full in 12 days", 4),
      ],
    },
    probes: [
      probe("process-ollama", "ollama", "process", "process", "ok", "answers on port 11434", { port: 11434, pid: 4711 }, { about: "port 11434" }),
      probe("http-web", "http://127.0.0.1:8080/health", "http", "process", "ok", "200 in 4 ms", { status_code: 200 }, { every_s: 3_600 }),
      probe("model-qwen", "qwen3:32b", "model", "answer", "ok", "first token after 412 ms, 26 tokens a second", { ttft_ms: 412, tokens_per_second: 26 }, { about: "1+1= must have 2", duration_ms: 652 }),
      probe("quality-reasoning", "reasoning_tests", "quality", "quality", "ok", "arithmetic 98%, logic 88%, language 93%", {}, { about: "30 questions of 3 types", every_s: 21_600, duration_ms: 48_200 }),
      probe("disk-root", "/", "disk", "resource", "warn", "91.3% used (limit 91%), full in 12 days", { used_percent: 91.3, free_bytes: 86e9, full_in_days: 12 }, { about: "space of /, limit 91%" }),
      probe("disk-data", "/data", "disk", "resource", "ok", "42% used", { used_percent: 42, free_bytes: 1.2e12, full_in_days: null }, { about: "space of /data, limit 90%" }),
      probe("cert-ai", "ai.example.com", "certificate", "resource", "ok", "61 days left", { days_left: 61.4 }, { every_s: 604_800 }),
      probe("cert-old", "old.example.com", "certificate", "resource", "warn", "9 days left", { days_left: 9.2 }, { every_s: 604_800 }),
      probe("gpu-0", "NVIDIA A10 (0)", "gpu", "resource", "ok", "71% of its memory, 61 °C", { gpu_memory_used_percent: 71 }),
    ],
    resources: [],
  };
}

export function makeForecast(nowMs) {
  const hour = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
  const forecast = Array.from({ length: 24 }, (_, ahead) => {
    const value = 190 + 150 * Math.sin((ahead + 2) / 3.2);
    return { at: at(hour + ahead * HOUR_MS), value, low: value * 0.7, high: value * 1.35 };
  });
  const series = (name) => ({ name, unit: `${name} an hour`, told: true, why: "better than last week's same hour: error 11% against 19%", error: null, history: [], forecast, peak: null });
  return {
    at: at(nowMs),
    step: "1h",
    interval: 0.9,
    series: [series("requests"), series("tokens")],
    slots: { places: 2, served_per_hour: 240, peak_at: at(hour + 4 * HOUR_MS), share: 1.4, text: "the peak will exceed the places by 40 %" },
  };
}

/** One objective by model, with much, little and nothing left of its budget. */
export function makeObjectives() {
  const standing = (group, all, bad, left, rates) => ({ group, all, bad, left, rates });
  const groups = [
    standing("qwen3:32b", 41_200, 12, 0.71, [0.2, 0.4, 0.3]),
    standing("deepseek-r1:14b", 9_400, 41, 0.13, [1.4, 1.1, 0.9]),
    standing("llama3.3:70b", 2_100, 30, -0.43, [6.2, 3.8, 1.6]),
  ];
  return [{ rule: "objective-availability", goal: 99.9, over: "30d", bad: "http_status:>=500", error: null, groups }];
}
