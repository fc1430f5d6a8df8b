//! Simulated servers, ordinary ones and such as end in the middle of their answers.

use tollhouse_testkit::Dice;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(10);
const GAP: Duration = Duration::from_millis(50);

fn pace() -> Arc<Pace> {
    Arc::default()
}

/// Lets these answers go on for so many pieces each, a gap apart; the time then.
fn write(tracks: &mut [Track], pieces: u32, gap: Duration, mut now: Instant) -> Instant {
    for _ in 0..pieces {
        now += gap;
        for track in &mut *tracks {
            track.piece(now);
        }
    }
    now
}

/// After how many seconds without anything it is quiet, within two minutes.
fn quiet_after(track: &Track, from: Instant, loads: bool) -> Option<u32> {
    (1..120).find(|seconds| track.look(from + SECOND * *seconds, Some(PAUSE), loads) == Look::Quiet)
}

#[test]
fn answers_that_cease_are_quiet_after_a_time_by_their_pace() {
    for (gap, seconds) in [(GAP, 10), (SECOND / 10, 20), (SECOND / 4, 50)] {
        let (pace, now) = (pace(), Instant::now());
        let mut tracks = [pace.begin(false, now), pace.begin(false, now)];
        let now = write(&mut tracks, 100, gap, now);
        assert_eq!(quiet_after(&tracks[0], now, false), Some(seconds));
        assert_eq!(pace.gap(), Some(gap));
        // Without a pause that is allowed whatever the pace, nobody is judged by it.
        assert_eq!(tracks[0].look(now + 100 * SECOND, None, false), Look::Well);
    }
}

#[test]
fn what_may_explain_it_is_waited_for_and_an_answer_without_a_pace_is_no_ground() {
    let (pace, now) = (pace(), Instant::now());
    let mut tracks = vec![pace.begin(false, now)];
    let now = write(&mut tracks, 100, GAP, now);
    assert_eq!(quiet_after(&tracks[0], now, true), Some(30), "a model is being loaded");
    // A tool call that is kept back, and an answer that has just begun.
    for keeps_back in [true, false] {
        let other = pace.begin(keeps_back, now);
        assert_eq!(quiet_after(&tracks[0], now, false), Some(30));
        drop(other);
    }
    assert_eq!(quiet_after(&tracks[0], now, false), Some(10));
    // Only such ones: that says nothing.
    tracks[0] = pace.begin(true, now);
    let now = write(&mut tracks, 100, GAP, now);
    tracks.push(pace.begin(false, now));
    assert_eq!(tracks.iter().find_map(|track| quiet_after(track, now, false)), None);
}

#[test]
fn what_took_long_before_may_do_so_again() {
    let (pace, now) = (pace(), Instant::now());
    let mut tracks = [pace.begin(false, now)];
    let mut now = write(&mut tracks, 50, GAP, now) + 8 * SECOND;
    tracks[0].piece(now);
    assert_eq!(quiet_after(&tracks[0], now, false), Some(32));
    now = write(&mut tracks, 11_000, GAP, now);
    assert_eq!(quiet_after(&tracks[0], now, false), Some(32), "nine minutes ago");
    now = write(&mut tracks, 1000, GAP, now);
    assert!(quiet_after(&tracks[0], now, false).is_some_and(|seconds| seconds <= 11));
}

