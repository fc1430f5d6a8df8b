// What the mock knows besides records: fields, keys, and the story of a request.

const TEXTS = new Set(["msg", "ingest_error"]);

/** Name and type of each field, as the real house tells them. */
export function fieldsOf(docs) {
  const types = new Map();
  for (const doc of docs.slice(-3_000)) {
    for (const [name, value] of Object.entries(doc)) {
      const one = Array.isArray(value) ? value[0] : value;
      if (one === undefined || types.has(name)) continue;
      const number = typeof one === "number" ? (/_ms$|efficiency|per_second/.test(name) ? "double" : "long") : null;
      const plain = typeof one === "boolean" ? "boolean" : "keyword";
      types.set(name, name === "@timestamp" ? "date" : TEXTS.has(name) ? "text" : (number ?? plain));
    }
  }
  return [...types].map(([name, type]) => ({ name, type })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

const NO_LIMITS = {
  models: [],
  requests: null,
  per_ms: null,
  tokens: null,
  tokens_per_ms: null,
  concurrent: null,
  tokens_per_day: null,
  tokens_per_month: null,
  prompt_chars: null,
  priority: "normal",
  weight: 1,
  allow: [],
  expires: null,
  revoked: null,
  old_secrets_until: [],
  state: "in force",
  user: null,
  role: "user",
};

export function makeKey(wanted, number) {
  return { ...NO_LIMITS, ...wanted, id: `k${number}x7q2`, created: new Date().toISOString() };
}

export function firstKeys(nowMs) {
  const at = (days) => new Date(nowMs + days * 86_400_000).toISOString();
  const key = (id, name, more) => ({ ...NO_LIMITS, id, name, created: at(-40), ...more });
  return [
    key("prod", "team-a production", { user: "team-a", models: ["qwen3:*"], requests: 300, per_ms: 60_000, concurrent: 8 }),
    key("dev-laptop", "amy's laptop", { user: "amy", tokens_per_day: 200_000, expires: at(26) }),
    key("grafana", "Grafana", { role: "logs:read", allow: ["10.0.0.0/16"] }),
    key("old", "bob's first key", { user: "bob", state: "revoked", revoked: at(-3) }),
  ];
}

export function storyOf(docs, id) {
  const own = docs.filter((doc) => doc.kind === "request" && doc.request_id === id);
  const record = own.at(-1);
  if (record === undefined)
    return { request_id: id, found: false, records: [], attempts: [], lines: [], neighbours: [], phases: [], verdict: null };
  const end = Date.parse(record["@timestamp"]);
  const begin = end - record.duration_ms;
  const by = (doc) => (doc.request_id === id ? "request_id" : doc.trace_id === record.trace_id ? "trace_id" : null);
  const lines = docs
    .filter((doc) => doc.kind === "log" && by(doc) !== null)
    .map((doc) => ({ ts: doc["@timestamp"], source: doc.source, level: doc.level, msg: doc.msg, by: by(doc), record: doc }));
  const neighbours = docs.flatMap((doc) => {
    if (doc.kind !== "request" || doc.request_id === id || doc.upstream !== record.upstream) return [];
    const doneAt = Date.parse(doc["@timestamp"]);
    const start = doneAt - doc.duration_ms;
    if (record.upstream === undefined || doneAt < begin || start > end) return [];
    const { request_id, model_name: model, upstream, duration_ms } = doc;
    return [{ request_id, model, upstream, start_ms: start - begin, duration_ms }];
  });
  const parts = [
    ["queue", record.queue_ms],
    ["connect", record.connect_ms],
    ["load", record.load_ms],
    ["read", record.prefill_ms],
    ["write", record.decode_ms],
  ];
  const phases = [];
  let at = 0;
  for (const [name, duration] of parts) {
    if (!(duration > 0.05)) continue;
    phases.push({ name, start_ms: at, duration_ms: duration });
    at += duration;
  }
  const longest = phases.reduce((a, b) => (b.duration_ms > (a?.duration_ms ?? 0) ? b : a), undefined);
  return {
    request_id: id,
    found: true,
    queries: {
      records: { query: { term: { request_id: id } }, sort: [{ seq: "asc" }], size: 200 },
      neighbours: { query: { bool: { filter: [{ term: { kind: "request" } }, { term: { upstream: record.upstream ?? "" } }] } }, size: 1000 },
    },
    records: own,
    attempts: record.upstream
      ? Array.from({ length: record.attempts }, (_, number) => ({
          number: number + 1,
          ...(number + 1 === record.attempts
            ? { upstream: record.upstream, connect_ms: record.connect_ms, error: record.error }
            : {}),
        }))
      : [],
    lines,
    neighbours,
    phases,
    verdict: verdictOf(record, longest),
  };
}

function verdictOf(record, longest) {
  if (record.http_status === 429)
    return { cause: "refused_rate", text: "more was asked than the limits allow in this time", rule: "error begins with `rate limit exceeded`", confidence: 1 };
  if (record.http_status === 503)
    return { cause: "upstream_unreachable", text: "no connection to the model server could be made", rule: "error begins with `connecting:`", confidence: 1 };
  if (record.http_status !== 200)
    return { cause: "failed", text: record.error ?? "", rule: `its status is ${record.http_status}`, confidence: 1 };
  const share = longest === undefined ? 0 : longest.duration_ms / record.duration_ms;
  if (record.duration_ms > 1_000 && share >= 0.5) {
    const cause = { queue: "queue", connect: "connecting", load: "loading", read: "prompt_reading", write: "decoding_slow" }[longest.name];
    const seconds = (longest.duration_ms / 1000).toFixed(1);
    return {
      cause,
      text: `${longest.name} took ${seconds} s of ${(record.duration_ms / 1000).toFixed(1)} s`,
      rule: `${longest.name} took the largest part`,
      confidence: share,
    };
  }
  return { cause: "ok", text: "answered; no part of it took remarkably long", rule: "its status is a success, and nothing else stands out", confidence: 1 };
}
