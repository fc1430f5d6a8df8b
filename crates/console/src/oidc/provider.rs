//! A provider: what it says of itself (discovery), its keys, and the questions put to it.

use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::claims::Claims;
use super::http::{Ask, Http, check_url};
use super::token::{self, Keys, WrongToken};
use super::waiting::Attempt;
use super::{NotIn, OidcSettings};

/// What was read of the provider is good for so long.
const KNOWN_FOR: Duration = Duration::from_hours(1);
/// A key that is not known lets the keys be read again, at most so often.
const KEYS_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What a provider says of itself (`OpenID` Connect Discovery 1.0; RFC 8414), as far as it is used.
#[derive(Clone, Debug, Deserialize)]
struct About {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Debug, Default)]
struct Known {
    about: Option<(Instant, About)>,
    keys: Option<(Instant, Keys)>,
}

/// One provider, and what is known of it.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: OidcSettings,
    http: Http,
    /// Held while it is asked: many who sign in at once ask once.
    known: Mutex<Known>,
}

impl Provider {
    pub(crate) fn new(settings: OidcSettings) -> Self {
        Self { http: Http::new(settings.ca.clone()), settings, known: Mutex::default() }
    }

    pub(crate) fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// The address at which the user shows who it is.
    pub(super) async fn authorize(&self, attempt: &Attempt) -> Result<String, NotIn> {
        let about = self.about().await?;
        let challenge = base64_url(&Sha256::digest(attempt.verifier.as_bytes()));
        let mut scopes: Vec<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        if !scopes.contains(&"openid") {
            scopes.insert(0, "openid");
        }
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.settings.callback()),
            ("scope", &scopes.join(" ")),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(with_query(&about.authorization_endpoint, &query))
    }

    /// That an answer comes from the issuer that was asked (RFC 9207): a provider that says it names itself has to.
    pub(super) async fn check_issuer(&self, named: Option<&str>) -> Result<(), NotIn> {
        let must = self.about().await?.authorization_response_iss_parameter_supported;
        match named {
            Some(issuer) if issuer != self.settings.issuer => Err(NotIn::Issuer),
            None if must => Err(NotIn::Issuer),
            _ => Ok(()),
        }
    }

    /// What the provider says of the user for whom it gave this code.
    pub(super) async fn exchange(&self, code: &str, attempt: &Attempt) -> Result<Claims, NotIn> {
        let about = self.about().await?;
        let (form, authorization) = self.token_request(&about, code, attempt);
        let ask = Ask { url: &about.token_endpoint, form: Some(form), authorization };
        let (status, answer) = self.http.ask(ask).await.map_err(NotIn::Away)?;
        if !status.is_success() {
            let said: String = answer["error"].as_str().unwrap_or("no reason").chars().take(100).collect();
            return Err(NotIn::Denied(format!("the code was not taken: {status}, {said}")));
        }
        let id_token = answer["id_token"].as_str().ok_or_else(|| NotIn::Token("there is none".to_owned()))?;
        let mut claims = self.believed(id_token, &attempt.nonce).await?;
        if self.wants_more(&claims)
            && let (Some(url), Some(token)) = (&about.userinfo_endpoint, answer["access_token"].as_str())
        {
            self.add_userinfo(url, token, &mut claims).await?;
        }
        Ok(claims)
    }

    /// Where a browser signs out at the provider; none where the provider has no such place or is away.
    pub(super) async fn end_address(&self) -> Option<String> {
        let endpoint = self.about().await.ok()?.end_session_endpoint?;
        let home = format!("{}/", self.settings.public_url);
        let query = form(&[("client_id", &self.settings.client_id), ("post_logout_redirect_uri", &home)]);
        Some(with_query(&endpoint, &query))
    }

    fn token_request(&self, about: &About, code: &str, attempt: &Attempt) -> (String, Option<HeaderValue>) {
        let (id, callback) = (self.settings.client_id.as_str(), self.settings.callback());
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", &attempt.verifier),
        ];
        let Some(secret) = &self.settings.client_secret else {
            fields.push(("client_id", id));
            return (form(&fields), None);
        };
        // `client_secret_basic` is what every provider has to take unless it says otherwise.
        let methods = about.token_endpoint_auth_methods_supported.as_deref();
        let takes_basic = methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        if !takes_basic {
            fields.extend([("client_id", id), ("client_secret", secret)]);
            return (form(&fields), None);
        }
        let login = format!("{}:{}", encoded(id), encoded(secret));
        let header = HeaderValue::try_from(format!("Basic {}", base64(login.as_bytes())));
        let mut header = header.expect("base64 can stand in a header");
        header.set_sensitive(true);
        (form(&fields), Some(header))
    }

    /// Whether a claim that decides something is not in the ID token: many providers tell those only when asked.
    fn wants_more(&self, claims: &Claims) -> bool {
        let settings = &self.settings;
        let has = |path: &str| claims.at(path).is_some();
        !has(&settings.role_claim)
            || !has(&settings.name_claim)
            || (!settings.domains.is_empty() && !has("email_verified"))
    }

    async fn add_userinfo(&self, url: &str, token: &str, claims: &mut Claims) -> Result<(), NotIn> {
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| NotIn::Away("its access token cannot be sent".to_owned()))?;
        header.set_sensitive(true);
        let ask = Ask { url, form: None, authorization: Some(header) };
        let (status, answer) = self.http.ask(ask).await.map_err(NotIn::Away)?;
        let Value::Object(more) = answer else { return Err(NotIn::Away("it told nothing of the user".to_owned())) };
        if !status.is_success() {
            return Err(NotIn::Away(format!("it told nothing of the user: {status}")));
        }
        // Of another user it would be worth nothing (OpenID Connect Core, 5.3.2).
        if more.get("sub").and_then(Value::as_str) != Some(&claims.subject) {
            return Err(NotIn::Token("the provider tells of another user".to_owned()));
        }
        for (name, value) in more {
            claims.all.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// The claims of an ID token that stands every check.
    async fn believed(&self, id_token: &str, nonce: &str) -> Result<Claims, NotIn> {
        let expected = token::Expected { issuer: &self.settings.issuer, client_id: &self.settings.client_id, nonce };
        let now_s = jiff::Timestamp::now().as_second();
        let keys = self.keys(KNOWN_FOR).await?;
        let checked = match token::check(id_token, &keys, &expected, now_s) {
            // It may have begun to sign with another key.
            Err(WrongToken::Key) => token::check(id_token, &self.keys(KEYS_AGAIN_AFTER).await?, &expected, now_s),
            checked => checked,
        };
        checked.map_err(|wrong| match wrong {
            WrongToken::Time(_) => NotIn::Clock(wrong.to_string()),
            wrong => NotIn::Token(wrong.to_string()),
        })
    }

    async fn about(&self) -> Result<About, NotIn> {
        let mut known = self.known.lock().await;
        if let Some((_, about)) = known.about.as_ref().filter(|(at, _)| at.elapsed() < KNOWN_FOR) {
            return Ok(about.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let about: About = self.read(&url).await?;
        if about.issuer != self.settings.issuer {
            return Err(NotIn::Away("it calls itself another issuer than is set".to_owned()));
        }
        let endpoints = [Some(&about.token_endpoint), Some(&about.jwks_uri), about.userinfo_endpoint.as_ref()];
        for url in endpoints.into_iter().flatten().chain([&about.authorization_endpoint]) {
            check_url(url).map_err(NotIn::Away)?;
        }
        known.about = Some((Instant::now(), about.clone()));
        Ok(about)
    }

    /// The provider's keys, read at most so long ago.
    async fn keys(&self, age_max: Duration) -> Result<Keys, NotIn> {
        let about = self.about().await?;
        let mut known = self.known.lock().await;
        if let Some((_, keys)) = known.keys.as_ref().filter(|(at, _)| at.elapsed() < age_max) {
            return Ok(keys.clone());
        }
        let keys: Keys = self.read(&about.jwks_uri).await?;
        known.keys = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, NotIn> {
        let ask = Ask { url, form: None, authorization: None };
        let (status, answer) = self.http.ask(ask).await.map_err(NotIn::Away)?;
        if !status.is_success() {
            return Err(NotIn::Away(format!("{url} answered {status}")));
        }
        serde_json::from_value(answer).map_err(|error| NotIn::Away(format!("{url}: {error}")))
    }
}

fn with_query(endpoint: &str, query: &str) -> String {
    let sign = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{sign}{query}")
}

/// `application/x-www-form-urlencoded`; with `%20`, which every server reads, for a space.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _: std::fmt::Result = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_every_server_reads_them() {
        assert_eq!(form(&[("a", "b c&d=é"), ("e", "~-._")]), "a=b%20c%26d%3D%C3%A9&e=~-._");
        assert_eq!(with_query("https://id.example.com/a?tenant=1", "b=2"), "https://id.example.com/a?tenant=1&b=2");
        // RFC 7636, appendix B.
        let challenge = base64_url(&Sha256::digest(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
