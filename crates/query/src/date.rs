//! Dates as Elasticsearch takes them: RFC 3339 and its short forms, epoch milliseconds, date math, zones, intervals.
//!
//! Sources: the reference pages "Date math", "Date histogram aggregation", "Range query" (missing date components) and
//! the behaviour of `JavaDateMathParser`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};
use serde_json::Value;

use crate::ast::{CalendarUnit, Interval};
use crate::error::ParseError;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Longest date expression that is read, in bytes: nothing sensible is longer.
const EXPRESSION_BYTES_MAX: usize = 256;

/// Reads a date into milliseconds since 1970 UTC.
///
/// Numbers are epoch milliseconds. Strings are RFC 3339 with parts left out from the right (`2026-01-27`,
/// `2026-01-27T10:15`), epoch milliseconds (any number of digits but four, which are a year), `now`, each with date
/// math (`now-15m`, `now/d`, `2026-01-27||+1d/d`). `round_up` is for bounds meant to include the whole unit (`lte`, `gt`):
/// missing parts and `/unit` go to the last millisecond instead of the first. `zone` holds for dates without one and for
/// rounding.
pub fn parse_date(value: &Value, round_up: bool, now_ms: i64, zone: Option<&str>) -> Result<i64, ParseError> {
    let zone = zone.map_or(Ok(Zone::utc()), Zone::parse)?;
    zone.parse_date(value, round_up, now_ms)
}

/// Reads a complete RFC 3339 time (date, time and zone) into milliseconds since 1970; the fast way for records.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let parts = Parts::read(text)?;
    parts.offset_s?;
    parts.to_ms(false, &Zone::utc()).ok()
}

/// What a wall clock shows.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) datetime: DateTime,
    pub(crate) offset_s: i32,
    /// The zone's name; absent for a fixed offset.
    pub(crate) zone_name: Option<String>,
}

