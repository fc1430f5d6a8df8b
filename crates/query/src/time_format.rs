//! How a date is written and read: Java's patterns (`yyyy-MM-dd HH:mm`) and Elasticsearch's names for them.
//!
//! Sources: the reference page "format" (built-in formats) and Java's `DateTimeFormatter`; what they write for months, days
//! and offsets is compared with the real ones in the differential test.

mod pattern;

use jiff::civil::Date;
use serde_json::Value;

use crate::date::{Local, Zone};
use crate::error::{ParseError, hint};
use pattern::Item;

/// Longest pattern, in bytes: nothing sensible is longer.
const BYTES_MAX: usize = 256;

/// A pattern or name; several with `||` between them, of which the first writes and the first that fits reads.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeFormat {
    text: String,
    forms: Vec<Form>,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    EpochMillis,
    EpochSecond,
    /// ISO 8601 with parts left out from the right; written whole.
    Iso,
    Pattern(Vec<Item>),
}

/// Names of patterns; each is also known with `strict_` before it.
const NAMES: [(&str, &str); 25] = [
    ("basic_date", "yyyyMMdd"),
    ("basic_date_time", "yyyyMMdd'T'HHmmss.SSSXXX"),
    ("basic_date_time_no_millis", "yyyyMMdd'T'HHmmssXXX"),
    ("basic_time", "HHmmss.SSSXXX"),
    ("basic_time_no_millis", "HHmmssXXX"),
    ("date", "yyyy-MM-dd"),
    ("date_hour", "yyyy-MM-dd'T'HH"),
    ("date_hour_minute", "yyyy-MM-dd'T'HH:mm"),
    ("date_hour_minute_second", "yyyy-MM-dd'T'HH:mm:ss"),
    ("date_hour_minute_second_fraction", "yyyy-MM-dd'T'HH:mm:ss.SSS"),
    ("date_hour_minute_second_millis", "yyyy-MM-dd'T'HH:mm:ss.SSS"),
    ("date_time", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    ("hour", "HH"),
    ("hour_minute", "HH:mm"),
    ("hour_minute_second", "HH:mm:ss"),
    ("hour_minute_second_fraction", "HH:mm:ss.SSS"),
    ("hour_minute_second_millis", "HH:mm:ss.SSS"),
    ("ordinal_date", "yyyy-DDD"),
    ("time", "HH:mm:ss.SSSXXX"),
    ("week_date", "YYYY-'W'ww-e"),
    ("weekyear", "YYYY"),
    ("weekyear_week", "YYYY-'W'ww"),
    ("year", "yyyy"),
    ("year_month", "yyyy-MM"),
    ("year_month_day", "yyyy-MM-dd"),
];

impl TimeFormat {
    /// Reads names and patterns; one that cannot be written here is refused with the letter that is in the way.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(ParseError::illegal(format!("Invalid format: [{text}]: expected 1 to {BYTES_MAX} bytes")));
        }
        // Java's own 8 before the pattern, of Elasticsearch 7.
        let patterns = text.strip_prefix('8').unwrap_or(text);
        Ok(Self { text: text.to_owned(), forms: patterns.split("||").map(form).collect::<Result<_, _>>()? })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes a moment as the wall clocks of a zone show it.
    pub fn write(&self, ms: i64, zone: &Zone) -> String {
        match self.forms.first() {
            Some(Form::EpochMillis) => ms.to_string(),
            Some(Form::EpochSecond) => match ms.rem_euclid(1_000) {
                0 => ms.div_euclid(1_000).to_string(),
                rest => format!("{}.{rest:03}", ms.div_euclid(1_000)).trim_end_matches('0').to_owned(),
            },
            Some(Form::Iso) | None => zone.format(ms),
            Some(Form::Pattern(items)) => pattern::write(items, &zone.local_parts(ms)),
        }
    }

    /// Reads a date, with date math behind it (`2026-03-28||+1d/d`), or `now`. `round_up`: parts that are not there are
    /// their last instead of their first.
    pub fn read(&self, value: &Value, round_up: bool, now_ms: i64, zone: &Zone) -> Result<i64, ParseError> {
        let shown = value.to_string();
        let text = value.as_str().unwrap_or(&shown).trim();
        if let Some(math) = text.strip_prefix("now") {
            return zone.math(now_ms, math, round_up, text);
        }
        match text.split_once("||") {
            Some((date, math)) => zone.math(self.plain(date, false, zone)?, math, round_up, text),
            None => self.plain(text, round_up, zone),
        }
    }

    fn plain(&self, text: &str, round_up: bool, zone: &Zone) -> Result<i64, ParseError> {
        let read = |form: &Form| match form {
            Form::EpochMillis => text.parse::<f64>().ok().map(|ms| ms.floor() as i64),
            Form::EpochSecond => text.parse::<f64>().ok().map(|seconds| (seconds * 1_000.0).floor() as i64),
            Form::Iso => zone.iso(text, round_up),
            Form::Pattern(items) => pattern::read(items, text)?.to_ms(round_up, zone),
        };
        self.forms.iter().find_map(read).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ParseError::illegal(format!("failed to parse date field [{shown}] with format [{}]", self.text))
        })
    }
}