#[test]
fn one_that_rests_while_others_go_on_is_no_sign_and_all_end_together_when_they_have_ceased() {
    let (pace, now) = (pace(), Instant::now());
    let mut tracks = vec![pace.begin(false, now), pace.begin(true, now), pace.begin(false, now)];
    let now = write(&mut tracks, 50, GAP, now);
    let later = write(&mut tracks[..2], 800, GAP, now);
    assert_eq!(tracks[2].look(later, Some(PAUSE), false), Look::Well, "40 s");
    let ceased = later + 31 * SECOND;
    assert_eq!(tracks[2].look(ceased, Some(PAUSE), false), Look::Quiet);
    assert!(pace.asks(ceased) && !pace.asks(ceased + SECOND), "one question for all");
    pace.cease(ceased, PAUSE, false);
    for track in &tracks {
        assert!(matches!(track.look(ceased, Some(PAUSE), false), Look::Over(_)));
    }
    let Look::Over(words) = tracks[0].look(ceased, Some(PAUSE), false) else { panic!("over") };
    let said = "the server fell silent in the middle of this answer: nothing for 31s where a piece came every 50ms";
    assert_eq!(words.to_string(), said);
    // What begins after it is not meant, nor is a request that was sent when nothing came any more.
    let next = pace.begin(false, ceased + SECOND);
    assert_eq!(next.look(ceased + 2 * SECOND, Some(PAUSE), false), Look::Well);
    assert!(pace.leaves_hanging(now, ceased).is_some() && pace.leaves_hanging(later + SECOND, ceased).is_none());
}

#[test]
fn what_comes_while_the_server_is_asked_ends_the_suspicion() {
    let (pace, now) = (pace(), Instant::now());
    let mut tracks = [pace.begin(false, now), pace.begin(false, now)];
    let ceased = write(&mut tracks, 50, GAP, now) + 11 * SECOND;
    assert_eq!(tracks[0].look(ceased, Some(PAUSE), false), Look::Quiet);
    tracks[1].piece(ceased + GAP);
    pace.cease(ceased + 2 * GAP, PAUSE, false);
    assert_eq!(tracks[0].look(ceased + 3 * GAP, Some(PAUSE), false), Look::Well);
}

#[test]
fn what_the_server_tells_to_be_over_is_over_after_a_moment_and_nothing_else() {
    let (pace, now) = (pace(), Instant::now());
    // One of them offers tools, and one has just begun.
    let mut tracks = [pace.begin(true, now), pace.begin(false, now), pace.begin(false, now)];
    let mut lost = write(&mut tracks[..2], 50, GAP, now);
    pace.lost(lost);
    // The last of the second one was on its way. Told again, it is not put off.
    tracks[1].piece(lost + GAP);
    lost += SECOND;
    pace.lost(lost);
    let look = |track: &Track, after: Duration| track.look(lost + after, None, false);
    assert_eq!(tracks.iter().map(|track| look(track, SECOND)).collect::<Vec<_>>(), [Look::Well; 3]);
    assert!(tracks.iter().all(|track| matches!(look(track, 2 * SECOND + GAP), Look::Over(_))));
    // A slower one that goes on was computed elsewhere; what begins now is computed by something new.
    tracks[1].piece(lost + SECOND);
    let new = pace.begin(false, lost + GAP);
    assert_eq!((look(&tracks[1], 60 * SECOND), look(&new, 60 * SECOND)), (Look::Well, Look::Well));
    let Look::Over(words) = look(&tracks[0], 3 * SECOND) else { panic!("over") };
    assert!(words.to_string().ends_with("it told another request that what computes this model has ended"), "{words}");
    // Requests without an answer: those that had been sent before.
    assert!(pace.leaves_hanging(now, lost + SECOND).is_none() && pace.leaves_hanging(now, lost + 2 * SECOND).is_some());
    assert!(pace.leaves_hanging(lost + GAP, lost + 60 * SECOND).is_none());
}

/// A model server on an ordinary day: answers whose gaps have a heavy tail, prompts of others that let all of them pause, calls of
/// tools that are kept back, answers that have to make room.
struct Day {
    dice: Dice,
    pace: Arc<Pace>,
    /// The shortest gap that it can do.
    base: Duration,
    now: Instant,
    answers: Vec<Answer>,
}

struct Answer {
    track: Track,
    next: Instant,
    pieces_left: usize,
}

