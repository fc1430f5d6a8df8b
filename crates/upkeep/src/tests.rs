//! Years of a process's life in seconds: a world of its own is simulated around the state machine, by seed.

use std::time::Duration;

use proptest::prelude::*;

use crate::machine::{Action, Event, Machine, Moment, Order, Refused, State, Told};
use crate::rules::{Exit, Restart, Rules};
use crate::why::Why;

const DAY: Duration = Duration::from_hours(24);
/// How long a killed process takes to end.
const DEATH: Duration = Duration::from_millis(5);

/// Random numbers by seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % below.max(1)
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.next(times) == 0
    }

    fn time(&mut self, up_to: Duration) -> Duration {
        Duration::from_millis(self.next(up_to.as_millis() as u64 + 1))
    }
}

/// The process that the machine is about, as the system has it.
#[derive(Debug, Default)]
struct Process {
    lives: bool,
    ready_at: Option<Moment>,
    ends: Option<(Moment, Exit)>,
}

struct World {
    dice: Dice,
    now: Moment,
    machine: Machine,
    rules: Rules,
    process: Process,
    spawned: u64,
    pauses: u64,
    /// When the last failure was told with a wait, and how long that is.
    backoff: Option<(Moment, Duration)>,
    /// A human has spoken since the machine last came to rest.
    has_order: bool,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let machine = Machine::new(rules.clone(), seed);
        let dice = Dice(seed.wrapping_mul(2).wrapping_add(1));
        let (process, backoff) = (Process::default(), None);
        Self { dice, now: Moment::ZERO, machine, rules, process, spawned: 0, pauses: 0, backoff, has_order: false }
    }

    /// Lives through so much time.
    fn live(&mut self, time: Duration) {
        self.tell(Event::Needs(true));
        self.order(Order::Start);
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        let busy = self.now + self.dice.time(Duration::from_mins(30));
        let next = [self.process.ready_at, self.process.ends.map(|(at, _)| at), self.machine.due(), Some(busy)];
        let next = next.into_iter().flatten().min().unwrap_or(busy).max(self.now);
        self.now = next;
        if let Some((at, exit)) = self.process.ends
            && at <= self.now
        {
            self.process = Process::default();
            self.tell(Event::Exited(exit));
        } else if self.process.ready_at.is_some_and(|at| at <= self.now) {
            self.process.ready_at = None;
            self.tell(Event::Ready);
        } else if self.machine.due().is_some_and(|due| due <= self.now) {
            let before = (self.machine.state(), self.machine.due());
            self.tell(Event::Due);
            assert_ne!((self.machine.state(), self.machine.due()), before, "time that is over changes something");
        } else {
            self.disturb();
        }
        self.check();
    }

    /// Something that nobody waited for.
    fn disturb(&mut self) {
        match self.dice.next(13) {
            0 => self.tell(Event::Stuck(Why::Stalled(DAY))),
            1 => self.tell(Event::Worn(Why::Drained)),
            2 => {
                let met = self.dice.one_in(2);
                self.tell(Event::Needs(met));
            }
            3 => self.order(Order::Restart),
            4 => self.order(Order::Stop),
            5 | 6 => self.order(Order::Start),
            7 => self.order(Order::Confirm),
            8 => self.tell(Event::Drained),
            9 => self.tell(Event::Freed),
            _ => self.tell(Event::Needs(true)),
        }
    }

    fn order(&mut self, order: Order) {
        let was = self.machine.state();
        let told = self.machine.order(order, self.now);
        match (&told, was, order) {
            (Err(Refused::Paused), State::Paused, Order::Start | Order::Restart) => return,
            (Err(Refused::NotPaused), state, Order::Confirm) if state != State::Paused => return,
            (Err(refused), ..) => panic!("{order:?} in {was:?}: {refused}"),
            (Ok(_), State::Paused, Order::Start | Order::Restart) => panic!("{order:?} went past a pause"),
            (Ok(_), ..) => {}
        }
        self.has_order = true;
        self.backoff = None;
        self.act(was, told.expect("checked above"));
    }

    fn tell(&mut self, event: Event) {
        let was = self.machine.state();
        let actions = self.machine.take(event, self.now);
        self.act(was, actions);
    }

    fn act(&mut self, was: State, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Spawn => self.spawn(was),
                Action::Terminate => {
                    assert!(self.process.lives, "nobody is there to be asked");
                    // One of three does not care.
                    if !self.dice.one_in(3) {
                        let takes = self.dice.time(self.rules.stop * 2);
                        self.ends_in(takes, Exit::Code(0));
                    }
                }
                Action::Kill => self.ends_in(DEATH, Exit::Signal(9)),
                Action::Tell(told) => self.told(&told),
            }
        }
    }

    fn spawn(&mut self, was: State) {
        assert!(!self.process.lives, "two at once");
        assert!(!matches!(was, State::Paused | State::Failed) || self.has_order, "started in {was:?} by nobody");
        if let Some((at, wait)) = self.backoff.take() {
            let waited = self.now.saturating_sub(at);
            assert!(waited >= wait, "started after {waited:?}, and {wait:?} were told");
        }
        self.has_order = false;
        self.spawned += 1;
        if self.dice.one_in(40) {
            self.tell(Event::Occupied(Why::Occupied("127.0.0.1:1".to_owned())));
            return;
        }
        if self.dice.one_in(20) {
            self.tell(Event::NotStarted(Why::NotStarted("no such file".to_owned())));
            return;
        }
        let slow = self.dice.one_in(6);
        let ready = self.dice.time(if slow { self.rules.start * 3 } else { self.rules.start / 2 });
        let life = if self.dice.one_in(2) { Duration::from_mins(1) } else { DAY };
        let life = self.dice.time(life);
        let exit = match self.dice.next(8) {
            0 => Exit::Code(78),
            1 | 2 => Exit::Code(0),
            3 => Exit::Signal(11),
            4 => Exit::Unknown,
            _ => Exit::Code(1),
        };
        self.process = Process { lives: true, ready_at: Some(self.now + ready), ends: Some((self.now + life, exit)) };
    }

    fn ends_in(&mut self, time: Duration, exit: Exit) {
        let at = self.now + time;
        let earlier = self.process.ends.filter(|(ends, _)| *ends <= at);
        self.process.ends = earlier.or(Some((at, exit)));
    }

    fn told(&mut self, told: &Told) {
        match told {
            Told::Restarting(_, wait) => {
                let most = self.rules.delay_max.max(self.rules.delay) * 6 / 5;
                assert!(*wait >= self.rules.delay && *wait <= most, "{wait:?}");
                self.backoff = Some((self.now, *wait));
            }
            Told::Paused(..) => {
                self.pauses += 1;
                self.has_order = false;
            }
            Told::Failed(_) => self.has_order = false,
            Told::Exited(..) => assert!(!self.process.lives),
            _ => {}
        }
    }

    fn check(&self) {
        let state = self.machine.state();
        let has_process = matches!(state, State::Starting | State::Ready | State::Draining | State::Stopping);
        assert_eq!(has_process, self.process.lives, "{state:?} with {:?}", self.process);
        // Each phase in which something is waited for has an end.
        if matches!(state, State::Starting | State::Draining | State::Stopping | State::Backoff | State::Paused) {
            assert!(self.machine.due().is_some(), "{state:?} has no end");
        }
        let started = self.now.saturating_sub(self.machine.since());
        assert!(state != State::Starting || started <= self.rules.start, "it starts since {started:?}");
        assert!(state != State::Backoff || started <= self.rules.delay_max.max(self.rules.delay) * 6 / 5);
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let restart = prop_oneof![Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)];
    let pause = prop::option::of((1..8u32, 1..3600u64));
    (restart, 1..60u64, 1..600u64, 1..90u64, 1..40u64, pause, any::<bool>()).prop_map(
        |(restart, delay, delay_max, start, stop, pause, critical)| Rules {
            restart,
            delay: Duration::from_secs(delay),
            delay_max: Duration::from_secs(delay_max),
            start: Duration::from_secs(start),
            stop: Duration::from_secs(stop),
            pause_after: pause.map(|(count, within)| (count, Duration::from_secs(within))),
            critical,
            ..Rules::default()
        },
    )
}

