//! One request, from its head to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ipnet::IpNet;
use jiff::Zoned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tollhouse_access::Role;
use tollhouse_collect::formats::Format;
use tollhouse_collect::http::{Packing, read_lines, read_otlp};
use tollhouse_config::HttpSource;
use tollhouse_gateway::Refusal;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_otlp::{Encoding, Rejected};
use tollhouse_web::{Answer, Dropped};

use super::keeping::Sent;
use super::reply::{Speech, Trouble, kept};
use super::{CALLER, Counts, keeping};
use crate::collecting::record;
use crate::collecting::shaping::Shaping;
use crate::house::Current;
use crate::{es, wiring};

/// Longest body, packed or unpacked: what OpenTelemetry's collector takes (`max_request_body_size`).
const BODY_BYTES_MAX: usize = 20 << 20;
/// Bytes of all bodies that are being read and written, of all sources together. What is made of them is larger, at most a
/// few times.
const ALL_BYTES_MAX: usize = 64 << 20;
/// From the head of a request to the end of its body.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// One for the whole process: it stands for the machine's memory.
static BYTES: Semaphore = Semaphore::const_new(ALL_BYTES_MAX);

/// What is done with requests.
pub(super) struct Taking {
    shaping: Arc<Shaping>,
    format: Option<Format>,
    allow: Vec<IpNet>,
    journal: Journal,
    house: Current,
    counts: Arc<Counts>,
}

/// A body, and the memory that it holds.
struct Held {
    body: Bytes,
    room: Room,
}

/// Memory that is held while a request is worked on.
struct Room(SemaphorePermit<'static>);

impl Taking {
    pub(super) fn new(
        shaping: Arc<Shaping>,
        http: &HttpSource,
        journal: Journal,
        house: Current,
        counts: Arc<Counts>,
    ) -> Self {
        let (format, allow) = (wiring::line_format(http.format), http.allow.clone());
        Self { shaping, format, allow, journal, house, counts }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Result<Answer, Dropped> {
        let peer = peer.to_canonical();
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let speech = speech(request.uri().path(), request.headers());
        Ok(match self.take(request, peer, speech).await {
            Ok((lines, rejected)) => {
                self.counts.lines.fetch_add(lines as u64, Ordering::Relaxed);
                self.counts.rejected.fetch_add(rejected.lines, Ordering::Relaxed);
                if rejected.lines > 0 {
                    self.tell_rejected(peer, &rejected);
                }
                kept(lines, &rejected, speech.unwrap_or(Speech::Lines))
            }
            Err(trouble) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                self.tell_refused(peer, &trouble);
                trouble.answer(speech.unwrap_or(Speech::Lines))
            }
        })
    }

    /// Takes a request, and gives how many lines of it are on the disk.
    async fn take(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        speech: Option<Speech>,
    ) -> Result<(usize, Rejected), Trouble> {
        if !self.allow.is_empty() && !self.allow.iter().any(|network| network.contains(&peer)) {
            return Err(Trouble::Address);
        }
        if !matches!(request.uri().path(), "/" | "/lines" | "/v1/logs") {
            return Err(Trouble::NoSuchPath);
        }
        let key_id = self.check(&request, peer)?;
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Trouble::Method);
        }
        let speech = speech.ok_or(Trouble::Media)?;
        let packing = text(&head.headers, CONTENT_ENCODING.as_str());
        let packing = Packing::of(packing).ok_or(Trouble::Packing)?;
        let held = tokio::time::timeout(BODY_TIME_MAX, read_body(body)).await.map_err(|_| Trouble::Incomplete)??;
        let is_json = text(&head.headers, CONTENT_TYPE.as_str())
            .is_some_and(|value| Encoding::of_content_type(value) == Some(Encoding::Json));
        let format = self.format;
        let read = spawn_blocking(move || read(held, packing, speech, is_json, format));
        let (sent, rejected, _room) = read.await.map_err(|error| Trouble::Unkept(error.to_string()))??;
        let lines = sent.len();
        keeping::keep(&self.journal, &self.shaping, peer, key_id.as_deref(), sent).await?;
        Ok((lines, rejected))
    }

    /// Whose key it is, where keys are asked for.
    fn check<B>(&self, request: &Request<B>, peer: IpAddr) -> Result<Option<String>, Trouble> {
        let (house, headers) = (self.house.get(), request.headers());
        let door = house.gateway.door();
        // Where no key is asked for, any web page that this machine's browser shows could write into the book, also under a
        // name that its owner has pointed at this machine.
        let is_of_a_page = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
        if !door.asks_for_keys() && (is_of_a_page || !house.hosts.admits(request)) {
            return Err(Trouble::Page);
        }
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let headers = es::with_bearer(headers);
        door.check_role(&headers, peer, now_ms, Role::may_write_logs, "logs:write").map(|caller| caller.key_id).map_err(
            |refusal| match refusal {
                Refusal::RoleNotAllowed(_) => Trouble::Role,
                Refusal::TooManyFailures { .. } => Trouble::Guessing,
                _ => Trouble::Key,
            },
        )
    }

    fn tell_refused(&self, peer: IpAddr, trouble: &Trouble) {
        let status = trouble.status().0;
        let level = if status.is_server_error() { Level::Error } else { Level::Warn };
        let refused = Record::new("access", level, "a request with lines was not taken")
            .caller(CALLER)
            .field("source", self.shaping.source())
            .field("status", status.as_u16())
            .field("client_ip", peer.to_string())
            .field("error", trouble.to_string());
        record(&self.journal, refused);
    }

    fn tell_rejected(&self, peer: IpAddr, rejected: &Rejected) {
        let told = Record::new("access", Level::Warn, "some lines of a request were not taken")
            .caller(CALLER)
            .field("source", self.shaping.source())
            .field("client_ip", peer.to_string())
            .field("rejected", rejected.lines)
            .field("error", &rejected.why);
        record(&self.journal, told);
    }
}

