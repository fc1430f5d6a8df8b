//! The console's calls and the least role for each: the one place where a call is declared.
//!
//! A call that is not declared here does not exist, and none can be declared without a role.

use axum::Router;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, on};
use tollhouse_state::Role;

use crate::{Console, alerts, api, dashboards, guard, keys, probes, processes, reload, saved, session, story, users};

/// Everything that a session is needed for. Chats, for which a key is enough, stand behind a door of their own (`chats`).
pub(crate) fn all() -> Calls {
    use Role::{Admin, Operator, Viewer};
    Calls::default()
        .get(Viewer, "/console/api/v1/session", session::show)
        .delete(Viewer, "/console/api/v1/session", session::close)
        .get(Viewer, "/console/api/v1/sessions", session::list)
        .delete(Viewer, "/console/api/v1/sessions/{id}", session::end)
        .put(Viewer, "/console/api/v1/account/password", users::change_password)
        .get(Viewer, "/console/api/v1/status", api::status)
        .post(Viewer, "/console/api/v1/search", api::search)
        .get(Viewer, "/console/api/v1/fields", api::fields)
        .get(Viewer, "/console/api/v1/requests/{id}/story", story::story)
        .get(Viewer, "/console/api/v1/models", api::models)
        .get(Viewer, "/console/api/v1/saved", saved::list)
        .post(Operator, "/console/api/v1/saved", saved::create)
        .put(Operator, "/console/api/v1/saved/{id}", saved::change)
        .delete(Operator, "/console/api/v1/saved/{id}", saved::remove)
        .get(Viewer, "/console/api/v1/alerts", alerts::list)
        .get(Viewer, "/console/api/v1/alerts/incidents", alerts::incidents)
        .get(Viewer, "/console/api/v1/alerts/incidents/{id}", alerts::incident)
        .get(Viewer, "/console/api/v1/forecast", alerts::forecast)
        .post(Operator, "/console/api/v1/alerts/incidents/{id}/acknowledge", alerts::acknowledge)
        .post(Operator, "/console/api/v1/alerts/backtest", alerts::backtest)
        .post(Operator, "/console/api/v1/alerts/{rule}/silence", alerts::silence)
        .post(Operator, "/console/api/v1/alerts/{rule}/unsilence", alerts::unsilence)
        .get(Viewer, "/console/api/v1/probes", probes::list)
        .post(Operator, "/console/api/v1/probes/{id}/run", probes::run)
        .get(Viewer, "/console/api/v1/dashboards", dashboards::list)
        .post(Operator, "/console/api/v1/dashboards", dashboards::create)
        .put(Operator, "/console/api/v1/dashboards/{id}", dashboards::change)
        .delete(Operator, "/console/api/v1/dashboards/{id}", dashboards::remove)
        .post(Operator, "/console/api/v1/dashboards/import", dashboards::import)
        .get(Viewer, "/console/api/v1/processes", processes::list)
        .post(Operator, "/console/api/v1/processes/{name}/start", processes::start)
        .post(Operator, "/console/api/v1/processes/{name}/stop", processes::stop)
        .post(Operator, "/console/api/v1/processes/{name}/restart", processes::restart)
        .post(Operator, "/console/api/v1/processes/{name}/confirm", processes::confirm)
        .get(Admin, "/console/api/v1/keys", keys::list)
        .post(Admin, "/console/api/v1/keys", keys::create)
        .post(Admin, "/console/api/v1/keys/{id}/rotate", keys::rotate)
        .post(Admin, "/console/api/v1/keys/{id}/revoke", keys::revoke)
        .get(Admin, "/console/api/v1/users", users::list)
        .post(Admin, "/console/api/v1/users", users::create)
        .put(Admin, "/console/api/v1/users/{id}/role", users::change_role)
        .put(Admin, "/console/api/v1/users/{id}/password", users::set_password)
        .delete(Admin, "/console/api/v1/users/{id}", users::remove)
        .post(Admin, "/console/api/v1/reload", reload::reload)
}

/// Declared calls.
#[derive(Default)]
pub(crate) struct Calls(Router<Console>);

impl Calls {
    fn get<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &str, handler: H) -> Self {
        self.declare(role, MethodFilter::GET, path, handler)
    }

    fn post<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &str, handler: H) -> Self {
        self.declare(role, MethodFilter::POST, path, handler)
    }

    fn put<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &str, handler: H) -> Self {
        self.declare(role, MethodFilter::PUT, path, handler)
    }

    fn delete<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &str, handler: H) -> Self {
        self.declare(role, MethodFilter::DELETE, path, handler)
    }

    fn declare<H: Handler<T, Console>, T: 'static>(
        self,
        role: Role,
        method: MethodFilter,
        path: &str,
        handler: H,
    ) -> Self {
        let least = middleware::from_fn_with_state(role, guard::role);
        Self(self.0.route(path, on(method, handler).route_layer(least)))
    }

    /// What answers them, each behind its role. Sessions have to be looked up before.
    pub(crate) fn router(self) -> Router<Console> {
        self.0
    }
}
