//! Prompt families: which requests begin with the same words, told by a keyed hash and never by the words.
//!
//! A house's requests come from few programs, each with instructions of its own, and what costs most is one such program
//! more often than one user (scenario B09). A family is the hash of how the instructions begin; of a conversation without
//! any, of how its first question begins. Digits and spaces do not tell families apart: a date in the instructions makes no
//! new one each day.
//!
//! The hash is keyed by a secret of the house, so that nobody who has only the records can try out words. Whoever sees the
//! records sees that two requests begin alike, and nothing else.

use std::fmt;
use std::sync::Arc;

use tollhouse_dialect::{ChatRequest, Role};

/// Instructions may have so many characters in common with others and still be another family.
const INSTRUCTIONS_CHARS_MAX: usize = 2048;
/// Questions that begin alike for so many characters are one family: a form that somebody fills in.
const QUESTION_CHARS_MAX: usize = 32;
/// Instructions stand at the beginning of a conversation.
const INSTRUCTIONS_MAX: usize = 4;
/// Bytes of the hash that a name has: 2^24 families before two of them are likely to meet.
const NAME_BYTES: usize = 6;
/// So that a family's hash is never that of a key or a session with the same text.
const DOMAIN: &str = "prompt family\0";

/// Hashes a text with a key that only the house has.
type KeyedHash = Arc<dyn Fn(&str) -> [u8; 32] + Send + Sync>;

/// Names the families of prompts.
#[derive(Clone)]
pub struct Families(KeyedHash);

impl Families {
    /// Families by this keyed hash.
    pub fn new(keyed_hash: impl Fn(&str) -> [u8; 32] + Send + Sync + 'static) -> Self {
        Self(Arc::new(keyed_hash))
    }

    /// The family of a request: `s-` and twelve hexadecimal digits by its instructions, `q-` by its first question;
    /// nothing for one without text.
    pub(crate) fn of(&self, request: &ChatRequest) -> Option<String> {
        let (sign, text) = match instructions(request) {
            text if !text.is_empty() => ("s", text),
            _ => ("q", question(request)),
        };
        (!text.is_empty()).then(|| {
            let hash = (self.0)(&format!("{DOMAIN}{sign}\0{text}"));
            let mut name = [0; 8];
            name[8 - NAME_BYTES..].copy_from_slice(&hash[..NAME_BYTES]);
            format!("{sign}-{:012x}", u64::from_be_bytes(name))
        })
    }
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Families(…)")
    }
}

fn instructions(request: &ChatRequest) -> String {
    let mut text = Plain::new(INSTRUCTIONS_CHARS_MAX);
    if let Some(system) = request.prompt.as_ref().and_then(|prompt| prompt.system.as_deref()) {
        text.add(system);
    }
    let first = request.messages.iter().take(INSTRUCTIONS_MAX);
    for message in first.take_while(|message| matches!(message.role, Role::System | Role::Developer)) {
        text.add(&message.content.text());
    }
    text.finish()
}

fn question(request: &ChatRequest) -> String {
    let mut text = Plain::new(QUESTION_CHARS_MAX);
    if let Some(prompt) = &request.prompt {
        text.add(&prompt.text);
    } else if let Some(message) = request.messages.iter().find(|message| message.role == Role::User) {
        text.add(&message.content.text());
    }
    text.finish()
}

/// The beginning of texts, where all digits are alike and all spaces are one.
struct Plain {
    text: String,
    chars: usize,
    chars_max: usize,
}

impl Plain {
    fn new(chars_max: usize) -> Self {
        Self { text: String::new(), chars: 0, chars_max }
    }

    fn add(&mut self, more: &str) {
        let mut last = ' ';
        for c in more.chars() {
            if self.chars >= self.chars_max {
                return;
            }
            let plain = if c.is_whitespace() {
                ' '
            } else if c.is_numeric() {
                '0'
            } else {
                c
            };
            if plain == last && matches!(plain, ' ' | '0') {
                continue;
            }
            self.text.push(plain);
            self.chars += 1;
            last = plain;
        }
    }

    fn finish(self) -> String {
        let length = self.text.trim_end().len();
        let mut text = self.text;
        text.truncate(length);
        text
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::Message;

    use super::*;

    /// A hash that a test can foresee: it is its text.
    fn families() -> Families {
        Families::new(|text| {
            let mut sum = 0xcbf2_9ce4_8422_2325_u64;
            for byte in text.bytes() {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&sum.to_be_bytes());
            hash
        })
    }

    fn of(messages: &[(Role, &str)]) -> Option<String> {
        let messages = messages.iter().map(|(role, text)| Message::text(*role, *text)).collect();
        families().of(&ChatRequest { messages, ..ChatRequest::default() })
    }

    #[test]
    fn the_same_instructions_are_one_family() {
        let first = of(&[(Role::System, "You are a helper.  Today is 2026-01-27."), (Role::User, "Hello")]);
        let later = of(&[(Role::System, "You are a helper.\nToday is 2026-02-3."), (Role::User, "What is this?")]);
        let other = of(&[(Role::System, "You are a poet."), (Role::User, "Hello")]);
        assert_eq!(first, later);
        assert_ne!(first, other);
        assert!(first.is_some_and(|name| name.starts_with("s-") && name.len() == 14));
    }

    #[test]
    fn without_instructions_the_first_question_counts() {
        let form = "Translate into German, politely: ";
        let first = of(&[(Role::User, &format!("{form}good morning"))]);
        let second = of(&[(Role::User, &format!("{form}see you"))]);
        assert_eq!(first, second);
        assert_ne!(first, of(&[(Role::User, "Write a poem about a toll-house")]));
        assert!(first.is_some_and(|name| name.starts_with("q-")));
        // The same words as instructions are another family.
        assert_ne!(of(&[(Role::User, "Hello")]), of(&[(Role::System, "Hello")]));
    }

    #[test]
    fn a_request_without_text_has_none() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(Role::System, "  "), (Role::User, "\n")]), None);
    }

    #[test]
    fn only_the_beginning_counts() {
        let long = "word ".repeat(1000);
        assert_eq!(of(&[(Role::System, &long)]), of(&[(Role::System, &format!("{long} and the end"))]));
    }
}