/// A time zone: an IANA name or a fixed offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Reads `UTC`, `Z`, `+08:00`, `+0800`, `+08` or an IANA name such as `Asia/Shanghai`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if matches!(text, "Z" | "UTC" | "GMT") {
            return Ok(Self::utc());
        }
        if let Some(seconds) = parse_offset_s(text) {
            let offset = Offset::from_seconds(seconds).map_err(|_| unknown_zone(text))?;
            return Ok(Self(TimeZone::fixed(offset)));
        }
        TimeZone::get(text).map(Self).map_err(|_| unknown_zone(text))
    }

    /// [`parse_date`] with a zone that is already read.
    pub fn parse_date(&self, value: &Value, round_up: bool, now_ms: i64) -> Result<i64, ParseError> {
        match value {
            Value::Number(number) => {
                let whole = number.as_i64().or_else(|| number.as_f64().map(|ms| ms.floor() as i64));
                whole.ok_or_else(|| unreadable(&number.to_string()))
            }
            Value::String(text) => self.parse_text(text, round_up, now_ms),
            other => Err(unreadable(&other.to_string())),
        }
    }

    fn parse_text(&self, text: &str, round_up: bool, now_ms: i64) -> Result<i64, ParseError> {
        let text = text.trim();
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ParseError::illegal(format!("failed to parse date: longer than {EXPRESSION_BYTES_MAX} bytes")));
        }
        if let Some(math) = text.strip_prefix("now") {
            return self.math(now_ms, math, round_up, text);
        }
        match text.split_once("||") {
            Some((date, math)) => self.math(self.plain(date, false)?, math, round_up, text),
            None => self.plain(text, round_up),
        }
    }

    fn plain(&self, text: &str, round_up: bool) -> Result<i64, ParseError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_epoch = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() && text.len() != 4;
        if is_epoch {
            return text.parse().map_err(|_| unreadable(text));
        }
        Parts::read(text).ok_or_else(|| unreadable(text))?.to_ms(round_up, self)
    }

    /// Applies `+1d`, `-15m`, `/d`, … one after another.
    pub(crate) fn math(&self, start_ms: i64, math: &str, round_up: bool, whole: &str) -> Result<i64, ParseError> {
        let bad = |why: &str| ParseError::illegal(format!("failed to parse date math [{whole}]: {why}"));
        let mut ms = start_ms;
        let mut rest = math;
        while let Some(operator) = rest.chars().next() {
            if !matches!(operator, '+' | '-' | '/') {
                return Err(bad("expected +, - or /"));
            }
            rest = &rest[1..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let amount: i64 =
                if digits == 0 { 1 } else { rest[..digits].parse().map_err(|_| bad("number too large"))? };
            rest = &rest[digits..];
            let unit = rest.chars().next().ok_or_else(|| bad("a unit is missing"))?;
            if !unit.is_ascii_alphabetic() {
                return Err(bad("a unit is missing"));
            }
            rest = &rest[1..];
            if operator == '/' {
                if amount != 1 {
                    return Err(bad("rounding can only be used on single units"));
                }
                let unit = MathUnit::read(unit).ok_or_else(|| bad("unknown unit, expected one of y M w d h m s"))?;
                ms = self.round(ms, unit, round_up).ok_or_else(|| bad("out of range"))?;
            } else {
                let amount = if operator == '-' { -amount } else { amount };
                let unit = MathUnit::read(unit).ok_or_else(|| bad("unknown unit, expected one of y M w d h m s"))?;
                ms = self.add(ms, amount, unit).ok_or_else(|| bad("out of range"))?;
            }
        }
        Ok(ms)
    }

    fn round(&self, ms: i64, unit: MathUnit, up: bool) -> Option<i64> {
        let interval = match unit {
            MathUnit::Second => Interval::Fixed(1_000),
            MathUnit::Calendar(unit) => Interval::Calendar(unit),
        };
        // Far outside of what a calendar knows there is nothing to round to.
        Timestamp::from_millisecond(ms).ok()?;
        let floor = self.floor(ms, interval, 0);
        Some(if up { self.next(floor, interval, 0) - 1 } else { floor })
    }

    fn add(&self, ms: i64, amount: i64, unit: MathUnit) -> Option<i64> {
        let span = match unit {
            MathUnit::Second => Span::new().try_seconds(amount),
            MathUnit::Calendar(CalendarUnit::Minute) => Span::new().try_minutes(amount),
            MathUnit::Calendar(CalendarUnit::Hour) => Span::new().try_hours(amount),
            MathUnit::Calendar(CalendarUnit::Day) => Span::new().try_days(amount),
            MathUnit::Calendar(CalendarUnit::Week) => Span::new().try_weeks(amount),
            MathUnit::Calendar(CalendarUnit::Month) => Span::new().try_months(amount),
            MathUnit::Calendar(CalendarUnit::Quarter) => Span::new().try_months(amount.checked_mul(3)?),
            MathUnit::Calendar(CalendarUnit::Year) => Span::new().try_years(amount),
        };
        let zoned = Timestamp::from_millisecond(ms).ok()?.to_zoned(self.0.clone());
        Some(zoned.checked_add(span.ok()?).ok()?.timestamp().as_millisecond())
    }

    /// The start of the bucket that `ms` lies in; `offset_ms` shifts all borders.
    pub fn floor(&self, ms: i64, interval: Interval, offset_ms: i64) -> i64 {
        let ms = ms.saturating_sub(offset_ms);
        let floor = match interval {
            Interval::Fixed(width) => self.floor_fixed(ms, clamp_width(width)),
            Interval::Calendar(CalendarUnit::Minute) => self.floor_fixed(ms, MINUTE_MS),
            Interval::Calendar(CalendarUnit::Hour) => self.floor_fixed(ms, HOUR_MS),
            Interval::Calendar(unit) => self.midnight(first_day(self.local(ms).date(), unit)).unwrap_or(ms),
        };
        floor.saturating_add(offset_ms)
    }

    /// The start of the bucket after the one that starts at `start_ms`; always later than `start_ms`.
    pub fn next(&self, start_ms: i64, interval: Interval, offset_ms: i64) -> i64 {
        let start = start_ms.saturating_sub(offset_ms);
        let next = match interval {
            Interval::Fixed(width) => self.next_fixed(start, clamp_width(width)),
            Interval::Calendar(CalendarUnit::Minute) => self.next_fixed(start, MINUTE_MS),
            Interval::Calendar(CalendarUnit::Hour) => self.next_fixed(start, HOUR_MS),
            Interval::Calendar(unit) => {
                let span = match unit {
                    CalendarUnit::Week => 1.week(),
                    CalendarUnit::Month => 1.month(),
                    CalendarUnit::Quarter => 3.months(),
                    CalendarUnit::Year => 1.year(),
                    CalendarUnit::Minute | CalendarUnit::Hour | CalendarUnit::Day => 1.day(),
                };
                let date = first_day(self.local(start).date(), unit).checked_add(span).ok();
                date.and_then(|date| self.midnight(date)).unwrap_or(i64::MAX)
            }
        };
        next.max(start.saturating_add(1)).saturating_add(offset_ms)
    }

    /// `2026-01-27T00:00:00.000Z`, or with the zone's offset; the form of `key_as_string`.
    pub fn format(&self, ms: i64) -> String {
        if Timestamp::from_millisecond(ms).is_err() {
            return far_format(ms);
        }
        let local = self.local(ms);
        let date = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second(),
            local.millisecond(),
        );
        let minutes = self.offset_ms(ms) / MINUTE_MS;
        if minutes == 0 {
            return date + "Z";
        }
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{date}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }

    /// What the zone's wall clock shows at a moment.
    pub(crate) fn local_parts(&self, ms: i64) -> Local {
        let offset_s = self.0.to_offset(timestamp(ms)).seconds();
        let name = self.0.iana_name().filter(|name| *name != "UTC");
        Local { datetime: self.local(ms), offset_s, zone_name: name.map(str::to_owned) }
    }

    /// The moment at which the wall clock (of the offset, where one is given) shows this date and time of day.
    pub(crate) fn moment_of(&self, date: Date, time_ms: i64, offset_s: Option<i32>) -> Option<i64> {
        let days = days_from_civil(i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        let local = days * DAY_MS + time_ms;
        match offset_s {
            Some(seconds) => Some(local - i64::from(seconds) * SECOND_MS),
            None => self.at_local(local),
        }
    }

    /// ISO 8601 with parts left out from the right; nothing else.
    pub(crate) fn iso(&self, text: &str, round_up: bool) -> Option<i64> {
        Parts::read(text)?.to_ms(round_up, self).ok()
    }

    fn floor_fixed(&self, ms: i64, width: i64) -> i64 {
        let offset = self.offset_ms(ms);
        let local = ms.saturating_add(offset);
        let into = local.rem_euclid(width);
        let candidate = ms.saturating_sub(into);
        if self.offset_ms(candidate) == offset {
            return candidate;
        }
        // The clock was changed within this bucket: its start was before the change.
        self.at_local(local.saturating_sub(into)).filter(|start| *start <= ms).unwrap_or(candidate)
    }

    fn next_fixed(&self, start: i64, width: i64) -> i64 {
        let next = self.floor_fixed(start.saturating_add(width), width);
        if next > start {
            return next;
        }
        // A day of 25 hours: go on by the wall clock.
        self.at_local(start.saturating_add(self.offset_ms(start)).saturating_add(width)).unwrap_or(i64::MAX)
    }

    fn offset_ms(&self, ms: i64) -> i64 {
        i64::from(self.0.to_offset(timestamp(ms)).seconds()) * SECOND_MS
    }

    fn local(&self, ms: i64) -> DateTime {
        self.0.to_datetime(timestamp(ms))
    }

    /// The moment at which the zone's wall clock shows this many milliseconds since its 1970.
    fn at_local(&self, local_ms: i64) -> Option<i64> {
        let local = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(local_ms).ok()?);
        Some(self.0.to_timestamp(local).ok()?.as_millisecond())
    }

    fn midnight(&self, date: Date) -> Option<i64> {
        Some(self.0.to_timestamp(date.to_datetime(Time::midnight())).ok()?.as_millisecond())
    }
}

