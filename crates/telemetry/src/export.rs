//! Brings traces and figures to a receiver of OpenTelemetry's protocol, behind the requests that they are of.
//!
//! Traces wait in a queue of [`SPANS_WAITING_MAX`]; what finds it full is counted and gone. A batch that the receiver does not take
//! now is sent again, with longer and longer waits in between; one that it refuses is counted and gone. Figures are those of the
//! moment: when they cannot be brought, the next ones will say as much.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tollhouse_units::hex;

use crate::Exposition;
use crate::messages::Teller;
use crate::spans::Trace;
use crate::telemetry::Telemetry;

/// Traces that wait to be brought to the receiver.
pub const SPANS_WAITING_MAX: usize = 2_048;
/// Traces in one request.
const BATCH_MAX: usize = 256;
/// How long a trace waits for others at most.
const GATHER_TIME_MAX: Duration = Duration::from_secs(2);
/// How often figures are brought.
const METRICS_EVERY: Duration = Duration::from_secs(30);
/// The first wait before a batch is sent again; it doubles up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// How long the end may take.
const END_TIME_MAX: Duration = Duration::from_secs(3);

/// Traces as they come.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) traces: mpsc::Receiver<Trace>,
}

/// Why a request was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failed {
    /// Not now; the same may be taken later.
    #[error("{0}")]
    Later(String),
    /// The receiver refuses it; it would do so again.
    #[error("refused: {0}")]
    Refused(String),
}

