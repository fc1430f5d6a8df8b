//! Sign-in at an OpenID Connect provider: authorisation code with PKCE (RFC 7636), `state` and `nonce`.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/sign-in` | | `{"oidc": {"name"}}`, or `null` where there is no provider |
//! | `POST /console/api/v1/session/oidc` | `{"to": "/discover?…"}` | `{"location"}`: where the browser goes, and a cookie that binds the way back to it |
//! | `GET /console/oidc/callback` | | the way back: 303 to `to` with the session's cookie, or to `/?sign_in=WORD` |
//!
//! What the provider says is believed when its ID token is signed by one of its keys with an algorithm of [`token::ALGORITHMS`], is
//! for this client, of this issuer, in time, and carries the nonce of this very attempt. A role follows from its claims each time.

mod claims;
mod http;
mod provider;
mod token;
mod waiting;

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tollhouse_journal::{Level, Record};
use tollhouse_state::{Keeping, OpenedSession, ProviderUser, Session, StateError, Way};
use tollhouse_web::Peer;
use utoipa::ToSchema;

pub use claims::RoleRule;
pub(crate) use provider::Provider;
pub(crate) use waiting::{Attempt, Waiting};

use crate::Console;
use crate::refusal::{read, refused};
use crate::session::{client_of, cookie_for, cookie_named, entered, host_cookie, tell, visit};

/// Where the provider sends the browser back.
pub const CALLBACK_PATH: &str = "/console/oidc/callback";
/// Longest address of a page that one comes back to, in bytes.
const TO_BYTES_MAX: usize = 2048;
/// Longest value that the provider sends by the address, in bytes.
const VALUE_BYTES_MAX: usize = 8192;
/// Where these records come from.
const CALLER: &str = "console/oidc.rs";
/// The cookie that binds an attempt to the browser that began it.
const COOKIE: &str = "oidc_";

/// How the provider is asked, and what its word means here.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// What stands on the button.
    pub name: String,
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// As what this house is known there.
    pub client_id: String,
    /// Its secret there; none where PKCE has to do.
    pub client_secret: Option<String>,
    /// A PEM file with the authority that signed the provider's certificate; the system's ones when absent.
    pub ca: Option<std::path::PathBuf>,
    /// What is asked for; `openid` always is.
    pub scopes: Vec<String>,
    /// The claim that holds the user's name.
    pub name_claim: String,
    /// The claim that holds the user's groups or roles; `a.b` is a member of a member.
    pub role_claim: String,
    /// Which values of it give which role.
    pub roles: Vec<RoleRule>,
    /// Only users with a verified mail address in one of these; all where there is none.
    pub domains: Vec<String>,
    /// How long a session lasts.
    pub session: Duration,
    /// The address of this house for browsers, without a slash at the end.
    pub public_url: String,
}

impl OidcSettings {
    fn callback(&self) -> String {
        format!("{}{CALLBACK_PATH}", self.public_url)
    }
}

/// Why nobody was let in; its word stands in the address of the page, which has the words for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotIn {
    /// The provider cannot be reached, or does not answer as it should.
    #[error("asking the provider: {0}")]
    Away(String),
    /// No attempt of this browser waits for this answer.
    #[error("no attempt of this browser waits for it: it took too long, was used before, or began elsewhere")]
    Attempt,
    /// The provider or the user said no.
    #[error("the provider refused it: {0}")]
    Denied(String),
    /// The answer is of another provider than was asked.
    #[error("the answer comes from another issuer than was asked")]
    Issuer,
    /// The ID token is not to be believed.
    #[error("the ID token: {0}")]
    Token(String),
    /// It would be, at another time.
    #[error("the ID token: {0}; look at both clocks")]
    Clock(String),
    /// No rule gives this user a role.
    #[error("none of the user's groups has a role here")]
    Group,
    /// The mail address is not verified, or of another domain.
    #[error("the user has no verified mail address of an allowed domain")]
    Domain,
    /// Somebody else has the name.
    #[error("another user has this name")]
    Name,
    /// No more users are kept.
    #[error("no more users are kept")]
    Full,
    /// The state store.
    #[error("keeping the user")]
    State(#[from] StateError),
}

impl NotIn {
    /// A stable word.
    fn word(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Attempt => "attempt",
            Self::Denied(_) => "denied",
            Self::Issuer | Self::Token(_) => "token",
            Self::Clock(_) => "clock",
            Self::Group => "group",
            Self::Domain => "domain",
            Self::Name => "name",
            Self::Full => "full",
            Self::State(_) => "house",
        }
    }
}

/// By what one can sign in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInWays {
    /// A provider, where one is set.
    oidc: Option<OidcWay>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OidcWay {
    /// What stands on the button.
    name: String,
}

pub(crate) async fn ways(State(console): State<Console>) -> Json<SignInWays> {
    let oidc = console.inner.oidc.as_ref().map(|provider| OidcWay { name: provider.settings().name.clone() });
    Json(SignInWays { oidc })
}

/// Where the browser goes on afterwards.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    /// A page of the console, such as `/discover?q=…`.
    to: Option<String>,
}

/// An address for the browser to go to.
#[derive(Serialize, ToSchema)]
pub(crate) struct GoTo {
    pub(crate) location: String,
}

