//! `minimum_should_match`: how many of several conditions must hold.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;

/// A count, a share, or either of them by how many conditions there are.
///
/// `3` are three, `-1` all but one, `75%` three quarters rounded down, `-25%` all but a quarter. `2<75%` is all of up to
/// two and three quarters of more; several of these stand next to each other, by rising numbers.
///
/// ```
/// use tollhouse_query::Minimum;
///
/// let minimum: Minimum = "2<75%".parse()?;
/// assert_eq!((minimum.of(2), minimum.of(4)), (2, 3));
/// # Ok::<(), tollhouse_query::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minimum(Vec<Step>);

/// What holds for more than so many conditions; for any number if that is absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Step {
    above: Option<i64>,
    share: Share,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Share {
    Count(i32),
    Percent(i32),
}

/// Most steps of one `minimum_should_match`.
const STEPS_MAX: usize = 32;

impl Minimum {
    /// How many of `clauses` must hold; may be more than there are.
    pub fn of(&self, clauses: usize) -> usize {
        let reached = self.0.iter().take_while(|step| step.above.is_none_or(|above| clauses as i64 > above));
        reached.last().map_or(clauses, |step| step.share.of(clauses))
    }
}

impl Share {
    fn of(self, clauses: usize) -> usize {
        let clauses = clauses as i64;
        let part = match self {
            Share::Count(count) => i64::from(count),
            Share::Percent(percent) => clauses * i64::from(percent) / 100,
        };
        let is_rest = matches!(self, Share::Count(number) | Share::Percent(number) if number < 0);
        usize::try_from(if is_rest { clauses + part } else { part }).unwrap_or(0)
    }
}

impl fmt::Display for Minimum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            if let Some(above) = step.above {
                write!(f, "{above}<")?;
            }
            match step.share {
                Share::Count(count) => write!(f, "{count}")?,
                Share::Percent(percent) => write!(f, "{percent}%")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Minimum {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || {
            ParseError::shard(format!(
                "[minimum_should_match] must be a number, a percentage or such as 2<75%, got [{text}]"
            ))
        };
        let number = |text: &str| text.parse::<i32>().map_err(|_| bad());
        let share = |text: &str| match text.strip_suffix('%') {
            Some(percent) => number(percent).map(Share::Percent),
            None => number(text).map(Share::Count),
        };
        if !text.contains('<') {
            return Ok(Self(vec![Step { above: None, share: share(text.trim())? }]));
        }
        let joined = text.split('<').map(str::trim).collect::<Vec<_>>().join("<");
        let steps = joined.split_whitespace().take(STEPS_MAX + 1).map(|step| {
            let (above, rest) = step.split_once('<').ok_or_else(bad)?;
            Ok(Step { above: Some(i64::from(number(above)?)), share: share(rest)? })
        });
        let steps = steps.collect::<Result<Vec<_>, ParseError>>()?;
        if steps.len() > STEPS_MAX { Err(bad()) } else { Ok(Self(steps)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_it() {
        for (text, clauses, expected) in [
            ("2", 3, 2),
            ("5", 3, 5),
            ("-1", 3, 2),
            ("-5", 3, 0),
            ("70%", 3, 2),
            ("-30%", 3, 3),
            ("-70%", 3, 1),
            ("0%", 3, 0),
            (" 100% ", 3, 3),
            ("2<75%", 2, 2),
            ("2<75%", 3, 2),
            ("2 < 75%", 4, 3),
            ("2<-25% 9<-3", 1, 1),
            ("2<-25% 9<-3", 8, 6),
            ("2<-25% 9<-3", 10, 7),
        ] {
            assert_eq!(text.parse::<Minimum>().unwrap().of(clauses), expected, "{text} of {clauses}");
        }
        for text in ["", "most", "%", "2<", "<3", "2<3<4", "1.5", "99999999999", "2 3<4"] {
            assert!(text.parse::<Minimum>().is_err(), "{text}");
        }
    }
}