/// Reads a fixed width such as `500ms`, `30s`, `5m`, `1h`, `1d` into milliseconds (at least 1).
pub fn parse_fixed_interval(text: &str) -> Result<u64, ParseError> {
    let bad = || {
        ParseError::illegal(format!(
            "failed to parse interval [{text}]: expected a number and one of ms, s, m, h, d, for example 30s"
        ))
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let amount: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" | "H" => HOUR_MS,
        "d" => DAY_MS,
        _ => return Err(bad()),
    };
    let width = amount.checked_mul(unit_ms as u64).filter(|ms| i64::try_from(*ms).is_ok()).ok_or_else(bad)?;
    if width == 0 { Err(bad()) } else { Ok(width) }
}

/// Reads one unit of the calendar: `1m`, `1h`, `1d`, `1w`, `1M`, `1q`, `1y` or `minute` … `year`.
pub fn parse_calendar_interval(text: &str) -> Result<CalendarUnit, ParseError> {
    Ok(match text {
        "1m" | "minute" => CalendarUnit::Minute,
        "1h" | "hour" => CalendarUnit::Hour,
        "1d" | "day" => CalendarUnit::Day,
        "1w" | "week" => CalendarUnit::Week,
        "1M" | "month" => CalendarUnit::Month,
        "1q" | "quarter" => CalendarUnit::Quarter,
        "1y" | "year" => CalendarUnit::Year,
        _ => {
            return Err(ParseError::illegal(format!(
                "the supplied interval [{text}] could not be parsed as a calendar interval: expected one of 1m, 1h, 1d, 1w, 1M, 1q, 1y"
            )));
        }
    })
}

