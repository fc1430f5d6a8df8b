//! Users of the console, and one's own account.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/users` | | `{"users": […]}`, by name (admin) |
//! | `POST /console/api/v1/users` | `{"name", "role", "password"}` | 201, the user (admin) |
//! | `PUT /console/api/v1/users/{id}/role` | `{"role"}` | 204; in force at the user's next call (admin) |
//! | `PUT /console/api/v1/users/{id}/password` | `{"password"}` | 204; the user's sessions have ended (admin) |
//! | `DELETE /console/api/v1/users/{id}` | | 204; the user's sessions have ended (admin) |
//! | `PUT /console/api/v1/account/password` | `{"current", "password"}` | 204; one's other sessions have ended |
//!
//! Errors are `{"error": message}`: 400 for what makes no sense, 403 for a wrong current password, 404 for an unknown id,
//! 409 for a name that is taken and when no more are kept.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tollhouse_state::{Keeping, Origin, Role, Session, StateError, USERS_MAX, User, Way};
use tollhouse_web::Peer;
use utoipa::ToSchema;

use crate::Console;
use crate::refusal::{read, refused};
use crate::session::{audit, client_of, state_failed, tell};

/// A new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    name: String,
    role: Role,
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    role: Role,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedPassword {
    current: String,
    password: String,
}

/// Who does something, and from where.
pub(crate) struct Doer {
    pub(crate) session: Session,
    pub(crate) client: IpAddr,
}

impl axum::extract::FromRequestParts<Console> for Doer {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        console: &Console,
    ) -> Result<Self, Self::Rejection> {
        let (session, peer) = (parts.extensions.get::<Session>().cloned(), parts.extensions.get::<Peer>().copied());
        let (Some(session), Some(peer)) = (session, peer) else { return Err(crate::guard::unauthorized()) };
        Ok(Self { session, client: client_of(console, peer, &parts.headers) })
    }
}

impl Doer {
    fn tells(&self, console: &Console, what: &'static str, user: &User) {
        let record = audit(what, &self.session, self.client).field("account", &user.name).field("account_id", &user.id);
        tell(console, record);
    }
}

pub(crate) async fn list(State(console): State<Console>) -> Response {
    match console.inner.state.users().await {
        Ok(users) => Json(json!({"users": users})).into_response(),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn create(State(console): State<Console>, doer: Doer, body: Bytes) -> Response {
    let wanted: NewUser = match read(&body) {
        Ok(wanted) => wanted,
        Err(answer) => return answer,
    };
    match console.inner.state.create_user(&wanted.name, wanted.role, &wanted.password).await {
        Ok(Keeping::Done(user)) => {
            doer.tells(&console, "user made", &user);
            (StatusCode::CREATED, Json(user)).into_response()
        }
        Ok(Keeping::NameTaken) => refused(StatusCode::CONFLICT, "another user has this name"),
        Ok(Keeping::Full | Keeping::Unknown) => {
            refused(StatusCode::CONFLICT, &format!("at most {USERS_MAX} users are kept"))
        }
        Err(error) => failed(&error),
    }
}

pub(crate) async fn change_role(
    State(console): State<Console>,
    doer: Doer,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let (wanted, user): (NewRole, User) = match wanted_of(&console, &id, &body).await {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    match console.inner.state.set_role(&id, wanted.role).await {
        Ok(true) => {
            let record = audit("role of a user changed", &doer.session, doer.client);
            let record = record.field("account", &user.name).field("account_id", &user.id);
            tell(&console, record.field("role_before", user.role.name()).field("role_now", wanted.role.name()));
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => unknown(),
        Err(error) => failed(&error),
    }
}

pub(crate) async fn set_password(
    State(console): State<Console>,
    doer: Doer,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let (wanted, user): (NewPassword, User) = match wanted_of(&console, &id, &body).await {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    let kept = (doer.session.user_id.as_deref() == Some(&id)).then_some(doer.session.id.as_str());
    match console.inner.state.set_password(&user, &wanted.password, kept).await {
        Ok(true) => {
            doer.tells(&console, "password of a user set", &user);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => unknown(),
        Err(error) => failed(&error),
    }
}

pub(crate) async fn remove(State(console): State<Console>, doer: Doer, Path(id): Path<String>) -> Response {
    let user = match user(&console, &id).await {
        Ok(user) => user,
        Err(answer) => return answer,
    };
    match console.inner.state.remove_user(&id).await {
        Ok(true) => {
            doer.tells(&console, "user removed", &user);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => unknown(),
        Err(error) => failed(&error),
    }
}

/// Changes one's own password; the current one is asked for again: a browser that was left open is not enough.
pub(crate) async fn change_password(State(console): State<Console>, doer: Doer, body: Bytes) -> Response {
    let wanted: ChangedPassword = match read(&body) {
        Ok(wanted) => wanted,
        Err(answer) => return answer,
    };
    let Some(user) = doer.session.user.clone().filter(|_| doer.session.way == Way::Password) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "this session was not opened by a password, and there is none to change",
        );
    };
    let failures = console.inner.sign_ins.failures();
    if let Err(wait) = failures.check(doer.client) {
        return crate::session::Refused::TooMany(wait).answer();
    }
    let known = match console.inner.state.user_with_password(&user, &wanted.current).await {
        Ok(known) => known.filter(|known| Some(&known.id) == doer.session.user_id.as_ref()),
        Err(error) => return failed(&error),
    };
    let Some(known) = known else {
        failures.failed(doer.client, &format!("{user}\n{}", wanted.current));
        return refused(StatusCode::FORBIDDEN, "the current password is wrong");
    };
    match console.inner.state.set_password(&known, &wanted.password, Some(&doer.session.id)).await {
        Ok(true) => {
            doer.tells(&console, "own password changed", &known);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => unknown(),
        Err(error) => failed(&error),
    }
}

/// What is wanted of the user with this id, whose role and password are this house's to set.
async fn wanted_of<T: DeserializeOwned>(console: &Console, id: &str, body: &[u8]) -> Result<(T, User), Response> {
    let wanted = read(body)?;
    match user(console, id).await? {
        user if user.origin == Origin::House => Ok((wanted, user)),
        _ => Err(refused(StatusCode::CONFLICT, "the provider at which this user signs in says role and password")),
    }
}

async fn user(console: &Console, id: &str) -> Result<User, Response> {
    let users = console.inner.state.users().await.map_err(|error| state_failed(&error))?;
    users.into_iter().find(|user| user.id == id).ok_or_else(unknown)
}

fn unknown() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no user with this id")
}

fn failed(error: &StateError) -> Response {
    match error {
        StateError::Settings(wrong) => refused(StatusCode::BAD_REQUEST, &wrong.to_string()),
        StateError::Busy => {
            refused(StatusCode::SERVICE_UNAVAILABLE, "too many passwords are being set, please try again")
        }
        error => state_failed(error),
    }
}
