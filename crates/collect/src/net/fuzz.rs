//! Captures of real senders read as they should be, and fuzz targets for everything that reads bytes from a socket.
//!
//! Each target takes a capture of `tests/net/captures/`, breaks it at random (bytes changed, cut out, put in twice, mixed with
//! another capture, tokens that readers stumble over put in), or takes arbitrary bytes, and demands that nothing panics,
//! that pieces of any size give the same, and that memory stays bounded. A few hundred rounds run with the other tests; for
//! longer:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p tollhouse-collect --lib net::fuzz
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tollhouse_testkit::{broken, cuts, fuzz_rounds};

use super::batch::{Batch, Bounds, Sheaf};
use super::framing::{self, Framing};
use super::lumberjack::{self, Broken, Lumberjack};
use super::sniff::{Sniffed, Speech, sniff};

/// Rounds of each target unless `PROPTEST_CASES` says otherwise.
const ROUNDS: u32 = 600;
const MESSAGE_BYTES_MAX: usize = 512;
const UNPACKED_BYTES_MAX: u64 = 64 << 10;
/// What a sheaf holds beyond its messages: an event of pairs is written with its braces and escapes before it is cut.
const BOUNDS: Bounds = Bounds { message_bytes_max: MESSAGE_BYTES_MAX, messages_max: usize::MAX, bytes_max: usize::MAX };

/// Bytes that readers stumble over.
const TOKENS: &[&[u8]] = &[
    b"2W",
    b"1W",
    b"2J",
    b"2C",
    b"1D",
    b"2D",
    b"2A",
    b"1C",
    b"\0\0\0\0",
    b"\0\0\0\x01",
    b"\xff\xff\xff\xff",
    b"2W\0\0\0\x05",
    b"2J\0\0\0\x01\0\0\0\0",
    b"2C\0\0\0\x08\x78\x9c\x03\x00\x00\x00\x00\x01",
    b"\x78\x9c",
    b"<",
    b"<13>",
    b"\n",
    b"\r\n",
    b"\0",
    b"5 ",
    b"05 ",
    b"99999999 ",
    b"67108864 ",
    b"67108865 ",
    b"1 ",
    b" ",
    b"9",
    b"\xff",
    b"\xef\xbb\xbf",
];

/// What a real sender has written.
struct Capture {
    name: String,
    bytes: Vec<u8>,
    /// The messages in it, one a line.
    messages: Vec<u8>,
}

static CAPTURES: LazyLock<Vec<Capture>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/captures");
    let files = fs::read_dir(folder).expect("captures").map(|entry| entry.expect("entry").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "bin")).collect();
    files.sort();
    let read = |path: &Path| fs::read(path).expect("readable capture");
    let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let capture = |path: &PathBuf| Capture {
        name: name(path),
        bytes: read(path),
        messages: read(&path.with_extension("messages")),
    };
    files.iter().map(capture).collect()
});

static BYTES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| CAPTURES.iter().map(|capture| capture.bytes.clone()).collect());

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Messages, each with what was left out.
    messages: Vec<(Vec<u8>, u64)>,
    /// Sequence numbers, and where windows end.
    events: Vec<(u32, bool)>,
    broken: Option<Broken>,
    is_inside: bool,
}

/// Reads a stream that speaks so, in pieces that end at these places.
fn read(speech: Speech, bytes: &[u8], places: &[usize]) -> Outcome {
    let mut sheaf = Sheaf::new(BOUNDS, ([127, 0, 0, 1], 1).into());
    let mut outcome = Outcome { messages: Vec::new(), events: Vec::new(), broken: None, is_inside: false };
    let mut reader = Reader::new(speech);
    let mut from = 0;
    for place in places.iter().copied().chain([bytes.len()]) {
        let mut piece = &bytes[from..place];
        from = place;
        loop {
            let step = reader.step(&mut piece, &mut sheaf, &mut outcome);
            assert!(sheaf.held_bytes() <= MESSAGE_BYTES_MAX, "{}", sheaf.held_bytes());
            keep(&sheaf.take(), &mut outcome);
            match step {
                Ok(true) => {}
                Ok(false) => break,
                Err(broken) => {
                    outcome.broken = Some(broken);
                    return outcome;
                }
            }
        }
        assert!(piece.is_empty(), "whoever is hungry has eaten up");
    }
    outcome.is_inside = reader.is_inside();
    if let Reader::Syslog(framing) = &mut reader {
        framing.finish(&mut sheaf);
        keep(&sheaf.take(), &mut outcome);
        assert!(!framing.is_inside() && sheaf.held_bytes() == 0);
    }
    outcome
}

fn keep(batch: &Batch, outcome: &mut Outcome) {
    outcome.messages.extend(batch.messages().map(|message| (message.bytes.to_vec(), message.left_out_bytes)));
}