/// Reads a shift of bucket borders such as `+6h` or `-1d` into milliseconds.
pub fn parse_offset(text: &str) -> Result<i64, ParseError> {
    let (sign, width) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if width.bytes().all(|b| b == b'0') && !width.is_empty() {
        return Ok(0);
    }
    Ok(sign * parse_fixed_interval(width)? as i64)
}

/// Units of date math; hours and `H` are the same.
#[derive(Clone, Copy)]
enum MathUnit {
    Second,
    Calendar(CalendarUnit),
}

impl MathUnit {
    fn read(letter: char) -> Option<Self> {
        Some(match letter {
            's' => Self::Second,
            'm' => Self::Calendar(CalendarUnit::Minute),
            'h' | 'H' => Self::Calendar(CalendarUnit::Hour),
            'd' => Self::Calendar(CalendarUnit::Day),
            'w' => Self::Calendar(CalendarUnit::Week),
            'M' => Self::Calendar(CalendarUnit::Month),
            'y' => Self::Calendar(CalendarUnit::Year),
            _ => return None,
        })
    }
}

/// A date as it was written; parts after the last given one are absent.
struct Parts {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    millisecond: Option<i64>,
    offset_s: Option<i32>,
}

impl Parts {
    /// `yyyy[-MM[-dd[Thh[:mm[:ss[.fff]]][zone]]]]`; fractions finer than milliseconds are cut.
    fn read(text: &str) -> Option<Self> {
        let mut cursor = Cursor { bytes: text.as_bytes() };
        let mut parts = Self {
            year: cursor.digits(4)?,
            month: None,
            day: None,
            hour: None,
            minute: None,
            second: None,
            millisecond: None,
            offset_s: None,
        };
        if cursor.eat(b'-') {
            parts.month = Some(cursor.digits(2)?);
            if cursor.eat(b'-') {
                parts.day = Some(cursor.digits(2)?);
            }
        }
        if cursor.eat(b'T') || cursor.eat(b't') {
            // `2026-01-27T` is allowed by strict_date_optional_time.
            if !cursor.bytes.is_empty() {
                parts.day?;
                parts.hour = Some(cursor.digits(2)?);
                if cursor.eat(b':') {
                    parts.minute = Some(cursor.digits(2)?);
                    if cursor.eat(b':') {
                        parts.second = Some(cursor.digits(2)?);
                        if cursor.eat(b'.') || cursor.eat(b',') {
                            parts.millisecond = Some(cursor.fraction_ms()?);
                        }
                    }
                }
                if !cursor.bytes.is_empty() {
                    parts.offset_s = Some(cursor.zone()?);
                }
            }
        }
        let in_range = (1..=12).contains(&parts.month.unwrap_or(1))
            && (1..=days_in_month(parts.year, parts.month.unwrap_or(1))).contains(&parts.day.unwrap_or(1))
            && parts.hour.unwrap_or(0) <= 23
            && parts.minute.unwrap_or(0) <= 59
            && parts.second.unwrap_or(0) <= 59;
        (cursor.bytes.is_empty() && in_range).then_some(parts)
    }

