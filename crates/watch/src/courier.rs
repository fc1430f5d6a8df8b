//! Brings messages to one channel: in their order, again and again while it is down, not too many at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_notify::{Channel, Message, Trouble};
use tollhouse_state::{State, StateError, WaitingAlert};

use crate::error::WatchError;
use crate::telling;

/// Messages that a channel gets within [`RATE_TIME`]; what comes besides waits.
const RATE_MESSAGES: usize = 10;
/// See [`RATE_MESSAGES`].
const RATE_TIME: Duration = Duration::from_secs(600);
/// When more than this many wait, they become one message.
const WAITING_SINGLE_MAX: usize = 5;
/// The first pause after a failure; each next one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A message that could not be told for so long is given up.
const AGE_MAX_MS: i64 = 3 * 24 * 3_600_000;
/// How long a message under way may take when the house ends.
const ENDING_TIME_MAX: Duration = Duration::from_secs(5);
/// Where these records come from.
const CALLER: &str = "watch/courier.rs";

/// What couriers and the watch share.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    /// One at a time hands records over, so that none is written twice.
    recording: Arc<Mutex<()>>,
}

impl Desk {
    pub(crate) fn new(state: State, journal: Journal) -> Self {
        Self { state, journal, recording: Arc::default() }
    }

    /// Writes the records that wait for the journal.
    pub(crate) async fn record(&self) -> Result<(), WatchError> {
        let _one_at_a_time = self.recording.lock().await;
        for waiting in self.state.waiting_alerts("").await? {
            if let Err(error) = self.journal.append(record(&waiting.body)).await {
                tracing::error!(error = %error, "recording an alert; it is tried again");
                return Ok(());
            }
            self.state.alerts_told(&[waiting.number], &[]).await?;
        }
        Ok(())
    }
}

/// The task of one channel.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) channel: Arc<Channel>,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Courier {
    pub(crate) fn start(channel: Arc<Channel>, desk: Desk) -> Self {
        let (stop, stopped) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        // What waits from before.
        wake.notify_one();
        let round = Round { channel: channel.clone(), desk, sent: VecDeque::new(), failures: 0 };
        let task = tokio::spawn(round.run(wake.clone(), stopped));
        Self { channel, wake, stop, task }
    }

    /// Something waits.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends after the message under way, which has a short time left: what is not known to have been taken is sent again.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(ENDING_TIME_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Round {
    channel: Arc<Channel>,
    desk: Desk,
    /// When messages were taken, within [`RATE_TIME`].
    sent: VecDeque<Instant>,
    /// One after the other, so far.
    failures: u32,
}

impl Round {
    async fn run(mut self, wake: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let pause = match self.next().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(channel = self.channel.name(), error = %error, "telling alerts");
                    Some(PAUSE_MAX)
                }
            };
            let rest = async {
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => wake.notified().await,
                }
            };
            tokio::select! {
                () = rest => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// Sends what is next. Gives when to go on; none when nothing waits.
    async fn next(&mut self) -> Result<Option<Duration>, StateError> {
        let waiting = self.desk.state.waiting_alerts(self.channel.name()).await?;
        let Some(first) = waiting.first() else { return Ok(None) };
        if let Some(pause) = self.full() {
            return Ok(Some(pause));
        }
        if Timestamp::now().as_millisecond() - first.created_ms > AGE_MAX_MS {
            self.settle(&[first.number], "given up", "it waited too long", None).await?;
            return Ok(Some(Duration::ZERO));
        }
        let messages: Vec<Option<Message>> = waiting.iter().map(message).collect();
        let count = if waiting.len() > WAITING_SINGLE_MAX { waiting.len() } else { 1 };
        let numbers: Vec<i64> = waiting[..count].iter().map(|waiting| waiting.number).collect();
        let readable: Vec<Message> = messages.into_iter().take(count).flatten().collect();
        let message = match &readable[..] {
            [] => {
                self.settle(&numbers, "given up", "it cannot be read", None).await?;
                return Ok(Some(Duration::ZERO));
            }
            [one] => one.clone(),
            many => telling::digest(many),
        };
        self.send(&message, &numbers).await
    }

    async fn send(&mut self, message: &Message, numbers: &[i64]) -> Result<Option<Duration>, StateError> {
        match self.channel.send(message).await {
            Ok(delivered) => {
                self.failures = 0;
                self.sent.push_back(Instant::now());
                let refused = delivered.refused.join("; ");
                self.settle(numbers, "sent", &refused, Some(message)).await?;
                Ok(Some(Duration::ZERO))
            }
            Err(trouble) if trouble.is_retryable => {
                // The first of a row is told, not each.
                if self.failures == 0 {
                    self.settle(&[], "failed", &trouble.text, Some(message)).await?;
                }
                self.failures += 1;
                Ok(Some(pause(self.failures, &trouble)))
            }
            Err(trouble) => {
                self.settle(numbers, "given up", &trouble.text, Some(message)).await?;
                Ok(Some(Duration::ZERO))
            }
        }
    }

    /// These wait no more, and a record says what became of them.
    async fn settle(
        &self,
        numbers: &[i64],
        event: &str,
        error: &str,
        message: Option<&Message>,
    ) -> Result<(), StateError> {
        let channel = self.channel.name();
        let mut fields =
            json!({"alert_event": event, "alert_channel": channel, "alert_messages": numbers.len().max(1)});
        if let Some(message) = message {
            fields["alert_rule"] = message.rule.as_str().into();
            fields["alert_message"] = message.id.as_str().into();
            fields["alert_severity"] = message.severity.as_str().into();
        }
        if !error.is_empty() {
            fields["error"] = error.into();
        }
        let msg = match message {
            Some(message) => format!("alert message {event} ({channel}): {}", message.headline()),
            None => format!("alert message {event} ({channel})"),
        };
        let record = telling::record(event, &msg, &fields);
        self.desk.state.alerts_told(numbers, &[record]).await?;
        if let Err(error) = self.desk.record().await {
            tracing::error!(error = %error, "recording what became of an alert");
        }
        Ok(())
    }

    /// How long to wait when the channel had its fill.
    fn full(&mut self) -> Option<Duration> {
        while self.sent.front().is_some_and(|sent| sent.elapsed() >= RATE_TIME) {
            self.sent.pop_front();
        }
        let oldest = self.sent.front().filter(|_| self.sent.len() >= RATE_MESSAGES)?;
        Some(RATE_TIME.saturating_sub(oldest.elapsed()))
    }
}

fn pause(failures: u32, trouble: &Trouble) -> Duration {
    let pause = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX);
    trouble.retry_after.map_or(pause, |wait| wait.clamp(pause, PAUSE_MAX))
}

fn message(waiting: &WaitingAlert) -> Option<Message> {
    serde_json::from_str(&waiting.body).ok()
}

/// A record of what happened to an alert, from the form in which it waited.
fn record(body: &str) -> Record {
    let told: Value = serde_json::from_str(body).unwrap_or_default();
    let level = match told["event"].as_str() {
        Some("firing" | "failed" | "given up" | "dropped" | "escalated") => Level::Warn,
        _ => Level::Info,
    };
    let kind = match told["kind"].as_str() {
        Some("pattern") => "pattern",
        Some("forecast") => "forecast",
        _ => "alert",
    };
    let msg = told["msg"].as_str().unwrap_or_default().to_owned();
    Record::with(kind, level, msg, &told["fields"]).caller(CALLER).comes_again()
}
