//! When a certificate is ordered, and when its authority is asked about it: pure, by whatever clock it is given.
//!
//! All moments are seconds since 1970, all spans seconds.

use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Renewal begins with so much of a certificate's life left, whatever its authority says: the authority may be away for three days
/// then. What is shorter than that lives for a few days as a whole; two thirds of its life are all that can be had.
const RESERVE: i64 = 4 * DAY;
/// The bounds of the time between two tries while the certificate in force lasts.
const RETRY_MAX: i64 = 6 * HOUR;
const RETRY_MAX_NEAR_THE_END: i64 = 10 * MINUTE;
/// The longest time between two tries while there is no certificate.
const RETRY_MAX_WITHOUT: i64 = HOUR;
/// The bounds of the time after which the authority is asked for its window again (RFC 9773, section 4.3.2).
const ASK_MIN: i64 = MINUTE;
const ASK_MAX: i64 = DAY;
/// The same where it could not be asked.
const ASK_AGAIN: i64 = HOUR;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Validity {
    pub(crate) begins: i64,
    pub(crate) ends: i64,
}

impl Validity {
    /// When it is renewed at the latest: with a third of its life left.
    pub(crate) fn backstop(self) -> i64 {
        let life = self.ends - self.begins;
        self.ends - (life / 3).max(RESERVE.min(life / 3 * 2))
    }
}

/// From when to when an authority wants a certificate to be renewed (RFC 9773, section 4.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Window {
    /// In seconds since 1970, as is its end.
    pub from: i64,
    /// Later than `from`.
    pub until: i64,
}

/// What is known of a site's certificate beside itself, kept over restarts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Memory {
    /// The authority that signed the certificate in force.
    pub directory: Option<String>,
    /// Orders that failed in a row.
    pub failures: u32,
    /// Before this moment nothing is ordered.
    pub retry_at: i64,
    /// Why the last order failed.
    pub error: Option<String>,
    /// The address of an order that was begun and has not come to its end.
    pub order: Option<String>,
    /// When the authority wants the certificate in force to be renewed.
    pub window: Option<Window>,
    /// The moment chosen in it.
    pub renew_at: Option<i64>,
    /// When it is asked for that again.
    pub ask_at: i64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// A certificate is to be ordered now.
    Order,
    /// The authority is to be asked now when it wants the certificate to be renewed.
    Ask,
    /// Nothing before this moment.
    Wait(i64),
}

impl Memory {
    /// What is to be done for a certificate, or where there is none that can be gone on with.
    pub(crate) fn next(&self, now: i64, held: Option<Validity>) -> Step {
        let due = self.due(held);
        match due <= now {
            true if self.retry_at <= now => Step::Order,
            true => Step::Wait(self.retry_at),
            false if self.ask_at <= now => Step::Ask,
            false => Step::Wait(due.min(self.ask_at)),
        }
    }

    /// When a new one is wanted.
    pub(crate) fn due(&self, held: Option<Validity>) -> i64 {
        held.map_or(i64::MIN, |held| self.renew_at.unwrap_or(i64::MAX).min(held.backstop()))
    }

    /// An order failed. `first` is the time to the second try; it is doubled for each further one, up to what the end of the
    /// certificate in force leaves. `dice` is from 0 to 1: many that failed at once do not come back at once.
    pub(crate) fn failed(&mut self, now: i64, held: Option<Validity>, error: String, first: i64, dice: f64) {
        let most = match held {
            Some(held) if held.ends > now => ((held.ends - now) / 24).clamp(RETRY_MAX_NEAR_THE_END, RETRY_MAX),
            _ => RETRY_MAX_WITHOUT,
        };
        let wait = first.saturating_mul(1 << self.failures.min(20)).min(most.max(first));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + (wait as f64 * (0.75 + dice / 2.0)) as i64;
        self.error = Some(error);
    }

    /// A certificate of this authority is in force.
    pub(crate) fn taken(&mut self, now: i64, directory: &str) {
        *self = Self { directory: Some(directory.to_owned()), ask_at: now, ..Self::default() };
    }