/// Begins an attempt.
pub(crate) async fn begin(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begin: Begin = match read(&body) {
        Ok(begin) => begin,
        Err(answer) => return answer,
    };
    let Some(provider) = &console.inner.oidc else {
        return refused(StatusCode::NOT_FOUND, "no provider is set (`console.oidc`)");
    };
    let to = begin.to.filter(|to| is_own_page(to)).unwrap_or_else(|| "/".to_owned());
    let client = client_of(&console, peer, &headers);
    let (attempt, secret) = Attempt::new(to, client);
    let location = match provider.authorize(&attempt).await {
        Ok(location) => location,
        Err(error) => {
            refused_record(&console, peer, &headers, &error);
            return refused(StatusCode::BAD_GATEWAY, "the provider of sign-ins cannot be reached right now");
        }
    };
    console.inner.sign_ins.waiting().add(attempt);
    let cookie = host_cookie(&console, peer, &headers, COOKIE, &secret, Waiting::TIME_MAX.as_secs());
    (StatusCode::OK, [(SET_COOKIE, cookie)], Json(GoTo { location })).into_response()
}

/// Whether an address is a path of this house: `//host` and `/\host` lead elsewhere.
fn is_own_page(to: &str) -> bool {
    to.len() <= TO_BYTES_MAX
        && to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// What the provider sends back by the browser's address.
#[derive(Deserialize)]
pub(crate) struct Back {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// The way back.
pub(crate) async fn callback(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    let gone = host_cookie(&console, peer, &headers, COOKIE, "", 0);
    match come_back(&console, peer, &headers, back).await {
        Ok((opened, to)) => {
            let cookie = entered(&console, &opened, peer, &headers).await;
            let mut answer = see(&to);
            answer.headers_mut().append(SET_COOKIE, cookie);
            answer.headers_mut().append(SET_COOKIE, gone);
            answer
        }
        Err(not_in) => {
            refused_record(&console, peer, &headers, &not_in);
            let mut answer = see(&format!("/?sign_in={}", not_in.word()));
            answer.headers_mut().append(SET_COOKIE, gone);
            answer
        }
    }
}

fn see(to: &str) -> Response {
    let to = HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

async fn come_back(
    console: &Console,
    peer: Peer,
    headers: &HeaderMap,
    back: Back,
) -> Result<(OpenedSession, String), NotIn> {
    let provider = console.inner.oidc.as_ref().ok_or(NotIn::Attempt)?;
    let sent = [&back.state, &back.code, &back.iss, &back.error];
    if sent.into_iter().flatten().any(|value| value.len() > VALUE_BYTES_MAX) {
        return Err(NotIn::Attempt);
    }
    // Taken out: no second answer finds it, whatever becomes of this one.
    let secret = cookie_named(headers, &cookie_for(console, peer, headers, COOKIE)).unwrap_or_default();
    let attempt = back.state.as_deref().and_then(|state| console.inner.sign_ins.waiting().take(state, secret));
    let attempt = attempt.ok_or(NotIn::Attempt)?;
    provider.check_issuer(back.iss.as_deref()).await?;
    if let Some(error) = back.error {
        return Err(NotIn::Denied(error.chars().filter(|c| !c.is_control()).take(100).collect()));
    }
    let code = back.code.ok_or_else(|| NotIn::Denied("it sent no code".to_owned()))?;
    let told = provider.exchange(&code, &attempt).await?;
    let settings = provider.settings();
    let named = match claims::user(settings, &told) {
        Ok(named) => named,
        Err(not_in) => {
            // Whoever may nothing any more does not stay in elsewhere either.
            console.inner.state.shut_out(&settings.issuer, &told.subject).await?;
            return Err(not_in);
        }
    };
    let opened = open(console, &named, settings.session, client_of(console, peer, headers), headers).await?;
    Ok((opened, attempt.to))
}

async fn open(
    console: &Console,
    named: &ProviderUser,
    lifetime: Duration,
    client: std::net::IpAddr,
    headers: &HeaderMap,
) -> Result<OpenedSession, NotIn> {
    let user = match console.inner.state.provider_user(named).await? {
        Keeping::Done(user) => user,
        Keeping::NameTaken => return Err(NotIn::Name),
        Keeping::Full | Keeping::Unknown => return Err(NotIn::Full),
    };
    let visit = visit(client, headers);
    Ok(console.inner.state.open_user_session(&user, Way::Oidc, lifetime, &visit).await?)
}

/// Where a browser goes to sign out at the provider, too, if its session came from there.
pub(crate) async fn end_address(console: &Console, session: &Session) -> Option<String> {
    let provider = console.inner.oidc.as_ref().filter(|_| session.way == Way::Oidc)?;
    provider.end_address().await
}

fn refused_record(console: &Console, peer: Peer, headers: &HeaderMap, not_in: &NotIn) {
    let record = Record::new("audit", Level::Warn, "console sign-in refused: by the provider's word").caller(CALLER);
    let record = record.field("client_ip", client_of(console, peer, headers).to_string()).field("code", not_in.word());
    tell(console, record.field("error", not_in.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_house_are_come_back_to() {
        for to in ["/", "/discover?q=a%20b", "/requests/x#y"] {
            assert!(is_own_page(to), "{to}");
        }
        for to in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x", "/a b"] {
            assert!(!is_own_page(to), "{to}");
        }
    }
}
