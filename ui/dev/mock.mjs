// A stand-in for the gateway while working on the console: serves dist/ and answers the JSON API from generated records.
//
//   node dev/mock.mjs [--port 18790] [--scenario full|empty|quiet|warn|fault|hostile|demo]      token: "toll"

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ANSWERS } from "./answers.mjs";
import { MODEL_LIST, makeHistory, makeRequest, random, SERVICE_NAME } from "./data.mjs";
import { QueryError, search } from "./es.mjs";
import { backtestOf, makeAlerts, makeForecast, makeObjectives, makeProbeList } from "./watch.mjs";
import { makeAdvised, makeExamined } from "./doctor.mjs";
import { batchPageOf, boardOf, cancelled, checkOf, makeJobs, runOf, textOf } from "./jobs.mjs";
import { checkSettings, makeRevisions, makeSettings } from "./settings.mjs";
import { makeProcesses, makeStores } from "./upkeep.mjs";
import { fieldsOf, firstKeys, makeKey, storyOf } from "./house.mjs";

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist");
const TOKEN = "toll";
const COOKIE = "tollhouse_console=mock";
const REFUSED =
  "unauthorized: gateway token missing (open a tokenized dashboard URL or paste token in Control UI settings)";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const NEW_REQUEST_MS = 1_400;

