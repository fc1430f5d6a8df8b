//! The handle by which the gate counts, and by which others learn what was counted.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::export::{Outbox, SPANS_WAITING_MAX};
use crate::finished::Finished;
use crate::requests::Requests;
use crate::spans::Trace;
use crate::{Exposition, TraceContext, names};

/// Counts for the whole house; clones count together.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Requests,
    running: AtomicI64,
    /// Whether traces are told: looked at for each request.
    tells_traces: AtomicBool,
    outbox: Mutex<Option<mpsc::Sender<Trace>>>,
    pub(crate) exported: Exported,
}

/// What became of traces and figures that were to be brought to a receiver.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed_traces: AtomicU64,
    pub(crate) failed_metrics: AtomicU64,
}

/// A request that runs; it is one less when this is dropped.
#[derive(Debug)]
pub struct Running(Telemetry);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Nothing is counted yet, and no traces are told.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            requests: Requests::new(),
            running: AtomicI64::new(0),
            tells_traces: AtomicBool::new(false),
            outbox: Mutex::new(None),
            exported: Exported::default(),
        }))
    }

    /// A request has come.
    pub fn begin(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// The place of a request in a trace, below that of `traceparent`; `None` while no traces are told.
    pub fn trace(&self, traceparent: Option<&str>) -> Option<TraceContext> {
        if !self.0.tells_traces.load(Ordering::Relaxed) {
            return None;
        }
        TraceContext::below(traceparent)
    }

    /// Counts a request that has just ended, and hands its trace over. Never waits: a trace that finds no room is counted.
    pub fn finished(&self, request: &Finished<'_>) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.requests.count(request, now.as_millis() as u64);
        let Some(context) = request.trace.filter(|trace| trace.is_sampled) else { return };
        let outbox = self.outbox().clone();
        let Some(outbox) = outbox else { return };
        let has_room = match outbox.try_reserve() {
            Ok(place) => {
                place.send(Trace::of(request, context, now));
                true
            }
            Err(_) => false,
        };
        if !has_room {
            self.0.exported.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From now on requests have traces, which are to be taken from here; whoever took them before gets no more.
    pub fn tell_traces(&self) -> Outbox {
        let (sender, receiver) = mpsc::channel(SPANS_WAITING_MAX);
        *self.outbox() = Some(sender);
        self.0.tells_traces.store(true, Ordering::Relaxed);
        Outbox { traces: receiver }
    }

    /// From now on requests have no traces.
    pub fn tell_no_traces(&self) {
        self.0.tells_traces.store(false, Ordering::Relaxed);
        *self.outbox() = None;
    }

    /// Adds what is counted here.
    pub fn expose(&self, figures: &mut Exposition) {
        let Inner { requests, running, exported, .. } = &*self.0;
        requests.expose(figures);
        figures.number(&names::RUNNING, &[], running.load(Ordering::Relaxed).max(0) as f64);
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let waiting = self.outbox().as_ref().map_or(0, |outbox| outbox.max_capacity() - outbox.capacity());
        figures.count(&names::SPANS_WAITING, &[], waiting as u64);
        figures.count(&names::SPANS_SENT, &[], get(&exported.sent));
        figures.count(&names::SPANS_DROPPED, &["queue"], get(&exported.dropped));
        figures.count(&names::SPANS_DROPPED, &["refused"], get(&exported.refused));
        figures.count(&names::OTLP_FAILURES, &["traces"], get(&exported.failed_traces));
        figures.count(&names::OTLP_FAILURES, &["metrics"], get(&exported.failed_metrics));
    }

    pub(crate) fn exported(&self) -> &Exported {
        &self.0.exported
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Trace>>> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    fn line(telemetry: &Telemetry, name: &str) -> String {
        let mut figures = Exposition::new();
        telemetry.expose(&mut figures);
        let text = figures.write(Format::Text);
        text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
    }

    #[test]
    fn who_runs_is_counted_until_the_end() {
        let telemetry = Telemetry::new();
        let (one, two) = (telemetry.begin(), telemetry.begin());
        assert_eq!(line(&telemetry, "tollhouse_requests_running"), "tollhouse_requests_running 2");
        drop((one, two));
        assert_eq!(line(&telemetry, "tollhouse_requests_running"), "tollhouse_requests_running 0");
    }

    #[test]
    fn a_full_queue_takes_no_more_and_holds_up_nobody() {
        let telemetry = Telemetry::new();
        assert!(telemetry.trace(None).is_none(), "nobody takes traces");
        let outbox = telemetry.tell_traces();
        for _ in 0..SPANS_WAITING_MAX + 3 {
            telemetry.finished(&Finished { trace: telemetry.trace(None), status: 200, ..Finished::default() });
        }
        let queue = "tollhouse_otlp_requests_dropped_total{reason=\"queue\"}";
        assert_eq!(line(&telemetry, queue), format!("{queue} 3"));
        assert_eq!(
            line(&telemetry, "tollhouse_otlp_requests_waiting"),
            format!("tollhouse_otlp_requests_waiting {SPANS_WAITING_MAX}")
        );
        telemetry.tell_no_traces();
        assert!(telemetry.trace(None).is_none());
        drop(outbox);
    }
}
