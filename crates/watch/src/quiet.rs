//! Hours in which nothing is told.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::error::WatchError;

/// Hours of each day, by the clock on the wall of a zone: they stay the same when summer time begins or ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiet {
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Quiet {
    /// From one time to another one, perhaps of the next day; `zone` is an IANA name, the system's zone when absent.
    pub fn new(from: Time, to: Time, zone: Option<&str>) -> Result<Self, WatchError> {
        let zone = match zone {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| WatchError::Zone(name.to_owned()))?,
        };
        Ok(Self { from, to, zone })
    }

    /// Whether a moment (milliseconds since 1970 UTC) lies in these hours.
    pub fn covers(&self, now_ms: i64) -> bool {
        let Ok(now) = Timestamp::from_millisecond(now_ms) else { return false };
        let time = now.to_zoned(self.zone.clone()).time();
        if self.from <= self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_go_over_midnight_and_over_summer_time() {
        let quiet =
            |from: &str, to: &str, zone| Quiet::new(from.parse().unwrap(), to.parse().unwrap(), Some(zone)).unwrap();
        let night = quiet("22:00", "07:00", "Asia/Shanghai");
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert!(night.covers(at("2026-01-27T14:00:00Z")), "22:00 there");
        assert!(night.covers(at("2026-01-26T22:59:59Z")), "06:59:59 there");
        assert!(!night.covers(at("2026-01-26T23:00:00Z")), "07:00 there");
        let lunch = quiet("12:00", "13:00", "Europe/Berlin");
        assert!(lunch.covers(at("2026-03-28T11:30:00Z")), "winter");
        assert!(lunch.covers(at("2026-03-29T10:30:00Z")), "summer");
        assert!(!lunch.covers(at("2026-03-29T11:30:00Z")));
        assert!(Quiet::new(Time::midnight(), Time::midnight(), Some("Mars/Base")).is_err());
    }
}
