// The configuration for the stand-in: a short file, where its values come from, and a check that knows one fault.

const FILE = `# tollhouse.yaml
service: clawdbot-qwen3
upstreams:
  local: {kind: ollama, url: http://127.0.0.1:11434}
timeouts: {idle: 30s}
`;

export function makeSettings(text = FILE) {
  const value = (path, from, shown, line = null) => ({ path, from, value: shown, line, variables: [] });
  return {
    file: "/etc/tollhouse/tollhouse.yaml",
    version: String(text.length),
    text,
    locked: null,
    faults: [],
    pending: [],
    settings: [
      value("service", "file", "clawdbot-qwen3", 2),
      value("listen", "default", "127.0.0.1:18789"),
      value("upstreams.local.url", "file", "http://127.0.0.1:11434", 4),
      value("timeouts.idle", "file", "30s", 5),
      value("timeouts.total", "default", "15m"),
    ],
  };
}

export function checkSettings(before, text) {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => /idle: [a-z]/.test(line));
  const fault = {
    line: at + 1,
    column: lines[at]?.indexOf("idle: ") + 7,
    width: 4,
    message: "`timeouts.idle`: it does not begin with a whole number",
    expected: "a duration such as 250ms, 30s, 5m or 24h",
    hint: null,
    said: {
      path: "timeouts.idle",
      what: { code: "unit_no_number", figures: {} },
      expected: { code: "a_time", figures: {} },
      hint: null,
    },
  };
  const old = before.split("\n");
  const isSame = before === text;
  const line = (what, number, words) => ({ what, before: what === "in" ? null : number, after: what === "out" ? null : number, text: words });
  const diff = isSame
    ? []
    : [...old.flatMap((words, n) => (lines[n] === words ? [] : [line("out", n + 1, words)])), ...lines.flatMap((words, n) => (old[n] === words ? [] : [line("in", n + 1, words)]))];
  return { faults: at < 0 ? [] : [fault], missing: [], changed: isSame ? [] : ["timeouts.idle"], restart: [], barred: [], diff };
}

export function makeRevisions(began) {
  return [
    { id: 1, at_ms: began - 86_400_000, by: "ann", role: "admin", client: "192.168.1.23", changed: ["timeouts.idle"], restart: [] },
  ];
}
