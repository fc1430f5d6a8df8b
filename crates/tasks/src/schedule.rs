//! When a task runs by itself: cron times in a zone, or every so often; and which of them are due.

use std::fmt;
use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::definition::CatchUp;

/// Most runs that `catch_up: all` makes at a time; older times are left out and told.
pub const CATCH_UP_MAX: usize = 100;
/// A time that passed so short a while ago was not missed: the scheduler looks about once a second.
pub(crate) const LATE_MS: i64 = 60_000;
/// Shortest interval of `every`.
pub(crate) const EVERY_MIN: Duration = Duration::from_secs(1);
/// How many local times are looked at for one that exists; nights with a gap have at most some hours of them.
const CANDIDATES_MAX: usize = 2_000;

/// When a task runs by itself.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At the times of a cron line.
    Cron(Box<Cron>),
    /// Every so often, counted from 1970 UTC, so that all nodes and all restarts agree.
    Every(Duration),
}

/// A cron line in a time zone.
///
/// In nights in which the clock is changed it goes by the rule of Vixie's cron: a line for certain hours runs once for each
/// of its times, right after the gap where the time does not exist and the first time where it comes twice; a line whose hour
/// field begins with `*` goes on in even steps.
#[derive(Clone, Debug)]
pub struct Cron {
    line: String,
    zone: TimeZone,
    /// Matches in the zone itself.
    real: Crontab,
    /// Matches local times, which it takes for UTC.
    local: Crontab,
    has_any_hour: bool,
}

impl Schedule {
    /// The first time after `after_ms`, both in milliseconds since 1970 UTC; `None` when there is none within four years.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        match self {
            Self::Cron(cron) => cron.next_after(after_ms),
            Self::Every(every) => {
                let every = every.as_millis() as i64;
                Some((after_ms.div_euclid(every) + 1) * every)
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => {
                write!(f, "{} {}", cron.line, cron.zone.iana_name().unwrap_or("UTC"))
            }
            Self::Every(every) => write!(f, "every {}", tollhouse_units::format_duration(*every)),
        }
    }
}

/// Why a line is no cron line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CronError {
    /// It has so many fields instead of five.
    #[error("{0} fields stand here, not 5: minute hour day month weekday")]
    Fields(usize),
    /// One of its fields cannot be read.
    #[error("{0}")]
    Line(String),
}

impl Cron {
    /// Reads the five fields of a line.
    pub fn parse(line: &str, zone: &TimeZone) -> Result<Self, CronError> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.len() != 5 {
            return Err(CronError::Fields(fields.len()));
        }
        let name = zone.iana_name().unwrap_or("UTC");
        let parse = |zone: &str| {
            cronexpr::parse_crontab(&format!("{line} {zone}")).map_err(|error| {
                let error = error.to_string();
                // Only the first line says what is wrong; an excerpt follows, which the caller has too.
                let told = error.lines().map(str::trim).find(|line| !line.is_empty());
                CronError::Line(told.unwrap_or("it cannot be read").to_owned())
            })
        };
        Ok(Self {
            line: fields.join(" "),
            zone: zone.clone(),
            real: parse(name)?,
            local: parse("UTC")?,
            has_any_hour: fields[1].starts_with('*'),
        })
    }

    fn next_after(&self, after_ms: i64) -> Option<i64> {
        if self.has_any_hour {
            return next(&self.real, after_ms);
        }
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        let utc = |local: DateTime| TimeZone::UTC.to_timestamp(local).ok().map(Timestamp::as_millisecond);
        let mut candidate_ms = utc(self.zone.to_datetime(after))?;
        // In the second pass of an hour the local time is ahead of times that only come in the first one: they are over.
        for _ in 0..CANDIDATES_MAX {
            candidate_ms = next(&self.local, candidate_ms)?;
            let local = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(candidate_ms).ok()?);
            let at_ms = self.instant(local)?.as_millisecond();
            if at_ms > after_ms {
                return Some(at_ms);
            }
        }
        None
    }

    /// The moment of a local time: the first one where it comes twice, the end of the gap where it does not come.
    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_zoned(local);
        let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let moment = ambiguous.compatible().ok()?.timestamp();
        if is_gap {
            return self.zone.preceding(moment).next().map(|transition| transition.timestamp());
        }
        Some(moment)
    }
}

fn next(crontab: &Crontab, after_ms: i64) -> Option<i64> {
    let after = MakeTimestamp::from_millisecond(after_ms).ok()?;
    crontab.find_next(after).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

/// What is due now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Due {
    /// The times that get a run.
    pub(crate) times_ms: Vec<i64>,
    /// How many times get none.
    pub(crate) left_out: u64,
    /// Up to where the schedule was looked at.
    pub(crate) cursor_ms: i64,
}

