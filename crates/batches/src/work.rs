//! What a batch's lines and deferred requests need of the house, and how one of them comes to its answer.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tollhouse_gateway::{Owner, Purpose};

/// Something that is being done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What this crate needs of the house.
pub trait House: Send + Sync + 'static {
    /// Asks through the gate as the owner, behind everybody who waits. Comes to an answer in any case; what is dropped is asked no
    /// further.
    fn ask(&self, question: Question) -> Doing<'_, Reply>;

    /// Why nothing may be told there, if so.
    fn check_webhook(&self, url: &str) -> Result<(), String>;

    /// Tells by a webhook; the error says why that failed, and whether trying again can help.
    fn tell<'a>(&'a self, url: &'a str, event: &'a Event) -> Doing<'a, Result<(), (String, bool)>>;
}

/// A request that is asked for somebody.
#[derive(Clone, Debug)]
pub struct Question {
    /// For whom.
    pub owner: Owner,
    /// What it is asked for.
    pub purpose: Purpose,
    /// The path.
    pub path: String,
    /// The model, as the request names it.
    pub model: String,
    /// The body.
    pub body: Bytes,
    /// A server has failed at it before: it is asked while no other question of ours is at the same server, and is sent once.
    pub is_suspect: bool,
}

/// What the gate answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// What the answer means for the question.
    pub fate: Fate,
    /// The id under which the records have it.
    pub request_id: String,
    /// When trying again can help.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// What an answer means for its question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// This is its answer, good or bad.
    Stays,
    /// No server had it: its key's limits hold it back, or no server takes it now.
    Untaken,
    /// A server had it and failed; how, by a stable word.
    Failed(&'static str),
}

/// What is told when a deferred request is over.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same whenever this is told.
    pub id: String,
    /// Such as `response.completed`.
    pub name: String,
    /// The request's id.
    pub of: String,
    /// The path at which its answer is.
    pub path: String,
}

/// Pauses between attempts: the first, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often a question is asked at which servers fail that answer others meanwhile, and one at which they fail as at everything
/// (a quarter of an hour). What no server takes is asked until its time is over.
const FAILURES_MAX: u32 = 4;
const FAILURES_OF_ALL_MAX: u32 = 20;
/// How often is looked whether somebody has given up on it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Models of which is remembered when they answered last.
const MODELS_MAX: usize = 1_000;

/// Why no answer is sought any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    Cancelled,
    Expired,
}

/// What is kept of a question while its answer is sought.
pub(crate) trait Case: Sync {
    /// Why its answer is sought no longer, if so.
    fn stopped(&self) -> impl Future<Output = Option<Stop>> + Send;

    /// Keeps how often servers have failed at it: after a crash the count goes on there.
    fn failed(&self, failures: u32) -> impl Future<Output = ()> + Send;
}

/// When each model last answered, by the name that questions have for it: a server that fails at one question and answers others is
/// well.
#[derive(Debug, Default)]
pub(crate) struct Answered(Mutex<HashMap<String, Instant>>);

impl Answered {
    fn note(&self, model: &str) {
        let mut known = self.known();
        if known.len() < MODELS_MAX || known.contains_key(model) {
            known.insert(model.to_owned(), Instant::now());
        }
    }