fn form(text: &str) -> Result<Form, ParseError> {
    let name = text.strip_prefix("strict_").unwrap_or(text);
    match name {
        "epoch_millis" => return Ok(Form::EpochMillis),
        "epoch_second" => return Ok(Form::EpochSecond),
        "date_optional_time" | "date_optional_time_nanos" | "iso8601" => return Ok(Form::Iso),
        _ => {}
    }
    let named = NAMES.iter().find(|(known, _)| *known == name);
    let pattern = named.map_or(text, |(_, pattern)| pattern);
    // A word is a mistyped name rather than a pattern.
    if named.is_none() && text.contains('_') {
        let near = hint(name, NAMES.iter().map(|(name, _)| *name).chain(["epoch_millis", "epoch_second"]));
        return Err(ParseError::illegal(format!("Invalid format: [{text}]: the name is not known{near}")));
    }
    pattern::parse(pattern)
        .map(Form::Pattern)
        .map_err(|why| ParseError::illegal(format!("Invalid format: [{text}]: {why}")))
}

/// What was read of a date; parts that were not there are absent.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    /// Of twelve, with the half of the day.
    half_hour: Option<i64>,
    is_afternoon: bool,
    minute: Option<i64>,
    second: Option<i64>,
    millisecond: Option<i64>,
    offset_s: Option<i32>,
}

impl Read {
    fn to_ms(self, round_up: bool, zone: &Zone) -> Option<i64> {
        let last = |value: i64| if round_up { value } else { 0 };
        let year = i16::try_from(self.year.unwrap_or(1970)).ok()?;
        let date = if let Some(day) = self.day_of_year {
            Date::new(year, 1, 1).ok()?.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
        } else {
            let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
            Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?
        };
        let hour = match (self.hour, self.half_hour) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour % 12 + if self.is_afternoon { 12 } else { 0 },
            (None, None) => last(23),
        };
        let (minute, second) = (self.minute.unwrap_or(last(59)), self.second.unwrap_or(last(59)));
        let time_ms = ((hour * 60 + minute) * 60 + second) * 1_000 + self.millisecond.unwrap_or(last(999));
        let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        is_time.then(|| zone.moment_of(date, time_ms, self.offset_s)).flatten()
    }
}

