//! The console's calls: the one place where a call is declared, with who may call and what is told of it.
//!
//! A call that is not declared here does not exist, and none can be declared without a door and a description. What is told
//! becomes `/console/api/openapi.json`; `ui/openapi.json` and the types of the pages are made from it (`description`).

use std::sync::OnceLock;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, on};
use serde_json::Value;
use tollhouse_batches::{ConsoleBatch, ConsoleLater};
use tollhouse_state::{Chat, ChatSettings, Dashboard, KeptDashboard, Role, Saved, SavedSearch, User};
use tollhouse_tasks::{RunDetail, TaskSummary};

use crate::chats::{Asked, CHAT_BODY_BYTES_MAX, chatter};
use crate::description::{Description, Door, Told, answers as a, told};
use crate::{
    Console, alerts, api, batches, chats, dashboards, doctor, guard, keys, oidc, probes, processes, reload, replay,
    saved, session, settings, story, tasks, users,
};

/// All calls.
#[expect(clippy::too_many_lines, reason = "a table, one call after the other")]
pub(crate) fn all() -> Calls {
    use Door::{Chatter, Public};
    use Role::{Admin, Operator, Viewer};
    Calls::default()
        .get(Viewer, "/console/api/openapi.json", told("This description").gives::<a::OpenApi>(), api::description)
        .post(
            Public,
            "/console/api/v1/session",
            told("Open a session by a token, or by name and password")
                .takes::<session::SignIn>()
                .done()
                .refuses(&[400, 401, 429, 503]),
            session::open,
        )
        .get(Public, "/console/api/v1/sign-in", told("By what one can sign in").gives::<oidc::SignInWays>(), oidc::ways)
        .post(
            Public,
            "/console/api/v1/session/oidc",
            told("Begin to sign in at the provider: where the browser goes")
                .takes::<oidc::Begin>()
                .gives::<oidc::GoTo>()
                .refuses(&[400, 404, 502]),
            oidc::begin,
        )
        .get(
            Viewer,
            "/console/api/v1/session",
            told("Whose session it is, and what the pages know of the house").gives::<session::Shown>(),
            session::show,
        )
        .delete(
            Viewer,
            "/console/api/v1/session",
            told("End this session")
                .done()
                .gives_with::<oidc::GoTo>(200, "it has ended; the browser goes there to sign out at the provider, too"),
            session::close,
        )
        .get(
            Viewer,
            "/console/api/v1/sessions",
            told("One's own sessions, or those of everybody")
                .query("of", "`all`: those of everybody (admin)")
                .gives::<a::Sessions>()
                .refuses(&[403]),
            session::list,
        )
        .delete(
            Viewer,
            "/console/api/v1/sessions/{id}",
            told("End a session of one's own; an admin may end any").done().refuses(&[404]),
            session::end,
        )
        .put(
            Viewer,
            "/console/api/v1/account/password",
            told("Change one's own password; one's other sessions end")
                .takes::<users::ChangedPassword>()
                .done()
                .refuses(&[400, 404, 429]),
            users::change_password,
        )
        .get(
            Viewer,
            "/console/api/v1/status",
            told("How the house is")
                .query("beyond", "answer when records behind this number can be found, or else after two seconds")
                .gives::<a::Status>()
                .refuses(&[400]),
            api::status,
        )
        .post(
            Viewer,
            "/console/api/v1/search",
            told("Any search over the records, as `/es` answers it")
                .takes::<a::SearchBody>()
                .gives::<a::SearchAnswer>()
                .refuses(&[400, 429]),
            api::search,
        )
        .get(Viewer, "/console/api/v1/fields", told("The fields that records have").gives::<a::Fields>(), api::fields)
        .get(
            Viewer,
            "/console/api/v1/requests/{id}/story",
            told("Why a request went as it did").gives::<a::Story>().refuses(&[400]),
            story::story,
        )
        .post(
            Operator,
            "/console/api/v1/requests/{id}/replay",
            told("Ask a kept request once more, of another model")
                .takes::<replay::Replay>()
                .gives::<replay::Replayed>()
                .refuses(&[400, 404, 409, 410, 503]),
            replay::replay,
        )
        .get(Viewer, "/console/api/v1/models", told("The models that may be asked").gives::<a::Models>(), api::models)
        .get(Viewer, "/console/api/v1/saved", told("Saved searches, by name").gives::<a::SavedSearches>(), saved::list)
        .post(
            Operator,
            "/console/api/v1/saved",
            told("Save a search").takes::<SavedSearch>().gives_with::<Saved>(201, "it is kept").refuses(&[400, 409]),
            saved::create,
        )
        .put(
            Operator,
            "/console/api/v1/saved/{id}",
            told("Change a saved search").takes::<SavedSearch>().gives::<Saved>().refuses(&[400, 404, 409]),
            saved::change,
        )
        .delete(
            Operator,
            "/console/api/v1/saved/{id}",
            told("Remove a saved search").done().refuses(&[404]),
            saved::remove,
        )
        .get(
            Viewer,
            "/console/api/v1/alerts",
            told("Rules and how they stand, incidents, channels").gives::<a::AlertList>(),
            alerts::list,
        )
        .get(
            Viewer,
            "/console/api/v1/alerts/incidents",
            told("Incidents, the newest first")
                .query("before", "only those that began before this moment (RFC 3339)")
                .query("limit", "how many, up to 200")
                .gives::<a::Incidents>()
                .refuses(&[400]),
            alerts::incidents,
        )
        .get(
            Viewer,
            "/console/api/v1/alerts/incidents/{id}",
            told("One incident").gives::<a::Incident>().refuses(&[404]),
            alerts::incident,
        )
        .get(
            Viewer,
            "/console/api/v1/alerts/objectives",
            told("What is left of each objective's budget").gives::<a::Objectives>(),
            alerts::objectives,
        )
        .put(
            Operator,
            "/console/api/v1/alerts/rules/{rule}",
            told("Save a rule, unless the configuration's file has one of its name")
                .takes::<alerts::RuleText>()
                .gives::<a::SavedRule>()
                .refuses(&[400, 409]),
            alerts::save,
        )
        .delete(
            Operator,
            "/console/api/v1/alerts/rules/{rule}",
            told("Remove a saved rule").gives::<a::RemovedRule>().refuses(&[404]),
            alerts::remove,
        )
        .post(
            Operator,
            "/console/api/v1/alerts/channels/{channel}/test",
            told("Send a message that shows that a channel works").gives::<a::ChannelTest>().refuses(&[404]),
            alerts::test,
        )
        .get(
            Viewer,
            "/console/api/v1/forecast",
            told("What is to be expected of the next hours").gives::<a::Forecast>(),
            alerts::forecast,
        )
        .post(
            Operator,
            "/console/api/v1/alerts/incidents/{id}/acknowledge",
            told("Say that one looks after an incident").gives::<a::Incident>().refuses(&[404]),
            alerts::acknowledge,
        )
        .post(
            Operator,
            "/console/api/v1/alerts/backtest",
            told("What a rule would have told in the last days")
                .takes::<alerts::Backtest>()
                .gives::<a::BacktestResult>()
                .refuses(&[400, 404]),
            alerts::backtest,
        )
        .post(
            Operator,
            "/console/api/v1/alerts/{rule}/silence",
            told("Tell nothing of a rule for a while")
                .takes::<alerts::Silence>()
                .gives::<a::SilencedUntil>()
                .refuses(&[400, 404]),
            alerts::silence,
        )
        .post(
            Operator,
            "/console/api/v1/alerts/{rule}/unsilence",
            told("Tell of a rule again").gives::<a::SilencedUntil>().refuses(&[404]),
            alerts::unsilence,
        )
        .get(
            Viewer,
            "/console/api/v1/probes",
            told("All probes and what each found last").gives::<a::ProbeBoard>(),
            probes::list,
        )
        .post(
            Operator,
            "/console/api/v1/probes/{id}/run",
            told("Run a probe now").gives::<a::Probe>().gives_with::<a::Probe>(202, "its run goes on").refuses(&[404]),
            probes::run,
        )
        .post(
            Operator,
            "/console/api/v1/doctor",
            told("Look for what is wrong with this installation; nothing is changed")
                .takes::<doctor::Examination>()
                .gives::<a::Examined>()
                .refuses(&[400, 409, 503]),
            doctor::examine,
        )
        .post(
            Operator,
            "/console/api/v1/advise",
            told("What the records advise, with figures, how sure they are, and the searches behind them")
                .takes::<doctor::AdviceWanted>()
                .gives::<a::Advised>()
                .refuses(&[400, 409, 503]),
            doctor::advise,
        )
        .get(
            Viewer,
            "/console/api/v1/batches",
            told("Batches of everybody, the newest first, and what is kept altogether")
                .query("after", "older than this batch")
                .query("limit", "how many, up to 200")
                .gives::<batches::BatchPage>()
                .refuses(&[400, 503]),
            batches::list,
        )
        .post(
            Operator,
            "/console/api/v1/batches/{id}/cancel",
            told("End a batch; what was answered stays").gives::<ConsoleBatch>().refuses(&[404, 409, 503]),
            batches::cancel,
        )
        .get(
            Viewer,
            "/console/api/v1/later",
            told("Requests of everybody that are answered later, the newest first")
                .query("after", "older than this request")
                .query("limit", "how many, up to 200")
                .gives::<batches::LaterPage>()
                .refuses(&[400, 503]),
            batches::later,
        )
        .post(
            Operator,
            "/console/api/v1/later/{id}/cancel",
            told("Give up on a request that is answered later").gives::<ConsoleLater>().refuses(&[404, 409, 503]),
            batches::cancel_later,
        )
        .get(
            Viewer,
            "/console/api/v1/tasks",
            told("Tasks, questions to humans, files that cannot be used, templates").gives::<tasks::TaskBoard>(),
            tasks::board,
        )
        .get(
            Viewer,
            "/console/api/v1/tasks/runs",
            told("Runs of tasks, the newest first")
                .query("task", "of this task only")
                .query("status", "in this state only")
                .query("text", "with this text in the run's name, task, step or error")
                .query("before", "older than this run: the `next` of the page before")
                .query("limit", "how many, up to 500")
                .gives::<tasks::RunPage>()
                .refuses(&[400]),
            tasks::runs,
        )
        .get(
            Viewer,
            "/console/api/v1/tasks/runs/{id}",
            told("A run with its steps, what went into them and came of them, and its history")
                .gives::<RunDetail>()
                .refuses(&[404]),
            tasks::run,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/pause",
            told("Begin nothing further in a run").gives::<RunDetail>().refuses(&[404, 409]),
            tasks::pause,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/resume",
            told("Go on with a paused run").gives::<RunDetail>().refuses(&[404, 409]),
            tasks::resume,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/cancel",
            told("End a run").gives::<RunDetail>().refuses(&[404, 409]),
            tasks::cancel,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/approve",
            told("Say yes to what a run asks, with changes where there are some")
                .may_take::<tasks::TaskAnswer>()
                .gives::<RunDetail>()
                .refuses(&[400, 404, 409]),
            tasks::approve,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/reject",
            told("Say no to what a run asks")
                .may_take::<tasks::TaskAnswer>()
                .gives::<RunDetail>()
                .refuses(&[400, 404, 409]),
            tasks::reject,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/runs/{id}/retry",
            told("Go on from an earlier step, or from where it failed, with changes where there are some")
                .may_take::<tasks::TaskRetry>()
                .gives::<RunDetail>()
                .refuses(&[400, 404, 409]),
            tasks::retry,
        )
        .get(
            Viewer,
            "/console/api/v1/tasks/definitions/{task}",
            told("The text of a task's definition")
                .query("version", "the one that a run went by; the one in force when absent")
                .gives::<tasks::TaskText>()
                .refuses(&[404]),
            tasks::definition,
        )
        .put(
            Operator,
            "/console/api/v1/tasks/definitions/{task}",
            told("Save a definition and put it in force; runs that go on keep theirs")
                .takes::<tasks::TaskEdit>()
                .gives::<tasks::TaskText>()
                .refuses(&[400, 409]),
            tasks::save,
        )
        .delete(
            Operator,
            "/console/api/v1/tasks/definitions/{task}",
            told("Remove a definition; its runs stay").done().refuses(&[400, 404, 409]),
            tasks::remove,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/definitions/{task}/check",
            told("What is wrong with the text of a definition")
                .takes::<tasks::TaskEdit>()
                .gives::<tasks::TaskCheck>()
                .refuses(&[400]),
            tasks::check,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/definitions/{task}/run",
            told("Begin a run")
                .may_take::<tasks::TaskOrder>()
                .gives_with::<tasks::TaskBegun>(201, "it is in the book")
                .refuses(&[400, 404]),
            tasks::begin,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/definitions/{task}/hold",
            told("Let the schedule of a task stand still").gives::<TaskSummary>().refuses(&[404]),
            tasks::hold,
        )
        .post(
            Operator,
            "/console/api/v1/tasks/definitions/{task}/release",
            told("Let the schedule of a task go on").gives::<TaskSummary>().refuses(&[404]),
            tasks::release,
        )
        .get(
            Viewer,
            "/console/api/v1/dashboards",
            told("Dashboards, by name").gives::<a::Dashboards>(),
            dashboards::list,
        )
        .post(
            Operator,
            "/console/api/v1/dashboards",
            told("Keep a dashboard")
                .takes::<Dashboard>()
                .gives_with::<KeptDashboard>(201, "it is kept")
                .refuses(&[400, 409]),
            dashboards::create,
        )
        .put(
            Operator,
            "/console/api/v1/dashboards/{id}",
            told("Change a dashboard").takes::<Dashboard>().gives::<KeptDashboard>().refuses(&[400, 404, 409]),
            dashboards::change,
        )
        .delete(
            Operator,
            "/console/api/v1/dashboards/{id}",
            told("Remove a dashboard").done().refuses(&[404]),
            dashboards::remove,
        )
        .post(
            Operator,
            "/console/api/v1/dashboards/import",
            told("What a file of Kibana's saved objects would become; nothing is kept")
                .takes_text("application/x-ndjson")
                .gives::<a::Imported>()
                .refuses(&[400]),
            dashboards::import,
        )
        .get(
            Viewer,
            "/console/api/v1/processes",
            told("Processes under supervision").gives::<a::Processes>(),
            processes::list,
        )
        .post(
            Operator,
            "/console/api/v1/processes/{name}/start",
            told("Start a process").may_take::<processes::From>().gives::<a::Process>().refuses(&[400, 404, 409]),
            processes::start,
        )
        .post(
            Operator,
            "/console/api/v1/processes/{name}/stop",
            told("Stop a process").may_take::<processes::From>().gives::<a::Process>().refuses(&[400, 404, 409]),
            processes::stop,
        )
        .post(
            Operator,
            "/console/api/v1/processes/{name}/restart",
            told("Restart a process").may_take::<processes::From>().gives::<a::Process>().refuses(&[400, 404, 409]),
            processes::restart,
        )
        .post(
            Operator,
            "/console/api/v1/processes/{name}/confirm",
            told("Let a process start that waits for a human")
                .may_take::<processes::From>()
                .gives::<a::Process>()
                .refuses(&[400, 404, 409]),
            processes::confirm,
        )
        .get(
            Viewer,
            "/console/api/v1/stores",
            told("What the house's stores take on their disks").gives::<a::Stores>(),
            processes::stores,
        )
        .get(Admin, "/console/api/v1/keys", told("Keys, without their secrets").gives::<a::Keys>(), keys::list)
        .post(
            Admin,
            "/console/api/v1/keys",
            told("Make a key").takes::<keys::NewKey>().gives_with::<a::MadeKey>(201, "it is in force").refuses(&[400]),
            keys::create,
        )
        .post(
            Admin,
            "/console/api/v1/keys/{id}/rotate",
            told("Give a key another secret").may_take::<keys::Rotation>().gives::<a::MadeKey>().refuses(&[400, 404]),
            keys::rotate,
        )
        .post(Admin, "/console/api/v1/keys/{id}/revoke", told("Revoke a key").done().refuses(&[404]), keys::revoke)
        .get(Admin, "/console/api/v1/users", told("Users, by name").gives::<a::Users>(), users::list)
        .post(
            Admin,
            "/console/api/v1/users",
            told("Make a user").takes::<users::NewUser>().gives_with::<User>(201, "it is there").refuses(&[400, 409]),
            users::create,
        )
        .put(
            Admin,
            "/console/api/v1/users/{id}/role",
            told("Give a user another role").takes::<users::NewRole>().done().refuses(&[400, 404, 409]),
            users::change_role,
        )
        .put(
            Admin,
            "/console/api/v1/users/{id}/password",
            told("Give a user another password; the user's sessions end")
                .takes::<users::NewPassword>()
                .done()
                .refuses(&[400, 404, 409]),
            users::set_password,
        )
        .delete(
            Admin,
            "/console/api/v1/users/{id}",
            told("Remove a user; the user's sessions end").done().refuses(&[404]),
            users::remove,
        )
        .post(
            Admin,
            "/console/api/v1/reload",
            told("Read the configuration file again, and put it in force").gives::<a::Reloaded>().refuses(&[400]),
            reload::reload,
        )
        .get(
            Admin,
            "/console/api/v1/settings",
            told("The configuration: its file, and where each value comes from")
                .gives::<a::SettingsShown>()
                .refuses(&[409]),
            settings::show,
        )
        .post(
            Admin,
            "/console/api/v1/settings/check",
            told("What a text of the configuration would come to")
                .takes::<settings::Look>()
                .gives::<a::SettingsChecked>()
                .refuses(&[400, 409]),
            settings::check,
        )
        .post(
            Admin,
            "/console/api/v1/settings/apply",
            told("Write a text to the configuration file, and put it in force")
                .takes::<settings::Apply>()
                .gives::<a::SettingsApplied>()
                .refuses(&[400, 409, 500]),
            settings::apply,
        )
        .get(
            Admin,
            "/console/api/v1/settings/history",
            told("Changes of the configuration, the newest first").gives::<a::Revisions>(),
            settings::history,
        )
        .get(
            Admin,
            "/console/api/v1/settings/history/{id}",
            told("One change, with the text before and after").gives::<a::WholeRevision>().refuses(&[404]),
            settings::revision,
        )
        .get(
            Public,
            "/console/api/v1/chat",
            told("What the chat page is, and who may chat there").gives::<a::ChatAbout>(),
            chats::about,
        )
        .post(
            Public,
            "/console/api/v1/chat/session",
            told("Show a key, to chat with").takes::<chatter::ShowKey>().done().refuses(&[400, 401, 503]),
            chatter::open,
        )
        .delete(
            Public,
            "/console/api/v1/chat/session",
            told("Forget the key that was shown").done().refuses(&[503]),
            chatter::close,
        )
        .get(
            Chatter,
            "/console/api/v1/chat/models",
            told("The models that may be asked in a chat").gives::<a::ChatModels>(),
            chats::models,
        )
        .post(
            Chatter,
            "/console/api/v1/chat",
            told("Ask a model, keeping nothing, and watch the answer grow; whoever leaves cancels it")
                .takes::<a::CompletionBody>()
                .streams()
                .refuses(&[400, 413, 429]),
            chats::unkept,
        )
        .get(
            Chatter,
            "/console/api/v1/chats",
            told("One's chats, the latest first")
                .query("q", "only those in whose title or messages these words stand")
                .gives::<a::Chats>()
                .refuses(&[400, 503]),
            chats::list,
        )
        .post(
            Chatter,
            "/console/api/v1/chats",
            told("Begin a chat").takes::<ChatSettings>().gives_with::<Chat>(201, "it is kept").refuses(&[400, 409]),
            chats::create,
        )
        .delete(
            Chatter,
            "/console/api/v1/chats",
            told("Remove all of one's chats").gives::<a::Removed>(),
            chats::remove_all,
        )
        .get(
            Chatter,
            "/console/api/v1/chats/{id}",
            told("A chat with its messages").gives::<a::WholeChat>().refuses(&[404, 503]),
            chats::show,
        )
        .put(
            Chatter,
            "/console/api/v1/chats/{id}",
            told("Change what a chat is called and how it is asked")
                .takes::<ChatSettings>()
                .done()
                .refuses(&[400, 404]),
            chats::change,
        )
        .delete(Chatter, "/console/api/v1/chats/{id}", told("Remove a chat").done().refuses(&[404]), chats::remove)
        .post(
            Chatter,
            "/console/api/v1/chats/{id}/messages",
            told("Ask in a chat, or have a question answered again")
                .takes::<Asked>()
                .gives_with::<a::Added>(201, "the answer is being written")
                .refuses(&[400, 404, 409, 413, 429]),
            chats::ask.layer(DefaultBodyLimit::max(CHAT_BODY_BYTES_MAX)),
        )
        .get(
            Chatter,
            "/console/api/v1/chats/{id}/answers/{answer}",
            told("An answer as far as it is, then what is added").streams().refuses(&[404, 503]),
            chats::events,
        )
        .post(
            Chatter,
            "/console/api/v1/chats/{id}/answers/{answer}/stop",
            told("Stop an answer; the model is let go at once").done().refuses(&[404]),
            chats::stop,
        )
}