/// How a request is to be answered; nothing where its path speaks OpenTelemetry's protocol and it does not.
fn speech(path: &str, headers: &HeaderMap) -> Option<Speech> {
    if path != "/v1/logs" {
        return Some(Speech::Lines);
    }
    Encoding::of_content_type(text(headers, CONTENT_TYPE.as_str())?).map(Speech::Otlp)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

async fn read_body(mut body: Incoming) -> Result<Held, Trouble> {
    let mut room = Room::none()?;
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map_err(|_| Trouble::Incomplete)?.into_data() else { continue };
        if read.len() + frame.len() > BODY_BYTES_MAX {
            return Err(Trouble::TooLarge(BODY_BYTES_MAX));
        }
        if !room.grow(frame.len()) {
            return Err(Trouble::Busy);
        }
        read.extend_from_slice(&frame);
    }
    Ok(Held { body: read.freeze(), room })
}

/// What a body says. Blocks.
fn read(
    held: Held,
    packing: Packing,
    speech: Speech,
    is_json: bool,
    format: Option<Format>,
) -> Result<(Vec<Sent>, Rejected, Room), Trouble> {
    let Held { mut body, mut room } = held;
    if packing != Packing::None {
        let unpacked = packing.unpack(&body, BODY_BYTES_MAX, |bytes| room.grow(bytes))?;
        body = unpacked.ok_or(Trouble::Busy)?.into();
    }
    match speech {
        Speech::Otlp(encoding) => {
            let (entries, rejected) = read_otlp(&body, encoding)?;
            Ok((entries.into_iter().map(Sent::from).collect(), rejected, room))
        }
        Speech::Lines => {
            let lines = read_lines(&body, is_json, format, &Zoned::now());
            let lines = lines.map_err(|error| Trouble::TooMany(error.to_string()))?;
            Ok((lines.into_iter().map(Sent::from).collect(), Rejected::default(), room))
        }
    }
}

impl Room {
    fn none() -> Result<Self, Trouble> {
        BYTES.try_acquire_many(0).map(Self).map_err(|_| Trouble::Busy)
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let more = BYTES.try_acquire_many(bytes);
        more.map(|more| self.0.merge(more)).is_ok()
    }
}
