//! Java's date patterns, letter by letter.

use std::fmt::Write as _;

use super::{DAYS, MONTHS, Read, Shown};

/// A run of one letter, or what stands between.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Literal(String),
    Field(Field, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Year,
    WeekYear,
    Month,
    Day,
    DayOfYear,
    Quarter,
    Week,
    Weekday,
    WeekdayNumber,
    HalfDay,
    Hour,
    HalfHour,
    Minute,
    Second,
    Fraction,
    /// An offset with `Z` for none.
    OffsetOrZ,
    /// An offset in numbers.
    Offset,
    /// An offset as RFC 822 writes it, or `GMT+08:00`.
    OffsetZ,
    Gmt,
    ZoneName,
}

/// Letters, and how often each may stand.
fn field(letter: char, count: usize) -> Option<Field> {
    let (field, most) = match letter {
        'y' | 'u' => (Field::Year, 4),
        'Y' => (Field::WeekYear, 4),
        'M' | 'L' => (Field::Month, 4),
        'd' => (Field::Day, 2),
        'D' => (Field::DayOfYear, 3),
        'Q' | 'q' => (Field::Quarter, 2),
        'w' => (Field::Week, 2),
        'E' => (Field::Weekday, 4),
        'e' => (Field::WeekdayNumber, 1),
        'a' => (Field::HalfDay, 1),
        'H' => (Field::Hour, 2),
        'h' => (Field::HalfHour, 2),
        'm' => (Field::Minute, 2),
        's' => (Field::Second, 2),
        'S' => (Field::Fraction, 9),
        'X' => (Field::OffsetOrZ, 5),
        'x' => (Field::Offset, 5),
        'Z' => (Field::OffsetZ, 5),
        'O' => (Field::Gmt, 4),
        'V' => (Field::ZoneName, 2),
        _ => return None,
    };
    // A name of the zone has two letters, GMT one or four.
    let is_known = match field {
        Field::ZoneName => count == 2,
        Field::Gmt => count == 1 || count == 4,
        Field::Year | Field::WeekYear => count != 3,
        _ => true,
    };
    (count <= most && is_known).then_some(field)
}

pub(super) fn parse(pattern: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\'' {
            items.push(Item::Literal(quoted(&mut chars)?));
        } else if char.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&char).is_some() {
                count += 1;
            }
            let run = || char.to_string().repeat(count);
            items.push(Item::Field(field(char, count).ok_or_else(|| format!("[{}] is not supported", run()))?, count));
        } else if matches!(char, '[' | ']' | '{' | '}' | '#') {
            return Err(format!("[{char}] is not supported"));
        } else {
            items.push(Item::Literal(char.to_string()));
        }
    }
    Ok(items)
}

/// `''` is a quote, everything else up to the next one stands for itself.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match chars.next().ok_or("a quote is not closed")? {
            '\'' if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' if text.is_empty() => return Ok("'".to_owned()),
            '\'' => return Ok(text),
            char => text.push(char),
        }
    }
}

pub(super) fn write(items: &[Item], shown: &Shown) -> String {
    items.iter().map(|item| item.write(shown)).collect()
}

impl Item {
    fn write(&self, shown: &Shown) -> String {
        let (field, count) = match self {
            Item::Literal(text) => return text.clone(),
            Item::Field(field, count) => (*field, *count),
        };
        let (date, time) = (shown.datetime.date(), shown.datetime.time());
        let week = date.iso_week_date();
        let number = |value: i64| format!("{value:0count$}");
        let year = |value: i16| match count {
            2 => format!("{:02}", value.rem_euclid(100)),
            _ => number(i64::from(value)),
        };
        match field {
            Field::Year => year(date.year()),
            Field::WeekYear => year(week.year()),
            Field::Month => match count {
                1 | 2 => number(i64::from(date.month())),
                _ => name(&MONTHS, i64::from(date.month()) - 1, count),
            },
            Field::Day => number(i64::from(date.day())),
            Field::DayOfYear => number(i64::from(date.day_of_year())),
            Field::Quarter => number(i64::from((date.month() - 1) / 3 + 1)),
            Field::Week => number(i64::from(week.week())),
            Field::Weekday => name(&DAYS, i64::from(date.weekday().to_monday_zero_offset()), count),
            Field::WeekdayNumber => date.weekday().to_monday_one_offset().to_string(),
            Field::HalfDay => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            Field::Hour => number(i64::from(time.hour())),
            Field::HalfHour => number(i64::from((time.hour() + 11) % 12 + 1)),
            Field::Minute => number(i64::from(time.minute())),
            Field::Second => number(i64::from(time.second())),
            Field::Fraction => format!("{:09}", time.subsec_nanosecond())[..count].to_owned(),
            Field::OffsetOrZ if shown.offset_s == 0 => "Z".to_owned(),
            Field::OffsetOrZ | Field::Offset => offset(shown.offset_s, count),
            Field::OffsetZ => match count {
                4 => gmt(shown.offset_s, 4),
                5 if shown.offset_s == 0 => "Z".to_owned(),
                5 => offset(shown.offset_s, 3),
                _ => offset(shown.offset_s, 2),
            },
            Field::Gmt => gmt(shown.offset_s, count),
            Field::ZoneName => shown.zone_name.clone().unwrap_or_else(|| match shown.offset_s {
                0 => "Z".to_owned(),
                seconds => offset(seconds, 3),
            }),
        }
    }
}

