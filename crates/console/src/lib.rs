//! The console: the web pages, their JSON API, and the sessions of those who look at them.
//!
//! [`router`] serves the built pages of `ui/` (embedded in the program) and `/console/api/v1/…`. Whoever opens the
//! tokenised address gets a cookie in exchange, at once and without the token staying in the address. Every figure on
//! the pages comes from `/console/api/v1/search`, which answers what `/es` answers. Searches are saved at
//! `/console/api/v1/saved`, keys made, rotated and revoked at `/console/api/v1/keys`, and `/console/api/v1/reload` puts a
//! changed configuration file in force. That file itself is shown, checked and changed at `/console/api/v1/settings`.
//!
//! What this crate never does: compute a figure of its own, or let a page of another origin change anything.

mod alerts;
mod api;
mod assets;
mod batches;
mod calls;
mod chats;
mod confirm;
mod dashboards;
mod description;
mod doctor;
mod guard;
mod keeper;
mod keys;
mod named;
mod oidc;
mod probes;
mod processes;
mod refusal;
mod reload;
mod replay;
mod saved;
mod session;
mod settings;
mod sign_ins;
mod story;
mod task_link;
mod tasks;
mod users;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get};
use oidc::Provider;
use tollhouse_gateway::Gateway;
use tollhouse_journal::Journal;
use tollhouse_remote::Shelf;
use tollhouse_state::State;

pub use alerts::{Alerts, AlertsAnswer, AlertsAsk, AlertsKeeper, AlertsRefusal};
pub use batches::{BatchHouse, BatchKeeper};
pub use chats::{Answers, ChatPage};
pub use doctor::{Doctor, DoctorKeeper, Examined};
pub use keeper::{Ask, AskKeeper, NotFollowed, ProcessOrder};
pub use oidc::{CALLBACK_PATH, OidcSettings, RoleRule};
pub use probes::{Probes, ProbesKeeper};
pub use replay::KeptContent;
pub use settings::{Fault, FaultSaid, InForce, Proposal, SettingsDesk, SettingsKeeper, Turn};
pub use sign_ins::SignIns;
pub use task_link::{TASK_LINK_PURPOSE, TaskLink};
pub use tasks::{Changing, FaultyTask, TaskHouse, TaskKeeper, TaskTemplate, Unchanged};

/// What is said to whoever comes without a token (scenario B01).
pub const UNAUTHORIZED: &str =
    "unauthorized: gateway token missing (open a tokenized dashboard URL or paste token in Control UI settings)";

/// What the console needs of the house.
#[derive(Clone, Debug)]
pub struct Console {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    state: State,
    shelf: Shelf,
    gateway: Gateway,
    journal: Journal,
    keeper: AskKeeper,
    sign_ins: SignIns,
    answers: Answers,
    oidc: Option<Provider>,
}

/// What the console is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the service, as in the records.
    pub service: String,
    /// Version of the program.
    pub version: &'static str,
    /// Address under which users reach this house, where one is configured.
    pub public_url: Option<String>,
    /// Tells the cookies of several houses on one host apart: cookies do not know ports.
    pub port: u16,
    /// When the house began to serve.
    pub began: Instant,
    /// Sources that collect the lines of model servers: those are joined with requests by time.
    pub server_sources: Vec<String>,
    /// Who keeps the alerts.
    pub alerts: AlertsKeeper,
    /// Who runs the probes.
    pub probes: ProbesKeeper,
    /// Who keeps the tasks.
    pub tasks: TaskKeeper,
    /// Who keeps the batches.
    pub batches: BatchKeeper,
    /// Who looks for what is wrong.
    pub doctor: DoctorKeeper,
    /// The chat page.
    pub chat: ChatPage,
    /// A provider at which users sign in.
    pub oidc: Option<OidcSettings>,
    /// Where prompts and answers are kept.
    pub content: KeptContent,
    /// Who knows what the configuration means.
    pub desk: SettingsKeeper,
    /// Whose turn it is to change its file.
    pub turn: Turn,
}

impl Console {
    /// A console of this house; what it cannot change itself it asks of `keeper`.
    #[expect(clippy::too_many_arguments, reason = "each part of the house that the console shows, once")]
    pub fn new(
        settings: Settings,
        state: State,
        shelf: Shelf,
        gateway: Gateway,
        journal: Journal,
        keeper: AskKeeper,
        sign_ins: SignIns,
        answers: Answers,
    ) -> Self {
        let oidc = settings.oidc.clone().map(Provider::new);
        Self { inner: Arc::new(Inner { settings, state, shelf, gateway, journal, keeper, sign_ins, answers, oidc }) }
    }
}

/// Pages and API of the console. Requests must carry their [`tollhouse_web::Peer`] as an extension.
pub fn router(console: Console) -> Router {
    // A link's token is the right itself, wherever it is opened; its answers have headers of their own.
    let links = Router::new()
        .route("/console/link/{token}", get(alerts::show_link).post(alerts::follow_link))
        .route("/console/link/task/{token}", get(task_link::show).post(task_link::follow));
    Router::new()
        .merge(calls::all().router(&console))
        .route(CALLBACK_PATH, get(oidc::callback))
        .route("/", any(assets::index))
        .route("/discover", get(assets::page))
        .route("/requests", get(assets::page))
        .route("/requests/{id}", get(assets::page))
        .route("/efficiency", get(assets::page))
        .route("/alerts", get(assets::page))
        .route("/probes", get(assets::page))
        .route("/sources", get(assets::page))
        .route("/processes", get(assets::page))
        .route("/resources", get(assets::page))
        .route("/tasks", get(assets::page))
        .route("/doctor", get(assets::page))
        .route("/keys", get(assets::page))
        .route("/users", get(assets::page))
        .route("/settings", get(assets::page))
        .route("/account", get(assets::page))
        .route("/chat", get(assets::page))
        .route("/dashboards", get(assets::page))
        .route("/assets/{*path}", get(assets::asset))
        .fallback(assets::nothing)
        .layer(middleware::from_fn(guard::same_origin))
        .layer(middleware::from_fn(guard::security_headers))
        .merge(links)
        .with_state(console)
}
