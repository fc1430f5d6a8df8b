//! How much a line matters, by the many words and numbers that loggers have for it.

use serde_json::Value;

/// How much a line matters, least first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Every step.
    Trace,
    /// Details.
    Debug,
    /// What happened.
    Info,
    /// Somebody should look.
    Warn,
    /// Something did not work, or worse.
    Error,
}

impl Level {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// Of a severity of syslog (RFC 5424, section 6.2.1).
    pub(super) fn of_severity(severity: u8) -> Self {
        match severity {
            0..=3 => Self::Error,
            4 => Self::Warn,
            5 | 6 => Self::Info,
            _ => Self::Debug,
        }
    }

    /// Reads what a logger writes, and says whether nothing was lost by it: `fatal` is an error, and more than that.
    ///
    /// Numbers are those of pino and bunyan (10 to 60), or syslog's severities (0 to 7), which GELF has.
    pub(super) fn read(value: &Value) -> Option<(Self, bool)> {
        match value {
            Value::String(word) => Self::of_word(word),
            Value::Number(number) => match number.as_u64()? {
                severity @ 0..=7 => Some((Self::of_severity(severity as u8), false)),
                10 => Some((Self::Trace, true)),
                20 => Some((Self::Debug, true)),
                30 => Some((Self::Info, true)),
                40 => Some((Self::Warn, true)),
                50 => Some((Self::Error, true)),
                60 => Some((Self::Error, false)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn of_word(word: &str) -> Option<(Self, bool)> {
        const LONGEST: usize = 13;
        let word = word.trim();
        if word.len() > LONGEST {
            return None;
        }
        Some(match word.to_ascii_lowercase().as_str() {
            "trace" | "trc" => (Self::Trace, true),
            "debug" | "dbg" => (Self::Debug, true),
            "info" | "information" | "informational" | "inf" => (Self::Info, true),
            "warn" | "warning" | "wrn" => (Self::Warn, true),
            "error" | "err" => (Self::Error, true),
            "verbose" | "silly" | "finest" => (Self::Trace, false),
            "fine" | "finer" | "config" => (Self::Debug, false),
            "notice" | "default" | "success" | "log" => (Self::Info, false),
            "fatal" | "critical" | "crit" | "severe" | "panic" | "dpanic" | "alert" | "emerg" | "emergency" | "ftl" => {
                (Self::Error, false)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_of_loggers() {
        for (value, level) in [
            (json!("INFO"), Some((Level::Info, true))),
            (json!(" Warning "), Some((Level::Warn, true))),
            (json!("fatal"), Some((Level::Error, false))),
            (json!("NOTICE"), Some((Level::Info, false))),
            (json!(30), Some((Level::Info, true))),
            (json!(3), Some((Level::Error, false))),
            (json!(7), Some((Level::Debug, false))),
            (json!(35), None),
            (json!(-1), None),
            (json!("high water"), None),
            (json!(null), None),
        ] {
            assert_eq!(Level::read(&value), level, "{value}");
        }
    }
}
