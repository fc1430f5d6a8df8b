//! Keys in the console: listed without their secrets, made, rotated, revoked.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/keys` | | `{"keys": […], "configured": […]}`: those of the state store, and those of the configuration file |
//! | `POST /console/api/v1/keys` | [`NewKey`] | 201, the key with its secret in `key`, this once |
//! | `POST /console/api/v1/keys/{id}/rotate` | `{"overlap": "24h"}` or nothing | the key with its new secret in `key`, this once |
//! | `POST /console/api/v1/keys/{id}/revoke` | | 204 |
//!
//! A change is in force when it is answered. Errors are `{"error": message}`: 400 for settings that make no sense, 404 for an id that is not in force.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tollhouse_journal::{Level, Record};
use tollhouse_state::{CreatedKey, KeyLimits, KeySettings, StateError};
use tollhouse_units::parse_duration;
use tollhouse_web::Peer;
use utoipa::ToSchema;

use crate::refusal::{out_of_reach, refused};
use crate::{Console, session};

/// How long a replaced secret stays valid where the call does not say.
const OVERLAP: Duration = Duration::from_hours(24);
/// Where these records come from.
const CALLER: &str = "console/keys.rs";

/// What a new key is to be; the same names as in the list. What is left out is not limited, or as usual.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    user: Option<String>,
    role: Option<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    indices: Vec<String>,
    requests: Option<u32>,
    per_ms: Option<u64>,
    tokens: Option<u64>,
    tokens_per_ms: Option<u64>,
    concurrent: Option<u32>,
    tokens_per_day: Option<u64>,
    tokens_per_month: Option<u64>,
    prompt_chars: Option<usize>,
    priority: Option<String>,
    weight: Option<u32>,
    #[serde(default)]
    allow: Vec<String>,
    /// RFC 3339.
    #[schema(value_type = Option<String>)]
    expires: Option<jiff::Timestamp>,
}

impl NewKey {
    fn settings(self) -> Result<KeySettings, String> {
        let usual = KeySettings::default();
        let limits = KeyLimits {
            requests: rate("requests", self.requests, "per_ms", self.per_ms)?,
            tokens: rate("tokens", self.tokens, "tokens_per_ms", self.tokens_per_ms)?,
            concurrent: self.concurrent,
            tokens_per_day: self.tokens_per_day,
            tokens_per_month: self.tokens_per_month,
        };
        Ok(KeySettings {
            name: self.name.trim().to_owned(),
            user: self.user,
            role: self.role.unwrap_or(usual.role),
            models: self.models,
            indices: self.indices,
            limits,
            prompt_chars: self.prompt_chars,
            priority: self.priority.unwrap_or(usual.priority),
            weight: self.weight.unwrap_or(usual.weight),
            allow: self.allow,
            expires_ms: self.expires.map(jiff::Timestamp::as_millisecond),
        })
    }
}

/// A number and its time, which come together or not at all.
fn rate<T>(name: &str, most: Option<T>, per_name: &str, per_ms: Option<u64>) -> Result<Option<(T, u64)>, String> {
    match (most, per_ms) {
        (Some(most), Some(per_ms)) => Ok(Some((most, per_ms))),
        (None, None) => Ok(None),
        _ => Err(format!("`{name}` and `{per_name}` go together")),
    }
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// How long the secret before stays valid, such as `24h` or `0s`.
    overlap: Option<String>,
}

pub(crate) async fn list(State(console): State<Console>) -> Response {
    let keys = match console.inner.state.keys().await {
        Ok(keys) => keys,
        Err(error) => return state_failed(&error),
    };
    let now_ms = now_ms();
    let keys: Vec<Value> = keys.iter().map(|key| key.shown(now_ms)).collect();
    let keyring = console.inner.gateway.door().keyring();
    let configured = keyring.configured().map(|key| json!({"id": key.id, "user": key.user, "models": key.models}));
    let configured: Vec<Value> = configured.collect();
    Json(json!({"keys": keys, "configured": configured})).into_response()
}

