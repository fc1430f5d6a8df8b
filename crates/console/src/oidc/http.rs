//! The HTTP client for the provider: guarded addresses, bounds on time and size, no redirects.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tollhouse_outbound::{Client, GuardedResolver, Trust, is_forbidden, rare_client, whole};
use tollhouse_units::chain;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a question may take, from connecting to the last byte of the answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 512 << 10;

/// Asks a provider.
#[derive(Debug)]
pub(super) struct Http {
    ca: Option<PathBuf>,
    /// Made with the first question: reading the certificates of the system takes its time.
    client: OnceCell<Client<GuardedResolver>>,
}

/// A question.
pub(super) struct Ask<'a> {
    pub(super) url: &'a str,
    /// A form to post; it is a `GET` without one.
    pub(super) form: Option<String>,
    pub(super) authorization: Option<HeaderValue>,
}

impl Http {
    pub(super) fn new(ca: Option<PathBuf>) -> Self {
        Self { ca, client: OnceCell::new() }
    }

    /// The answer with its status, if it is JSON.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<(StatusCode, Value), String> {
        let host = check_url(ask.url)?;
        let request = request(&ask).map_err(|error| format!("{host}: {error}"))?;
        let client = self.client.get_or_try_init(|| self.build()).await?;
        let asking = async {
            let answer = client.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = answer.into_parts();
            Ok::<_, String>((head.status, whole(body, ANSWER_BYTES_MAX).await?))
        };
        let answered = timeout(ANSWER_TIME_MAX, asking).await;
        let (status, body) = answered
            .map_err(|_| format!("{host}: no answer within {ANSWER_TIME_MAX:?}"))?
            .map_err(|error| format!("{host}: {error}"))?;
        let answer = serde_json::from_slice(&body).map_err(|_| format!("{host} answered {status} without JSON"))?;
        Ok((status, answer))
    }

    async fn build(&self) -> Result<Client<GuardedResolver>, String> {
        let trust = Trust::of(self.ca.as_deref(), true);
        let building = spawn_blocking(move || rare_client(GuardedResolver, &trust, CONNECT_TIME_MAX));
        building.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error))
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let method = if ask.form.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(ask.url)
        .header(USER_AGENT, "tollhouse")
        .header(ACCEPT, "application/json");
    if let Some(authorization) = &ask.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if ask.form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(ask.form.clone().unwrap_or_default().into()))
}

/// The host of an address that may be asked: encrypted, or on this machine; never a service of the cloud that has secrets.
pub(super) fn check_url(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "an address of the provider cannot be read".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let literal = host.parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || literal.as_ref().is_ok_and(std::net::IpAddr::is_loopback);
    match uri.scheme_str() {
        _ if literal.is_ok_and(is_forbidden) => Err(format!("nothing is ever sent to {host}")),
        Some("https") => Ok(host),
        Some("http") if is_here => Ok(host),
        _ => Err(format!("{host}: the provider is only asked by https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_addresses_are_asked_and_never_those_of_metadata_services() {
        for url in [
            "https://id.example.com/a",
            "http://127.0.0.1:8080/",
            "http://[::1]/",
            "http://localhost/",
            "https://10.0.0.7/",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://id.example.com/",
            "http://10.0.0.7/",
            "https://169.254.169.254/",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
