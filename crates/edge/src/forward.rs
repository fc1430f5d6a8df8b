//! Requests handed on to servers, and their answers piece by piece.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Error;
use tokio::time::{Instant, Sleep};
use tollhouse_units::chain;
use tollhouse_web::{Answer, RequestId, end_on_error, text};

use crate::balance::{Running, Servers};
use crate::edge::drain;
use crate::kept::ServerClient;
use crate::tap::{Hold, Tap};
use crate::tunnel::Upgrade;
use crate::visit::{Open, Visitor};

/// Bytes of a body that is held, so that it can be sent to another server.
const HELD_BYTES_MAX: u64 = 64 * 1024;
/// Servers that are tried for one request.
const TRIES_MAX: usize = 3;

/// Headers for one connection alone (RFC 9110, section 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// What a server might believe, so it is never a client's.
const OURS_TO_SAY: [HeaderName; 9] = [
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    REAL_IP,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Sent = UnsyncBoxBody<Bytes, BoxError>;

/// Servers behind a route.
pub(crate) struct Forward {
    client: ServerClient,
    servers: Servers,
    body_bytes_max: u64,
    timeout: Duration,
    idle: Duration,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// What comes of a request that was handed on.
pub(crate) enum Outcome {
    Answer(Answer),
    Tunnel(Box<Upgrade>),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A request's body: held, so that it can be sent again, or on its way.
enum Outgoing {
    Held(Bytes),
    Passing(Option<Sent>),
}

impl Forward {
    pub(crate) fn new(
        client: ServerClient,
        servers: Servers,
        body_bytes_max: u64,
        timeout: Duration,
        idle: Duration,
    ) -> Self {
        Self { client, servers, body_bytes_max, timeout, idle }
    }

    /// Hands the request on, to another server where the first cannot be reached. The body of an answer comes piece by piece.
    pub(crate) async fn answer<B>(
        &self,
        request: Request<B>,
        host: &str,
        visitor: Visitor,
        id: &RequestId,
        open: &mut Open,
    ) -> Outcome
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        if body.size_hint().lower() > self.body_bytes_max {
            drain(body).await;
            return too_large().into();
        }
        let wants_tunnel = is_websocket(&head.headers);
        let tunnel = head.extensions.remove::<OnUpgrade>().filter(|_| wants_tunnel);
        clean(&mut head.headers);
        introduce(&mut head.headers, &head.uri, host, visitor, id);
        if tunnel.is_some() {
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let mut outgoing = match self.take(body).await {
            Ok(outgoing) => outgoing,
            Err(answer) => return answer.into(),
        };
        let is_safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        // One timer for all: first for the head of the answer, then for its body.
        let mut pause = Box::pin(tokio::time::sleep(self.timeout));
        let mut failure = None;
        let mut order = self.servers.order(visitor.address, &target).into_iter().take(TRIES_MAX);
        while let Some(server) = order.next() {
            let Some(body) = outgoing.next() else { break };
            let Ok(uri) = format!("{}{target}", server.spec.url).parse::<Uri>() else { return unreachable().into() };
            let mut sent = Request::new(body);
            *sent.method_mut() = head.method.clone();
            *sent.uri_mut() = uri;
            // The last one to be tried, mostly the only one, gets what the others got a copy of.
            *sent.headers_mut() =
                if order.len() == 0 { std::mem::take(&mut head.headers) } else { head.headers.clone() };
            open.ask(&server.spec.url);
            let running = server.begin();
            let asked = tokio::select! {
                biased;
                asked = self.client.request(sent) => Some(asked),
                () = pause.as_mut() => None,
            };
            match asked {
                Some(Ok(answer)) => {
                    server.answered();
                    return self.pass_on(answer, tunnel, running, pause);
                }
                Some(Err(error)) => {
                    let told = chain(&error);
                    if is_over_limit(&error) {
                        return too_large().into();
                    }
                    server.failed();
                    let may_repeat = error.is_connect() || is_safe;
                    failure = Some(told);
                    if !may_repeat {
                        break;
                    }
                }
                None => {
                    open.fail(format!("no answer within {:?}", self.timeout));
                    return text(StatusCode::GATEWAY_TIMEOUT, "this site is not answering right now\n").into();
                }
            }
        }
        open.fail(failure.unwrap_or_else(|| "the body was sent already".to_owned()));
        unreachable().into()
    }

    /// A short body is held; a longer one goes through as it comes.
    async fn take<B>(&self, body: B) -> Result<Outgoing, Answer>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let limit = usize::try_from(self.body_bytes_max).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit);
        if body.size_hint().upper().is_some_and(|most| most <= HELD_BYTES_MAX) {
            return match body.collect().await {
                Ok(held) => Ok(Outgoing::Held(held.to_bytes())),
                Err(_) => Err(text(StatusCode::BAD_REQUEST, "the body did not arrive in full\n")),
            };
        }
        Ok(Outgoing::Passing(Some(body.boxed_unsync())))
    }

    fn pass_on(
        &self,
        mut answer: Response<Incoming>,
        tunnel: Option<OnUpgrade>,
        running: Running,
        pause: Pin<Box<Sleep>>,
    ) -> Outcome {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(client) = tunnel else { return unreachable().into() };
            let server = hyper::upgrade::on(&mut answer);
            clean(answer.headers_mut());
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            let answer = answer.map(|_| tollhouse_web::full(Bytes::new()));
            return Outcome::Tunnel(Box::new(Upgrade { answer, client, server, idle: self.idle, running }));
        }
        clean(answer.headers_mut());
        let (tap, idle) = (answer.extensions_mut().remove::<Arc<Tap>>().map(Tap::hold), self.idle);
        let passing =
            |body| Passing { body, tap, has_begun: false, idle, pause, is_waited_for: false, _running: running };
        answer.map(|body| end_on_error(passing(body))).into()
    }
}