/// Declared calls.
#[derive(Default)]
pub(crate) struct Calls {
    public: Router<Console>,
    chat: Router<Console>,
    signed_in: Router<Console>,
    description: Description,
}

impl Calls {
    fn get<H: Handler<T, Console>, T: 'static>(
        self,
        door: impl Into<Door>,
        path: &str,
        told: Told,
        handler: H,
    ) -> Self {
        self.declare(door.into(), ("get", MethodFilter::GET), path, told, handler)
    }

    fn post<H: Handler<T, Console>, T: 'static>(
        self,
        door: impl Into<Door>,
        path: &str,
        told: Told,
        handler: H,
    ) -> Self {
        self.declare(door.into(), ("post", MethodFilter::POST), path, told, handler)
    }

    fn put<H: Handler<T, Console>, T: 'static>(
        self,
        door: impl Into<Door>,
        path: &str,
        told: Told,
        handler: H,
    ) -> Self {
        self.declare(door.into(), ("put", MethodFilter::PUT), path, told, handler)
    }

    fn delete<H: Handler<T, Console>, T: 'static>(
        self,
        door: impl Into<Door>,
        path: &str,
        told: Told,
        handler: H,
    ) -> Self {
        self.declare(door.into(), ("delete", MethodFilter::DELETE), path, told, handler)
    }

    fn declare<H: Handler<T, Console>, T: 'static>(
        mut self,
        door: Door,
        (name, method): (&str, MethodFilter),
        path: &str,
        told: Told,
        handler: H,
    ) -> Self {
        self.description.add(door, name, path, told);
        let answers = on(method, handler);
        match door {
            Door::Public => self.public = self.public.route(path, answers),
            Door::Chatter => self.chat = self.chat.route(path, answers),
            Door::Session(role) => {
                let least = middleware::from_fn_with_state(role, guard::role);
                self.signed_in = self.signed_in.route(path, answers.route_layer(least));
            }
        }
        self
    }

    /// What answers them, each behind its door.
    pub(crate) fn router(self, console: &Console) -> Router<Console> {
        let may_chat = middleware::from_fn_with_state(console.clone(), chatter::may_chat);
        let signed_in = middleware::from_fn_with_state(console.clone(), guard::signed_in);
        self.public.merge(self.chat.route_layer(may_chat)).merge(self.signed_in.route_layer(signed_in))
    }

    /// What is told of them all.
    pub(crate) fn description(&self) -> Value {
        self.description.to_json()
    }
}

/// The description as it is served.
pub(crate) fn description() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| all().description().to_string())
}