fn name(names: &[&str], place: i64, count: usize) -> String {
    let name = names[place as usize];
    if count == 4 { name.to_owned() } else { name[..3].to_owned() }
}

/// One letter: hours, with minutes if there are any; an even number of letters: without a colon.
fn offset(seconds: i32, count: usize) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    let colon = if count % 2 == 1 && count > 1 { ":" } else { "" };
    let mut text = format!("{sign}{hours:02}");
    if count > 1 || minutes != 0 {
        let _ = write!(text, "{colon}{minutes:02}");
    }
    if count > 3 && rest != 0 {
        let _ = write!(text, "{colon}{rest:02}");
    }
    text
}

/// `GMT+08:00`, or short `GMT+8`.
fn gmt(seconds: i32, count: usize) -> String {
    if seconds == 0 {
        return "GMT".to_owned();
    }
    if count == 4 {
        return format!("GMT{}", offset(seconds, 3));
    }
    let (hours, minutes) = (seconds / 3_600, seconds.abs() / 60 % 60);
    if minutes == 0 { format!("GMT{hours:+}") } else { format!("GMT{hours:+}:{minutes:02}") }
}

pub(super) fn read(items: &[Item], text: &str) -> Option<Read> {
    let mut read = Read::default();
    let mut rest = text;
    for (place, item) in items.iter().enumerate() {
        rest = match item {
            Item::Literal(literal) => rest.strip_prefix(literal.as_str())?,
            Item::Field(field, count) => {
                // Numbers that stand side by side have the width of their letters.
                let is_followed = matches!(items.get(place + 1), Some(Item::Field(next, _)) if next.is_number());
                read.field(*field, *count, is_followed, rest)?
            }
        };
    }
    rest.is_empty().then_some(read)
}

impl Field {
    fn is_number(self) -> bool {
        !matches!(
            self,
            Field::Weekday
                | Field::HalfDay
                | Field::OffsetOrZ
                | Field::Offset
                | Field::OffsetZ
                | Field::Gmt
                | Field::ZoneName
        )
    }
}

impl Read {
    /// Takes one field from the text and hands back the rest.
    fn field<'a>(&mut self, field: Field, count: usize, is_followed: bool, text: &'a str) -> Option<&'a str> {
        let most = match field {
            _ if is_followed => count,
            Field::Year if count == 4 || count == 1 => 4,
            Field::DayOfYear => 3,
            Field::Fraction => count,
            _ => 2,
        };
        let number = |least: usize| {
            let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let value = text[..digits].parse::<i64>().ok().filter(|_| digits >= least.min(most))?;
            Some((Some(value), &text[digits..]))
        };
        let rest;
        match field {
            Field::Year if count == 2 => {
                let (year, after) = number(2)?;
                (self.year, rest) = (year.map(|year| 2_000 + year), after);
            }
            Field::Year => (self.year, rest) = number(count)?,
            Field::Month if count > 2 => {
                let (month, after) = named(&MONTHS, count, text)?;
                (self.month, rest) = (Some(month + 1), after);
            }
            Field::Month => (self.month, rest) = number(count)?,
            Field::Day => (self.day, rest) = number(count)?,
            Field::DayOfYear => (self.day_of_year, rest) = number(count)?,
            Field::Hour => (self.hour, rest) = number(count)?,
            Field::HalfHour => (self.half_hour, rest) = number(count)?,
            Field::Minute => (self.minute, rest) = number(count)?,
            Field::Second => (self.second, rest) = number(count)?,
            Field::Fraction => {
                let (value, after) = number(count)?;
                let value = value? as f64 / 10_f64.powi(count as i32) * 1_000.0;
                (self.millisecond, rest) = (Some((value + 1e-6).floor() as i64), after);
            }
            // The day of the week follows from the date.
            Field::Weekday => rest = named(&DAYS, count, text)?.1,
            Field::HalfDay => {
                let half = text.get(..2)?;
                self.is_afternoon = half.eq_ignore_ascii_case("PM");
                rest = (self.is_afternoon || half.eq_ignore_ascii_case("AM")).then_some(&text[2..])?;
            }
            Field::OffsetOrZ | Field::Offset | Field::OffsetZ | Field::ZoneName => {
                let (seconds, after) = read_offset(text)?;
                (self.offset_s, rest) = (Some(seconds), after);
            }
            // Dates by the week, or by a quarter alone, are only written.
            Field::WeekYear | Field::Quarter | Field::Week | Field::WeekdayNumber | Field::Gmt => return None,
        }
        Some(rest)
    }
}

fn named<'a>(names: &[&str], count: usize, text: &'a str) -> Option<(i64, &'a str)> {
    names.iter().enumerate().find_map(|(place, name)| {
        let name = if count == 4 { name } else { &name[..3] };
        Some((place as i64, text.strip_prefix(name)?))
    })
}

fn read_offset(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b':')).count();
    let (offset, rest) = text.split_at(end);
    Some((crate::date::parse_offset_s(offset)?, rest))
}
