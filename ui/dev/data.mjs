// Generates a plausible week of requests, the same for the same seed.

const MODELS = [
  { name: "qwen3:32b", upstream: "local", weight: 46, prefillPerToken: 1.1, speed: 26, load: 9_500 },
  { name: "qwen3:4b", upstream: "local", weight: 30, prefillPerToken: 0.22, speed: 92, load: 2_100 },
  { name: "deepseek-r1:14b", upstream: "local", weight: 14, prefillPerToken: 0.6, speed: 41, load: 5_200 },
  { name: "llama3.3:70b", upstream: "second", weight: 10, prefillPerToken: 2.3, speed: 13, load: 0 },
];
const USERS = ["team-a", "amy", "bob", "openclaw", "nightly-report", "王伟"];
const KEYS = ["prod", "dev-laptop", "console", "batch"];
const CALLERS = ["gateway/stack.rs", "gateway/chat.rs"];
const SERVICE = "clawdbot-qwen3";

/** mulberry32: small, seeded, good enough for a mock. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const pick = (rand, list) => list[Math.floor(rand() * list.length)];
const round = (value, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits;
const bell = (rand) => (rand() + rand() + rand() + rand() - 2) / 2;

function pickModel(rand) {
  let at = rand() * MODELS.reduce((sum, model) => sum + model.weight, 0);
  for (const model of MODELS) {
    at -= model.weight;
    if (at <= 0) return model;
  }
  return MODELS[0];
}

/** How busy the house is at a moment, 0 to 1: quiet nights, two humps a day, and a rush now and then. */
function busyness(ms, nowMs) {
  // Now is always half past ten, so that each picture shows a working day.
  const hour = (((10.5 - (nowMs - ms) / 3_600_000) % 24) + 24) % 24;
  const day = Math.exp(-((hour - 9.5) ** 2) / 9) + 0.8 * Math.exp(-((hour - 15) ** 2) / 8) + 0.05;
  const minute = Math.floor((nowMs - ms) / 60_000);
  const rush = minute % 43 === 17 || minute % 61 === 40 ? 2.3 : 1;
  return Math.min(1, day * 0.42 * rush + 0.04);
}

let seq = 0;

export function makeRequest(rand, endMs, crowd = 0.4) {
  seq += 2;
  const model = pickModel(rand);
  const chance = rand();
  const hex = (length) => Array.from({ length }, () => Math.floor(rand() * 16).toString(16)).join("");
  const doc = {
    "@timestamp": new Date(endMs).toISOString(),
    kind: "request",
    level: "info",
    msg: "request served",
    caller: pick(rand, CALLERS),
    service_name: SERVICE,
    seq,
    prev: hex(32),
    request_id: `req_${hex(20)}`,
    trace_id: hex(32),
    method: "POST",
    path: rand() < 0.8 ? "/v1/chat/completions" : "/api/chat",
    client_ip: `10.0.${Math.floor(rand() * 4)}.${Math.floor(rand() * 250) + 2}`,
    user_id: pick(rand, USERS),
    key_id: pick(rand, KEYS),
    model_name: model.name,
    stream: rand() < 0.85,
  };
  if (chance < 0.022) {
    Object.assign(doc, {
      http_status: 429,
      duration_ms: round(0.3 + rand(), 2),
      error: "rate limit exceeded: 30 requests per 60 s",
    });
  } else if (chance < 0.03) {
    Object.assign(doc, { http_status: 401, duration_ms: round(0.2 + rand() * 0.3, 2), error: "invalid api key" });
    for (const name of ["user_id", "key_id", "model_name"]) delete doc[name];
  } else if (chance < 0.036) {
    Object.assign(doc, {
      http_status: 400,
      duration_ms: round(0.6 + rand(), 2),
      error: "prompt too long, max 32768 chars",
      prompt_chars: 33_000 + Math.floor(rand() * 60_000),
    });
  } else if (chance < 0.05) {
    const wait = 3_000 + rand() * 2_400;
    Object.assign(doc, {
      http_status: 503,
      upstream: model.upstream,
      attempts: 2,
      queue_ms: round(rand() * 40),
      connect_ms: round(wait - 20),
      duration_ms: round(wait + 4),
      error: "the model is not answering right now, please try again shortly",
    });
  } else {
    answered(rand, doc, model, crowd, chance);
  }
  const status = doc.http_status;
  if (status < 200 || status > 299) {
    doc.level = status >= 500 ? "error" : "warn";
    doc.msg = "request refused";
  }
  doc.tags = [];
  if (doc.duration_ms > 3000) doc.tags.push("slow_request");
  if (status < 200 || status > 299) doc.tags.push("error_request");
  return doc;
}

