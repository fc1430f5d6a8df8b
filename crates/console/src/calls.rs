//! The console's calls and the least role for each: the one place where a call is declared.
//!
//! A call that is not declared here does not exist, and none can be declared without a role.

use axum::Router;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, on};
use tollhouse_state::Role;

use crate::{Console, api, guard, keys, reload, saved, session, story};

/// Where the chat page sends its chats.
pub const CHAT_PATH: &str = "/console/api/v1/chat";

/// Everything that a session is needed for.
pub(crate) fn all() -> Calls {
    use Role::{Admin, Operator, Viewer};
    Calls::default()
        .get(Viewer, "/console/api/v1/session", session::show)
        .delete(Viewer, "/console/api/v1/session", session::close)
        .get(Viewer, "/console/api/v1/status", api::status)
        .post(Viewer, "/console/api/v1/search", api::search)
        .get(Viewer, "/console/api/v1/fields", api::fields)
        .get(Viewer, "/console/api/v1/requests/{id}/story", story::story)
        .get(Viewer, "/console/api/v1/models", api::models)
        .post(Viewer, CHAT_PATH, api::chat)
        .get(Viewer, "/console/api/v1/saved", saved::list)
        .post(Operator, "/console/api/v1/saved", saved::create)
        .put(Operator, "/console/api/v1/saved/{id}", saved::change)
        .delete(Operator, "/console/api/v1/saved/{id}", saved::remove)
        .get(Admin, "/console/api/v1/keys", keys::list)
        .post(Admin, "/console/api/v1/keys", keys::create)
        .post(Admin, "/console/api/v1/keys/{id}/rotate", keys::rotate)
        .post(Admin, "/console/api/v1/keys/{id}/revoke", keys::revoke)
        .post(Admin, "/console/api/v1/reload", reload::reload)
}

/// Declared calls.
#[derive(Default)]
pub(crate) struct Calls {
    router: Router<Console>,
    list: Vec<Call>,
}

/// One call, and who may make it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Its method, upper case.
    pub(crate) method: &'static str,
    /// Its path; `{…}` stands for any segment.
    pub(crate) path: &'static str,
    /// The least role.
    pub(crate) role: Role,
}

impl Calls {
    fn get<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &'static str, handler: H) -> Self {
        self.declare(Call { method: "GET", path, role }, MethodFilter::GET, handler)
    }

    fn post<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &'static str, handler: H) -> Self {
        self.declare(Call { method: "POST", path, role }, MethodFilter::POST, handler)
    }

    fn put<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &'static str, handler: H) -> Self {
        self.declare(Call { method: "PUT", path, role }, MethodFilter::PUT, handler)
    }

    fn delete<H: Handler<T, Console>, T: 'static>(self, role: Role, path: &'static str, handler: H) -> Self {
        self.declare(Call { method: "DELETE", path, role }, MethodFilter::DELETE, handler)
    }

    fn declare<H: Handler<T, Console>, T: 'static>(mut self, call: Call, method: MethodFilter, handler: H) -> Self {
        let least = middleware::from_fn_with_state(call.role, guard::role);
        self.router = self.router.route(call.path, on(method, handler).route_layer(least));
        self.list.push(call);
        self
    }

    /// What answers them, each behind its role. Sessions have to be looked up before.
    pub(crate) fn router(self) -> Router<Console> {
        self.router
    }

    /// All of them, in the order in which they are declared.
    #[cfg(test)]
    pub(crate) fn list(&self) -> &[Call] {
        &self.list
    }
}
