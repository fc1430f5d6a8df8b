//! Whether lines are as a format has them, and which one they show by themselves.

use std::time::Duration;

use jiff::Zoned;

use super::{Format, Streams};

/// So large a part of the lines has to show one format, or to be understood.
const SHARE_MIN: f64 = 0.5;

/// What was found of some lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Survey {
    /// How many were looked at.
    pub lines: usize,
    /// How many of them are as the format has them.
    pub understood: usize,
    /// The format that most of them show by themselves, or none: text.
    pub shown: Option<Format>,
}

impl Survey {
    /// Reads lines in this format, or in the one that they show.
    pub fn of(lines: &[String], format: Option<Format>, now: &Zoned) -> Self {
        let shown = shown(lines, now);
        let mut streams = Streams::new(Some(format.or(shown).unwrap_or(Format::Plain)));
        let mut read = Vec::new();
        for line in lines {
            streams.push(&(), line.clone(), (), Duration::ZERO, now, &mut read);
        }
        streams.end(&(), &mut read);
        let understood = read.iter().filter(|read| read.entry(now).parse_error.is_none()).map(|read| read.lines).sum();
        Self { lines: lines.len(), understood, shown }
    }

    /// Whether the format is another one than what the lines are.
    pub fn is_amiss(&self, format: Option<Format>) -> bool {
        let Some(format) = format.filter(|_| self.lines > 0) else { return false };
        let is_understood = self.understood as f64 >= self.lines as f64 * SHARE_MIN;
        !is_understood || self.shown.is_some_and(|shown| !fits(format, shown))
    }
}

/// Whether what shows one format may well be read in another.
fn fits(format: Format, shown: Format) -> bool {
    // Ollama writes its runner's text too, and logfmt is what its own lines are; nginx's JSON has the names that one gives it.
    const ALSO: [(Format, Format); 4] = [
        (Format::Ollama, Format::LlamaCpp),
        (Format::Ollama, Format::Logfmt),
        (Format::Logfmt, Format::Ollama),
        (Format::Nginx, Format::Json),
    ];
    format == shown || ALSO.contains(&(format, shown))
}

fn shown(lines: &[String], now: &Zoned) -> Option<Format> {
    let guessed: Vec<Format> = lines.iter().filter_map(|line| Format::guess(line, now)).collect();
    let count = |format: Format| guessed.iter().filter(|other| **other == format).count();
    let most = Format::ALL.into_iter().max_by_key(|format| count(*format))?;
    (count(most) > 0 && count(most) as f64 >= lines.len() as f64 * SHARE_MIN).then_some(most)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_format_that_does_not_fit_is_seen() {
        let now = "2026-01-27T02:20:30Z".parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::UTC);
        let json = "{\"msg\":\"a\"}";
        let nginx = "127.0.0.1 - - [27/Jan/2026:10:20:30 +0800] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"";
        let ollama = "time=2026-01-27T10:20:30.456+08:00 level=INFO source=server.go:1 msg=\"x\"";
        for (lines, format, expected, is_amiss) in [
            (&[json, json, "text"][..], None, (3, 2, Some(Format::Json)), false),
            (&[json, json], Some(Format::Nginx), (2, 2, Some(Format::Json)), false),
            (&["a=1 b=2", "a=3 b=4"], Some(Format::Nginx), (2, 0, Some(Format::Logfmt)), true),
            (&[nginx, nginx], Some(Format::Nginx), (2, 2, Some(Format::Nginx)), false),
            (&[json, json], Some(Format::Plain), (2, 2, Some(Format::Json)), true),
            (&[ollama], Some(Format::Ollama), (1, 1, Some(Format::Ollama)), false),
            (&[ollama], Some(Format::Logfmt), (1, 1, Some(Format::Ollama)), false),
            (&["a", " b", "c"], None, (3, 3, None), false),
            (&["a", "b"], Some(Format::Json), (2, 0, None), true),
            (&[], Some(Format::Json), (0, 0, None), false),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let survey = Survey::of(&lines, format, &now);
            assert_eq!((survey.lines, survey.understood, survey.shown), expected, "{lines:?} {format:?}");
            assert_eq!(survey.is_amiss(format), is_amiss, "{lines:?} {format:?}");
        }
    }
}