/// Simulated days for each seed; `TOLLHOUSE_UPKEEP_YEARS` makes them years.
fn days() -> u32 {
    let years = std::env::var("TOLLHOUSE_UPKEEP_YEARS").ok().and_then(|years| years.parse::<u32>().ok());
    years.map_or(20, |years| years * 365 / 64 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Never two at once, no start without an end, none out of a pause but by a human, waits within their bounds.
    #[test]
    fn a_process_that_flaps_for_years(seed in 1u64.., rules in rules()) {
        let mut world = World::new(seed, rules);
        world.live(DAY * days());
        prop_assert!(world.spawned > 0);
    }
}

fn seconds(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

fn started(rules: Rules) -> Machine {
    let mut machine = Machine::new(rules, 1);
    machine.take(Event::Needs(true), Moment::ZERO);
    assert_eq!(machine.order(Order::Start, Moment::ZERO), Ok(vec![Action::Spawn]));
    machine
}

#[test]
fn waits_double_up_to_the_longest_and_begin_anew_after_a_long_time_in_good_order() {
    let mut machine = started(Rules { pause_after: None, ..Rules::default() });
    let (mut now, mut waits) = (Moment::ZERO, Vec::new());
    let mut fail = |machine: &mut Machine, lasts: Duration| {
        now += seconds(1);
        machine.take(Event::Ready, now);
        now += lasts;
        let told = machine.take(Event::Exited(Exit::Code(1)), now);
        let Some(Action::Tell(Told::Restarting(_, wait))) = told.last() else { panic!("{told:?}") };
        now += *wait;
        assert_eq!(machine.take(Event::Due, now), [Action::Spawn]);
        wait.as_secs()
    };
    for _ in 0..6 {
        waits.push(fail(&mut machine, seconds(1)));
    }
    for (wait, least) in waits.iter().zip([30, 60, 120, 240, 300, 300]) {
        assert!((least..=least * 6 / 5).contains(wait), "{waits:?}");
    }
    assert!(fail(&mut machine, Duration::from_mins(10)) <= 36);
}

#[test]
fn exit_codes_decide() {
    let ends = |rules: Rules, exit| {
        let mut machine = started(rules);
        machine.take(Event::Ready, seconds(1));
        machine.take(Event::Exited(exit), seconds(2));
        machine.state()
    };
    let with = |restart| Rules { restart, ..Rules::default() };
    for (rules, exit, state) in [
        (with(Restart::Always), Exit::Code(0), State::Backoff),
        (with(Restart::Always), Exit::Code(1), State::Backoff),
        (with(Restart::Always), Exit::Code(78), State::Failed),
        (with(Restart::OnFailure), Exit::Code(0), State::Stopped),
        (with(Restart::OnFailure), Exit::Signal(9), State::Backoff),
        (with(Restart::Never), Exit::Code(0), State::Stopped),
        (with(Restart::Never), Exit::Code(1), State::Failed),
        (Rules { critical: true, ..with(Restart::Always) }, Exit::Signal(9), State::Paused),
        (Rules { critical: true, ..with(Restart::Always) }, Exit::Code(0), State::Backoff),
    ] {
        assert_eq!(ends(rules.clone(), exit), state, "{rules:?} {exit}");
    }
}

#[test]
fn too_many_failures_ask_a_human_and_are_then_forgotten() {
    let rules =
        Rules { delay: seconds(1), delay_max: seconds(1), pause_after: Some((3, seconds(60))), ..Rules::default() };
    let mut machine = started(rules);
    let mut now = Moment::ZERO;
    for time in 1..=3 {
        assert_ne!(machine.state(), State::Paused, "after {time}");
        machine.take(Event::Exited(Exit::Code(1)), now);
        now += seconds(2);
        machine.take(Event::Due, now);
    }
    assert_eq!(machine.state(), State::Paused);
    assert_eq!(machine.order(Order::Start, now), Err(Refused::Paused));
    assert_eq!(machine.order(Order::Restart, now), Err(Refused::Paused));
    let reminded = machine.take(Event::Due, now + Duration::from_hours(1));
    assert!(matches!(&reminded[..], [Action::Tell(Told::StillPaused(..))]), "{reminded:?}");
    assert_eq!(machine.order(Order::Confirm, now), Ok(vec![Action::Tell(Told::Confirmed), Action::Spawn]));
    machine.take(Event::Exited(Exit::Code(1)), now);
    assert_eq!(machine.state(), State::Backoff, "the count begins anew");
    assert_eq!(machine.order(Order::Confirm, now), Err(Refused::NotPaused));
}

#[test]
fn a_planned_restart_waits_for_what_runs_and_starts_at_once() {
    let mut machine = started(Rules::default());
    machine.take(Event::Ready, seconds(1));
    machine.take(Event::Worn(Why::Memory { used: 12, limit: 10 }), seconds(2));
    assert_eq!((machine.state(), machine.is_worth_waiting(seconds(2))), (State::Draining, true));
    assert!(machine.take(Event::Drained, seconds(3)).contains(&Action::Terminate));
    let told = machine.take(Event::Exited(Exit::Signal(15)), seconds(4));
    assert_eq!(told, [Action::Tell(Told::Exited(Exit::Signal(15), true)), Action::Spawn]);
    assert_eq!(machine.failures(), 0);
}

#[test]
fn what_does_not_end_is_killed_until_it_does() {
    let mut machine = started(Rules::default());
    machine.order(Order::Stop, seconds(1)).unwrap();
    let due = machine.due().unwrap();
    assert_eq!(due, seconds(11));
    assert_eq!(machine.take(Event::Due, due), [Action::Kill, Action::Tell(Told::Killed)]);
    assert_eq!(machine.take(Event::Due, machine.due().unwrap()), [Action::Kill]);
    machine.take(Event::Exited(Exit::Signal(9)), seconds(20));
    assert_eq!((machine.state(), machine.due()), (State::Stopped, None));
}

#[test]
fn it_starts_after_what_it_needs() {
    let mut machine = Machine::new(Rules::default(), 1);
    assert_eq!(machine.order(Order::Start, seconds(1)), Ok(vec![]));
    assert_eq!(machine.state(), State::Waiting);
    assert_eq!(machine.take(Event::Needs(false), seconds(2)), []);
    assert_eq!(machine.take(Event::Needs(true), seconds(3)), [Action::Spawn]);
    // What runs goes on when what it needs is gone.
    assert_eq!(machine.take(Event::Needs(false), seconds(4)), []);
    assert_eq!(machine.state(), State::Starting);
}