/// Brings a message to the receiver.
pub trait Post: Send + Sync + 'static {
    /// Sends `message`, in protocol buffers, to `path` below the receiver's address.
    fn post(&self, path: &'static str, message: Vec<u8>) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// Who we are to the receiver, and where its figures come from.
struct Export<P, F> {
    post: P,
    figures: F,
    teller: Teller,
    telemetry: Telemetry,
    stop: watch::Receiver<bool>,
    is_failing: bool,
}

/// Brings traces and figures until `stop` becomes true; then what waits is brought, as far as that goes within seconds. `figures`
/// gives those of the moment.
pub async fn export<P, F, G>(
    telemetry: Telemetry,
    outbox: Outbox,
    (service, version): (String, &'static str),
    post: P,
    figures: F,
    stop: watch::Receiver<bool>,
) where
    P: Post,
    F: Fn() -> G + Send + Sync,
    G: Future<Output = Exposition> + Send,
{
    let teller = Teller { service, version, instance: instance(), began: now() };
    let export = Export { post, figures, teller, telemetry, stop, is_failing: false };
    export.run(outbox.traces).await;
}

impl<P, F, G> Export<P, F>
where
    P: Post,
    F: Fn() -> G + Send + Sync,
    G: Future<Output = Exposition> + Send,
{
    async fn run(mut self, mut traces: mpsc::Receiver<Trace>) {
        let mut every = interval_at(Instant::now() + METRICS_EVERY, METRICS_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.stop.clone();
        // Outlives each turn: what was gathered when figures were due goes on to be gathered.
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                _ = every.tick() => self.bring_figures().await,
                taken = gather(&mut traces, &mut batch) => {
                    if !taken {
                        break;
                    }
                    self.bring(&batch).await;
                    batch.clear();
                }
            }
        }
        traces.close();
        let rest = async {
            while !batch.is_empty() || traces.recv_many(&mut batch, BATCH_MAX).await > 0 {
                self.bring(&batch).await;
                batch.clear();
            }
            self.bring_figures().await;
        };
        // What does not arrive by then is not worth a longer end.
        let _: Result<(), _> = timeout(END_TIME_MAX, rest).await;
    }

    /// Brings a batch, again and again until it is taken or refused. Once told to stop it tries no more.
    async fn bring(&mut self, batch: &[Trace]) {
        let message = self.teller.traces(batch.iter().flat_map(Trace::spans).collect());
        let mut wait = RETRY_FIRST;
        loop {
            let brought = self.post.post("/v1/traces", message.clone()).await;
            self.tell(&brought);
            let exported = self.telemetry.exported();
            match brought {
                Ok(()) => {
                    exported.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(Failed::Refused(_)) => {
                    exported.failed_traces.fetch_add(1, Ordering::Relaxed);
                    exported.refused.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(Failed::Later(_)) => {
                    exported.failed_traces.fetch_add(1, Ordering::Relaxed);
                }
            }
            if *self.stop.borrow() {
                return;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(&mut self.stop) => {}
            }
            wait = (wait * 2).min(RETRY_LONGEST);
        }
    }

    async fn bring_figures(&mut self) {
        let figures = (self.figures)().await;
        let message = self.teller.metrics(&figures, now());
        let brought = self.post.post("/v1/metrics", message).await;
        self.tell(&brought);
        if brought.is_err() {
            self.telemetry.exported().failed_metrics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says once that it does not work, and once that it works again.
    fn tell(&mut self, brought: &Result<(), Failed>) {
        match brought {
            Err(error) if !self.is_failing => {
                tracing::warn!(error = %error, "bringing traces and metrics to the OpenTelemetry receiver (`telemetry.otlp`)");
            }
            Ok(()) if self.is_failing => tracing::info!("the OpenTelemetry receiver takes traces and metrics again"),
            _ => {}
        }
        self.is_failing = brought.is_err();
    }
}

/// Waits for a trace, and a little for more of them; false when none will come any more. What was taken lies in `batch`, so that
/// nothing is lost when this is dropped before its end.
async fn gather(traces: &mut mpsc::Receiver<Trace>, batch: &mut Vec<Trace>) -> bool {
    if batch.is_empty() && traces.recv_many(batch, BATCH_MAX).await == 0 {
        return false;
    }
    let more = async {
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            if traces.recv_many(batch, room).await == 0 {
                return;
            }
        }
    };
    let _: Result<(), _> = timeout(GATHER_TIME_MAX, more).await;
    true
}

/// Waits until it is time to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could tell.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Names this run; where the system gives no random numbers, by its moment.
fn instance() -> String {
    let mut bytes = [0_u8; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex(&bytes),
        Err(_) => now().as_nanos().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Finished, Format};

    /// A receiver that answers in this order, and then takes everything.
    #[derive(Clone, Default)]
    struct Receiver(Arc<Mutex<(Vec<Failed>, Vec<&'static str>)>>);

    impl Post for Receiver {
        async fn post(&self, path: &'static str, _: Vec<u8>) -> Result<(), Failed> {
            let mut told = self.0.lock().unwrap();
            told.1.push(path);
            if path == "/v1/traces" && !told.0.is_empty() { Err(told.0.remove(0)) } else { Ok(()) }
        }
    }

    fn value(telemetry: &Telemetry, name: &str) -> f64 {
        let mut figures = Exposition::new();
        telemetry.expose(&mut figures);
        let text = figures.write(Format::Text);
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sent_until_it_is_taken_or_refused_and_the_rest_at_the_end() {
        let telemetry = Telemetry::new();
        let receiver = Receiver::default();
        let later = || Failed::Later("busy".to_owned());
        receiver.0.lock().unwrap().0 = vec![later(), later(), later()];
        let (stop, stopped) = watch::channel(false);
        let (outbox, who) = (telemetry.tell_traces(), ("gate".to_owned(), "1"));
        let figures = || async { Exposition::new() };
        let exporting = tokio::spawn(export(telemetry.clone(), outbox, who, receiver.clone(), figures, stopped));
        let tell = |count| {
            for _ in 0..count {
                telemetry.finished(&Finished { trace: telemetry.trace(None), status: 200, ..Finished::default() });
            }
        };
        tell(3);
        // Two seconds of gathering, then 1 + 2 + 4 of waiting.
        sleep(Duration::from_secs(8)).await;
        assert!(value(&telemetry, "tollhouse_otlp_requests_sent_total") < 0.5);
        sleep(Duration::from_secs(2)).await;
        assert!((value(&telemetry, "tollhouse_otlp_requests_sent_total") - 3.0).abs() < 0.5);
        receiver.0.lock().unwrap().0 = vec![Failed::Refused("no".to_owned())];
        tell(2);
        sleep(Duration::from_secs(60)).await;
        assert!((value(&telemetry, "tollhouse_otlp_requests_sent_total") - 3.0).abs() < 0.5, "refused for good");
        tell(5);
        stop.send_replace(true);
        exporting.await.unwrap();
        assert!((value(&telemetry, "tollhouse_otlp_requests_sent_total") - 8.0).abs() < 0.5);
        let told = receiver.0.lock().unwrap().1.clone();
        assert_eq!(told.last(), Some(&"/v1/metrics"), "the last figures, too");
    }
}
