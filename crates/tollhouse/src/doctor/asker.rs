//! Asks an address, step by step, so that it is known where it fails: name, connection, answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tollhouse_doctor::Reach;
use tollhouse_outbound::{Client, Trust, rare_client, whole};
use tollhouse_units::chain;

/// How long a name may take.
const NAME_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Things that are looked at at once.
const AT_ONCE_MAX: usize = 16;

/// Does all of them side by side, so many at once; what they give, in their order.
pub(super) fn side_by_side<'a, F>(all: impl IntoIterator<Item = F>) -> BoxFuture<'a, Vec<F::Output>>
where
    F: Future<Output: Send> + Send + 'a,
{
    // Boxed, and collected before: what makes the futures is no part of the one that waits for them.
    let all: Vec<F> = all.into_iter().collect();
    stream::iter(all).buffered(AT_ONCE_MAX).collect().boxed()
}

/// Asks addresses of HTTP.
#[derive(Clone)]
pub(super) struct Asker {
    client: Client,
}

/// A question.
pub(super) struct Asked<'a> {
    pub(super) url: String,
    /// Shown as `Authorization: Bearer`, and as `x-api-key`.
    pub(super) key: Option<&'a str>,
    /// Sent by POST where there is one.
    pub(super) body: Option<Value>,
    /// How long the answer may take, once it is connected.
    pub(super) within: Duration,
}

impl<'a> Asked<'a> {
    /// What changes nothing.
    pub(super) fn get(url: impl Into<String>, within: Duration) -> Asked<'a> {
        Asked { url: url.into(), key: None, body: None, within }
    }
}

impl Asker {
    /// Reads the system's certificates, so it blocks.
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = rare_client(GaiResolver::new(), &Trust::System, CONNECT_TIME_MAX)?;
        Ok(Self { client })
    }

    /// Asks, and says how far that came.
    pub(super) async fn ask(&self, asked: Asked<'_>) -> Reach {
        let Ok(uri) = asked.url.parse::<Uri>() else {
            return Reach::Broken { error: format!("{} is no address", asked.url) };
        };
        let (Some(host), scheme) = (uri.host(), uri.scheme_str()) else {
            return Reach::Broken { error: format!("{} has no host", asked.url) };
        };
        let port = uri.port_u16().unwrap_or(if scheme == Some("https") { 443 } else { 80 });
        if let Err(reach) = connected(host.trim_matches(['[', ']']), port).await {
            return reach;
        }
        let seconds = asked.within.as_secs_f64();
        timeout(asked.within, self.answer(&uri, &asked)).await.unwrap_or(Reach::Silent { seconds })
    }

    async fn answer(&self, uri: &Uri, asked: &Asked<'_>) -> Reach {
        let began = Instant::now();
        let mut request =
            Request::builder().uri(uri.clone()).header(USER_AGENT, "tollhouse-doctor").header(ACCEPT, "*/*");
        if let Some(key) = asked.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}")).header("x-api-key", key);
            request = request.header("anthropic-version", "2023-06-01");
        }
        let body = asked.body.as_ref().map(|body| Bytes::from(body.to_string()));
        if body.is_some() {
            request = request.method(Method::POST).header(CONTENT_TYPE, "application/json");
        }
        let answer = async {
            let request = request.body(Full::new(body.unwrap_or_default())).map_err(|error| error.to_string())?;
            let answer = self.client.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = answer.into_parts();
            Ok::<_, String>((head, whole(body, ANSWER_BYTES_MAX).await?))
        };
        match answer.await {
            Err(error) => Reach::Broken { error },
            Ok((head, body)) => Reach::Answered {
                status: head.status.as_u16(),
                ms: began.elapsed().as_secs_f64() * 1000.0,
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
                headers: head
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    })
                    .collect::<BTreeMap<_, _>>(),
            },
        }
    }
}

/// A connection to a name and port, or how far it came.
pub(super) async fn connected(host: &str, port: u16) -> Result<TcpStream, Reach> {
    let addresses = match timeout(NAME_TIME_MAX, lookup_host((host, port))).await {
        Err(_) => return Err(Reach::NoName { error: format!("no answer within {} s", NAME_TIME_MAX.as_secs_f64()) }),
        Ok(Err(error)) => return Err(Reach::NoName { error: format!("{host}: {error}") }),
        Ok(Ok(addresses)) => addresses,
    };
    let mut last = Reach::NoName { error: format!("{host} has no address") };
    for address in addresses.take(ADDRESSES_MAX) {
        last = match timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Reach::Refused { error: format!("{address}: {error}") },
            Err(_) => Reach::Unreachable { seconds: CONNECT_TIME_MAX.as_secs_f64() },
        };
        if matches!(last, Reach::Unreachable { .. }) {
            break;
        }
    }
    Err(last)
}
