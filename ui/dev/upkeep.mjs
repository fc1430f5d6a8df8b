// Processes and stores for the stand-in: one of each state that matters.

const GIB = 2 ** 30;

export function makeProcesses(now) {
  const ago = (ms) => new Date(now - ms).toISOString();
  const base = {
    pid: null,
    reason: null,
    why: null,
    asked: null,
    next_start: null,
    memory_bytes: null,
    memory_soft_bytes: null,
    memory_hard_bytes: null,
    pressure: null,
    pressure_limit: null,
    stop_ms: 10_000,
    drain_ms: 30_000,
    needs: [],
    upstreams: [],
    critical: false,
  };
  return [
    {
      ...base,
      name: "ollama",
      state: "ready",
      since: ago(7_200_000),
      pid: 4711,
      starts: 2,
      why: { code: "memory", bytes: 13 * GIB, limit_bytes: 12 * GIB },
      memory_bytes: 9.4 * GIB,
      memory_soft_bytes: 8 * GIB,
      memory_hard_bytes: 12 * GIB,
      pressure: 3.1,
      pressure_limit: 40,
      command: ["ollama", "serve"],
      upstreams: ["local"],
      critical: true,
    },
    {
      ...base,
      name: "openclaw",
      state: "paused",
      since: ago(360_000),
      starts: 5,
      why: { code: "exit", exit: 3 },
      asked: { code: "often", times: 5, ms: 600_000 },
      command: ["openclaw", "gateway", "run", "--config", "/srv/openclaw/openclaw.json"],
      needs: ["ollama"],
      stop_ms: 330_000,
    },
    {
      ...base,
      name: "webui",
      state: "backoff",
      since: ago(4_000),
      next_start: new Date(now + 26_000).toISOString(),
      starts: 3,
      why: { code: "signal", signal: 9 },
      command: ["open-webui", "serve"],
    },
    { ...base, name: "report", state: "waiting", since: ago(360_000), starts: 0, needs: ["openclaw"], command: ["/srv/report"] },
  ];
}

export function makeStores(now) {
  const store = (name, bytes, limit, days, path) => ({
    name,
    path,
    bytes,
    files: 40,
    cut: false,
    limit_bytes: limit,
    limit_in_days: days,
    disk: "1",
  });
  return {
    at: new Date(now - 200_000).toISOString(),
    stores: [
      store("journal", 6.2 * GIB, 10 * GIB, 41.5, "/srv/tollhouse/gateway*"),
      store("index", 18.9 * GIB, 20 * GIB, 3.2, "/srv/tollhouse/index"),
      store("content", 0.4 * GIB, 5 * GIB, null, "/srv/tollhouse/content"),
      store("state", 3_200_000, null, null, "/srv/tollhouse/state"),
    ],
    disks: [
      {
        id: "1",
        total_bytes: 98 * GIB,
        free_bytes: 7.5 * GIB,
        store_bytes: 25.5 * GIB,
        may_grow_bytes: 9.5 * GIB,
        fits: false,
        full_in_days: 18.4,
      },
    ],
  };
}
