//! A model's tokenizer, as far as counting needs it.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::error::TokensError;
use crate::merge::{Merger, Scratch};
use crate::split::{Splitter, split};

/// Tokens of a vocabulary; the largest published ones have a quarter of that.
pub const TOKENS_MAX: usize = 1 << 20;
/// Merges of a vocabulary.
pub const MERGES_MAX: usize = 1 << 21;
/// Bytes that are merged at once: longer pieces of text are cut, so that one prompt cannot ask for memory without end.
/// Only SentencePiece vocabularies and texts without a space have pieces of that length; a cut costs a token at most or
/// two.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

/// The mark that SentencePiece writes for a space.
pub(crate) const SPACE_MARK: char = '▁';

/// Counts the tokens that a model makes of a text: exactly, with the model's own vocabulary.
///
/// It is made once per model, with [`from_ggml`](Self::from_ggml) or [`from_file`](Self::from_file), is never changed
/// and may be shared between threads.
#[derive(Debug)]
pub struct Tokenizer {
    pub(crate) special: Option<Specials>,
    pub(crate) spaces: Spaces,
    /// Whether the text is brought into Unicode's composed form first.
    pub(crate) compose: bool,
    pub(crate) splitters: Vec<Splitter>,
    pub(crate) merger: Merger,
    /// Tokens that the model's server puts around a prompt (`<s>`, `<|begin_of_text|>`).
    pub(crate) around: u32,
    /// Bytes of text of the longest token.
    pub(crate) longest: usize,
}

impl Tokenizer {
    /// How many tokens `text` becomes, tokens around a prompt not counted. Special tokens in the text, such as
    /// `<|im_end|>`, count as one, because model servers read them as such.
    ///
    /// CPU work: see the [crate's page](crate#cost).
    pub fn count(&self, text: &str) -> usize {
        let mut scratch = Scratch::default();
        let (mut count, mut at) = (0, 0);
        if let Some(special) = &self.special {
            for (start, end) in special.find(text) {
                // The white space that one token takes in may reach into the one before.
                if start > at {
                    count += self.count_plain(&text[at..start], at == 0, &mut scratch);
                }
                count += 1;
                at = end.max(at);
            }
        }
        count + self.count_plain(&text[at..], at == 0, &mut scratch)
    }

    /// Tokens that the model's server puts around a prompt.
    pub fn around(&self) -> u32 {
        self.around
    }

    /// Bytes of text of the longest token, at least 1.
    pub fn longest(&self) -> usize {
        self.longest.max(1)
    }

    /// Counts text between special tokens.
    fn count_plain(&self, text: &str, first: bool, scratch: &mut Scratch) -> usize {
        if text.is_empty() {
            return 0;
        }
        let text = if self.compose { composed(text) } else { Cow::Borrowed(text) };
        let text = self.spaces.mark(text, first);
        let mut count = 0;
        split(&self.splitters, &text, &mut |mut piece| {
            while piece.len() > PIECE_BYTES_MAX {
                let (head, tail) = piece.split_at(piece.floor_char_boundary(PIECE_BYTES_MAX));
                count += self.merger.count(head, scratch);
                piece = tail;
            }
            count += self.merger.count(piece, scratch);
        });
        count
    }
}

fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// What SentencePiece does with spaces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spaces {
    /// Whether they become [`SPACE_MARK`].
    pub(crate) marked: bool,
    /// Where a text gets one more in front.
    pub(crate) prefix: Prefix,
    /// Whether a text that begins with a space gets no further one.
    pub(crate) once: bool,
}

/// Where a text gets a space in front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Prefix {
    #[default]
    Never,
    /// At the beginning only.
    First,
    /// Also after each special token.
    Each,
}

impl Spaces {
    fn mark(self, text: Cow<'_, str>, first: bool) -> Cow<'_, str> {
        if !self.marked {
            return text;
        }
        let wanted = self.prefix == Prefix::Each || self.prefix == Prefix::First && first;
        let prefix = wanted && !(self.once && text.starts_with([' ', SPACE_MARK]));
        let mut marked = String::with_capacity(text.len() + text.len() / 2 + SPACE_MARK.len_utf8());
        if prefix {
            marked.push(SPACE_MARK);
        }
        marked.extend(text.chars().map(|character| if character == ' ' { SPACE_MARK } else { character }));
        Cow::Owned(marked)
    }
}

/// Tokens that are found in a text before anything else.
#[derive(Debug)]
pub(crate) struct Specials {
    texts: AhoCorasick,
    trims: Vec<Trim>,
}

/// Which white space around it a special token takes in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trim {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

impl Specials {
    /// None when there are none.
    pub(crate) fn new(specials: Vec<(&str, Trim)>) -> Result<Option<Self>, TokensError> {
        if specials.is_empty() {
            return Ok(None);
        }
        let (texts, trims): (Vec<_>, Vec<_>) = specials.into_iter().unzip();
        let texts = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
        let texts = texts.map_err(|error| TokensError::Invalid(error.to_string()))?;
        Ok(Some(Self { texts, trims }))
    }

    /// Where special tokens stand in the text, with the white space that they take in.
    fn find<'s>(&'s self, text: &'s str) -> impl Iterator<Item = (usize, usize)> + 's {
        self.texts.find_iter(text).map(move |found| {
            let trim = self.trims.get(found.pattern().as_usize()).copied().unwrap_or_default();
            let (before, after) = (&text[..found.start()], &text[found.end()..]);
            let start = if trim.left { before.trim_end().len() } else { found.start() };
            let end = if trim.right { text.len() - after.trim_start().len() } else { found.end() };
            (start, end)
        })
    }
}
