//! The way of a model request, from its head to its journal line.
//!
//! [`Gateway::handle`] takes a request for `/v1/…` or `/api/…` and returns the answer; [`stack`] lists every step of the way in
//! order and is the file to read first. [`Door`] is the part of it that decides who may pass; the Elasticsearch API
//! stands behind the same door. [`Refusal`] is the one table from "why not" to status, text and level.
//!
//! Each request, refused ones included, becomes one journal record, which is written to the journal file before the
//! last byte of the answer leaves. A client that leaves drops the answer's body, and with it the upstream request.
//!
//! What this crate never does: know a dialect's bytes (that is `dialect`), talk to a model server (`upstream`), or read a
//! configuration file.

mod answer;
mod chat;
mod claims;
mod counted;
mod door;
mod embed;
mod family;
mod figures;
mod guard;
mod health;
mod later;
mod lists;
mod manage;
mod page;
mod record;
mod recount;
mod refusal;
mod route;
mod stack;
mod talk;

pub use door::{Caller, Door, DoorSettings};
pub use family::Families;
pub use health::Health;
pub use later::{Asked, Doing, Later, LaterBody, Owner, Purpose, Wanted};
pub use record::RequestRecord;
pub use refusal::{ErrorStyle, Refusal, ServerFailed, role_needed};
pub use stack::{By, Entry, Gateway, ModelSettings, PROBE_ORIGIN, REPLAY_ORIGIN, Settings, TASK_ORIGIN};
pub use tollhouse_upstream::{Phase, Progress};