    /// Missing month and day are 1 either way; missing time is the first or, rounded up, the last of the day
    /// (Elasticsearch, "Missing date components").
    fn to_ms(&self, round_up: bool, zone: &Zone) -> Result<i64, ParseError> {
        let last = |value: i64| if round_up { value } else { 0 };
        let days = days_from_civil(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1));
        let local = days * DAY_MS
            + self.hour.unwrap_or(last(23)) * HOUR_MS
            + self.minute.unwrap_or(last(59)) * MINUTE_MS
            + self.second.unwrap_or(last(59)) * SECOND_MS
            + self.millisecond.unwrap_or(last(999));
        match self.offset_s {
            Some(seconds) => Ok(local - i64::from(seconds) * SECOND_MS),
            None if zone.0 == TimeZone::UTC => Ok(local),
            None => zone.at_local(local).ok_or_else(|| ParseError::illegal("date out of range")),
        }
    }
}

/// What is left of a text that is being read.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.bytes.first() == Some(&byte);
        if is_next {
            self.bytes = &self.bytes[1..];
        }
        is_next
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.bytes.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + i64::from((*digit as char).to_digit(10)?);
        }
        self.bytes = rest;
        Some(value)
    }

    /// One to nine digits, of which three count.
    fn fraction_ms(&mut self) -> Option<i64> {
        let count = self.bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 || count > 9 {
            return None;
        }
        let value = self.digits(count)?;
        Some(if count <= 3 { value * 10_i64.pow(3 - count as u32) } else { value / 10_i64.pow(count as u32 - 3) })
    }

    fn zone(&mut self) -> Option<i32> {
        let text = std::str::from_utf8(self.bytes).ok()?;
        self.bytes = &[];
        if matches!(text, "Z" | "z") { Some(0) } else { parse_offset_s(text) }
    }
}

/// `+08:00`, `+0800`, `+08` in seconds.
pub(crate) fn parse_offset_s(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let mut cursor = Cursor { bytes: rest.as_bytes() };
    let hours = cursor.digits(2)?;
    let minutes = if cursor.bytes.is_empty() {
        0
    } else {
        cursor.eat(b':');
        cursor.digits(2)?
    };
    let is_valid = cursor.bytes.is_empty() && hours <= 18 && minutes <= 59;
    is_valid.then_some(sign * (hours * 3600 + minutes * 60) as i32)
}