/// The times after `cursor_ms` up to `now_ms` that get a run. A clock that was set back makes nothing due a second time.
pub(crate) fn due(schedule: &Schedule, cursor_ms: i64, now_ms: i64, catch_up: CatchUp) -> Due {
    let mut due = Due { cursor_ms: cursor_ms.max(now_ms), ..Due::default() };
    let mut at_ms = cursor_ms;
    // Long shutdowns of a task that runs each second are not counted to the end: what is older than the newest is not
    // needed one by one.
    if let Schedule::Every(every) = schedule {
        let most = (CATCH_UP_MAX as i64 + 1) * every.as_millis() as i64;
        if now_ms - at_ms > most {
            let skipped_to = now_ms - most;
            due.left_out += ((skipped_to - at_ms) / every.as_millis() as i64) as u64;
            at_ms = skipped_to;
        }
    }
    while let Some(next_ms) = schedule.next_after(at_ms).filter(|next_ms| *next_ms <= now_ms) {
        due.times_ms.push(next_ms);
        at_ms = next_ms;
        if due.times_ms.len() > CATCH_UP_MAX {
            due.times_ms.remove(0);
            due.left_out += 1;
        }
    }
    let missed = match catch_up {
        CatchUp::All => 0,
        CatchUp::Once => due.times_ms.len().saturating_sub(1),
        CatchUp::Skip => due.times_ms.iter().filter(|at_ms| **at_ms < now_ms - LATE_MS).count(),
    };
    due.left_out += missed as u64;
    due.times_ms.drain(..missed);
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn cron(line: &str, zone: &str) -> Schedule {
        Schedule::Cron(Box::new(Cron::parse(line, &TimeZone::get(zone).unwrap()).unwrap()))
    }

    /// The next times, as local ones with their offset.
    fn times(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = cron(line, zone);
        let zone = TimeZone::get(zone).unwrap();
        let mut at = ms(after);
        (0..count)
            .map(|_| {
                at = schedule.next_after(at).unwrap();
                let zoned = Timestamp::from_millisecond(at).unwrap().to_zoned(zone.clone());
                zoned.strftime("%m-%dT%H:%M%:z").to_string()
            })
            .collect()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let expected = ["11-23T08:00+08:00", "11-24T08:00+08:00"];
        assert_eq!(times("0 8 * * 1-5", "Asia/Shanghai", "2026-11-20T00:00:00Z", 2), expected);
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_comes_right_after_the_gap() {
        let after = "2026-03-28T12:00:00Z";
        let expected = ["03-29T03:00+02:00", "03-30T02:30+02:00"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", after, 2), expected);
        // Several times of one gap come as one.
        let expected = ["03-29T03:00+02:00", "03-30T02:00+02:00"];
        assert_eq!(times("0,30 2 * * *", "Europe/Berlin", after, 2), expected);
        // A gap of half an hour.
        let expected = ["10-04T02:30+11:00", "10-05T02:15+11:00"];
        assert_eq!(times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2), expected);
    }

    #[test]
    fn a_time_that_comes_twice_runs_once() {
        let expected = ["10-25T02:30+02:00", "10-26T02:30+01:00"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), expected);
        // Also when it is looked for in between.
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1), ["10-26T02:30+01:00"]);
    }

    #[test]
    fn even_steps_go_on_through_both_nights() {
        let spring = times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 4);
        assert_eq!(spring, ["03-29T01:30+01:00", "03-29T03:00+02:00", "03-29T03:30+02:00", "03-29T04:00+02:00"]);
        let autumn = times("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(autumn, ["10-25T02:00+02:00", "10-25T02:00+01:00", "10-25T03:00+01:00", "10-25T04:00+01:00"]);
    }

    #[test]
    fn every_counts_from_the_epoch() {
        let every = Schedule::Every(Duration::from_secs(3600));
        assert_eq!(every.next_after(ms("2026-03-01T10:00:00Z")), Some(ms("2026-03-01T11:00:00Z")));
        assert_eq!(every.next_after(ms("2026-03-01T10:59:59Z")), Some(ms("2026-03-01T11:00:00Z")));
    }

    #[test]
    fn scenario_r06_missed_times_are_caught_up_as_the_task_says() {
        let daily = cron("0 8 * * *", "UTC");
        let (from, to) = (ms("2026-03-01T09:00:00Z"), ms("2026-03-05T12:00:00Z"));
        let days = |catch_up| {
            let due = due(&daily, from, to, catch_up);
            let days =
                due.times_ms.iter().map(|at| Timestamp::from_millisecond(*at).unwrap().to_string()[8..10].to_owned());
            (days.collect::<Vec<_>>().join(" "), due.left_out, due.cursor_ms == to)
        };
        assert_eq!(days(CatchUp::All), ("02 03 04 05".into(), 0, true));
        assert_eq!(days(CatchUp::Once), ("05".into(), 3, true));
        assert_eq!(days(CatchUp::Skip), (String::new(), 4, true));
        // A time that has just passed is no missed one.
        let just = due(&daily, from, ms("2026-03-02T08:00:30Z"), CatchUp::Skip);
        assert_eq!(just.times_ms, [ms("2026-03-02T08:00:00Z")]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_due_again() {
        let daily = cron("0 8 * * *", "UTC");
        let cursor = ms("2026-03-05T12:00:00Z");
        let due = due(&daily, cursor, ms("2026-03-03T12:00:00Z"), CatchUp::All);
        assert_eq!(due, Due { cursor_ms: cursor, ..Due::default() });
    }

    #[test]
    fn long_shutdowns_are_bounded() {
        let now = ms("2026-03-05T12:00:00Z");
        let often = due(&Schedule::Every(Duration::from_secs(1)), 0, now, CatchUp::All);
        assert_eq!(often.times_ms.len(), CATCH_UP_MAX);
        assert_eq!(often.times_ms.last(), Some(&now));
        assert_eq!(often.left_out, (now / 1000) as u64 - CATCH_UP_MAX as u64);
        let minutes = due(&cron("* * * * *", "UTC"), now - 86_400_000, now, CatchUp::All);
        assert_eq!((minutes.times_ms.len(), minutes.left_out), (CATCH_UP_MAX, 1440 - CATCH_UP_MAX as u64));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in ["", "* * * *", "61 * * * *", "* * * * * *", "a b c d e", "0 25 * * *"] {
            assert!(Cron::parse(line, &TimeZone::UTC).is_err(), "{line}");
        }
    }
}
