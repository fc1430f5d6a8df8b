//! What all share under a name, such as saved searches and dashboards: read, and answered for, in one way.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tollhouse_state::{Keeping, StateError};

use crate::refusal::{out_of_reach, refused};

/// A kind of things that people name and keep.
pub(crate) struct Named {
    /// One of them, such as `saved search`.
    pub one: &'static str,
    /// Many of them, such as `searches`.
    pub many: &'static str,
    /// All of them, such as `the saved searches`.
    pub all: &'static str,
    /// How many are kept.
    pub max: usize,
}

impl Named {
    /// The answer to what became of keeping one; `status` is that of one that is kept.
    pub(crate) fn answer<T: Serialize>(&self, status: StatusCode, keeping: Result<Keeping<T>, StateError>) -> Response {
        match keeping {
            Ok(Keeping::Done(kept)) => (status, Json(kept)).into_response(),
            Ok(Keeping::NameTaken) => refused(StatusCode::CONFLICT, &format!("another {} has this name", self.one)),
            Ok(Keeping::Full) => refused(StatusCode::CONFLICT, &format!("at most {} {} are kept", self.max, self.many)),
            Ok(Keeping::Unknown) => self.unknown(),
            Err(error) => self.failed(&error),
        }
    }

    /// The answer to removing one.
    pub(crate) fn removed(&self, removed: Result<bool, StateError>) -> Response {
        match removed {
            Ok(true) => StatusCode::NO_CONTENT.into_response(),
            Ok(false) => self.unknown(),
            Err(error) => self.failed(&error),
        }
    }

    /// There is none with the id that was given.
    pub(crate) fn unknown(&self) -> Response {
        refused(StatusCode::NOT_FOUND, &format!("there is no {} with this id", self.one))
    }

    /// The state store does not give them.
    pub(crate) fn failed(&self, error: &StateError) -> Response {
        out_of_reach(self.all, error)
    }
}
