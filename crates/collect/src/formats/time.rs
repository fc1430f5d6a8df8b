//! When a line was written, by what it says.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, Zoned};
use serde_json::Value;

/// Numbers of seconds that are taken for a time: from 2001-09-09 to 2096-10-02. Smaller ones are durations and counts.
const SECONDS: std::ops::Range<f64> = 1e9..4e9;
/// When years get a fifth digit, which not everybody can read.
const YEAR_10000_S: i64 = 253_402_300_800;
/// Longest text that is taken for a time.
const TEXT_BYTES_MAX: usize = 48;

/// A time as records have it: RFC 3339 in UTC, to the millisecond, or to as much finer as it is known.
pub fn written(time: Timestamp) -> String {
    let nanoseconds = time.subsec_nanosecond();
    let digits = match nanoseconds {
        ns if ns % 1_000_000 == 0 => 3,
        ns if ns % 1_000 == 0 => 6,
        _ => 9,
    };
    format!("{time:.digits$}")
}

/// Whether a text is a time as [`written`] writes it, to the millisecond.
pub(super) fn is_written(text: &str) -> bool {
    /// Zeros stand for digits.
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let bytes = text.as_bytes();
    let is_alike = |(own, form): (&u8, &u8)| if *form == b'0' { own.is_ascii_digit() } else { own == form };
    if bytes.len() != FORM.len() || !bytes.iter().zip(FORM).all(is_alike) {
        return false;
    }
    let number =
        |from: usize, to: usize| bytes[from..to].iter().fold(0, |sum, digit| 10 * sum + i16::from(digit - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // A leap second is left to whoever knows about them.
    let is_clock = number(11, 13) < 24 && number(14, 16) < 60 && number(17, 19) < 60;
    year >= 1970
        && is_clock
        && (day <= 28 || Date::new(year, month as i8, day as i8).is_ok())
        && day > 0
        && (1..=12).contains(&month)
}

/// Reads a time that knows its zone: RFC 3339, ISO 8601 with an offset, or seconds, milliseconds, microseconds or nanoseconds
/// since 1970. A time without a zone is nobody's time and stays what it is.
pub(super) fn read(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => of_text(text),
        Value::Number(number) => of_number(number),
        _ => None,
    }
}

/// Reads RFC 3339 and ISO 8601 with an offset.
pub(super) fn of_text(text: &str) -> Option<Timestamp> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let time: Timestamp = text.trim().parse().ok()?;
    (0..YEAR_10000_S).contains(&time.as_second()).then_some(time)
}

/// Reads `27/Jan/2026:10:20:30 +0800`, as web servers write it.
pub(super) fn of_clf(text: &str) -> Option<Timestamp> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let time = Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok()?;
    (0..YEAR_10000_S).contains(&time.as_second()).then_some(time)
}

/// Reads the time at the beginning of a line of a file on this machine, `2026-01-27 10:20:30.456` or `2026/01/27T10:20:30,456+08:00`,
/// and gives what is behind it. Where it tells no zone, the zone is ours.
pub(super) fn of_local<'a>(text: &'a str, now: &Zoned) -> Option<(Timestamp, &'a str)> {
    let (year, rest) = number(text, 4)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/'))?;
    let (month, rest) = number(rest.strip_prefix(separator)?, 2)?;
    let (day, rest) = number(rest.strip_prefix(separator)?, 2)?;
    let rest = rest.strip_prefix(" - ").or_else(|| rest.strip_prefix([' ', 'T']))?;
    let (time, rest) = clock(rest)?;
    let at = DateTime::from_parts(Date::new(year, month as i8, day as i8).ok()?, time);
    let (zone, behind) = offset(rest);
    let time = match zone {
        Some(seconds) => jiff::tz::Offset::from_seconds(seconds).ok()?.to_timestamp(at).ok()?,
        None => now.time_zone().to_ambiguous_timestamp(at).compatible().ok()?,
    };
    (0..YEAR_10000_S).contains(&time.as_second()).then_some((time, behind))
}

/// `Z`, `+08:00`, `+0800` or ` +0800`, in seconds, and what is behind it.
fn offset(text: &str) -> (Option<i32>, &str) {
    if let Some(rest) = text.strip_prefix('Z') {
        return (Some(0), rest);
    }
    let read = |text| {
        let (sign, rest) = match str::strip_prefix(text, '+') {
            Some(rest) => (1, rest),
            None => (-1, str::strip_prefix(text, '-')?),
        };
        let digits = |text| number(text, 2).filter(|(_, rest): &(i16, &str)| str::len(text) - rest.len() == 2);
        let (hours, rest) = digits(rest)?;
        let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest))?;
        // What is stuck to more digits is another number.
        let is_whole = !rest.starts_with(|c: char| c.is_ascii_digit());
        is_whole.then_some((Some(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)), rest))
    };
    read(text).or_else(|| read(text.strip_prefix(' ')?)).unwrap_or((None, text))
}

