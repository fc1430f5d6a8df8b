//! What is usable of `sources.NAME.rotate` and `keep`: files of other programs that the house rotates.

use std::path::PathBuf;

use tollhouse_units::Bytes;

use super::word_of;

/// How the files of a source are rotated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileRotate {
    /// From this size on.
    pub size: Option<Bytes>,
    /// Each day (UTC).
    pub every_day: bool,
    /// How.
    pub method: RotateMethod,
    /// How their programs are told to open them anew; they notice it themselves, when absent.
    pub reopen: Option<Reopen>,
    /// What is kept of what was rotated; whichever bound is reached first counts.
    pub keep: KeepFiles,
}

/// What is kept of the rotated files of each file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepFiles {
    /// Together.
    pub bytes: Bytes,
    /// Age in days.
    pub days: u32,
    /// How many.
    pub count: Option<u32>,
}

impl Default for KeepFiles {
    fn default() -> Self {
        Self { bytes: Bytes(1 << 30), days: 30, count: None }
    }
}

/// How a file is rotated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotateMethod {
    /// It gets another name, and its program opens a new one.
    Rename,
    /// It is copied and emptied.
    CopyTruncate,
}

impl RotateMethod {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("rename", Self::Rename), ("copytruncate", Self::CopyTruncate)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// How a program is told to open its files anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reopen {
    /// By a signal to the process whose number stands in a file.
    Signal(ReopenSignal, PathBuf),
    /// By this command.
    Command(Vec<String>),
}

/// By which signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReopenSignal {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

impl ReopenSignal {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [("HUP", Self::Hup), ("USR1", Self::Usr1), ("USR2", Self::Usr2)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}