impl Outgoing {
    fn next(&mut self) -> Option<Sent> {
        match self {
            Self::Held(bytes) => Some(Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync()),
            Self::Passing(body) => body.take(),
        }
    }
}

/// An answer's body, read as it is taken, that breaks off when nothing came for too long.
struct Passing {
    body: Incoming,
    /// Of the connection that it comes on.
    tap: Option<Hold>,
    has_begun: bool,
    /// How long the server is waited for. A client may take its time with what has come.
    idle: Duration,
    pause: Pin<Box<Sleep>>,
    is_waited_for: bool,
    _running: Running,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Behind the piece that is taken now, nothing is read before the next one is asked for. (Behind the first one it may be: a
        // server whose answer is that piece alone may be answering somebody else on this connection by now.)
        if let Some(tap) = self.tap.as_ref().filter(|_| self.has_begun) {
            tap.shut();
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            (self.has_begun, self.is_waited_for) = (true, false);
            if frame.is_none() || self.body.is_end_stream() {
                self.tap = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if let Some(tap) = &self.tap {
            tap.open();
        }
        let idle = self.idle;
        if !std::mem::replace(&mut self.is_waited_for, true) {
            self.pause.as_mut().reset(Instant::now() + idle);
        }
        self.pause.as_mut().poll(context).map(|()| Some(Err(format!("the server said nothing for {idle:?}").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Takes away what is for one connection alone.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // What frames the message and says who asks is never for one connection alone, whoever says so.
        .filter(|name| !matches!(name.as_str(), "host" | "content-length" | "authorization" | "x-api-key" | "cookie"))
        .collect();
    remove_all(headers, |name| HOP_BY_HOP.contains(name) || named.contains(name));
}

/// Takes away each header that is unwanted. Few are there: to look for each that might be costs more than to look at those.
fn remove_all(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Says whose request it is, in place of whatever the client said.
fn introduce(headers: &mut HeaderMap, uri: &Uri, host: &str, visitor: Visitor, id: &RequestId) {
    remove_all(headers, |name| OURS_TO_SAY.contains(name) || *name == EXPECT);
    // As it was sent, port included; HTTP/2 has it in the target.
    let authority = uri.authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
    let sent_to = authority.or_else(|| headers.get(HOST).cloned()).or_else(|| HeaderValue::try_from(host).ok());
    if let Some(sent_to) = sent_to {
        headers.insert(FORWARDED_HOST, sent_to.clone());
        headers.insert(HOST, sent_to);
    }
    let address = visitor.address.to_canonical().to_string();
    if let Ok(address) = HeaderValue::try_from(address) {
        headers.insert(FORWARDED_FOR, address.clone());
        headers.insert(REAL_IP, address);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert("x-request-id", id.header_value());
}

/// Whether a WebSocket is asked for (RFC 6455, section 4.1). No other protocol is let through: behind a tunnel of another HTTP,
/// nothing would be looked at.
fn is_websocket(headers: &HeaderMap) -> bool {
    let says = |name: HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    says(CONNECTION, "upgrade") && says(UPGRADE, "websocket")
}

fn unreachable() -> Answer {
    text(StatusCode::BAD_GATEWAY, "this site is not answering right now\n")
}

fn too_large() -> Answer {
    text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")
}

fn is_over_limit(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_not_handed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a.example:8443"),
            ("connection", "close, X-Api-Key, x-mine, host"),
            ("x-mine", "1"),
            ("x-api-key", "key"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-real-ip", "1.1.1.1"),
            ("x-original-url", "/admin"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        let visitor = Visitor { address: "::ffff:10.0.0.7".parse().unwrap() };
        introduce(
            &mut headers,
            &Uri::from_static("/x"),
            "a.example",
            visitor,
            &RequestId::from_headers(&HeaderMap::new()),
        );
        headers.remove("x-request-id").expect("an id");
        let mut told: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ("accept", "*/*"),
                ("host", "a.example:8443"),
                ("x-api-key", "key"),
                ("x-forwarded-for", "10.0.0.7"),
                ("x-forwarded-host", "a.example:8443"),
                ("x-forwarded-proto", "https"),
                ("x-real-ip", "10.0.0.7"),
            ]
        );
    }

    #[test]
    fn only_websockets_are_tunnels() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("upgrade", "h2c", false),
            ("keep-alive", "websocket", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(connection));
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            assert_eq!(is_websocket(&headers), expected, "{connection} {upgrade}");
        }
    }
}