enum Reader {
    Lumberjack(Lumberjack),
    Syslog(Framing),
}

impl Reader {
    fn new(speech: Speech) -> Self {
        match speech {
            Speech::Lumberjack => Self::Lumberjack(Lumberjack::new(UNPACKED_BYTES_MAX)),
            Speech::SyslogLines => Self::Syslog(Framing::lines()),
            Speech::SyslogCounted => Self::Syslog(Framing::counted()),
        }
    }

    /// Whether there may be more to read.
    fn step(&mut self, piece: &mut &[u8], sheaf: &mut Sheaf, outcome: &mut Outcome) -> Result<bool, Broken> {
        match self {
            Self::Lumberjack(lumberjack) => {
                let step = lumberjack.step(piece, sheaf)?;
                if let lumberjack::Step::Event { sequence, is_last_of_window, .. } = step {
                    outcome.events.push((sequence, is_last_of_window));
                }
                Ok(step != lumberjack::Step::Hungry)
            }
            Self::Syslog(framing) => Ok(framing.step(piece, sheaf) != framing::Step::Hungry),
        }
    }

    fn is_inside(&self) -> bool {
        match self {
            Self::Lumberjack(lumberjack) => lumberjack.is_inside(),
            Self::Syslog(framing) => framing.is_inside(),
        }
    }
}

#[test]
fn captures_of_real_senders_are_read_as_they_should_be() {
    assert_eq!(CAPTURES.len(), 8);
    for Capture { name, bytes, messages } in CAPTURES.iter() {
        let Sniffed::Known(speech) = sniff(&bytes[..2]) else { panic!("{name} is not known") };
        let expected = match name.split_once('-') {
            Some(("beats", _)) => Speech::Lumberjack,
            Some((_, "counted")) => Speech::SyslogCounted,
            _ => Speech::SyslogLines,
        };
        assert_eq!(speech, expected, "{name}");
        for size in [1, 2, 7, bytes.len()] {
            let places: Vec<usize> = (size..bytes.len()).step_by(size).collect();
            let outcome = read(speech, bytes, &places);
            let lines: Vec<u8> = outcome.messages.iter().flat_map(|(line, _)| [line, &b"\n"[..]].concat()).collect();
            assert_eq!(String::from_utf8_lossy(&lines), String::from_utf8_lossy(messages), "{name} by {size}");
            assert!(outcome.messages.iter().all(|(_, left_out)| *left_out == 0) && outcome.broken.is_none());
            if speech == Speech::Lumberjack {
                assert!(outcome.events.last().is_some_and(|(_, is_last)| *is_last) && !outcome.is_inside, "{name}");
            }
        }
    }
}

fn broken_captures() -> impl Strategy<Value = Vec<u8>> {
    broken(&BYTES, TOKENS)
}

fn rounds() -> ProptestConfig {
    fuzz_rounds(ROUNDS, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/net/fuzz.proptest-regressions"))
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn first_bytes(bytes in broken_captures()) {
        // What two bytes do not tell, more do not either.
        let known = sniff(&bytes[..bytes.len().min(2)]);
        prop_assert_eq!(known == Sniffed::Nothing, bytes.len() < 2 && bytes.first().is_none_or(|first| (b'1'..=b'9').contains(first)));
        prop_assert_eq!(known, sniff(&bytes));
    }

    #[test]
    fn frames(bytes in broken_captures(), places in vec(any::<Index>(), 0..8)) {
        let whole = read(Speech::Lumberjack, &bytes, &[]);
        prop_assert_eq!(whole.messages.len(), whole.events.len() + usize::from(whole.broken == Some(Broken::NoWindow)));
let cut = read(Speech::Lumberjack, &bytes, &cuts(&places, bytes.len()));
        if whole.broken.is_none() {
            prop_assert_eq!(cut, whole);
        } else {
            // How much is unpacked before zlib sees that it is damaged is a matter of how much it was given.
            prop_assert!(cut.broken.is_some());
            let both = whole.messages.len().min(cut.messages.len());
            prop_assert_eq!(&cut.messages[..both], &whole.messages[..both]);
        }
    }

    #[test]
    fn messages(bytes in broken_captures(), places in vec(any::<Index>(), 0..8)) {
        for speech in [Speech::SyslogLines, Speech::SyslogCounted] {
            let whole = read(speech, &bytes, &[]);
            let came: u64 = whole.messages.iter().map(|(message, left_out)| message.len() as u64 + left_out).sum();
            prop_assert!(came <= bytes.len() as u64);
            prop_assert_eq!(read(speech, &bytes, &cuts(&places, bytes.len())), whole);
        }
    }
}
