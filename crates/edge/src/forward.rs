//! Requests handed on to servers, and their answers piece by piece.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, Sleep};
use tollhouse_units::chain;
use tollhouse_web::{Answer, RequestId, end_on_error, text};

use crate::balance::{Running, Servers};
use crate::client::{BoxError, Connection, Failure, Incoming, Outgoing, Question, Reply, ServerClient, is_safe};
use crate::edge::drain;
use crate::headers::{members, says};
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
        let may_repeat = is_safe(&head.method);
        // One timer for all: first for the head of the answer, then for its body.
        let mut pause = Box::pin(tokio::time::sleep(self.timeout));
        let mut failure = None;
        let question =
            Question { method: &head.method, target: &target, headers: &head.headers, wants_tunnel: tunnel.is_some() };
        for server in self.servers.order(visitor.address, &target).into_iter().take(TRIES_MAX) {
            if !outgoing.is_there() {
                break;
            }
            open.ask(&server.spec.url);
            let running = server.begin();
            // In a box of its own: most of it is wanted for no longer than there is no answer.
            let asking = Box::pin(self.client.ask(&server, question, &mut outgoing));
            let asked = tokio::select! {
                biased;
                asked = asking => Some(asked),
                () = pause.as_mut() => None,
            };
            match asked {
                Some(Ok(reply)) => {
                    server.answered();
                    return self.pass_on(reply, tunnel, running, pause);
                }
                Some(Err(Failure::Body(error))) if error.is::<LengthLimitError>() => return too_large().into(),
                Some(Err(error @ Failure::Body(_))) => {
                    // No server's fault, and nobody else's to answer.
                    open.fail(chain(&error));
                    return cut_short().into();
                }
                Some(Err(error)) => {
                    server.failed();
                    failure = Some(chain(&error));
                    if !may_repeat && !matches!(error, Failure::Connect(_)) {
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
                Err(_) => Err(cut_short()),
            };
        }
        Ok(Outgoing::Passing(Some(body.boxed_unsync())))
    }

    fn pass_on(&self, reply: Reply, tunnel: Option<OnUpgrade>, running: Running, pause: Pin<Box<Sleep>>) -> Outcome {
        match reply {
            Reply::Tunnel(answer, server) => self.tunnel(answer, tunnel, server, running),
            Reply::Content(mut answer) => {
                clean(answer.headers_mut());
                let idle = self.idle;
                let passing = |body| Passing { body, idle, pause, is_waited_for: false, _running: running };
                answer.map(|body| end_on_error(passing(body))).into()
            }
        }
    }

    fn tunnel(
        &self,
        mut answer: Response<()>,
        client: Option<OnUpgrade>,
        server: Connection,
        running: Running,
    ) -> Outcome {
        let Some(client) = client else { return unreachable().into() };
        clean(answer.headers_mut());
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        let answer = answer.map(|()| tollhouse_web::full(Bytes::new()));
        Outcome::Tunnel(Box::new(Upgrade { answer, client, server, idle: self.idle, running }))
    }
}

/// An answer's body, read as it is taken, that breaks off when nothing came for too long.
struct Passing {
    body: Incoming,
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
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waited_for = false;
            return Poll::Ready(frame.map(|frame| Ok(without_framing(frame?))));
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

/// Fields behind a body say nothing of how it is framed, nor for one connection alone (RFC 9110, section 6.5.1).
fn without_framing(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            trailers.remove(CONTENT_LENGTH);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Takes away what is for one connection alone.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = members(headers, CONNECTION)
        .filter_map(|name| HeaderName::try_from(name).ok())
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
    says(headers, CONNECTION, "upgrade") && says(headers, UPGRADE, "websocket")
}

fn unreachable() -> Answer {
    text(StatusCode::BAD_GATEWAY, "this site is not answering right now\n")
}

fn too_large() -> Answer {
    text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")
}

fn cut_short() -> Answer {
    text(StatusCode::BAD_REQUEST, "the body did not arrive in full\n")
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