export async function startMock({ port = 0, scenario = "full", grow = true } = {}) {
  const began = Date.now();
  const docs = scenario === "empty" ? [] : makeHistory(began);
  if (scenario === "quiet")
    docs.splice(0, docs.length, ...docs.filter((doc) => Date.parse(doc["@timestamp"]) < began - 9 * 3_600_000));
  if (scenario === "hostile") poison(docs);
  const rand = random(99);
  const add = () => {
    const doc = makeRequest(rand, Date.now(), 0.4);
    docs.push(doc);
    return doc;
  };
  const timer = grow && scenario !== "empty" && scenario !== "quiet" ? setInterval(add, NEW_REQUEST_MS) : null;
  const state = {
    docs,
    scenario,
    began,
    add,
    searches: [],
    cancelled: 0,
    saved: [],
    keys: scenario === "empty" ? [] : firstKeys(began),
    alerts: makeAlerts(began),
    probes: makeProbeList(began),
    jobs: makeJobs(began, scenario),
    settings: makeSettings(),
  };
  const server = createServer((request, response) => {
    answer(request, response, state).catch((error) => {
      response.statusCode = 500;
      response.end(JSON.stringify({ error: String(error) }));
    });
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    cookie: COOKIE,
    stop() {
      clearInterval(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(request, response, state) {
  const url = new URL(request.url, "http://mock");
  response.setHeader("content-security-policy", POLICY);
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("referrer-policy", "no-referrer");
  if (url.pathname.startsWith("/assets/")) return file(response, path.join("assets", path.basename(url.pathname)), 200);
  const signedIn = (request.headers.cookie ?? "").includes(COOKIE);
  if (url.searchParams.get("token") === TOKEN) {
    response.writeHead(303, { location: "/", "set-cookie": `${COOKIE}; HttpOnly; SameSite=Strict; Path=/` });
    return response.end();
  }
  if (!url.pathname.startsWith("/console/api/v1")) return file(response, "index.html", signedIn ? 200 : 401);

  const call = `${request.method} ${url.pathname.slice("/console/api/v1".length)}`;
  const json = (status, body) => {
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  if (request.method !== "GET" && request.headers["x-tollhouse-console"] !== "1")
    return json(403, { error: "the console header is missing" });
  const body = request.method === "POST" || request.method === "PUT" ? JSON.parse((await read(request)) || "{}") : null;

  if (call === "POST /session") {
    if (body.token !== TOKEN) return json(401, { error: REFUSED });
    response.setHeader("set-cookie", `${COOKIE}; HttpOnly; SameSite=Strict; Path=/`);
    return json(204);
  }
  if (call === "DELETE /session") {
    response.setHeader("set-cookie", "tollhouse_console=; Max-Age=0; Path=/");
    return json(204);
  }
  if (!signedIn) return json(401, { error: REFUSED });
  switch (call) {
    case "GET /session":
      return json(200, {
        id: "own",
        user: "ann",
        way: "password",
        service: SERVICE_NAME,
        version: "0.1.0",
        role: "admin",
        demo: state.scenario === "demo",
        public_url: null,
      });
    case "GET /users":
      return json(200, { users: usersOf(state) });
    case "GET /sessions":
      return json(200, { sessions: sessionsOf(state) });
    case "PUT /account/password":
      return body.current === TOKEN ? json(204) : json(403, { error: "the current password is wrong" });
    case "GET /models":
      return json(200, {
        models: state.scenario === "demo" ? [{ name: "demo", upstream: "demo", demo: true }] : MODEL_LIST,
      });
    case "GET /status":
      return json(200, status(state));
    case "POST /search":
      return find(json, body, state);
    case "POST /chat":
      return talk(response, body, state);
    case "GET /chat":
      // Nothing is kept here: the page talks without the server's help.
      return json(200, {
        service: SERVICE_NAME,
        title: null,
        description: null,
        model: null,
        history: false,
        keep_days: 90,
        unwatched_s: 120,
        you: { by: "session", name: null },
      });
    case "GET /chat/models":
      return json(200, {
        models: state.scenario === "demo" ? [{ name: "demo", demo: true }] : MODEL_LIST,
      });
    case "GET /chats":
      return json(200, { chats: [] });
    case "GET /dashboards":
      return json(200, { dashboards: [] });
    case "GET /fields":
      return json(200, { fields: fieldsOf(state.docs) });
    case "GET /saved":
      return json(200, { saved: [...state.saved].sort((a, b) => (a.name < b.name ? -1 : 1)) });
    case "POST /saved":
      if (state.saved.some(({ name }) => name === body.name))
        return json(409, { error: "another saved search has this name" });
      state.saved.push({ ...body, id: `s${state.saved.length + 1}`, owner: "admin", changed_ms: Date.now() });
      return json(201, state.saved.at(-1));
    case "GET /alerts":
      return json(200, state.scenario === "empty" ? { ...state.alerts, incidents: [], channels: [], reports: [] } : state.alerts);
    case "GET /alerts/objectives":
      return json(200, { objectives: state.scenario === "empty" ? [] : makeObjectives() });
    case "GET /alerts/incidents":
      return json(200, { incidents: [], more: false });
    case "POST /alerts/backtest": {
      const told = backtestOf(body, Date.now());
      return json(told.error === undefined ? 200 : 400, told);
    }
    case "GET /probes":
      return json(200, state.scenario === "empty" ? { light: { colour: "grey", layer: null, reason: "nothing was checked yet", said: [{ code: "nothing_yet", figures: {} }], layers: [] }, probes: [], resources: [] } : state.probes);
    case "GET /processes":
      return json(200, { processes: state.scenario === "empty" ? [] : makeProcesses(Date.now()) });
    case "GET /stores":
      return json(200, state.scenario === "empty" ? { stores: [], disks: [] } : makeStores(Date.now()));
    case "POST /doctor":
      return json(200, makeExamined(state.scenario));
    case "POST /advise":
      return json(200, makeAdvised(state.scenario));
    case "GET /tasks":
      return json(200, boardOf(state.jobs));
    case "GET /tasks/runs": {
      const [task, status, text] = ["task", "status", "text"].map((name) => url.searchParams.get(name) ?? "");
      const fits = (run) => (task === "" || run.task === task) && (status === "" || run.status === status) && run.task.includes(text);
      return json(200, { runs: state.jobs.runs.filter(fits), next: null });
    }
    case "GET /batches":
      return json(200, batchPageOf(state.jobs));
    case "GET /later":
      return json(200, { on: true, later: state.jobs.later, has_more: false });
    case "GET /settings":
      return json(200, state.settings);
    case "POST /settings/check":
      return json(200, checkSettings(state.settings.text, body.text));
    case "POST /settings/apply":
      state.settings = makeSettings(body.text);
      return json(200, { changed: ["timeouts.idle"], restart: [], version: state.settings.version });
    case "GET /settings/history":
      return json(200, { revisions: state.scenario === "empty" ? [] : makeRevisions(state.began) });
    case "GET /forecast":
      return json(200, makeForecast(Date.now()));
    case "GET /keys":
      return json(200, { keys: state.keys, configured: [{ id: "batch", user: "nightly-report", models: ["qwen3:*"] }] });
    case "POST /keys": {
      const key = makeKey(body, state.keys.length);
      state.keys.push(key);
      return json(201, { ...key, key: `th_${key.id}_4mYc0vYhV0cXkq3aM1xq8sZ2` });
    }
    default:
      return named(json, call, body, state);
  }
}

/** Calls that name one thing in their path. */
function named(json, call, body, state) {
  const [method, path] = call.split(" ");
  const [, kind, id, action] = path.split("/").map(decodeURIComponent);
  if (method === "GET" && kind === "requests" && action === "story") return json(200, storyOf(state.docs, id));
  if (kind === "saved") {
    const at = state.saved.findIndex((one) => one.id === id);
    if (at < 0) return json(404, { error: "there is no saved search with this id" });
    if (method === "DELETE") {
      state.saved.splice(at, 1);
      return json(204);
    }
    state.saved[at] = { ...state.saved[at], ...body };
    return json(200, state.saved[at]);
  }
  if (kind === "tasks") return tasked(json, method, path.split("/").slice(2).map(decodeURIComponent), body, state);
  if ((kind === "batches" || kind === "later") && action === "cancel") {
    const found = cancelled(state.jobs[kind], id, Date.now());
    return found === null ? json(404, { error: "there is no such thing" }) : json(200, found);
  }
  if (kind === "alerts" && method === "POST") return watched(json, id, action, path.split("/")[4], body, state);
  if (kind === "probes" && action === "run") {
    const probe = state.probes.probes.find((one) => one.id === id);
    if (probe === undefined) return json(404, { error: "there is no such probe" });
    probe.last.at = new Date().toISOString();
    return json(200, probe);
  }
  const key = kind === "keys" ? state.keys.find((one) => one.id === id) : undefined;
  if (key !== undefined && action === "rotate") return json(200, { ...key, key: `th_${key.id}_N7pWq2rT9uXzB4cD6eF8gH1j` });
  if (key !== undefined && action === "revoke") {
    Object.assign(key, { state: "revoked", revoked: new Date().toISOString() });
    return json(204);
  }
  return json(404, { error: "there is no such call" });
}

/** A run or a definition, and what is done with it. */
function tasked(json, method, [what, name, verb], body, { jobs }) {
  const task = jobs.tasks.find((one) => one.name === name);
  if (what === "runs") {
    const run = jobs.runs.find(({ id }) => id === name);
    if (run === undefined) return json(404, { error: "there is no such run" });
    const status = { pause: "paused", resume: "running", cancel: "cancelled", approve: "done", reject: "failed", retry: "running" }[verb];
    if (status !== undefined) Object.assign(run, { status });
    if (verb === "approve" || verb === "reject") jobs.questions = jobs.questions.filter((question) => question.run !== name);
    return json(200, runOf(jobs, name, Date.now()));
  }
  if (verb === "check") return json(200, checkOf(body.text));
  if (verb === "run") return json(201, { id: jobs.runs[0].id });
  if (verb === "hold" || verb === "release") return json(200, Object.assign(task, { is_held: verb === "hold" }));
  if (method === "DELETE") {
    jobs.tasks = jobs.tasks.filter((one) => one !== task);
    return json(204);
  }
  return json(200, textOf(name));
}

function watched(json, name, action, what, body, state) {
  const found = name === "incidents" ? state.alerts.incidents.find(({ id }) => id === action) : undefined;
  if (found !== undefined && what === "acknowledge") {
    found.acknowledged ??= { at: new Date().toISOString(), by: "console: admin" };
    return json(200, found);
  }
  const rule = state.alerts.rules.find((one) => one.name === name);
  if (rule === undefined) return json(404, { error: "there is no such rule" });
  rule.silenced_until = action === "silence" ? new Date(Date.now() + Number.parseInt(body.for, 10) * 3_600_000).toISOString() : null;
  return json(200, { rule: name, silenced_until: rule.silenced_until });
}

function find(json, body, state) {
  state.searches.push(body);
  try {
    return json(200, search(state.docs, body));
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const at = error.position === null ? "" : ` at position ${error.position}`;
    const reason = `${error.message}${at}`;
    const cause = { type: "parse_exception", reason };
    return json(400, {
      error: {
        root_cause: [cause],
        type: "search_phase_execution_exception",
        reason: "all shards failed",
        caused_by: cause,
      },
      status: 400,
    });
  }
}

function status({ docs, scenario, began }) {
  const seq = docs.at(-1)?.seq ?? 0;
  const upstreams = [
    { name: "local", kind: "ollama", breaker: "closed", reason: null },
    { name: "second", kind: "openai", breaker: "closed", reason: null },
  ];
  const words = {
    ok: "all upstreams answer",
    warn: "upstream second does not answer, local takes its place",
    fault: "no upstream answers: connection refused",
  };
  const level = scenario === "warn" || scenario === "fault" ? scenario : "ok";
  if (level !== "ok") Object.assign(upstreams[1], { breaker: "open", reason: "connection refused" });
  if (level === "fault") Object.assign(upstreams[0], { breaker: "half_open", reason: "connection refused" });
  return {
    status: level,
    reason: words[level],
    said: [{ ok: ["house_well", ""], warn: ["house_some_silent", "second"], fault: ["house_all_silent", "local, second"] }[level]].map(
      ([code, names]) => ({ code, figures: { names } }),
    ),
    upstreams: scenario === "demo" ? [{ name: "demo", kind: "demo", breaker: "closed", reason: null }] : upstreams,
    journal: { seq: seq + (level === "fault" ? 4_210 : 0) },
    index: { seq },
    uptime_s: 3 * 86_400 + 7_260 + Math.round((Date.now() - began) / 1000),
    version: "0.1.0",
  };
}

/** An answer of the demo kind, streamed as OpenAI does it. */
function usersOf({ scenario, began }) {
  if (scenario === "empty") return [];
  const user = (name, role, minutes) => ({
    id: name,
    name,
    role,
    created_ms: began - 40 * 86_400_000,
    signed_in_ms: minutes === null ? null : began - minutes * 60_000,
  });
  return [user("ann", "admin", 12), user("bob", "operator", 700), user("张伟", "viewer", null)];
}

function sessionsOf({ began }) {
  const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
  const session = (id, user, minutes) => ({
    id,
    user_id: user,
    user,
    role: "admin",
    way: user === null ? "token" : "password",
    address: "192.168.1.23",
    agent,
    created_ms: began - 86_400_000,
    seen_ms: began - minutes * 60_000,
    expires_ms: began + 29 * 86_400_000,
  });
  return [session("own", "ann", 1), session("phone", "ann", 300), session("first", null, 900)];
}

async function talk(response, body, state) {
  const doc = state.add();
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
  });
  const question = body.messages.at(-1)?.content ?? "";
  const { thinking, text, error } = ANSWERS.find((one) => one.test.test(question)) ?? ANSWERS.at(-1);
  const began = Date.now();
  let told = { model: body.model, request_id: doc.request_id };
  const send = (news) => response.write(`data: ${JSON.stringify({ state: "running", told, ...news })}\n\n`);
  let gone = false;
  response.on("close", () => {
    gone = true;
    if (!response.writableEnded) state.cancelled++;
  });
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  send({ whole: true, wait: { phase: "queued", position: 1 } });
  await pause(300);
  told = { ...told, first_ms: Date.now() - began };
  for (const piece of pieces(thinking ?? "")) {
    if (gone) return;
    send({ thinking: piece });
    await pause(12);
  }
  let count = 0;
  for (const piece of pieces(text)) {
    if (gone) return;
    send({ text: piece });
    count++;
    await pause(12);
  }
  told = { ...told, total_ms: Date.now() - began };
  if (error) {
    told = { ...told, error };
    send({ state: "failed" });
  } else {
    told = { ...told, finish: "stop", input_tokens: Math.ceil(question.length / 3.6), output_tokens: count };
    send({ state: "done" });
  }
  response.end();
}

function pieces(text) {
  return text.match(/[\s\S]{1,5}/g) ?? [];
}

/** Records and names that would do harm if any of them were taken for markup. */
function poison(docs) {
  const bad = "<img src=x onerror=\"window.ran='img'\"><script>window.ran='script'</script>";
  for (const doc of docs.slice(-40)) {
    doc.model_name = `evil<svg onload="window.ran='svg'">`;
    doc.user_id = bad;
    doc.error = `${bad} javascript:alert(1)`;
    doc.tags = [bad];
    Object.defineProperty(doc, "__proto__", { value: { polluted: true }, enumerable: true });
    doc.constructor = "data";
    doc["<b>field</b>"] = bad;
  }
}

async function file(response, name, code) {
  try {
    const bytes = await readFile(path.join(dist, name));
    response.writeHead(code, { "content-type": TYPES[path.extname(name)] ?? "application/octet-stream" });
    response.end(bytes);
  } catch {
    response.writeHead(404);
    response.end();
  }
}

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (flag, fallback) => {
    const at = process.argv.indexOf(flag);
    return at < 0 ? fallback : process.argv[at + 1];
  };
  const mock = await startMock({ port: Number(option("--port", "18790")), scenario: option("--scenario", "full") });
  console.log(`${mock.url}/?token=${TOKEN}`);
}