/// Milliseconds of a duration as Go writes it: `1m2.5s`, `345.6µs`.
pub(super) fn go_duration_ms(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] =
        [("ms", 1.0), ("µs", 1e-3), ("us", 1e-3), ("ns", 1e-6), ("h", 3.6e6), ("m", 6e4), ("s", 1e3)];
    let (mut rest, mut ms) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..end].parse().ok()?;
        let (unit, unit_ms) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        ms += value * unit_ms;
        rest = &rest[end + unit.len()..];
    }
    (!text.is_empty()).then_some((ms * 1e6).round() / 1e6)
}

fn of_number(number: &serde_json::Number) -> Option<Timestamp> {
    for unit_ns in [1_000_000_000_i64, 1_000_000, 1_000, 1] {
        let units = 1e9 / unit_ns as f64;
        let value = number.as_f64()?;
        if !SECONDS.contains(&(value / units)) {
            continue;
        }
        let ns = match number.as_i64() {
            Some(whole) => i128::from(whole) * i128::from(unit_ns),
            // A double has microseconds of a time of today, no more.
            None => (value * (1e6 / units)).round() as i128 * 1_000,
        };
        return Timestamp::from_nanosecond(ns).ok();
    }
    None
}

/// Reads the time at the beginning of an RFC 3164 message, `Nov  9 15:04:05`, and gives what is behind it. Also with a year
/// before or behind the clock's time and with fractions, as switches and routers write it.
///
/// Neither year nor zone are told as a rule: the zone is ours, and the year is the one that brings the time closest to now.
pub(super) fn of_rfc3164<'a>(text: &'a str, now: &Zoned) -> Option<(Timestamp, &'a str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (word, rest) = text.trim_start_matches(['*', '.']).split_at_checked(3)?;
    let month = (1_i8..).zip(MONTHS).find(|(_, name)| *name == word)?.0;
    let (day, rest) = number(rest.strip_prefix(' ')?.trim_start_matches(' '), 2)?;
    let rest = rest.strip_prefix(' ')?;
    let (year, rest) = match number(rest, 4) {
        Some((year, behind)) if year > 1970 && behind.starts_with(' ') => (Some(year), behind.trim_start()),
        _ => (None, rest),
    };
    let (time, rest) = clock(rest)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let rest = rest.strip_prefix(' ').or_else(|| rest.is_empty().then_some(rest))?;
    let in_year = |year: i16| {
        let at = DateTime::from_parts(Date::new(year, month, day as i8).ok()?, time);
        now.time_zone().to_ambiguous_timestamp(at).compatible().ok()
    };
    let distance = |time: &Timestamp| (time.as_second() - now.timestamp().as_second()).abs();
    let time = match year {
        Some(year) => in_year(year)?,
        None => (now.year() - 1..=now.year() + 1).filter_map(in_year).min_by_key(distance)?,
    };
    Some((time, rest))
}

/// `15:04:05`, with or without fractions.
fn clock(text: &str) -> Option<(Time, &str)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (mut nanosecond, mut behind) = (0, rest);
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        behind = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &fraction[..fraction.len() - behind.len()];
        nanosecond = digits.chars().chain("000000000".chars()).take(9).collect::<String>().parse().ok()?;
    }
    // A leap second is the last moment of its minute.
    Some((Time::new(hour as i8, minute as i8, second.min(59) as i8, nanosecond).ok()?, behind))
}

