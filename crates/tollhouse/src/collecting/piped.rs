//! The task of a source that reads the standard input of the house itself.
//!
//! A read from it cannot be broken off. So a thread reads, from the first source that wants it until its end, and sources take what
//! it has read: one that is not wanted any more leaves the rest to the next one. There is no place to go on from: what was read and not yet
//! kept is lost when the house is killed.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Instant;

use jiff::Zoned;
use tokio::sync::{Mutex, mpsc};
use tollhouse_collect::formats::{self, Streams, Text};
use tollhouse_config::LineFormat;
use tollhouse_journal::Level;

use crate::collecting::came::{Came, Form};
use crate::collecting::ledger::{Ended, Ledger, about};
use crate::collecting::reading::Base;
use crate::collecting::shaping::Shaping;
use crate::wiring;

/// Where these records come from.
const CALLER: &str = "collect/stdin";
/// Longest line; the rest of it is left out.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines that wait to be kept, and their bytes: those of so many pieces.
const PIECES_AHEAD: usize = 16;
const PIECE_BYTES: usize = 64 << 10;

/// Where lines come from, one after the other.
pub(super) trait Input {
    /// The next line, and the bytes of it that were left out; nothing at the end. Cancelling loses nothing.
    fn next(&mut self) -> impl Future<Output = std::io::Result<Option<(Vec<u8>, u64)>>> + Send;

    /// Lines that are there already when the source ends.
    fn rest(&mut self) -> Vec<(Vec<u8>, u64)> {
        Vec::new()
    }
}

/// How records tell of an input.
pub(super) struct Words {
    pub(super) caller: &'static str,
    /// Its `type`.
    pub(super) kind: &'static str,
    pub(super) ended: &'static str,
    pub(super) unreadable: &'static str,
}

/// The standard input.
const STDIN: Words = Words {
    caller: CALLER,
    kind: "stdin",
    ended: "the standard input has ended",
    unreadable: "the standard input cannot be read",
};

/// What was read of the standard input.
pub(super) struct Piped {
    pieces: Option<mpsc::Receiver<Vec<u8>>>,
    cutter: Cutter,
    has_ended: bool,
}

/// How a line came.
struct Origin {
    /// Bytes of it that were left out.
    left_out: u64,
    has_bytes: bool,
}

impl Piped {
    /// Of which nothing was read yet.
    pub(super) fn new() -> Self {
        Self { pieces: None, cutter: Cutter::default(), has_ended: false }
    }
}

impl Input for Piped {
    async fn next(&mut self) -> std::io::Result<Option<(Vec<u8>, u64)>> {
        let Self { pieces, cutter, has_ended } = self;
        loop {
            if let Some(line) = cutter.lines.pop_front() {
                return Ok(Some(line));
            }
            if *has_ended {
                return Ok(None);
            }
            let from = match pieces {
                Some(from) => from,
                None => pieces.insert(begin()?),
            };
            if let Some(piece) = from.recv().await {
                cutter.take(&piece);
            } else {
                *has_ended = true;
                cutter.end();
            }
        }
    }
}

/// Begins the thread that reads.
fn begin() -> std::io::Result<mpsc::Receiver<Vec<u8>>> {
    let (to, from) = mpsc::channel(PIECES_AHEAD);
    let read = move || {
        let mut input = BufReader::with_capacity(PIECE_BYTES, std::io::stdin());
        loop {
            let piece = match input.fill_buf() {
                Ok(piece) => piece.to_vec(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // An input that cannot be read has nothing more to say.
                Err(_) => return,
            };
            input.consume(piece.len());
            if piece.is_empty() || to.blocking_send(piece).is_err() {
                return;
            }
        }
    };
    // Nobody waits for it: a read that lasts ends with the program.
    std::thread::Builder::new().name("collect-stdin".to_owned()).spawn(read)?;
    Ok(from)
}

/// Cuts pieces into lines.
#[derive(Default)]
pub(super) struct Cutter {
    pub(super) lines: VecDeque<(Vec<u8>, u64)>,
    begun: Vec<u8>,
    left_out: u64,
}

impl Cutter {
    pub(super) fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LINE_BYTES_MAX.saturating_sub(self.begun.len()).min(text.len());
            self.begun.extend_from_slice(&text[..room]);
            self.left_out += (text.len() - room) as u64;
            if is_whole {
                self.end();
            }
        }
    }

    /// The line that was begun is whole.
    pub(super) fn end(&mut self) {
        let (mut line, left_out) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.left_out));
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            self.lines.push_back((line, left_out));
        }
    }
}