fn first_day(date: Date, unit: CalendarUnit) -> Date {
    match unit {
        CalendarUnit::Minute | CalendarUnit::Hour | CalendarUnit::Day => date,
        CalendarUnit::Week => {
            let days = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(days.days()).unwrap_or(date)
        }
        CalendarUnit::Month => date.first_of_month(),
        CalendarUnit::Quarter => {
            let month = (date.month() - 1) / 3 * 3 + 1;
            Date::new(date.year(), month, 1).unwrap_or(date)
        }
        CalendarUnit::Year => date.first_of_year(),
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A moment beyond the calendar's years in UTC, as Java writes it; such ones only come of sums.
fn far_format(ms: i64) -> String {
    let (days, time) = (ms.div_euclid(DAY_MS) + 719_468, ms.rem_euclid(DAY_MS));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let sign = if year < 0 { "-" } else { "+" };
    let (hour, minute, second) = (time / HOUR_MS, time / MINUTE_MS % 60, time / SECOND_MS % 60);
    format!("{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", year.abs(), time % SECOND_MS)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The moment, held within what the calendar knows (the years -9999 to 9999).
fn timestamp(ms: i64) -> Timestamp {
    let edge = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms).unwrap_or(edge)
}

fn clamp_width(width: u64) -> i64 {
    i64::try_from(width).unwrap_or(i64::MAX).max(1)
}

fn unreadable(text: &str) -> ParseError {
    let shown: String = text.chars().take(64).collect();
    ParseError::illegal(format!(
        "failed to parse date field [{shown}] with format [strict_date_optional_time||epoch_millis]"
    ))
}

fn unknown_zone(text: &str) -> ParseError {
    let shown: String = text.chars().take(64).collect();
    ParseError::illegal(format!(
        "unknown time zone [{shown}], expected UTC, an offset such as +08:00 or a name such as Asia/Shanghai"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// 2026-01-27T10:20:30.456Z, a Tuesday.
    const NOW: i64 = 1_769_509_230_456;

    fn shown(text: &str, round_up: bool, zone: Option<&str>) -> String {
        match parse_date(&json!(text), round_up, NOW, zone) {
            Ok(ms) => Zone::utc().format(ms),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn dates_and_math() {
        let shanghai = Some("Asia/Shanghai");
        for (text, round_up, zone, expected) in [
            ("now", false, None, "2026-01-27T10:20:30.456Z"),
            ("now-15m", false, None, "2026-01-27T10:05:30.456Z"),
            ("now-1d/d", false, None, "2026-01-26T00:00:00.000Z"),
            ("now/d", true, None, "2026-01-27T23:59:59.999Z"),
            ("now/d", false, shanghai, "2026-01-26T16:00:00.000Z"),
            ("now/w", false, None, "2026-01-26T00:00:00.000Z"),
            ("now/M", true, None, "2026-01-31T23:59:59.999Z"),
            ("now/y", false, None, "2026-01-01T00:00:00.000Z"),
            ("now/h", true, None, "2026-01-27T10:59:59.999Z"),
            ("now/s", false, None, "2026-01-27T10:20:30.000Z"),
            ("now+1M-1d", false, None, "2026-02-26T10:20:30.456Z"),
            ("2026-01-27", false, None, "2026-01-27T00:00:00.000Z"),
            ("2026-01-27", true, None, "2026-01-27T23:59:59.999Z"),
            ("2026-01", true, None, "2026-01-01T23:59:59.999Z"),
            ("2026", false, None, "2026-01-01T00:00:00.000Z"),
            ("2026-01-27T10", true, None, "2026-01-27T10:59:59.999Z"),
            ("2026-01-27T10:20:30.1", false, None, "2026-01-27T10:20:30.100Z"),
            ("2026-01-27T10:20:30.123456789+08:00", false, None, "2026-01-27T02:20:30.123Z"),
            ("2026-01-27T00:00:00", false, shanghai, "2026-01-26T16:00:00.000Z"),
            ("2026-01-27||+1d", false, None, "2026-01-28T00:00:00.000Z"),
            ("2026-01-27||+1d/M", true, None, "2026-01-31T23:59:59.999Z"),
            ("1769509230456", false, None, "2026-01-27T10:20:30.456Z"),
            ("2024-02-29", false, None, "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(shown(text, round_up, zone), expected, "{text} {round_up} {zone:?}");
        }
    }

    #[test]
    fn wrong_dates_are_errors() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2025-02-29",
            "2026-01-27T25:00",
            "now/2d",
            "now+",
            "now+5",
            "now-5x",
            "now*2",
            "2026-1-1",
            "now+99999999999999999999d",
            "now+9999999d",
            "2026-01-27T10:00:00+99:00",
            "2026-01-27||/d|",
            "nowé",
        ] {
            assert!(shown(text, false, None).starts_with("error: failed to parse"), "{text}");
        }
        assert!(parse_date(&json!(true), false, NOW, None).is_err());
        assert!(parse_date(&json!("now"), false, NOW, Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn numbers_are_milliseconds() {
        assert_eq!(parse_date(&json!(2026), false, NOW, None), Ok(2026));
        assert_eq!(parse_date(&json!(1.9), false, NOW, None), Ok(1));
    }

    #[test]
    fn far_moments_are_written_as_java_does() {
        let utc = Zone::utc();
        assert_eq!(utc.format(35_495_628_381_614_900), "+1126781-09-08T04:40:14.900Z");
        assert_eq!(utc.format(-500_000_000_000_000), "-13875-08-18T23:06:40.000Z");
        assert_eq!(days_from_civil(-13_875, 8, 18) * DAY_MS + 23 * HOUR_MS + 400 * SECOND_MS, -500_000_000_000_000);
        assert_eq!(utc.format(253_402_300_800_000), "+10000-01-01T00:00:00.000Z");
        let _ = (utc.format(i64::MAX), utc.format(i64::MIN));
    }

    #[test]
    fn buckets_follow_the_zone() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let day = Interval::Calendar(CalendarUnit::Day);
        let start = zone.floor(NOW, day, 0);
        assert_eq!(zone.format(start), "2026-01-27T00:00:00.000+08:00");
        assert_eq!(zone.format(zone.next(start, day, 0)), "2026-01-28T00:00:00.000+08:00");
        let quarter = Interval::Calendar(CalendarUnit::Quarter);
        assert_eq!(zone.format(zone.next(zone.floor(NOW, quarter, 0), quarter, 0)), "2026-04-01T00:00:00.000+08:00");
        let shifted = Zone::utc().floor(NOW, Interval::Fixed(DAY_MS as u64), 6 * HOUR_MS);
        assert_eq!(Zone::utc().format(shifted), "2026-01-27T06:00:00.000Z");
    }

    #[test]
    fn buckets_meet_across_clock_changes() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        // The weekends of both changes of 2026.
        for start in ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z"] {
            let start = parse_rfc3339(start).unwrap();
            for interval in [
                Interval::Fixed(HOUR_MS as u64),
                Interval::Fixed(3 * HOUR_MS as u64),
                Interval::Fixed(DAY_MS as u64),
                Interval::Calendar(CalendarUnit::Hour),
                Interval::Calendar(CalendarUnit::Day),
                Interval::Calendar(CalendarUnit::Week),
            ] {
                let mut bucket = zone.floor(start, interval, 0);
                let mut ms = start;
                while ms < start + 3 * DAY_MS {
                    let floor = zone.floor(ms, interval, 0);
                    if floor != bucket {
                        assert_eq!(floor, zone.next(bucket, interval, 0), "{interval:?} at {}", zone.format(ms));
                        bucket = floor;
                    }
                    assert!(floor <= ms && zone.next(floor, interval, 0) > ms, "{interval:?} at {}", zone.format(ms));
                    ms += 10 * MINUTE_MS;
                }
            }
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(parse_fixed_interval("5m"), Ok(300_000));
        assert_eq!(parse_fixed_interval("500ms"), Ok(500));
        for text in ["", "0s", "5", "m", "1M", "1w", "-5m", "99999999999999999999d", "5é"] {
            assert!(parse_fixed_interval(text).is_err(), "{text}");
        }
        assert_eq!(parse_calendar_interval("1M"), Ok(CalendarUnit::Month));
        assert!(parse_calendar_interval("2d").is_err());
        assert_eq!(parse_offset("+6h"), Ok(6 * HOUR_MS));
        assert_eq!(parse_offset("-1d"), Ok(-DAY_MS));
        assert_eq!(parse_offset("0"), Ok(0));
    }

    #[test]
    fn rfc3339_needs_a_zone() {
        assert_eq!(parse_rfc3339("2026-01-27T10:20:30.456Z"), Some(NOW));
        assert_eq!(parse_rfc3339("2026-01-27T18:20:30.456+08:00"), Some(NOW));
        assert_eq!(parse_rfc3339("2026-01-27T10:20:30.456"), None);
        assert_eq!(parse_rfc3339("2026-01-27"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(
            text in prop_oneof![".{0,20}", "(now|2026-01-27(T10)?|-?[0-9]{1,20})(\\|\\|)?([-+/][0-9]{0,20}[yMwdhHms]){0,3}"],
            round_up in any::<bool>(),
            zone in proptest::sample::select(vec![None, Some("Europe/Berlin"), Some("+08:00")]),
        ) {
            let _ = parse_date(&json!(text), round_up, NOW, zone);
            let _ = (parse_fixed_interval(&text), parse_offset(&text), Zone::parse(&text), parse_rfc3339(&text));
        }

        #[test]
        fn any_moment_lies_in_its_bucket(
            ms in prop_oneof![any::<i64>(), -4_000_000_000_000..8_000_000_000_000_i64],
            width in prop_oneof![any::<u64>(), 1..100_000_000_u64],
            offset_ms in -100_000_000..100_000_000_i64,
            zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "+05:45"]),
        ) {
            let zone = Zone::parse(zone).unwrap();
            let is_sane = (-4_000_000_000_000..8_000_000_000_000).contains(&ms) && width < 100_000_000;
            for interval in [Interval::Fixed(width), Interval::Calendar(CalendarUnit::Hour), Interval::Calendar(CalendarUnit::Month)] {
                let floor = zone.floor(ms, interval, offset_ms);
                let next = zone.next(floor, interval, offset_ms);
                let _ = zone.format(ms);
                if is_sane {
                    prop_assert!(floor <= ms && ms < next, "{} <= {} < {}", floor, ms, next);
                }
            }
        }
    }
}
