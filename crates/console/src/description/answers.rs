//! The types of answers that come as JSON from other crates, for their description alone: nothing makes one of them.

#![expect(dead_code, reason = "what is sent is made where it is known; these say what it is")]
#![expect(clippy::struct_field_names, reason = "members are called as they are in the answers")]

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use tollhouse_state::{ChatMessage, Dashboard, FoundChat, KeptDashboard, Saved, Session, User};
use utoipa::ToSchema;

// The house

/// How the house is.
#[derive(ToSchema)]
pub(crate) struct Status {
    status: HouseState,
    reason: String,
    said: Vec<Said>,
    upstreams: Vec<Upstream>,
    journal: JournalStatus,
    index: IndexStatus,
    /// Where limits are counted: `local`, `shared`, or `away` while the shared place is.
    limits: String,
    uptime_s: u64,
    version: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum HouseState {
    Ok,
    Warn,
    Fault,
}

/// Closed: requests pass. Open: they are refused. Held: they wait. Half open: one at a time passes.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum Breaker {
    Closed,
    HalfOpen,
    Held,
    Open,
}

/// A model server.
#[derive(ToSchema)]
struct Upstream {
    name: String,
    /// `ollama`, `openai`, `anthropic` or `demo`.
    kind: String,
    breaker: Breaker,
    /// Why the breaker is not closed.
    reason: Option<String>,
    /// How many requests it is given at once.
    parallel: u32,
    running: u32,
    waiting: u32,
    /// Models that it has loaded, as far as is known.
    loaded: Vec<String>,
    /// How often it has loaded one for a request.
    loads: u64,
    load_ms_total: u64,
    /// Whether it changes from one model to another all the time.
    thrashing: bool,
}

#[derive(ToSchema)]
struct JournalStatus {
    /// Number of the last record.
    seq: u64,
    /// How the disk takes records.
    disk: String,
}

#[derive(ToSchema)]
struct IndexStatus {
    /// Number of the last record that is found by a search.
    seq: u64,
}

#[derive(ToSchema)]
pub(crate) struct Models {
    models: Vec<Model>,
}

#[derive(ToSchema)]
struct Model {
    name: String,
    /// The model server that has it.
    upstream: String,
    demo: bool,
}

#[derive(ToSchema)]
pub(crate) struct Fields {
    fields: Vec<Field>,
}

/// A field that records have.
#[derive(ToSchema)]
struct Field {
    name: String,
    /// As Elasticsearch calls it.
    r#type: String,
}

#[derive(ToSchema)]
pub(crate) struct Reloaded {
    /// The paths of what changed.
    changed: Vec<String>,
}

/// This description.
#[derive(ToSchema)]
pub(crate) struct OpenApi {
    openapi: String,
    paths: HashMap<String, Value>,
    components: HashMap<String, Value>,
}

// Search

/// A search in the language of Elasticsearch.
#[derive(ToSchema)]
pub(crate) struct SearchBody {
    query: Option<HashMap<String, Value>>,
    aggs: Option<HashMap<String, Value>>,
    size: Option<u64>,
}

/// What Elasticsearch would answer.
#[derive(ToSchema)]
pub(crate) struct SearchAnswer {
    took: u64,
    timed_out: bool,
    hits: Hits,
}

#[derive(ToSchema)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(ToSchema)]
struct Hit {
    _id: String,
    _index: String,
}

/// The story of one request over all sources.
#[derive(ToSchema)]
pub(crate) struct Story {
    request_id: String,
    /// Whether any record names it.
    found: bool,
    verdict: Option<Verdict>,
    phases: Vec<Phase>,
    attempts: Vec<Attempt>,
    records: Vec<HashMap<String, Value>>,
    /// Lines of other sources that belong to it.
    lines: Vec<Line>,
    /// Whether there are more lines than these.
    lines_cut: bool,
    neighbours: Vec<Neighbour>,
    /// What was around it at its model server.
    resources: HashMap<String, Value>,
    /// What else happened meanwhile.
    events: Vec<HashMap<String, Value>>,
    /// The searches whose answers all this is, as `/es` takes them: `records`, `lines`, `neighbours`, `events`, `before`, `loaded`.
    queries: HashMap<String, Value>,
}