    fn is_since(&self, model: &str, time: Instant) -> bool {
        self.known().get(model).is_some_and(|answered| *answered > time)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until there is an answer that stays, or it is sought no longer. `failures` is how often servers have failed at it already.
pub(crate) async fn answer(
    house: &dyn House,
    answered: &Answered,
    question: &Question,
    failures: u32,
    case: &impl Case,
) -> Result<Reply, Stop> {
    let watch = async {
        loop {
            if let Some(stop) = case.stopped().await {
                return stop;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ask = async {
        let (mut failures, mut first_failed, mut pause) = (failures, None, PAUSE);
        loop {
            let reply = house.ask(Question { is_suspect: failures > 0, ..question.clone() }).await;
            match reply.fate {
                Fate::Stays => {
                    if reply.status < 300 {
                        answered.note(&question.model);
                    }
                    return reply;
                }
                Fate::Untaken => {}
                Fate::Failed(_) => {
                    failures += 1;
                    case.failed(failures).await;
                    let since = *first_failed.get_or_insert_with(Instant::now);
                    let is_well = answered.is_since(&question.model, since);
                    if failures >= if is_well { FAILURES_MAX } else { FAILURES_OF_ALL_MAX } {
                        return reply;
                    }
                }
            }
            tokio::time::sleep(pause.max(reply.retry_after.unwrap_or_default()).min(PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    };
    tokio::select! {
        biased;
        stop = watch => Err(stop),
        reply = ask => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A house that answers each model as it is called: `untaken` until it was asked so often, `breaks` never.
    #[derive(Default)]
    struct Scripted {
        asked: AtomicU32,
        suspects: AtomicU32,
        taken_after: u32,
    }

    impl House for Scripted {
        fn ask(&self, question: Question) -> Doing<'_, Reply> {
            Box::pin(async move {
                let asked = self.asked.fetch_add(1, Ordering::Relaxed);
                self.suspects.fetch_add(u32::from(question.is_suspect), Ordering::Relaxed);
                let (status, fate) = match &*question.model {
                    "breaks" => (503, Fate::Failed("lost")),
                    _ if asked < self.taken_after => (503, Fate::Untaken),
                    _ => (200, Fate::Stays),
                };
                Reply { status, fate, request_id: String::new(), retry_after: None, body: Bytes::new() }
            })
        }

        fn check_webhook(&self, _: &str) -> Result<(), String> {
            Ok(())
        }

        fn tell<'a>(&'a self, _: &'a str, _: &'a Event) -> Doing<'a, Result<(), (String, bool)>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Ends after some time; notes the count of failures.
    struct Kept {
        until: Instant,
        failures: AtomicU32,
    }

    impl Kept {
        fn new(lasts: Duration) -> Self {
            Self { until: Instant::now() + lasts, failures: AtomicU32::new(0) }
        }
    }

    impl Case for Kept {
        async fn stopped(&self) -> Option<Stop> {
            (Instant::now() >= self.until).then_some(Stop::Expired)
        }

        async fn failed(&self, failures: u32) {
            self.failures.store(failures, Ordering::Relaxed);
        }
    }

    fn question(model: &str) -> Question {
        Question {
            owner: Owner { key_id: None, user: None, client: [127, 0, 0, 1].into() },
            purpose: Purpose::Line { batch: "batch_1".to_owned(), line: 1 },
            path: "/v1/chat/completions".to_owned(),
            model: model.to_owned(),
            body: Bytes::new(),
            is_suspect: false,
        }
    }

    const DAY: Duration = Duration::from_hours(24);

    #[tokio::test(start_paused = true)]
    async fn what_no_server_takes_waits_until_one_does_or_its_time_is_over() {
        let (house, answered, case) =
            (Scripted { taken_after: 500, ..Scripted::default() }, Answered::default(), Kept::new(DAY));
        let reply = answer(&house, &answered, &question("m"), 0, &case).await.unwrap();
        assert_eq!((reply.status, house.suspects.into_inner(), case.failures.into_inner()), (200, 0, 0));
        let (house, case) = (Scripted { taken_after: u32::MAX, ..Scripted::default() }, Kept::new(DAY));
        assert_eq!(answer(&house, &answered, &question("m"), 0, &case).await.unwrap_err(), Stop::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_at_which_a_server_fails_that_answers_others_is_asked_few_times() {
        let (house, answered, case) = (Scripted::default(), Answered::default(), Kept::new(DAY));
        let others = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            answered.note("breaks");
            std::future::pending::<()>().await;
        };
        let question = question("breaks");
        let reply = tokio::select! {
            reply = answer(&house, &answered, &question, 0, &case) => reply.unwrap(),
            () = others => unreachable!(),
        };
        assert_eq!(reply.fate, Fate::Failed("lost"));
        let asked = house.asked.into_inner();
        assert_eq!((asked, house.suspects.into_inner(), case.failures.into_inner()), (FAILURES_MAX, asked - 1, asked));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_at_everything_has_a_quarter_of_an_hour_and_a_crash_forgets_no_failure() {
        let (house, answered, case) = (Scripted::default(), Answered::default(), Kept::new(DAY));
        let began = Instant::now();
        answer(&house, &answered, &question("breaks"), 0, &case).await.unwrap();
        assert_eq!(house.asked.into_inner(), FAILURES_OF_ALL_MAX);
        assert!(began.elapsed() > Duration::from_secs(13 * 60), "{:?}", began.elapsed());
        let house = Scripted::default();
        answer(&house, &answered, &question("breaks"), FAILURES_OF_ALL_MAX - 1, &case).await.unwrap();
        assert_eq!((house.asked.into_inner(), house.suspects.into_inner()), (1, 1));
    }
}