function answered(rand, doc, model, crowd, chance) {
  const input = Math.max(8, Math.floor(Math.exp(4.6 + bell(rand) * 2.4)));
  const output = Math.max(3, Math.floor(Math.exp(4.7 + bell(rand) * 2)));
  const queue = crowd > 0.5 ? rand() ** 3 * 2_600 * crowd : rand() * 3;
  const connect = rand() < 0.1 ? 0.8 + rand() * 2 : 0.1;
  const load = rand() < 0.012 ? model.load * (0.8 + rand() * 0.5) : 4 + rand() * 20;
  const prefill = input * model.prefillPerToken * (0.8 + rand() * 0.6);
  const speed = model.speed * (1 + bell(rand) * 0.25) * (1 - crowd * 0.3);
  const cancelled = chance > 0.982;
  const written = cancelled ? Math.max(1, Math.floor(output * rand())) : output;
  const decode = (written / speed) * 1000;
  const ttft = queue + connect + load + prefill + 12 + rand() * 30;
  Object.assign(doc, {
    http_status: cancelled ? 499 : 200,
    upstream: model.upstream,
    attempts: 1,
    prompt_chars: Math.floor(input * 3.6),
    prompt_family: pick(rand, ["s-1f09c24ab870", "s-77d20e5b13c9", "q-a01cc94e52d7", "q-03bb7f118e60"]),
    input_tokens: input,
    output_tokens: written,
    token_efficiency: round(written / input, 2),
    queue_ms: round(queue),
    connect_ms: round(connect),
    load_ms: round(load),
    prefill_ms: round(prefill),
    ttft_ms: round(ttft),
    decode_ms: round(decode),
    duration_ms: round(ttft + decode + 0.4 + rand()),
    tokens_per_second: round(speed),
    finish_reason: cancelled ? "cancelled" : rand() < 0.04 ? "length" : "stop",
    cancelled,
    usage_source: cancelled ? "estimated" : "upstream",
  });
  if (cancelled) doc.error = "client closed the connection";
}

/** What other programs wrote about a request: lines with its id, and some of nobody. */
export function makeLines(rand, doc) {
  if (rand() > 0.35) return [];
  const end = Date.parse(doc["@timestamp"]);
  const begin = end - doc.duration_ms;
  const line = (ms, source, level, msg, more = {}) => {
    seq += 1;
    return {
      "@timestamp": new Date(Math.min(ms, end)).toISOString(),
      kind: "log",
      level,
      msg,
      caller: "collect/file.rs",
      service_name: SERVICE,
      source,
      seq,
      ...more,
    };
  };
  const { trace_id, request_id } = doc;
  const access = `${doc.client_ip} "POST ${doc.path} HTTP/1.1" ${doc.http_status} ${(doc.duration_ms / 1000).toFixed(3)}`;
  const lines = [
    line(begin + 4, "openclaw", "info", `run started for ${doc.user_id ?? "nobody"}`, { trace_id, agent: "main" }),
    line(end, "nginx", doc.http_status >= 500 ? "error" : "info", access, { request_id, http_status: doc.http_status }),
  ];
  if ((doc.load_ms ?? 0) > 500)
    lines.splice(1, 0, line(begin + 30, "ollama", "info", `loading model ${doc.model_name}: 65/65 layers offloaded to GPU`, { trace_id }));
  if (doc.http_status === 503) lines.push(line(end, "ollama", "error", "llama runner terminated: CUDA error: out of memory", { trace_id }));
  return lines;
}