impl Day {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let base = Duration::from_millis(*dice.pick(&[8, 30, 60, 150, 400]));
        let people = 1 + dice.below(8);
        let mut day = Self { dice, pace: pace(), base, now: Instant::now(), answers: Vec::new() };
        for _ in 0..people {
            let answer = day.answer();
            day.answers.push(answer);
        }
        day
    }

    fn answer(&mut self) -> Answer {
        let track = self.pace.begin(self.dice.once_in(3), self.now);
        // The first gap: some servers read the prompt then.
        let next = self.now + self.gap() + SECOND * self.dice.below(20) as u32;
        Answer { track, next, pieces_left: 1 + self.dice.below(600) }
    }

    /// From the shortest on, with a tail as of Pareto's distribution: one in a thousand is 75 times as long.
    fn gap(&mut self) -> Duration {
        let share = (1 + self.dice.below(100_000)) as f64 / 100_000.0;
        self.base.mul_f64(share.powf(-1.0 / 1.6)).min(8 * SECOND)
    }

    /// Goes on until the next piece; the answer that it is of.
    fn piece(&mut self) {
        let Some(at) = (0..self.answers.len()).min_by_key(|at| self.answers[*at].next) else { return };
        self.now = self.answers[at].next;
        let keeps_back = self.answers[at].track.keeps_back;
        self.answers[at].track.piece(self.now);
        self.answers[at].pieces_left -= 1;
        if self.answers[at].pieces_left == 0 {
            self.answers[at] = self.answer();
            return;
        }
        let flows = |answer: &Answer| !answer.track.keeps_back && answer.next < self.now + SECOND;
        let others_flow = self.answers.iter().enumerate().any(|(other, answer)| other != at && flows(answer));
        let rests = match () {
            () if keeps_back && self.dice.once_in(200) => SECOND * (5 + self.dice.below(55) as u32),
            () if others_flow && self.dice.once_in(2000) => SECOND * (5 + self.dice.below(24) as u32),
            () => Duration::ZERO,
        };
        self.answers[at].next = self.now + self.gap() + rests;
        // Somebody's prompt is read: 100 tokens or 2,000, ten times as fast as they are written.
        if self.dice.once_in(300) {
            let pause = self.base * (10 + self.dice.below(190) as u32);
            let pause = pause.min(9 * SECOND).max(SECOND / 5);
            for answer in &mut self.answers {
                answer.next += pause;
            }
        }
    }
}

#[test]
fn no_ordinary_day_is_taken_for_a_server_that_has_ceased_and_one_that_has_is_found() {
    let (mut answered, mut found) = (Duration::ZERO, 0);
    for seed in 0..40 {
        let mut day = Day::new(seed);
        let begun = day.now;
        let mut looked = day.now;
        for _ in 0..10_000 {
            day.piece();
            // As each answer looks once a second, before what has come is read.
            while looked + LOOK_EVERY < day.answers.iter().map(|answer| answer.next).min().unwrap_or(day.now) {
                looked = day.now.max(looked + LOOK_EVERY);
                let look = day.answers[0].track.look(looked, Some(PAUSE), false);
                assert_eq!(look, Look::Well, "seed {seed}, after {:?}", looked - begun);
            }
        }
        answered += day.now - begun;
        let is_judged = day.answers.iter().any(|answer| !answer.track.keeps_back && answer.track.pieces >= PIECES_MIN);
        let last = day.now;
        let bound = (EXPLAINED_QUIET * QUIET_PAUSES).max(day.base * 4 * QUIET_GAPS) + SECOND;
        let seconds = bound.as_secs() as u32;
        let quiet = (1..=seconds)
            .any(|after| day.answers[0].track.look(last + SECOND * after, Some(PAUSE), false) == Look::Quiet);
        assert_eq!(quiet, is_judged, "seed {seed}");
        found += u32::from(quiet);
    }
    assert!(answered > 3600 * SECOND && found > 20, "{answered:?}, {found} found");
}
