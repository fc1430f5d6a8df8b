//! Finds a model server that takes requests and gets on with none of them: by what comes from it, not by its port.

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
    /// Whether the gate has found it silent, at its health address, too.
    pub is_silent: bool,
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
}
