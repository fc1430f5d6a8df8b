//! Durations as text.

use std::time::Duration;

use crate::error::{UnitError, split};

/// Units in milliseconds, largest first.
const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `250ms`, `30s`, `5m`, `24h` or `7d`: one whole number and one unit. A number alone is refused, since programs differ
/// on whether it means seconds or milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Err(UnitError::NoUnit);
    }
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| UnitError::unknown_unit(unit))?;
    let ms = number.checked_mul(*unit_ms).ok_or(UnitError::TooLarge)?;
    let secs = u64::try_from(ms / 1000).map_err(|_| UnitError::TooLarge)?;
    Ok(Duration::new(secs, (ms % 1000) as u32 * 1_000_000))
}

/// Writes a duration with the largest unit that keeps it exact. What is finer than a millisecond is cut off, since it cannot be
/// written in a configuration either.
pub fn format_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    // A millisecond divides every whole number of them, so there always is such a unit.
    let (unit, unit_ms) = UNITS.into_iter().find(|(_, unit_ms)| ms.is_multiple_of(*unit_ms)).unwrap_or(("ms", 1));
    format!("{}{unit}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        let cases = [
            ("250ms", Duration::from_millis(250), "250ms"),
            ("1500ms", Duration::from_millis(1500), "1500ms"),
            ("30s", Duration::from_secs(30), "30s"),
            ("60s", Duration::from_mins(1), "1m"),
            ("5m", Duration::from_mins(5), "5m"),
            ("24h", Duration::from_hours(24), "1d"),
            ("7d", Duration::from_hours(7 * 24), "7d"),
            ("0s", Duration::ZERO, "0s"),
            ("18446744073709551615s", Duration::from_secs(u64::MAX), "18446744073709551615s"),
        ];
        for (text, duration, written) in cases {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(format_duration(duration), written, "{text}");
        }
    }

    #[test]
    fn finer_than_a_millisecond_is_cut_off() {
        assert_eq!(format_duration(Duration::from_micros(1999)), "1ms");
        assert_eq!(format_duration(Duration::from_nanos(1)), "0s");
    }

    #[test]
    fn refuses() {
        let cases = [
            ("", UnitError::NoNumber),
            ("s", UnitError::NoNumber),
            ("-5s", UnitError::NoNumber),
            ("30", UnitError::NoUnit),
            ("30 s", UnitError::UnknownUnit(" s".into())),
            ("30sec", UnitError::UnknownUnit("sec".into())),
            ("5M", UnitError::UnknownUnit("M".into())),
            ("1h30m", UnitError::UnknownUnit("h30m".into())),
            ("18446744073709551616s", UnitError::TooLarge),
            ("340282366920938463463374607431768211455d", UnitError::TooLarge),
            ("999999999999999999999999999999999999999999s", UnitError::TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(secs: u64, small in 0..1_000_000_u64, ms in 0..1000_u32) {
            for secs in [secs, small] {
                let duration = Duration::new(secs, ms * 1_000_000);
                prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse_duration(&text);
        }
    }
}