/// A number of at most so many digits, and what is behind it.
fn number(text: &str, digits_max: usize) -> Option<(i16, &str)> {
    let digits = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn times_with_a_zone_are_read() {
        for (value, expected) in [
            (json!("2026-01-27T10:20:30.456Z"), Some("2026-01-27T10:20:30.456Z")),
            (json!("2026-01-27T10:20:30.456789+08:00"), Some("2026-01-27T02:20:30.456789Z")),
            (json!("2026-01-27T10:20:30.456+0800"), Some("2026-01-27T02:20:30.456Z")),
            (json!("2026-01-27 10:20:30Z"), Some("2026-01-27T10:20:30Z")),
            (json!("2026-01-27 10:20:30"), None),
            (json!("2026-01-27"), None),
            (json!("10:20:30"), None),
            (json!("soon"), None),
            (json!(1_769_509_230), Some("2026-01-27T10:20:30Z")),
            (json!(1_769_509_230.456), Some("2026-01-27T10:20:30.456Z")),
            (json!(1_769_509_230_456_i64), Some("2026-01-27T10:20:30.456Z")),
            (json!(1_769_509_230_456_789_i64), Some("2026-01-27T10:20:30.456789Z")),
            (json!(1_769_509_230_456_789_123_i64), Some("2026-01-27T10:20:30.456789123Z")),
            (json!(0.034), None),
            (json!(34), None),
            (json!(-1_769_509_230), None),
            (json!(true), None),
        ] {
            assert_eq!(read(&value).map(|time| time.to_string()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn times_of_files_on_this_machine() {
        let now: Zoned = "2026-01-27T10:20:31+08:00[Asia/Shanghai]".parse().unwrap();
        for (text, expected) in [
            ("2026-01-27 10:20:30,456 INFO x", Some(("2026-01-27T02:20:30.456Z", " INFO x"))),
            ("2026/01/27 10:20:30 [error] x", Some(("2026-01-27T02:20:30Z", " [error] x"))),
            ("2026/01/27 - 10:20:30 | 200", Some(("2026-01-27T02:20:30Z", " | 200"))),
            ("2026-01-27T10:20:30.5Z x", Some(("2026-01-27T10:20:30.5Z", " x"))),
            ("2026-01-27T10:20:30+01:30]", Some(("2026-01-27T08:50:30Z", "]"))),
            ("2026-01-27 10:20:30 +0000 UTC", Some(("2026-01-27T10:20:30Z", " UTC"))),
            ("2026-01-27 10:20:30 -5 left", Some(("2026-01-27T02:20:30Z", " -5 left"))),
            ("2026-13-27 10:20:30", None),
            ("2026-01-27", None),
            ("10:20:30", None),
        ] {
            let read = of_local(text, &now).map(|(time, rest)| (time.to_string(), rest));
            assert_eq!(read.as_ref().map(|(time, rest)| (time.as_str(), *rest)), expected, "{text}");
        }
        assert_eq!(of_clf("27/Jan/2026:10:20:30 +0800").unwrap().to_string(), "2026-01-27T02:20:30Z");
        assert_eq!(of_clf("27/Jan/2026"), None);
    }

    #[test]
    fn durations_of_go() {
        for (text, ms) in [
            ("1m2.5s", Some(62_500.0)),
            ("1.234567s", Some(1_234.567)),
            ("345.6µs", Some(0.3456)),
            ("12ns", Some(0.000_012)),
            ("1h0m0s", Some(3.6e6)),
            ("250ms", Some(250.0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1x", None),
        ] {
            assert_eq!(go_duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn the_year_is_guessed_around_new_year() {
        for (now, text, expected) in [
            ("2026-01-27T10:00:00+08:00[Asia/Shanghai]", "Jan 27 09:59:58 x", Some("2026-01-27T01:59:58Z")),
            ("2026-01-01T00:00:05+00:00[UTC]", "Dec 31 23:59:58 x", Some("2025-12-31T23:59:58Z")),
            ("2025-12-31T23:59:58+00:00[UTC]", "Jan  1 00:00:05 x", Some("2026-01-01T00:00:05Z")),
            ("2026-03-01T00:00:00+00:00[UTC]", "Feb 29 12:00:00 x", None),
            ("2025-01-15T00:00:00+00:00[UTC]", "Feb 29 12:00:00 x", Some("2024-02-29T12:00:00Z")),
            ("2026-01-27T10:00:00+00:00[UTC]", "Jan 27 2019 09:59:58.25: x", Some("2019-01-27T09:59:58.25Z")),
            ("2026-01-27T10:00:00+00:00[UTC]", "*Jan  7 09:59:60 x", Some("2026-01-07T09:59:59Z")),
            ("2026-01-27T10:00:00+00:00[UTC]", "Jan 32 09:59:58 x", None),
            ("2026-01-27T10:00:00+00:00[UTC]", "Jan 27 09:59 x", None),
            ("2026-01-27T10:00:00+00:00[UTC]", "Jän 27 09:59:58 x", None),
            ("2026-01-27T10:00:00+00:00[UTC]", "Jan 27 09:59:58x", None),
        ] {
            let now: Zoned = now.parse().unwrap();
            let read = of_rfc3164(text, &now);
            assert_eq!(read.map(|(time, _)| time.to_string()).as_deref(), expected, "{text} at {now}");
            assert!(read.is_none_or(|(_, rest)| rest == "x"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_looks_written_is_written(
            text in "[12][09][0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z|.{24}",
        ) {
            if is_written(&text) {
                prop_assert_eq!(of_text(&text).map(written), Some(text));
            }
        }

        #[test]
        fn a_time_of_the_last_months_is_found_again(now_s in 1_000_000_000_i64..3_000_000_000, ago_s in 0_i64..15_000_000) {
            let zone = jiff::tz::TimeZone::UTC;
            let now = Timestamp::from_second(now_s).unwrap().to_zoned(zone.clone());
            let then = Timestamp::from_second(now_s - ago_s).unwrap();
            let text = format!("{} host", then.to_zoned(zone).strftime("%b %e %H:%M:%S"));
            prop_assert_eq!(of_rfc3164(&text, &now), Some((then, "host")));
        }

        #[test]
        fn any_text_and_number_is_read_or_not(text in "\\PC{0,60}", number in any::<f64>()) {
            let now: Zoned = "2026-01-27T10:00:00+00:00[UTC]".parse().unwrap();
            let _ = (read(&json!(text)), read(&json!(number)), of_rfc3164(&text, &now));
        }
    }
}