/// Keeps what comes by the standard input, until its end or until the source is to end.
pub(super) async fn read(mut base: Base, format: LineFormat, piped: Arc<Mutex<Piped>>) {
    let Some(_turn) = base.turn().await else { return };
    let mut piped = tokio::select! {
        piped = piped.lock_owned() => piped,
        () = base.stop.asked() => return,
    };
    keep_all(&base, format, &STDIN, &mut *piped).await;
}

/// Keeps what comes by an input, until its end or until the source is to end.
pub(super) async fn keep_all(base: &Base, format: LineFormat, words: &Words, input: &mut impl Input) {
    let mut ledger = Ledger::without_progress(base);
    let about = |level, msg| about(words.caller, &base.source, level, msg);
    let began = about(Level::Info, "source started").field("type", words.kind).field("format", format.as_str());
    ledger.tell(began);
    let (clock, mut stop) = (Instant::now(), base.stop.clone());
    let mut streams: Streams<(), Origin> = Streams::new(wiring::line_format(format));
    let mut read = Vec::new();
    let why = loop {
        let due = streams.due().map(|due| tokio::time::Instant::from_std(clock + due));
        let tell = base.shaping.due();
        tokio::select! {
            () = stop.asked() => break "source stopped",
            line = input.next() => match line {
                Ok(Some(line)) => push(&mut streams, line, clock, &mut read),
                Ok(None) => break words.ended,
                Err(error) => {
                    let failed = about(Level::Error, words.unreadable);
                    ledger.tell(failed.field("error", error.to_string()));
                    break "source stopped";
                }
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                streams.end_due(clock.elapsed(), &mut read);
            }
            () = tokio::time::sleep_until(tell.unwrap_or_else(tokio::time::Instant::now)), if tell.is_some() => {}
        }
        if keep(&mut read, words, &base.shaping, &mut ledger).await.is_err() {
            break "source stopped";
        }
    };
    input.rest().into_iter().for_each(|line| push(&mut streams, line, clock, &mut read));
    streams.end(&(), &mut read);
    // A journal that takes nothing any more is told by itself.
    let _: Result<(), Ended> = keep(&mut read, words, &base.shaping, &mut ledger).await;
    base.shaping.left_out(words.caller, true).into_iter().for_each(|record| ledger.tell(record));
    ledger.tell(base.shaping.with_counts(about(Level::Info, why).field("kept", ledger.kept)));
}

fn push(
    streams: &mut Streams<(), Origin>,
    (line, left_out): (Vec<u8>, u64),
    clock: Instant,
    read: &mut Vec<formats::Read<Origin>>,
) {
    let line = Text::from(line.as_slice());
    let origin = Origin { left_out, has_bytes: line.bytes.is_some() };
    streams.push(&(), line, origin, clock.elapsed(), &Zoned::now(), read);
}

async fn keep(
    read: &mut Vec<formats::Read<Origin>>,
    words: &Words,
    shaping: &Shaping,
    ledger: &mut Ledger<()>,
) -> Result<(), Ended> {
    let now = Zoned::now();
    for read in read.drain(..) {
        let mut entry = read.entry(&now);
        let formats::Read { line, format, last: Origin { left_out, has_bytes }, lines, .. } = read;
        entry.is_cut |= left_out > 0;
        entry.has_bytes |= has_bytes;
        let came = Came { bytes: line.as_came(), form: Form::Format(format) };
        let record = shaping.record(words.caller, entry, Some(&came), &[], |mut record| {
            if left_out > 0 {
                record = record.field("left_out_bytes", left_out);
            }
            if lines > 1 { record.field("lines_joined", lines) } else { record }
        });
        if let Some(record) = record {
            ledger.append(record).await?;
        }
    }
    match shaping.left_out(words.caller, false) {
        Some(record) => ledger.append(record).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut cutter = Cutter::default();
        for piece in [&b"a"[..], b"b\r\n\n", b"c\nd", &vec![b'x'; LINE_BYTES_MAX], b"\nlast"] {
            cutter.take(piece);
        }
        cutter.end();
        let lines: Vec<_> = cutter.lines.iter().map(|(line, left_out)| (line.len(), *left_out)).collect();
        assert_eq!(lines, [(2, 0), (1, 0), (LINE_BYTES_MAX, 1), (4, 0)]);
    }
}