    /// The authority said when it wants the certificate to be renewed, and after how long it is to be asked again. A window that
    /// ends before it begins says nothing (RFC 9773, section 4.2).
    pub(crate) fn told(&mut self, now: i64, window: Window, ask_again: i64, dice: f64) {
        self.ask_at = now + ask_again.clamp(ASK_MIN, ASK_MAX);
        if window.until <= window.from || self.window == Some(window) {
            return;
        }
        self.window = Some(window);
        self.renew_at = Some(window.from + ((window.until - window.from) as f64 * dice) as i64);
    }

    /// The authority could not be asked, or does not tell such things.
    pub(crate) fn not_told(&mut self, now: i64, tells_such_things: bool) {
        self.ask_at = now + if tells_such_things { ASK_AGAIN } else { ASK_MAX };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance and are the same in each run (SplitMix64).
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// How an authority speaks of windows.
    #[derive(Clone, Copy, Debug)]
    enum Tells {
        Nothing,
        /// A day around the last third, as Let's Encrypt does.
        Usual,
        /// Long after the end: a mistake.
        TooLate,
        /// Now and then at once: certificates that are revoked.
        AtOnce,
    }

    struct World {
        life: i64,
        tells: Tells,
        dice: Dice,
        outage_until: i64,
        next_outage: i64,
        /// An outage begins at the very moment at which a certificate is wanted.
        spiteful: bool,
    }

    impl World {
        fn is_out(&mut self, now: i64, is_order: bool) -> bool {
            let waits = now < self.next_outage;
            if now < self.outage_until {
                return true;
            }
            if waits || (self.spiteful && !is_order) {
                return false;
            }
            self.outage_until = now + 3 * DAY;
            // Between the end of one and the begin of another there is at least a day.
            self.next_outage = self.outage_until + DAY + (self.dice.throw() * 20.0 * DAY as f64) as i64;
            true
        }

        fn window(&mut self, held: Validity, now: i64) -> Window {
            let third = held.ends - self.life / 3;
            match self.tells {
                Tells::TooLate => Window { from: held.ends + DAY, until: held.ends + 2 * DAY },
                Tells::AtOnce if self.dice.throw() < 0.01 => Window { from: now - DAY, until: now - 1 },
                _ => Window { from: third - DAY, until: third + DAY },
            }
        }
    }

    /// Three years; seconds without a valid certificate after the first one, and orders that were sent.
    fn three_years(mut world: World) -> (i64, u32) {
        let begin = 1_800_000_000;
        let end = begin + 3 * 365 * DAY;
        let (mut now, mut held, mut memory) = (begin, None::<Validity>, Memory::default());
        let (mut without, mut orders) = (0, 0);
        while now < end {
            let before = now;
            match memory.next(now, held) {
                Step::Wait(until) => {
                    assert!(until > now, "nothing waits for the past");
                    now = until.min(end);
                }
                Step::Ask => {
                    now += 2;
                    let known = held.filter(|_| !world.is_out(now, false));
                    match (known, world.tells) {
                        (_, Tells::Nothing) => memory.not_told(now, false),
                        (None, _) => memory.not_told(now, true),
                        (Some(held), _) => {
                            let (window, dice) = (world.window(held, now), world.dice.throw());
                            memory.told(now, window, 6 * HOUR, dice);
                        }
                    }
                }
                Step::Order => {
                    orders += 1;
                    now += 30;
                    if world.is_out(now, true) || world.dice.throw() < 0.1 {
                        let dice = world.dice.throw();
                        memory.failed(now, held, "away".to_owned(), 5 * MINUTE, dice);
                    } else {
                        // An hour back, as authorities do for clocks that are slow.
                        let (begins, ends) = (now - HOUR, now - HOUR + world.life);
                        held = Some(Validity { begins, ends });
                        memory.taken(now, "ca");
                    }
                }
            }
            without += held.map_or(0, |held| (now - held.ends.max(before)).max(0));
        }
        assert!(held.is_some());
        (without, orders)
    }

    #[test]
    fn scenario_g13_three_years_of_failures_and_outages_without_a_second_uncovered() {
        for (days, hours) in [(90, 0), (45, 0), (6, 16), (6, 0)] {
            let life = days * DAY + hours * HOUR;
            for tells in [Tells::Nothing, Tells::Usual, Tells::TooLate, Tells::AtOnce] {
                for seed in 0..25 {
                    for spiteful in [false, true] {
                        let world = World {
                            life,
                            tells,
                            dice: Dice(seed),
                            outage_until: 0,
                            next_outage: 1_800_000_000 + 2 * DAY,
                            spiteful,
                        };
                        let (without, orders) = three_years(world);
                        let case = format!("{days} d {hours} h, {tells:?}, seed {seed}, spiteful {spiteful}");
                        assert_eq!(without, 0, "{case}");
                        // An outage of three days is asked at most every few hours; the rest are orders that are due.
                        assert!(orders < 8_000, "{case}: {orders} orders");
                    }
                }
            }
        }
    }

    #[test]
    fn a_third_of_a_life_is_left_and_of_a_short_one_more() {
        for (life, left) in [(90 * DAY, 30 * DAY), (45 * DAY, 15 * DAY), (160 * HOUR, 4 * DAY), (3 * DAY, 2 * DAY)] {
            assert_eq!(Validity { begins: 0, ends: life }.backstop(), life - left);
        }
    }

    #[test]
    fn the_authority_may_ask_for_it_sooner_and_never_later() {
        let held = Some(Validity { begins: 0, ends: 90 * DAY });
        let mut memory = Memory { ask_at: 0, ..Memory::default() };
        assert_eq!(memory.next(DAY, held), Step::Ask);
        memory.told(DAY, Window { from: 10 * DAY, until: 12 * DAY }, 6 * HOUR, 0.5);
        assert_eq!((memory.renew_at, memory.ask_at), (Some(11 * DAY), DAY + 6 * HOUR));
        memory.told(2 * DAY, Window { from: 10 * DAY, until: 12 * DAY }, 6 * HOUR, 0.9);
        assert_eq!(memory.renew_at, Some(11 * DAY), "the same window, the same moment");
        assert_eq!(memory.next(11 * DAY, held), Step::Order);
        memory.told(3 * DAY, Window { from: 80 * DAY, until: 85 * DAY }, 100 * DAY, 0.5);
        assert_eq!(memory.next(60 * DAY, held), Step::Order, "a third of its life is left");
        assert_eq!(memory.ask_at, 4 * DAY, "asked again within a day");
        memory.told(4 * DAY, Window { from: 9 * DAY, until: 8 * DAY }, 0, 0.5);
        assert_eq!(memory.window, Some(Window { from: 80 * DAY, until: 85 * DAY }), "that says nothing");
        assert_eq!(memory.ask_at, 4 * DAY + MINUTE);
    }

    #[test]
    fn failures_are_further_and_further_apart_and_closer_before_the_end() {
        let mut memory = Memory::default();
        let mut waits = Vec::new();
        for _ in 0..6 {
            memory.failed(0, None, "no".to_owned(), 5 * MINUTE, 0.5);
            waits.push(memory.retry_at / MINUTE);
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(memory.next(0, None), Step::Wait(HOUR));
        assert_eq!(memory.next(HOUR, None), Step::Order);
        let mut retry_at = |left: i64| {
            memory.failures = 20;
            memory.failed(0, Some(Validity { begins: left - 90 * DAY, ends: left }), "no".to_owned(), 5 * MINUTE, 0.5);
            memory.retry_at
        };
        assert_eq!(
            [30 * DAY, DAY, HOUR, -DAY].map(&mut retry_at),
            [6 * HOUR, HOUR, 10 * MINUTE, HOUR],
            "as long as there is time"
        );
        memory.taken(7, "ca");
        assert_eq!(memory, Memory { directory: Some("ca".to_owned()), ask_at: 7, ..Memory::default() });
    }
}
