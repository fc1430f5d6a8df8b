//! A program of the user's own that texts pass before they are sealed: what it lets through, and what becomes of the others.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::asked::Said;

/// How long the program may work on the texts of one request together; those that it has not seen by then are not kept.
pub(crate) const SIEVE_TIME_MAX: Duration = Duration::from_secs(2);
/// What a program may add to a text beside making it twice as long.
const LONGER_MAX: usize = 1 << 10;

/// What texts pass before they are sealed, with whoever runs it.
pub trait Sieve: Debug + Send + Sync {
    /// The text as it may be kept, or why nothing of it may be.
    fn pass(&self, piece: Piece<'_>) -> Result<String, Withheld>;

    /// Hears how many texts of a request were withheld, and why; only where there were any. What is told of it must not hold
    /// any of those texts.
    fn withheld(&self, request_id: &str, texts: &BTreeMap<Withheld, usize>);
}

/// One text of a request, before anything was taken out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Public name of the model.
    pub model: Option<&'a str>,
    /// Who said it: `system`, `user`, `assistant`, `tool` and the like.
    pub role: &'a str,
    /// What of it: `text`, `thinking`, or the `arguments` of a tool call.
    pub part: &'static str,
    /// The tool that is called with these arguments.
    pub tool: Option<&'a str>,
    /// It itself; never empty.
    pub text: &'a str,
}

/// Why nothing of a text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withheld {
    /// The program says so.
    Aborted,
    /// The program failed.
    Failed,
    /// The program left no text.
    NoText,
    /// The program made it more than twice as long.
    TooLarge,
    /// The program ran for too long, on this text or on those before it.
    TooLong,
}

impl Withheld {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Failed => "failed",
            Self::NoText => "no_text",
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
        }
    }
}

/// A sieve at work on the texts of one request.
pub(crate) struct Sifting<'a> {
    sieve: &'a dyn Sieve,
    model: Option<&'a str>,
    began: Instant,
}

impl<'a> Sifting<'a> {
    pub(crate) fn new(sieve: &'a dyn Sieve, model: Option<&'a str>) -> Self {
        Self { sieve, model, began: Instant::now() }
    }

    /// Lets all that was said at once pass. Texts of which nothing may be kept are empty then, and counted.
    pub(crate) fn sift(&self, said: &mut Said, withheld: &mut BTreeMap<Withheld, usize>) {
        let Said { role, text, thinking, calls, .. } = said;
        let texts = [("text", None, text), ("thinking", None, thinking)];
        let arguments = calls.iter_mut().map(|(tool, arguments)| ("arguments", Some(tool.as_str()), arguments));
        for (part, tool, text) in texts.into_iter().chain(arguments) {
            if text.is_empty() {
                continue;
            }
            match self.pass(Piece { model: self.model, role, part, tool, text }) {
                Ok(left) => *text = left,
                Err(why) => {
                    text.clear();
                    *withheld.entry(why).or_default() += 1;
                }
            }
        }
    }

    fn pass(&self, piece: Piece<'_>) -> Result<String, Withheld> {
        if self.began.elapsed() > SIEVE_TIME_MAX {
            return Err(Withheld::TooLong);
        }
        let longest = 2 * piece.text.len() + LONGER_MAX;
        let left = self.sieve.pass(piece)?;
        if left.len() > longest { Err(Withheld::TooLarge) } else { Ok(left) }
    }
}
