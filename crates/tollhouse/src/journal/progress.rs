//! Shows on a terminal how far long work has come; elsewhere a line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a terminal is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Width of the bar itself.
const BAR_CHARS: usize = 24;
/// What is shown of a name.
const NAME_CHARS_MAX: usize = 32;

/// Work under way, told on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    /// Unknown: no bar, only figures.
    bytes_total: Option<u64>,
    began: Instant,
    told: Instant,
    is_terminal: bool,
    is_drawn: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done<'a> {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// What is being worked on.
    pub(super) name: &'a str,
}

impl Progress {
    pub(super) fn new(bytes_total: Option<u64>) -> Self {
        let now = Instant::now();
        let is_terminal = std::io::stderr().is_terminal();
        Self { bytes_total, began: now, told: now, is_terminal, is_drawn: false }
    }

    /// Tells, if it is time to.
    pub(super) fn step(&mut self, done: Done<'_>) {
        let every = if self.is_terminal { DRAW_EVERY } else { LINE_EVERY };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let text = line(self.bytes_total, done, self.began.elapsed());
        let mut out = std::io::stderr().lock();
        // Whoever cannot be told is not told; the work goes on.
        let _ = if self.is_terminal {
            self.is_drawn = true;
            write!(out, "\r\x1b[K{text}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{text}")
        };
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            eprint!("\r\x1b[K");
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// `[######      ]  50 %  1.0 of 2.0 MiB  12,000 lines, 4,000/s  0:03 left  access.log`
fn line(bytes_total: Option<u64>, done: Done<'_>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = done.lines as f64 / seconds;
    let lines = format!("{} lines, {}/s", grouped(done.lines), grouped(rate as u64));
    let name: String = done.name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let Some(total) = bytes_total else { return format!("{lines}  {name}") };
    let share = if total == 0 { 1.0 } else { (done.bytes as f64 / total as f64).min(1.0) };
    let full = (share * BAR_CHARS as f64) as usize;
    let bar = format!("{}{}", "#".repeat(full), " ".repeat(BAR_CHARS - full));
    let left = if share > 0.0 { (seconds / share - seconds) as u64 } else { 0 };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "[{bar}] {:3.0} %  {:.1} of {:.1} MiB  {lines}  {}:{:02} left  {name}",
        share * 100.0,
        mib(done.bytes.min(total)),
        mib(total),
        left / 60,
        left % 60
    )
}

/// `1,234,567`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let done = Done { bytes: 1 << 20, lines: 12_000, name: "access.log" };
        assert_eq!(
            line(Some(2 << 20), done, Duration::from_secs(3)),
            "[############            ]  50 %  1.0 of 2.0 MiB  12,000 lines, 4,000/s  0:03 left  access.log"
        );
        assert_eq!(line(None, done, Duration::from_secs(3)), "12,000 lines, 4,000/s  access.log");
        let none = Done { bytes: 5, lines: 0, name: "a\u{1b}[2Jb" };
        assert!(line(Some(0), none, Duration::ZERO).ends_with("100 %  0.0 of 0.0 MiB  0 lines, 0/s  0:00 left  a[2Jb"));
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
