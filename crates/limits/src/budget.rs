//! Budgets of a day or month of the calendar, in UTC.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The time a budget is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    /// A day, from midnight UTC.
    Day,
    /// A month, from midnight UTC of its first day.
    Month,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Month => "month",
        })
    }
}

impl Period {
    /// Which day or month a moment lies in: a number that grows by one each period.
    pub(crate) fn number(self, wall_ms: i64) -> i32 {
        const DAY_MS: i64 = 86_400_000;
        match self {
            Self::Day => wall_ms.div_euclid(DAY_MS) as i32,
            Self::Month => {
                let date = date(wall_ms);
                i32::from(date.year()) * 12 + i32::from(date.month()) - 1
            }
        }
    }

    /// When the period after the one of this moment begins, in milliseconds since 1970.
    pub(crate) fn next_ms(self, wall_ms: i64) -> i64 {
        let date = date(wall_ms);
        let next = match self {
            Self::Day => date.checked_add(1.day()),
            Self::Month => date.first_of_month().checked_add(1.month()),
        };
        next.and_then(|next| next.to_zoned(TimeZone::UTC)).map_or(i64::MAX, |next| next.timestamp().as_millisecond())
    }
}

fn date(wall_ms: i64) -> Date {
    Timestamp::from_millisecond(wall_ms).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

/// What is used in one kind of period. The period before is remembered, so that a wall clock that steps over midnight and
/// back neither opens a spent budget nor closes a fresh one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counter {
    /// Which day or month.
    pub(crate) number: i32,
    /// Granted in it.
    pub(crate) used: u64,
    /// Of that, granted to requests that still run.
    pub(crate) running: u64,
    /// Granted in the period before.
    before: u64,
}

impl Counter {
    /// Moves on to the period with this number.
    pub(crate) fn turn(&mut self, number: i32) {
        if number == self.number {
            return;
        }
        let used = match i64::from(number) - i64::from(self.number) {
            1 => (0, self.used),
            -1 => (self.used.saturating_add(self.before), 0),
            steps if steps < 0 => (self.used, 0),
            _ => (0, 0),
        };
        *self = Self { number, used: used.0, running: 0, before: used.1 };
    }

    /// Grants `amount` in the current period.
    pub(crate) fn grant(&mut self, amount: u64, running: bool) {
        self.used = self.used.saturating_add(amount);
        if running {
            self.running = self.running.saturating_add(amount);
        }
    }

    /// Ends what runs: of the `granted` in period `number`, only `used` was needed.
    pub(crate) fn settle(&mut self, number: i32, granted: u64, used: u64) {
        if number == self.number {
            self.running = self.running.saturating_sub(granted);
            self.used = self.used.saturating_sub(granted - used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn periods_end_at_midnight_utc() {
        let cases = [
            (Period::Day, "2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z"),
            (Period::Day, "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
            (Period::Month, "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z"),
            (Period::Month, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ];
        for (period, now, next) in cases {
            assert_eq!(period.next_ms(ms(now)), ms(next), "{period} {now}");
            assert_eq!(period.number(ms(now)) + 1, period.number(ms(next)), "{period} {now}");
            assert_eq!(period.number(ms(next) - 1), period.number(ms(now)), "{period} {now}");
        }
    }

    #[test]
    fn a_clock_that_steps_over_midnight_and_back_changes_nothing() {
        let mut counter = Counter::default();
        counter.turn(100);
        counter.grant(70, false);
        counter.turn(101);
        assert_eq!(counter.used, 0);
        counter.grant(5, false);
        counter.turn(100);
        assert_eq!(counter.used, 75);
        counter.turn(37);
        assert_eq!(counter.used, 75, "a large step back opens nothing either");
    }

    #[test]
    fn what_was_not_needed_is_given_back_in_its_own_period_only() {
        let mut counter = Counter::default();
        counter.turn(100);
        counter.grant(70, true);
        counter.settle(100, 70, 20);
        assert_eq!((counter.used, counter.running), (20, 0));
        counter.grant(70, true);
        counter.turn(101);
        counter.grant(10, false);
        counter.settle(100, 70, 20);
        assert_eq!((counter.used, counter.running), (10, 0));
    }
}