/** Requests of the last `days` days up to `nowMs`, oldest first. */
export function makeHistory(nowMs, days = 7, seed = 7) {
  const rand = random(seed);
  const docs = [];
  const step = 60_000;
  for (let at = nowMs - days * 86_400_000; at < nowMs; at += step) {
    const crowd = busyness(at, nowMs);
    const count = Math.floor(crowd * 17 * (0.65 + rand() * 0.7) + rand());
    for (let one = 0; one < count; one++) {
      const doc = makeRequest(rand, Math.min(at + Math.floor(rand() * step), nowMs - 50), crowd);
      docs.push(doc, ...makeLines(rand, doc));
    }
  }
  const change = (minutes, kind, level, msg, more = {}) => {
    seq += 2;
    const at = new Date(nowMs - minutes * 60_000).toISOString();
    docs.push({ "@timestamp": at, kind, level, msg, caller: "tollhouse/keeper.rs", service_name: SERVICE, seq, ...more });
  };
  change(1_900, "process", "info", "started", { version: "0.1.0" });
  change(41, "config", "info", "configuration reloaded", { changed: ["models", "access.rate_limit"] });
  change(23, "audit", "info", "key made in the console", { key_id: "dev-laptop" });
  change(17, "config", "error", "configuration refused", { error: "models.qwen3:32b.context: expected a number" });
  docs.push(...makeSamples(rand, nowMs), ...makeProbes(rand, nowMs));
  return docs.sort((a, b) => (a["@timestamp"] < b["@timestamp"] ? -1 : 1));
}

/** What the machine had left, minute by minute of the last day. */
function makeSamples(rand, nowMs) {
  const docs = [];
  for (let minute = 24 * 60; minute > 0; minute--) {
    const ms = nowMs - minute * 60_000;
    const crowd = busyness(ms, nowMs);
    const sample = (more) => {
      seq += 1;
      docs.push({ "@timestamp": new Date(ms).toISOString(), kind: "resource", level: "info", msg: "sample", service_name: SERVICE, seq, ...more });
    };
    const used = 20e9 * (0.62 + 0.3 * crowd + 0.02 * rand());
    sample({
      gpu: "NVIDIA A10 (0)",
      gpu_memory_used_bytes: Math.round(used),
      gpu_memory_total_bytes: 24e9,
      gpu_memory_used_percent: round((used / 24e9) * 100),
      gpu_utilisation: Math.round(Math.min(100, crowd * 150 * (0.7 + rand() * 0.5))),
      temperature: Math.round(48 + crowd * 30),
    });
    sample({ memory_available_bytes: Math.round(64e9 * (0.5 - 0.2 * crowd)), memory_used_percent: round(50 + 20 * crowd + rand()), rss_bytes: 21e6 });
  }
  return docs;
}

/** What probes found in the last day. */
function makeProbes(rand, nowMs) {
  const docs = [];
  const probe = (ms, name, kind, layer, outcome, found, more) => {
    seq += 1;
    const level = { ok: "info", warn: "warn", fault: "error" }[outcome];
    docs.push({
      "@timestamp": new Date(ms).toISOString(),
      kind: "probe",
      level,
      msg: `${name}: ${found}`,
      service_name: SERVICE,
      seq,
      probe: name,
      probe_kind: kind,
      layer,
      outcome,
      found,
      ...more,
    });
  };
  for (let quarter = 96; quarter > 0; quarter--) {
    const ms = nowMs - quarter * 900_000 + 20_000;
    const ttft = round(380 + rand() * 220 + (quarter < 6 ? 900 : 0));
    probe(ms, "ollama", "process", "process", "ok", "answers on port 11434", { duration_ms: round(1 + rand() * 2), port: 11434, pid: 4711 });
    probe(ms, "qwen3:32b", "model", "answer", "ok", `first token after ${ttft} ms`, { duration_ms: ttft + 240, ttft_ms: ttft, tokens_per_second: round(24 + rand() * 4) });
    const used = round(90.2 + (96 - quarter) * 0.012, 2);
    probe(ms, "/", "disk", "resource", used > 91 ? "warn" : "ok", `${used}% used (limit 91%), full in 12 days`, { duration_ms: 0.4, used_percent: used, free_bytes: 86e9, full_in_days: 12 });
    if (quarter % 8 === 0)
      for (const [type, good] of [["arithmetic", 0.98], ["logic", 0.9], ["language", 0.94]])
        probe(ms, "reasoning_tests", "quality", "quality", "ok", `${type}: 5 samples`, { duration_ms: 5200, test_type: type, score: round(good - rand() * 0.06, 3), samples: 5 });
  }
  return docs;
}

export const MODEL_LIST = MODELS.map(({ name, upstream }) => ({ name, upstream, demo: false }));
export const SERVICE_NAME = SERVICE;
