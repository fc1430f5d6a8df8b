//! What the event streams of chats and of completions have in common: how a chunk begins, the counts, and the end.

use super::encode::{write_error, write_meta, write_usage};
use crate::json::Object;
use crate::{ErrorInfo, Meta, Usage, sse};

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing is written; the first chunk has something that the others lack.
    Fresh,
    Started,
    Finished,
    /// The end marker or an error is written; nothing follows.
    Over,
}

/// Writes the chunks of one stream.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Everything in a chunk up to what the choice says, the same in all chunks.
    head: Vec<u8>,
    /// The same without a choice, for the chunk of the counts.
    head_without_choice: Vec<u8>,
    include_usage: bool,
    pub(super) phase: Phase,
}

impl Chunks {
    /// `said` is the field of a choice that holds what is said.
    pub(super) fn new(meta: &Meta, kind: &'static str, said: &str) -> Self {
        let mut head = b"data: ".to_vec();
        write_meta(&mut Object::open(&mut head), meta, kind);
        let head_without_choice = [head.as_slice(), br#","choices":[]"#].concat();
        head.extend_from_slice(format!(r#","choices":[{{"index":0,"{said}":"#).as_bytes());
        Self { head, head_without_choice, include_usage: meta.include_usage, phase: Phase::Fresh }
    }

    /// Appends one chunk; `write` puts what the choice says, and the fields after it.
    pub(super) fn chunk(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        write(out);
        out.extend_from_slice(b"}]}\n\n");
    }

    /// Appends the counts where they are wanted.
    pub(super) fn usage(&self, usage: &Usage, out: &mut Vec<u8>) {
        if self.include_usage {
            out.extend_from_slice(&self.head_without_choice);
            out.extend_from_slice(br#","usage":"#);
            write_usage(out, usage);
            out.extend_from_slice(b"}\n\n");
        }
    }

    /// Appends the terminal marker.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.phase = Phase::Over;
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Appends an error event, after which nothing more is written.
    pub(super) fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        if self.phase < Phase::Over {
            self.phase = Phase::Over;
            sse::unnamed(out, &write_error(error));
        }
    }

    /// Appends a comment.
    pub(super) fn keep_alive(&self, out: &mut Vec<u8>) {
        if self.phase < Phase::Over {
            out.extend_from_slice(sse::KEEP_ALIVE);
        }
    }
}
