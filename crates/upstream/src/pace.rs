//! How the answers of one model come from its server, and when they have ceased: a server can lose what computes a model, leave
//! hanging the answers that it was in the middle of, and let everybody wait behind them.
//!
//! What is under way is given up before `timeouts.idle` for one of two reasons:
//!
//! - **Told.** The server says to somebody else that what computes this model has ended. Whatever of this model was under way then,
//!   and of which nothing has come for three seconds and for twenty usual gaps, is over. Requests without a byte of an answer are
//!   asked once more, those that come whole among them, since those hang like the others.
//! - **Quiet.** Nobody says anything, but of no answer of this model anything has come for 200 usual gaps, for four times the
//!   longest pause of the last ten minutes, and for `timeouts.pause` (10 s; 30 s while something is under way that may explain it),
//!   somebody waits behind them, and the server answers at its health address: it is there, and gets on with nothing.
//!
//! What is ordinary is kept from the second one:
//!
//! - **Loading and reading.** Only answers count that have given some pieces, and the first gap of each is none: some servers greet
//!   before they read the prompt. While a model is being loaded there, or an answer has just begun, it takes 30 s.
//! - **Tools.** Servers keep a call back until it is whole, which may take as long as writing a file. An answer to a request that
//!   offers tools is no ground to judge by; while there is one it takes 30 s, and it ends with others that are.
//! - **One of many.** An answer that rests while others of its model go on, as one that had to make room, is no sign of anything.
//! - **Somebody's long prompt** lets all answers pause. Servers read at least ten times as fast as they write, and a few hundred
//!   tokens to a few thousand at once; what took longer than that before may do so again.
//! - **A server that is stopped, or away, as a whole** goes on where it was when it is back. It does not answer at its health address.
//! - **Nobody waits:** then nothing is won by it.
//!
//! Pure but for its lock: it is told what time it is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Of what the server tells to be over, nothing has come for so long at least, and for so many usual gaps.
const TOLD_QUIET: Duration = Duration::from_secs(3);
const TOLD_GAPS: u32 = 20;
/// Pieces of an answer that was over when the server told so may be read so much later.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// Answers rest for fewer usual gaps than these, and for less than so many times the longest pause that was seen lately.
const QUIET_GAPS: u32 = 200;
const QUIET_PAUSES: u32 = 4;
/// How long a pause counts as seen lately.
const PAUSE_AGE_MAX: Duration = Duration::from_mins(10);
/// While a server loads a model, or writes answers that have no pace or keep something back, others may rest for so long.
const EXPLAINED_QUIET: Duration = Duration::from_secs(30);
/// An answer has a pace once so many pieces have come behind its first.
const PIECES_MIN: u32 = 8;
/// A new gap counts for so much of the usual one,
const GAP_SHARE: f64 = 1.0 / 16.0;
/// and at most as so many times the usual one, or as this: one long pause says nothing about what is usual.
const GAP_GROWTH: u32 = 4;
const GAP_MIN: Duration = Duration::from_millis(10);
/// How often the health address is asked because of one model's answers.
const QUESTION_EVERY: Duration = Duration::from_secs(3);
/// An answer of which nothing comes is looked at from the first of these on, and then each second.
pub(crate) const LOOK_AFTER: Duration = TOLD_QUIET;
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pace of one model at one server, over all its answers.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Answers that are being written.
    written: u32,
    /// Those among them by which is judged.
    steady: u32,
    /// When something of any of them came last.
    last: Option<Instant>,
    /// The usual time between two pieces of an answer.
    gap: Option<Duration>,
    /// The longest time lately in which nothing came of any answer, and when it ended.
    pause: Option<(Instant, Duration)>,
    /// When the server was last asked for its health because of this.
    asked: Option<Instant>,
    over: Option<Over>,
}

/// What was under way at a moment is over.
#[derive(Clone, Copy, Debug)]
struct Over {
    /// Answers that had begun before this, and of which nothing came since.
    at: Instant,
    /// Requests without an answer that were sent before this.
    sent_before: Instant,
    /// As of when.
    from: Instant,
    /// Whether the server told so.
    is_told: bool,
}

/// What is kept of one answer that is being written.
#[derive(Debug)]
pub(crate) struct Track {
    pace: Arc<Pace>,
    begun: Instant,
    last: Instant,
    /// Pieces behind the first.
    pieces: u32,
    /// Whether its server may keep parts of it back until they are whole.
    keeps_back: bool,
}

/// What there is to be said of an answer of which nothing comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Look {
    /// Nothing yet.
    Well,
    /// Nothing has come of any for so much longer than usual that it is worth a question; see [`Pace::asks`].
    Quiet,
    /// It is over.
    Over(Ceased),
}

/// How an answer ceased, in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ceased {
    quiet: Duration,
    gap: Option<Duration>,
    is_told: bool,
}

impl Pace {
    /// An answer of this model has begun. `keeps_back`: its server may keep parts of it back until they are whole.
    pub(crate) fn begin(self: &Arc<Self>, keeps_back: bool, now: Instant) -> Track {
        let mut inner = self.inner();
        inner.written += 1;
        inner.come(now);
        Track { pace: Arc::clone(self), begun: now, last: now, pieces: 0, keeps_back }
    }

    /// The usual time between two pieces of an answer, while any is being written.
    pub(crate) fn gap(&self) -> Option<Duration> {
        let inner = self.inner();
        inner.gap.filter(|_| inner.written > 0)
    }