/// Why it went as it did.
#[derive(ToSchema)]
struct Verdict {
    cause: String,
    text: String,
    rule: String,
    /// The rule's name, which stays the same.
    rule_name: String,
    confidence: f64,
}

#[derive(ToSchema)]
struct Phase {
    name: String,
    /// From the begin of the request.
    start_ms: f64,
    duration_ms: f64,
}

#[derive(ToSchema)]
struct Attempt {
    number: u64,
}

/// A record of another source.
#[derive(ToSchema)]
struct Line {
    ts: Option<String>,
    source: Option<String>,
    level: Option<String>,
    msg: Option<String>,
    /// By what it belongs to the request: `request_id`, `trace_id` or `time`.
    by: String,
    record: HashMap<String, Value>,
}

/// A request at the same server at the same time.
#[derive(ToSchema)]
struct Neighbour {
    request_id: String,
    model: Option<String>,
    upstream: Option<String>,
    start_ms: f64,
    duration_ms: f64,
}

// What all share

#[derive(ToSchema)]
pub(crate) struct SavedSearches {
    saved: Vec<Saved>,
}

#[derive(ToSchema)]
pub(crate) struct Dashboards {
    dashboards: Vec<KeptDashboard>,
}

/// What a file of saved objects would become; nothing is kept yet.
#[derive(ToSchema)]
pub(crate) struct Imported {
    dashboards: Vec<Dashboard>,
    notes: Vec<ImportNote>,
}

/// What became of one object of the file.
#[derive(ToSchema)]
struct ImportNote {
    /// Its line, counted from 1.
    line: u64,
    /// Kibana's word for what it is.
    kind: String,
    name: String,
    fate: Fate,
    /// Why.
    text: String,
}

#[derive(ToSchema)]
enum Fate {
    #[schema(rename = "taken")]
    Taken,
    #[schema(rename = "changed")]
    Changed,
    #[schema(rename = "not taken")]
    NotTaken,
}

// Alerts

