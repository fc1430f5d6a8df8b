//! A source to which others send requests of HTTP, at work: lines at `/` and `/lines`, OpenTelemetry's log records at `/v1/logs`.
//!
//! A request is answered with a success when the last of its lines is on the disk, and never before. Who hears anything else sends it again
//! or not, as its status says: 429 and 503 ask for that, all others tell of a request that will never do. What was written
//! before something went wrong is then there twice; whoever must not have that gives the lines ids of their own.
//!
//! `answering.rs` takes a request from its head to its answer, `keeping.rs` brings its lines into the journal.

mod answering;
mod keeping;
mod reply;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollhouse_config::HttpSource;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_web::{Peer, Proxied, Refusal, Server};

use crate::collecting::http::answering::Taking;
use crate::collecting::prepared::{Bound, Files, ReadyHttp};
use crate::collecting::reading::Ground;
use crate::collecting::record;
use crate::collecting::shaping::Shaping;
use crate::house::Current;

/// Where these records come from.
const CALLER: &str = "collect/http";

/// A source that takes requests.
pub(super) struct HttpListener {
    pub(super) files: Files,
    pub(super) bound: Bound,
    http: HttpSource,
    serving: tollhouse_web::Listening,
    shaping: Arc<Shaping>,
    counts: Arc<Counts>,
}

/// Numbers since the source began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    lines: AtomicU64,
    /// Lines that were turned down one by one.
    rejected: AtomicU64,
    /// Requests that were not taken.
    refused: AtomicU64,
}

impl HttpListener {
    pub(super) fn begin(name: &str, ready: ReadyHttp, ground: &Ground, house: &Current) -> Self {
        let (journal, shaping) = (&ground.journal, ground.shaping(name));
        let ReadyHttp { http, files, bound, listener, options } = ready;
        let began = Record::new("process", Level::Info, "source started")
            .caller(CALLER)
            .field("source", name)
            .field("type", "http")
            .field("address", bound.address.to_string())
            .field("tls", http.tls.is_some());
        record(journal, began);
        let counts = Arc::new(Counts::default());
        let taking = Arc::new(Taking::new(shaping.clone(), &http, journal.clone(), house.clone(), counts.clone()));
        let handler = move |request, peer: Peer| {
            let taking = taking.clone();
            async move { taking.answer(request, peer.0.ip()).await }
        };
        let told = {
            let (journal, source) = (journal.clone(), name.to_owned());
            move |peer: Peer, refusal| record_refusal(&journal, &source, peer.0, refusal)
        };
        let serving = Server::with_refusals_told(options, handler, told).listen(listener, Proxied::No);
        Self { files, bound, http, serving, shaping, counts }
    }

    /// Where it listens, and to what.
    pub(super) fn greeting(&self) -> String {
        let scheme = if self.http.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}  (lines at /, OpenTelemetry at /v1/logs)", self.bound.address)
    }

    /// Tells of lines that were left out, when it is time to.
    pub(super) fn tell_left_out(&self, journal: &Journal) {
        self.shaping.left_out(CALLER, false).into_iter().for_each(|told| record(journal, told));
    }

    /// Takes no more connections, and returns when running requests have ended.
    pub(super) async fn end(self, name: &str, journal: &Journal) {
        let Self { bound, serving, shaping, counts, .. } = self;
        drop(bound);
        serving.stop().await;
        shaping.left_out(CALLER, true).into_iter().for_each(|told| record(journal, told));
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let ended = Record::new("process", Level::Info, "source stopped")
            .caller(CALLER)
            .field("source", name)
            .field("requests", number(&counts.requests))
            .field("confirmed", number(&counts.lines))
            .field("rejected", number(&counts.rejected))
            .field("refused", number(&counts.refused));
        record(journal, shaping.with_counts(ended));
    }
}

/// Whoever sends what is no request leaves a record.
fn record_refusal(journal: &Journal, source: &str, peer: SocketAddr, refusal: Refusal) {
    let refused = Record::new("access", Level::Warn, "not a request")
        .caller(CALLER)
        .field("source", source)
        .field("status", refusal.status().as_u16())
        .field("client_ip", peer.ip().to_canonical().to_string())
        .field("error", refusal.reason());
    record(journal, refused);
}