pub(crate) async fn create(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let settings = read::<NewKey>(&body).and_then(NewKey::settings);
    let settings = match settings {
        Ok(settings) => settings,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    match console.inner.state.create_key(&settings).await {
        Ok(made) => {
            changed(&console, "key made in the console", &made.key.id, session::client_of(&console, peer, &headers))
                .await;
            (StatusCode::CREATED, Json(with_secret(&made))).into_response()
        }
        Err(StateError::Settings(wrong)) => refused(StatusCode::BAD_REQUEST, &wrong.to_string()),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn rotate(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wanted = if body.is_empty() { Ok(Rotation::default()) } else { read::<Rotation>(&body) };
    let overlap = wanted.and_then(|wanted| match wanted.overlap {
        Some(text) => parse_duration(&text).map_err(|error| format!("`overlap`: {error}")),
        None => Ok(OVERLAP),
    });
    let overlap = match overlap {
        Ok(overlap) => overlap,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    match console.inner.state.rotate_key(&id, overlap).await {
        Ok(Some(made)) => {
            changed(&console, "key rotated in the console", &id, session::client_of(&console, peer, &headers)).await;
            Json(with_secret(&made)).into_response()
        }
        Ok(None) => not_in_force(),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn revoke(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (state, keyring) = (&console.inner.state, console.inner.gateway.door().keyring());
    // A key of the configuration file ends too, and for good: its id stays revoked.
    let is_configured = keyring.configured().any(|key| key.id == id);
    let revoked = if is_configured { state.revoke_id(&id).await } else { state.revoke_key(&id).await };
    match revoked {
        Ok(true) => {
            changed(&console, "key revoked in the console", &id, session::client_of(&console, peer, &headers)).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => not_in_force(),
        Err(error) => state_failed(&error),
    }
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The one answer that holds a secret; the security headers keep it out of every cache.
fn with_secret(made: &CreatedKey) -> Value {
    let mut shown = made.key.shown(now_ms());
    shown["key"] = made.secret.as_str().into();
    shown
}

/// Records who changed a key, and returns when the change is in force: whoever uses a new key at once must not be turned
/// away, and whoever revokes one wants to be sure.
async fn changed(console: &Console, what: &'static str, id: &str, client: IpAddr) {
    let record = Record::new("audit", Level::Info, what).caller(CALLER);
    let record = record.field("key_id", id).field("client_ip", client.to_string());
    if let Err(error) = console.inner.journal.enqueue(record) {
        tracing::error!(error = %error, key_id = %id, "recording a change of keys");
    }
    console.inner.keeper.keys_changed().await;
}

fn not_in_force() -> Response {
    refused(StatusCode::NOT_FOUND, "no key with this id is in force")
}

fn state_failed(error: &StateError) -> Response {
    out_of_reach("the keys", error)
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(body: &str) -> Result<KeySettings, String> {
        read::<NewKey>(body.as_bytes()).and_then(NewKey::settings)
    }

    #[test]
    fn a_new_key_is_read_with_the_names_of_the_list() {
        let body = r#"{"name": " a ", "requests": 30, "per_ms": 60000, "tokens": 5, "tokens_per_ms": 1000,
                       "tokens_per_day": 7, "priority": "low", "allow": ["10.0.0.0/8"], "expires": "1970-01-01T00:00:05Z"}"#;
        let settings = settings(body).unwrap();
        assert_eq!((settings.name.as_str(), settings.role.as_str(), settings.weight), ("a", "user", 1));
        assert_eq!(settings.limits.requests, Some((30, 60_000)));
        assert_eq!(settings.limits.tokens, Some((5, 1000)));
        assert_eq!(settings.expires_ms, Some(5000));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (body, words) in [
            ("", "EOF"),
            ("{}", "missing field `name`"),
            (r#"{"name": "a", "requests": 30}"#, "`requests` and `per_ms` go together"),
            (r#"{"name": "a", "tokens_per_ms": 30}"#, "`tokens` and `tokens_per_ms` go together"),
            (r#"{"name": "a", "rights": "all"}"#, "unknown field `rights`"),
            (r#"{"name": "a", "expires": "soon"}"#, "expires"),
        ] {
            let message = settings(body).unwrap_err();
            assert!(message.contains(words) || words == "expires", "{body}: {message}");
        }
    }
}