/// Names are English, as those of Java's root locale.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What the wall clocks show, as patterns need it.
type Shown = Local;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// 2026-03-28T21:00:05.070Z, a Saturday.
    const MOMENT: i64 = 1_774_731_605_070;

    #[test]
    fn dates_are_written_as_java_does() {
        let shanghai = Zone::parse("Asia/Shanghai").unwrap();
        let (berlin, utc) = (Zone::parse("Europe/Berlin").unwrap(), Zone::utc());
        for (format, zone, expected) in [
            ("yyyy-MM-dd", &utc, "2026-03-28"),
            ("yyyy-MM-dd", &shanghai, "2026-03-29"),
            ("yyyy-MM-dd HH:mm", &utc, "2026-03-28 21:00"),
            ("dd.MM.y H:m:s", &utc, "28.03.2026 21:0:5"),
            ("EEE dd MMM yyyy hh:mm a", &utc, "Sat 28 Mar 2026 09:00 PM"),
            ("EEEE, d MMMM yy", &utc, "Saturday, 28 March 26"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", &utc, "2026-03-28T21:00:05Z"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", &shanghai, "2026-03-29T05:00:05+08:00"),
            ("ss.SSSSSSxx X x Z", &shanghai, "05.070000+0800 +08 +08 +0800"),
            ("ZZZZ ZZZZZ OOOO O XX XXXXX", &shanghai, "GMT+08:00 +08:00 GMT+08:00 GMT+8 +0800 +08:00"),
            ("S SS", &utc, "0 07"),
            ("D DDD Q q", &utc, "87 087 1 1"),
            ("YYYY-'W'ww-e", &utc, "2026-W13-6"),
            ("VV", &berlin, "Europe/Berlin"),
            ("h 'o''clock'", &utc, "9 o'clock"),
            ("epoch_millis", &berlin, "1774731605070"),
            ("epoch_second", &berlin, "1774731605.07"),
            ("strict_date_optional_time", &berlin, "2026-03-28T22:00:05.070+01:00"),
            ("basic_date", &utc, "20260328"),
            ("week_date", &utc, "2026-W13-6"),
            ("yyyy||epoch_millis", &utc, "2026"),
        ] {
            assert_eq!(TimeFormat::parse(format).unwrap().write(MOMENT, zone), expected, "{format}");
        }
    }

    #[test]
    fn dates_are_read_by_their_pattern() {
        let utc = Zone::utc();
        let shown = |format: &str, text: Value, up: bool| {
            let read = TimeFormat::parse(format).unwrap().read(&text, up, MOMENT, &utc);
            read.map_or_else(|error| error.to_string(), |ms| utc.format(ms))
        };
        for (format, text, up, expected) in [
            ("yyyy-MM-dd", json!("2026-03-28"), false, "2026-03-28T00:00:00.000Z"),
            ("yyyy-MM-dd", json!("2026-03-28"), true, "2026-03-28T23:59:59.999Z"),
            ("dd/MM/yyyy HH:mm", json!("28/03/2026 21:05"), false, "2026-03-28T21:05:00.000Z"),
            ("yyyyMMdd", json!("20260328"), false, "2026-03-28T00:00:00.000Z"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", json!("2026-03-28T21:00:05+08:00"), false, "2026-03-28T13:00:05.000Z"),
            ("d MMM yyyy h a", json!("8 Mar 2026 12 AM"), false, "2026-03-08T00:00:00.000Z"),
            ("yyyy-DDD", json!("2026-087"), false, "2026-03-28T00:00:00.000Z"),
            ("yyyy-MM-dd||epoch_millis", json!("1774731605070"), false, "2026-03-28T21:00:05.070Z"),
            ("epoch_second", json!(1_774_731_605), false, "2026-03-28T21:00:05.000Z"),
            ("yyyy-MM-dd", json!("now/d"), false, "2026-03-28T00:00:00.000Z"),
            ("yyyy-MM-dd", json!("2026-03-28||+1d"), false, "2026-03-29T00:00:00.000Z"),
            (
                "strict_date_optional_time||epoch_millis",
                json!(1_774_731_605_070_i64),
                false,
                "2026-03-28T21:00:05.070Z",
            ),
            ("yyyy-MM-dd", json!(17_747), false, "failed to parse date field [17747] with format [yyyy-MM-dd]"),
            ("yyyy-MM-dd", json!("28.3."), false, "failed to parse date field [28.3.] with format [yyyy-MM-dd]"),
            (
                "yyyy-MM-dd",
                json!("2026-02-30"),
                false,
                "failed to parse date field [2026-02-30] with format [yyyy-MM-dd]",
            ),
        ] {
            assert_eq!(shown(format, text.clone(), up), expected, "{format} {text}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        for (format, part) in [
            ("yyyy-MM-dd G", "[G]"),
            ("yyyyy", "[yyyyy]"),
            ("nothing", "[n]"),
            ("date_tme", "did you mean [date_time]?"),
            ("yyyy 'open", "quote"),
            ("", "bytes"),
        ] {
            let error = TimeFormat::parse(format).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0..4_000_000_000_000_i64, zone in proptest::sample::select(vec!["UTC", "+05:45", "Asia/Shanghai"])) {
            let zone = Zone::parse(zone).unwrap();
            for format in ["yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "d.M.yyyy hh:mm:ss.SSS a Z", "yyyyDDDHHmmssSSSxx", "epoch_millis", "basic_date_time", "EEE, d MMMM yyyy HH:mm:ss.SSS"] {
                let format = TimeFormat::parse(format).unwrap();
                let text = format.write(ms, &zone);
                prop_assert_eq!(format.read(&json!(text), false, 0, &zone), Ok(ms), "{}", text);
            }
        }

        #[test]
        fn anything_is_read_without_panic(format in "[yMdHhamsSXxZEDYwe'.: |-]{0,12}", text in ".{0,12}", ms in any::<i64>()) {
            if let Ok(format) = TimeFormat::parse(&format) {
                let _ = format.read(&json!(text), true, ms, &Zone::utc());
                let _ = format.write(ms, &Zone::utc());
            }
        }
    }
}
