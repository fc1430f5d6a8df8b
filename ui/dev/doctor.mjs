// The doctor and its advice for the stand-in: one check of each state, one piece of advice of each word.

const said = (code, figures = {}) => [{ code, figures }];

const CHECKS = [
  {
    id: "config.readable",
    area: "configuration",
    status: "ok",
    code: "configuration_valid",
    looked: "the configuration file",
    looked_said: said("at_configuration"),
    found: "/etc/tollhouse/tollhouse.yaml is valid",
    found_said: said("configuration_valid", { file: "/etc/tollhouse/tollhouse.yaml" }),
  },
  {
    id: "server.parallel",
    area: "server",
    subject: "local",
    status: "warn",
    code: "parallel_too_many",
    looked: "OLLAMA_NUM_PARALLEL and `parallel` here",
    looked_said: said("at_parallel"),
    found: "it is given 4 requests at once and works on 1: the others wait inside of it, where nobody sees them",
    found_said: said("parallel_too_many", { given: 4, works_on: 1 }),
    fix: "set parallel: 1 in `upstreams`, or OLLAMA_NUM_PARALLEL=4 for Ollama",
    fix_said: said("do_parallel", { given: 4, works_on: 1 }),
  },
  {
    id: "edge.certificate",
    area: "edge",
    subject: "ai.example.com",
    status: "fault",
    code: "certificate_ended",
    looked: "the certificate of ai.example.com",
    looked_said: said("at_certificate", { name: "ai.example.com" }),
    found: "the present one is over",
    found_said: said("certificate_ended"),
    repair: "sudo certbot renew --cert-name ai.example.com",
  },
  {
    id: "openclaw.settings",
    area: "openclaw",
    status: "skipped",
    code: "not_asked",
    looked: "settings of OpenClaw",
    looked_said: [],
    found: "not asked",
    found_said: said("not_asked"),
  },
];

export function makeExamined(scenario) {
  const checks = CHECKS.filter(({ status }) => scenario !== "empty" || status === "ok" || status === "skipped").map((check) => ({
    subject: null,
    fix: null,
    fix_said: [],
    repair: null,
    ...check,
  }));
  const order = ["skipped", "ok", "warn", "fault"];
  const worst = Math.max(...checks.map(({ status }) => order.indexOf(status)));
  return { checks, status: order[worst], took_ms: 840 };
}

const BODY = { size: 0, query: { term: { kind: "request" } } };

export function makeAdvised(scenario) {
  const piece = { subject: null, change: null, change_said: [], sure_said: [], query: "requests", figures: {} };
  if (scenario === "empty") {
    const nothing = { ...piece, id: "queue", advice: "unknown", code: "nothing", found: "there are no requests", found_said: [], sure: "not at all" };
    return { change_needed: false, queries: {}, advice: [nothing] };
  }
  return {
    change_needed: true,
    queries: { requests: BODY, queue: BODY },
    advice: [
      {
        ...piece,
        id: "queue",
        query: "queue",
        subject: "local",
        advice: "change",
        code: "parallel",
        found: "requests waited 18 s at the 95th percentile while 1 of 2 places was free",
        found_said: [],
        sure: "sure: 4,210 requests on 7 days",
        change: "set parallel: 2 for this server",
        figures: { requests: 4210, waited_p95_ms: 18_000, places: 2 },
      },
      {
        ...piece,
        id: "loads",
        advice: "keep",
        code: "loads_rare",
        found: "models were loaded twice a day",
        found_said: [],
        sure: "sure: 4,210 requests on 7 days",
      },
    ],
  };
}
