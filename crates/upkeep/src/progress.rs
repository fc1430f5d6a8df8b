//! Finds a model server that takes requests and gets on with none of them: by what comes from it, not by its port.

use std::iter::Sum;
use std::time::Duration;

/// How the upstreams of a process get on, all together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flow {
    /// Pieces of answers that have come so far: while this does not change, nothing comes.
    pub pieces: u64,
    /// Requests that run.
    pub running: u32,
    /// Requests that wait for a place.
    pub waiting: u32,
    /// Those among the running ones of which nothing is seen until they end.
    pub whole: u32,
    /// Those whose answers have begun and come piece by piece.
    pub begun: u32,
    /// The usual time between two pieces of those answers, as the gate has learnt it.
    pub gap: Option<Duration>,
    /// Whether the gate has found it silent, at its health address, too.
    pub is_silent: bool,
}

impl Sum for Flow {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |all, one| Self {
            pieces: all.pieces + one.pieces,
            running: all.running + one.running,
            waiting: all.waiting + one.waiting,
            whole: all.whole + one.whole,
            begun: all.begun + one.begun,
            gap: all.gap.max(one.gap),
            is_silent: all.is_silent || one.is_silent,
        })
    }
}

/// What is tried next with a server that is stuck.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Requests that have not been answered are taken back, which ends them there.
    Recall,
    /// Its models are unloaded.
    Unload,
    /// It is started anew.
    Renew,
}

/// How long nothing has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stall {
    pieces: u64,
    idle: Duration,
    steps: usize,
}

/// What is tried, each after so many quarters of the time.
const STEPS: [(u32, Step); 3] = [(4, Step::Recall), (5, Step::Unload), (6, Step::Renew)];

impl Stall {
    /// Takes in how it gets on now, `passed` after it was last looked at; what is to be tried, and for how long nothing has come.
    ///
    /// Time counts only while requests run; half of it while nobody else waits, since one long prompt is no sign of anything; and
    /// none while an answer is written that comes whole.
    pub(crate) fn look(&mut self, flow: Flow, passed: Duration, after: Duration) -> Option<(Step, Duration)> {
        if flow.pieces != self.pieces {
            *self = Self { pieces: flow.pieces, ..Self::default() };
            return None;
        }
        if flow.running == 0 || flow.whole > 0 {
            return None;
        }
        self.idle += if flow.waiting > 0 { passed } else { passed / 2 };
        let (quarters, step) = STEPS.get(self.steps)?;
        if self.idle < after * *quarters / 4 {
            return None;
        }
        self.steps += 1;
        Some((*step, self.idle))
    }
}

/// Nothing of any answer for so many times the usual gap between two pieces is worth a question.
const GAPS: u32 = 20;
/// So long in any case: what takes shorter is nothing that anybody minds.
const QUIET_MIN: Duration = Duration::from_secs(3);

/// Whether answers have ceased to come while they are written.
///
/// The gate watches over each request until its answer begins. Where all answers have begun, only their own pace tells that
/// a server has stopped in the middle of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lull {
    pieces: u64,
    /// How long nothing has come.
    idle: Duration,
}

impl Lull {
    /// Takes in how it gets on now, `passed` after it was last looked at; whether nothing has come for much longer than usual.
    /// Each time is told once.
    pub(crate) fn is_quiet(&mut self, flow: Flow, passed: Duration) -> bool {
        let has_come = flow.pieces != self.pieces;
        self.pieces = flow.pieces;
        let is_written = flow.running > 0 && flow.begun >= flow.running;
        let since = std::mem::take(&mut self.idle) + passed;
        if has_come || !is_written {
            return false;
        }
        if since >= flow.gap.map_or(QUIET_MIN, |gap| (gap * GAPS).max(QUIET_MIN)) {
            return true;
        }
        self.idle = since;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const AFTER: Duration = Duration::from_secs(8);

    /// At which looks, a second apart, what is tried.
    fn tried(flows: impl IntoIterator<Item = Flow>) -> Vec<(usize, Step)> {
        let mut stall = Stall::default();
        let looks = flows.into_iter().enumerate();
        looks.filter_map(|(at, flow)| Some((at + 1, stall.look(flow, SECOND, AFTER)?.0))).collect()
    }

    #[test]
    fn it_is_treated_in_steps_while_others_wait() {
        let stuck = Flow { running: 4, waiting: 4, ..Flow::default() };
        assert_eq!(tried([stuck; 30]), [(8, Step::Recall), (10, Step::Unload), (12, Step::Renew)]);
        let alone = Flow { waiting: 0, ..stuck };
        assert_eq!(tried([alone; 30]), [(16, Step::Recall), (20, Step::Unload), (24, Step::Renew)]);
    }

    #[test]
    fn what_comes_now_and_then_what_nobody_asks_and_what_comes_whole_is_no_sign() {
        let stuck = Flow { running: 4, waiting: 4, ..Flow::default() };
        assert_eq!(tried((0..100).map(|at| Flow { pieces: at / 7, ..stuck })), []);
        assert_eq!(tried([Flow { running: 0, ..stuck }; 100]), []);
        assert_eq!(tried([Flow { whole: 1, ..stuck }; 100]), []);
        // After a piece it begins anew, with the first step.
        let again = tried((0..19).map(|at| Flow { pieces: u64::from(at >= 9), ..stuck }));
        assert_eq!(again, [(8, Step::Recall), (18, Step::Recall)]);
    }
    /// At which looks, half a second apart, it is found to be quiet.
    fn quiet(flows: impl IntoIterator<Item = Flow>) -> Vec<usize> {
        let mut lull = Lull::default();
        let looks = flows.into_iter().enumerate();
        looks.filter_map(|(at, flow)| lull.is_quiet(flow, SECOND / 2).then_some(at + 1)).collect()
    }

    #[test]
    fn a_server_that_ceases_to_write_is_found_by_its_usual_pace() {
        let gap = Some(SECOND / 50);
        let writing = Flow { running: 2, begun: 2, gap, ..Flow::default() };
        // Fifty pieces a second, and then none: three seconds, and again each three.
        let ceased = (0..40).map(|at| Flow { pieces: 25 * at.min(20), ..writing });
        assert_eq!(quiet(ceased), [27, 33, 39]);
        // A piece each two seconds is a usual pace, too: forty seconds.
        let slow = Flow { gap: Some(2 * SECOND), ..writing };
        assert_eq!(quiet((0..200).map(|at: u64| Flow { pieces: (at / 4).min(20), ..slow })), [161]);
        assert!(quiet((0..200).map(|at: u64| Flow { pieces: at / 4, ..slow })).is_empty());
        // Where no pace is known yet, three seconds.
        assert_eq!(quiet([Flow { gap: None, ..writing }; 10]), [6]);
    }

    #[test]
    fn one_whose_answers_have_not_all_begun_is_not_judged_by_its_pace() {
        let writing = Flow { running: 2, begun: 2, ..Flow::default() };
        assert!(quiet([Flow { begun: 1, ..writing }; 100]).is_empty());
        assert!(quiet([Flow::default(); 100]).is_empty());
        // The time before does not count.
        let later = (0..12).map(|at| Flow { begun: if at < 8 { 1 } else { 2 }, ..writing });
        assert!(quiet(later).is_empty());
    }
}