    /// The server says that what computes this model has ended.
    pub(crate) fn lost(&self, now: Instant) {
        let mut inner = self.inner();
        let due = now + inner.told_quiet();
        // Told again and again, it is not put off.
        let before = inner.over.filter(|over| over.is_told && now < over.from);
        let from = before.map_or(due, |over| over.from);
        inner.over = Some(Over { at: now, sent_before: now, from, is_told: true });
    }

    /// Whether the server's health is to be asked for now because these answers have ceased: one question for all of them.
    pub(crate) fn asks(&self, now: Instant) -> bool {
        let mut inner = self.inner();
        let is_due = inner.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= QUESTION_EVERY);
        if is_due {
            inner.asked = Some(now);
        }
        is_due
    }

    /// The server is there: what has ceased by the same measure as for [`Track::look`] is over, unless something has come meanwhile.
    pub(crate) fn cease(&self, now: Instant, pause: Duration, loads: bool) {
        let mut inner = self.inner();
        if inner.is_quiet(now, pause, loads) {
            let sent_before = inner.last.unwrap_or(now);
            inner.over = Some(Over { at: now, sent_before, from: now, is_told: false });
        }
    }

    /// Why a request that was sent at this time, and that has no answer yet, will not get any.
    pub(crate) fn leaves_hanging(&self, sent: Instant, now: Instant) -> Option<&'static str> {
        let over = self.inner().over.filter(|over| sent < over.sent_before && now >= over.from)?;
        Some(if over.is_told {
            "the server told another one that what computes this model has ended"
        } else {
            "all answers of this model have ceased in the middle"
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn come(&mut self, now: Instant) {
        self.last = Some(self.last.map_or(now, |last| last.max(now)));
    }

    fn learn(&mut self, gap: Duration) {
        self.gap = Some(self.gap.map_or(gap, |usual| {
            let gap = gap.min((usual * GAP_GROWTH).max(GAP_MIN));
            usual.mul_f64(1.0 - GAP_SHARE) + gap.mul_f64(GAP_SHARE)
        }));
    }

    /// Nothing came of any answer for so long, and now something has.
    fn rested(&mut self, now: Instant, pause: Duration) {
        let is_longest = |(at, longest): (Instant, Duration)| pause >= longest || is_old(at, now);
        if self.pause.is_none_or(is_longest) {
            self.pause = Some((now, pause));
        }
    }

    fn told_quiet(&self) -> Duration {
        self.gap.map_or(TOLD_QUIET, |gap| (gap * TOLD_GAPS).max(TOLD_QUIET))
    }

    /// Whether nothing has come of any answer for much longer than is usual.
    fn is_quiet(&self, now: Instant, pause: Duration, loads: bool) -> bool {
        let (Some(last), Some(gap)) = (self.last.filter(|_| self.steady > 0), self.gap) else { return false };
        let longest = self.pause.filter(|(at, _)| !is_old(*at, now)).map_or(Duration::ZERO, |(_, longest)| longest);
        let is_explained = loads || self.written > self.steady;
        let least = if is_explained { pause.max(EXPLAINED_QUIET) } else { pause };
        let limit = least.max(gap * QUIET_GAPS).max(longest * QUIET_PAUSES);
        now.saturating_duration_since(last) >= limit
    }
}

fn is_old(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > PAUSE_AGE_MAX
}

impl Track {
    /// When something of it came last.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// A piece of it has come.
    pub(crate) fn piece(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last);
        self.last = now;
        self.pieces = self.pieces.saturating_add(1);
        let mut inner = self.pace.inner();
        if inner.steady > 0
            && let Some(last) = inner.last
        {
            inner.rested(now, now.saturating_duration_since(last));
        }
        inner.come(now);
        if self.pieces > 1 {
            inner.learn(gap);
        }
        if self.pieces == PIECES_MIN && !self.keeps_back {
            inner.steady += 1;
        }
    }

    /// What there is to be said now. `pause`: how long answers may rest whatever their pace; without it, they are not judged by
    /// their pace. `loads`: whether a model is being loaded at the server.
    pub(crate) fn look(&self, now: Instant, pause: Option<Duration>, loads: bool) -> Look {
        let inner = self.pace.inner();
        if let Some(over) = inner.over.filter(|over| self.is_over(*over, &inner, now)) {
            let quiet = now.saturating_duration_since(self.last);
            return Look::Over(Ceased { quiet, gap: inner.gap, is_told: over.is_told });
        }
        match pause {
            Some(pause) if inner.is_quiet(now, pause, loads) => Look::Quiet,
            _ => Look::Well,
        }
    }

    fn is_over(&self, over: Over, inner: &Inner, now: Instant) -> bool {
        let (late, quiet) =
            if over.is_told { (ON_ITS_WAY, inner.told_quiet()) } else { (Duration::ZERO, Duration::ZERO) };
        now >= over.from
            && self.begun < over.at
            && self.last <= over.at + late
            && now.saturating_duration_since(self.last) >= quiet
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        let mut inner = self.pace.inner();
        inner.written -= 1;
        if self.pieces >= PIECES_MIN && !self.keeps_back {
            inner.steady -= 1;
        }
    }
}

impl fmt::Display for Ceased {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quiet = Duration::from_secs_f64(self.quiet.as_secs_f64().round());
        write!(formatter, "the server fell silent in the middle of this answer: nothing for {quiet:?}")?;
        if let Some(gap) = self.gap {
            let gap = Duration::from_millis((gap.as_secs_f64() * 1e3).round().max(1.0) as u64);
            write!(formatter, " where a piece came every {gap:?}")?;
        }
        if self.is_told {
            formatter.write_str(", and it told another request that what computes this model has ended")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