/// Rules, incidents and channels, and how they stand.
#[derive(ToSchema)]
pub(crate) struct AlertList {
    at: String,
    rules: Vec<AlertRule>,
    /// Open ones and the last that ended.
    incidents: Vec<Incident>,
    silences: Vec<Silenced>,
    channels: Vec<Channel>,
    reports: Vec<Report>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum RuleState {
    Calm,
    Pending,
    Firing,
    Held,
    Off,
    Failing,
}

#[derive(ToSchema)]
struct AlertRule {
    name: String,
    on: bool,
    built_in: bool,
    /// `built-in`, `file` or `console`.
    origin: String,
    saved: Option<SavedText>,
    objective: Option<ObjectiveGoal>,
    state: RuleState,
    error: Option<String>,
    /// The rule that is firing and for which this one waits.
    held_by: Option<String>,
    severity: String,
    query: String,
    measured: Option<String>,
    limit: String,
    baseline: Option<String>,
    within: String,
    group_by: Option<String>,
    r#for: String,
    samples: u64,
    cooldown: String,
    resolve: Option<String>,
    quiet: Option<Quiet>,
    needs: Vec<String>,
    notify: Option<Vec<String>>,
    escalate: Option<Escalate>,
    runbook: Option<String>,
    /// The same by a code, where it is what the rule says from the start.
    runbook_said: Vec<Said>,
    silenced_until: Option<String>,
    /// The rule as it stands in the configuration, in one line.
    yaml: String,
    groups: Vec<RuleGroup>,
}

/// What was saved of a rule in the console.
#[derive(ToSchema)]
struct SavedText {
    /// Its settings as YAML, or `off`.
    text: String,
    by: String,
    at: String,
    /// Why it is not in force.
    problem: Option<String>,
}

#[derive(ToSchema)]
struct ObjectiveGoal {
    /// Which records are bad.
    bad: String,
    /// Percent that have to be good.
    goal: f64,
    over: String,
}

/// What is left of each objective's budget.
#[derive(ToSchema)]
pub(crate) struct Objectives {
    at: String,
    objectives: Vec<Objective>,
}

#[derive(ToSchema)]
struct Objective {
    rule: String,
    goal: f64,
    over: String,
    query: String,
    bad: String,
    group_by: Option<String>,
    groups: Vec<Standing>,
    error: Option<String>,
}

#[derive(ToSchema)]
struct Standing {
    group: String,
    all: u64,
    bad: u64,
    /// The share of the budget that is left; below zero when more is gone.
    left: f64,
    /// How many times too fast it goes, over an hour, six hours and three days.
    rates: Vec<Option<f64>>,
}

/// A rule that is saved and in force.
#[derive(ToSchema)]
pub(crate) struct SavedRule {
    rule: String,
    yaml: String,
}

/// A rule that is no longer saved.
#[derive(ToSchema)]
pub(crate) struct RemovedRule {
    rule: String,
}

/// Whether a channel took a message.
#[derive(ToSchema)]
pub(crate) struct ChannelTest {
    channel: String,
    kind: String,
    ok: bool,
    error: Option<String>,
    /// Whether it would be tried again.
    retryable: bool,
    /// Receivers that were refused.
    refused: Vec<String>,
}

#[derive(ToSchema)]
struct Quiet {
    from: String,
    to: String,
    zone: Option<String>,
}

#[derive(ToSchema)]
struct Escalate {
    after: String,
    notify: Vec<String>,
}

#[derive(ToSchema)]
struct RuleGroup {
    /// Value of the field by which the rule groups; empty when it groups by none.
    group: String,
    state: String,
    since: Option<String>,
    value: Option<f64>,
    shown: Option<String>,
    usual: Option<f64>,
    last_told: Option<String>,
    incident: Option<String>,
}

#[derive(ToSchema)]
struct Silenced {
    rule: String,
    until: String,
}

/// Whom is told.
#[derive(ToSchema)]
struct Channel {
    name: String,
    kind: String,
    /// Messages that could not be sent yet.
    waiting: u64,
    oldest: Option<String>,
}

#[derive(ToSchema)]
struct Report {
    name: String,
    report: String,
    at: String,
    zone: Option<String>,
    next: Option<String>,
    last: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum IncidentState {
    Open,
    Ended,
}

#[derive(ToSchema)]
pub(crate) struct Incident {
    id: String,
    rule: String,
    severity: Option<String>,
    state: IncidentState,
    title: Option<String>,
    title_said: Vec<Said>,
    text: Option<String>,
    text_said: Vec<Said>,
    groups: Vec<String>,
    figures: Option<Vec<Figure>>,
    worst: Option<Vec<String>>,
    runbook: Option<String>,
    /// The same by a code, where it is what the rule says from the start.
    runbook_said: Vec<Said>,
    link: Option<String>,
    began: String,
    ended: Option<String>,
    acknowledged: Option<Acknowledged>,
    escalated: Option<String>,
    timeline: Vec<IncidentMoment>,
}

#[derive(ToSchema)]
struct Figure {
    name: String,
    value: String,
}

#[derive(ToSchema)]
struct Acknowledged {
    at: String,
    by: String,
}

#[derive(ToSchema)]
struct IncidentMoment {
    at: String,
    text: String,
    said: Vec<Said>,
}

#[derive(ToSchema)]
pub(crate) struct Incidents {
    /// The newest first.
    incidents: Vec<Incident>,
    /// Whether there are older ones.
    more: bool,
}

#[derive(ToSchema)]
pub(crate) struct SilencedUntil {
    rule: String,
    /// Nothing: it is told again.
    silenced_until: Option<String>,
}

/// What a rule would have told.
#[derive(ToSchema)]
pub(crate) struct BacktestResult {
    rule: String,
    days: u32,
    fired: u64,
    looks: u64,
    messages: Vec<ToldMessage>,
    yaml: String,
}

#[derive(ToSchema)]
struct ToldMessage {
    at: String,
    state: String,
    /// Each group with what was measured of it.
    groups: Vec<Vec<Value>>,
}

/// What is to be expected of the next hours.
#[derive(ToSchema)]
pub(crate) struct Forecast {
    at: Option<String>,
    step: String,
    /// The share of hours that should lie between `low` and `high`.
    interval: Option<f64>,
    series: Vec<ForecastSeries>,
    slots: Option<Slots>,
}

#[derive(ToSchema)]
struct ForecastSeries {
    name: String,
    unit: String,
    /// False: too little is known, or a plain guess does better; then nothing is foretold.
    told: bool,
    why: String,
    /// The same by codes.
    said: Vec<Said>,
    error: Option<ForecastError>,
    /// The last hours as they were.
    history: Vec<ForecastHour>,
    forecast: Vec<ForecastPoint>,
    peak: Option<ForecastPeak>,
}

#[derive(ToSchema)]
struct ForecastError {
    model: f64,
    naive: f64,
    measure: String,
    hours: u64,
}

#[derive(ToSchema)]
struct ForecastHour {
    at: String,
    value: Option<f64>,
}

#[derive(ToSchema)]
struct ForecastPoint {
    at: String,
    value: f64,
    low: f64,
    high: f64,
}

#[derive(ToSchema)]
struct ForecastPeak {
    at: String,
    value: f64,
    high: f64,
}

/// Whether the places of the model servers will do.
#[derive(ToSchema)]
struct Slots {
    places: u64,
    served_per_hour: f64,
    peak_at: String,
    share: f64,
    text: String,
}

// Probes

/// One thing that the house says, by a code that does not change, with its figures; the sentence beside it is in English.
#[derive(ToSchema)]
pub(crate) struct Said {
    code: String,
    /// What each is shows in the end of its name: `_percent`, `_bytes`, `_ms`, `_s`, else a count or a text.
    figures: HashMap<String, Value>,
}

#[derive(ToSchema)]
pub(crate) struct ProbeBoard {
    /// Nothing before the first of them ran.
    light: Option<Light>,
    probes: Vec<Probe>,
    /// The latest samples of the machine.
    resources: Vec<HashMap<String, Value>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Colour {
    Green,
    Yellow,
    Red,
    Grey,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Layer {
    Process,
    Answer,
    Quality,
    Resource,
}

#[derive(ToSchema)]
struct Light {
    colour: Colour,
    /// The lowest layer that is not well.
    layer: Option<Layer>,
    reason: String,
    said: Vec<Said>,
    layers: Vec<LayerLight>,
}

#[derive(ToSchema)]
struct LayerLight {
    layer: Layer,
    colour: Colour,
    reason: String,
    said: Vec<Said>,
    probes: u64,
    since: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Probe {
    id: String,
    name: String,
    kind: String,
    layer: Layer,
    about: String,
    looks: Vec<Said>,
    every_s: f64,
    running: bool,
    next: Option<String>,
    since: Option<String>,
    last: Option<ProbeResult>,
}

#[derive(ToSchema)]
struct ProbeResult {
    at: String,
    outcome: String,
    found: String,
    said: Vec<Said>,
    duration_ms: Option<f64>,
    fields: HashMap<String, Value>,
}

// Doctor

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum CheckStatus {
    Skipped,
    Ok,
    Warn,
    Fault,
}

/// What `tollhouse doctor` finds.
#[derive(ToSchema)]
pub(crate) struct Examined {
    /// The worst of all.
    status: CheckStatus,
    checks: Vec<Check>,
    took_ms: u64,
}

/// One thing that was looked at; ids and codes stand in docs/doctor.md.
#[derive(ToSchema)]
struct Check {
    id: String,
    area: String,
    subject: Option<String>,
    status: CheckStatus,
    code: String,
    looked: String,
    looked_said: Vec<Said>,
    found: String,
    found_said: Vec<Said>,
    /// How it is mended.
    fix: Option<String>,
    fix_said: Vec<Said>,
    /// The command by which it is mended without harm.
    repair: Option<String>,
}

/// What `tollhouse advise` says.
#[derive(ToSchema)]
pub(crate) struct Advised {
    change_needed: bool,
    advice: Vec<AdvicePiece>,
    /// The searches behind it, by their names.
    queries: HashMap<String, Value>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum AdviceWord {
    Keep,
    Unknown,
    Change,
}

/// One piece of advice; ids and codes stand in docs/advise.md.
#[derive(ToSchema)]
struct AdvicePiece {
    id: String,
    subject: Option<String>,
    advice: AdviceWord,
    code: String,
    found: String,
    found_said: Vec<Said>,
    /// How sure that is.
    sure: String,
    sure_said: Vec<Said>,
    change: Option<String>,
    change_said: Vec<Said>,
    figures: HashMap<String, Value>,
    /// The search behind it.
    query: String,
}

// Processes

#[derive(ToSchema)]
pub(crate) struct Processes {
    processes: Vec<Process>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ProcessState {
    Stopped,
    Waiting,
    Starting,
    Ready,
    Draining,
    Stopping,
    Backoff,
    Paused,
    Failed,
}

/// A process under supervision.
#[derive(ToSchema)]
pub(crate) struct Process {
    name: String,
    state: ProcessState,
    since: Option<String>,
    pid: Option<u32>,
    starts: u64,
    /// A sentence in English.
    reason: Option<String>,
    why: Option<Why>,
    /// Why a human is asked, while it is paused: `critical` or `often`.
    asked: Option<Why>,
    next_start: Option<String>,
    memory_bytes: Option<u64>,
    memory_soft_bytes: Option<u64>,
    memory_hard_bytes: Option<u64>,
    /// For how much of the last ten seconds programs around it waited for memory, in percent.
    pressure: Option<f64>,
    pressure_limit: Option<u32>,
    stop_ms: u64,
    drain_ms: u64,
    command: Vec<String>,
    needs: Vec<String>,
    upstreams: Vec<String>,
    critical: bool,
}

/// Why a process is where it is: a word that does not change, with the figures that belong to it.
#[derive(ToSchema)]
struct Why {
    code: String,
    exit: Option<i32>,
    signal: Option<i32>,
    times: Option<u32>,
    error: Option<String>,
    place: Option<String>,
    ms: Option<u64>,
    bytes: Option<u64>,
    limit_bytes: Option<u64>,
    percent: Option<u32>,
    limit_percent: Option<u32>,
}

/// What the house's stores take on their disks, as measured last.
#[derive(ToSchema)]
pub(crate) struct Stores {
    at: Option<String>,
    stores: Vec<Store>,
    disks: Vec<StoreDisk>,
}

#[derive(ToSchema)]
struct Store {
    name: String,
    path: String,
    bytes: u64,
    files: u64,
    /// There is more than was looked at.
    cut: bool,
    limit_bytes: Option<u64>,
    /// In how many days its budget is used up, if it grows on as it did.
    limit_in_days: Option<f64>,
    /// The id of its disk.
    disk: Option<String>,
}

#[derive(ToSchema)]
struct StoreDisk {
    id: String,
    total_bytes: u64,
    free_bytes: u64,
    /// What all stores on it take.
    store_bytes: u64,
    /// What their budgets still allow.
    may_grow_bytes: u64,
    /// Whether that is free.
    fits: bool,
    full_in_days: Option<f64>,
}

// Settings

/// The configuration: its file, and where each value in force comes from.
#[derive(ToSchema)]
pub(crate) struct SettingsShown {
    /// Nothing: the house was started without one.
    file: Option<String>,
    /// Tells one text of the file from another.
    version: String,
    /// With masks for secrets; nothing where it cannot be shown.
    text: Option<String>,
    faults: Vec<Fault>,
    /// What the file says differently from what is in force.
    pending: Vec<String>,
    settings: Vec<InForce>,
    /// Why it cannot be changed here.
    locked: Option<String>,
}

#[derive(ToSchema)]
struct Fault {
    /// Counted from 1.
    line: Option<u64>,
    /// In characters, counted from 1.
    column: Option<u64>,
    width: Option<u64>,
    message: String,
    expected: Option<String>,
    hint: Option<String>,
    said: Option<FaultSaid>,
}

/// What is said of a fault by codes.
#[derive(ToSchema)]
pub(crate) struct FaultSaid {
    /// The way to the value that it is about; empty for the whole file, nothing where `what` names it.
    path: Option<String>,
    what: Said,
    expected: Option<Said>,
    hint: Option<Said>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum SettingFrom {
    Default,
    File,
    Environment,
}

#[derive(ToSchema)]
struct InForce {
    path: String,
    value: String,
    from: SettingFrom,
    line: Option<u64>,
    /// The variables of the environment that it is made of.
    variables: Vec<String>,
}

/// What a text would come to.
#[derive(ToSchema)]
pub(crate) struct SettingsChecked {
    faults: Vec<Fault>,
    /// Paths of masks that stand where the file has no secret.
    missing: Vec<String>,
    changed: Vec<String>,
    /// Those of them that need a restart.
    restart: Vec<String>,
    /// Those of them that are changed in the file only.
    barred: Vec<String>,
    diff: Vec<DiffLine>,
}

/// Gap: unchanged lines are left out.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DiffWhat {
    Same,
    Out,
    In,
    Gap,
}

#[derive(Serialize, ToSchema)]
struct DiffLine {
    what: DiffWhat,
    before: Option<u64>,
    after: Option<u64>,
    text: String,
}

#[derive(ToSchema)]
pub(crate) struct SettingsApplied {
    changed: Vec<String>,
    restart: Vec<String>,
    version: String,
}

#[derive(ToSchema)]
pub(crate) struct Revisions {
    revisions: Vec<Revision>,
}

/// A change of the configuration file.
#[derive(Serialize, ToSchema)]
struct Revision {
    id: i64,
    at_ms: i64,
    by: String,
    role: String,
    client: String,
    changed: Vec<String>,
    restart: Vec<String>,
}

/// With the texts, masks standing for secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeRevision {
    #[serde(flatten)]
    revision: Revision,
    before: String,
    after: String,
    diff: Vec<DiffLine>,
}

// Keys

#[derive(ToSchema)]
pub(crate) struct Keys {
    /// Those of the state store.
    keys: Vec<Key>,
    /// Those of the configuration file.
    configured: Vec<ConfiguredKey>,
}

#[derive(Serialize, ToSchema)]
struct Key {
    id: String,
    name: String,
    user: Option<String>,
    role: String,
    models: Vec<String>,
    indices: Vec<String>,
    requests: Option<u32>,
    per_ms: Option<u64>,
    tokens: Option<u64>,
    tokens_per_ms: Option<u64>,
    concurrent: Option<u32>,
    tokens_per_day: Option<u64>,
    tokens_per_month: Option<u64>,
    prompt_chars: Option<u64>,
    priority: String,
    weight: u32,
    allow: Vec<String>,
    created: Option<String>,
    expires: Option<String>,
    revoked: Option<String>,
    old_secrets_until: Vec<Option<String>>,
    state: String,
}

#[derive(ToSchema)]
struct ConfiguredKey {
    id: String,
    user: Option<String>,
    models: Vec<String>,
}

/// A key with its secret, this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKey {
    #[serde(flatten)]
    shown: Key,
    /// The secret.
    key: String,
}

// Users and sessions

#[derive(ToSchema)]
pub(crate) struct Users {
    users: Vec<User>,
}

#[derive(ToSchema)]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
}

// Chats

#[derive(ToSchema)]
pub(crate) struct ChatModels {
    models: Vec<ChatModel>,
}

#[derive(ToSchema)]
struct ChatModel {
    name: String,
    demo: bool,
}

/// What the chat page is, and who may chat there.
#[derive(ToSchema)]
pub(crate) struct ChatAbout {
    service: String,
    title: Option<String>,
    description: Option<String>,
    model: Option<String>,
    /// Whether chats can be kept.
    history: bool,
    keep_days: u32,
    unwatched_s: u64,
    /// Nothing: a key is needed first.
    you: Option<You>,
}

/// Open: no key is asked for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ChatBy {
    Session,
    Key,
    Open,
}

#[derive(ToSchema)]
struct You {
    by: ChatBy,
    name: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Chats {
    chats: Vec<FoundChat>,
}

#[derive(ToSchema)]
pub(crate) struct Removed {
    removed: u64,
}

/// A chat with all its messages.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeChat {
    #[serde(flatten)]
    chat: tollhouse_state::Chat,
    messages: Vec<ChatMessage>,
}

/// What a question added to its chat.
#[derive(ToSchema)]
pub(crate) struct Added {
    /// Nothing where one is answered again.
    question: Option<ChatMessage>,
    /// As it begins.
    answer: ChatMessage,
}

/// A request as OpenAI's API takes it.
#[derive(ToSchema)]
pub(crate) struct CompletionBody {
    model: String,
    messages: Vec<HashMap<String, Value>>,
}
