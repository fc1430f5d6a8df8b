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
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;

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

/// One way to break bytes; places are scaled to whatever length there is.
#[derive(Clone, Debug)]
enum Break {
    Change(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, &'static [u8]),
    /// What another capture has from its own place on.
    Splice(Index, Index, Index),
    Truncate(Index),
}

impl Break {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Change(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Change(..) => {}
            Self::Cut(at, length) => {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Self::Repeat(at, length, times) => {
                let at = at.index(bytes.len() + 1);
                let piece = bytes[at..bytes.len().min(at + length)].repeat(*times);
                bytes.splice(at..at, piece);
            }
            Self::Insert(at, token) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, token.iter().copied());
            }
            Self::Splice(at, which, from) => {
                let other = &which.get(&CAPTURES).bytes;
                bytes.truncate(at.index(bytes.len() + 1));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
        }
    }
}

/// Broken captures, and now and then bytes that never were one.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Break::Change(at, byte)),
        2 => (any::<Index>(), 1..40usize).prop_map(|(at, length)| Break::Cut(at, length)),
        2 => (any::<Index>(), 1..60usize, 1..50usize).prop_map(|(at, length, times)| Break::Repeat(at, length, times)),
        5 => (any::<Index>(), select(TOKENS)).prop_map(|(at, token)| Break::Insert(at, token)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(at, which, from)| Break::Splice(at, which, from)),
        1 => any::<Index>().prop_map(Break::Truncate),
    ];
    let captures = (any::<Index>(), vec(one, 0..6)).prop_map(|(which, breaks)| {
        let mut bytes = which.get(&CAPTURES).bytes.clone();
        for one in &breaks {
            one.apply(&mut bytes);
        }
        bytes
    });
    let tokens = vec(select(TOKENS), 0..30).prop_map(|tokens| tokens.concat());
    prop_oneof![8 => captures, 2 => tokens, 1 => vec(any::<u8>(), 0..200)]
}

fn rounds() -> ProptestConfig {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    let cases = if set { default.cases } else { ROUNDS };
    let seeds =
        FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/net/fuzz.proptest-regressions"));
    ProptestConfig { cases, failure_persistence: Some(Box::new(seeds)), ..default }
}

fn places(places: &[Index], length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(length + 1)).collect();
    places.sort_unstable();
    places
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn first_bytes(bytes in broken()) {
        // What two bytes do not tell, more do not either.
        let known = sniff(&bytes[..bytes.len().min(2)]);
        prop_assert_eq!(known == Sniffed::Nothing, bytes.len() < 2 && bytes.first().is_none_or(|first| (b'1'..=b'9').contains(first)));
        prop_assert_eq!(known, sniff(&bytes));
    }

    #[test]
    fn frames(bytes in broken(), cuts in vec(any::<Index>(), 0..8)) {
        let whole = read(Speech::Lumberjack, &bytes, &[]);
        prop_assert_eq!(whole.messages.len(), whole.events.len() + usize::from(whole.broken == Some(Broken::NoWindow)));
let cut = read(Speech::Lumberjack, &bytes, &places(&cuts, bytes.len()));
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
    fn messages(bytes in broken(), cuts in vec(any::<Index>(), 0..8)) {
        for speech in [Speech::SyslogLines, Speech::SyslogCounted] {
            let whole = read(speech, &bytes, &[]);
            let came: u64 = whole.messages.iter().map(|(message, left_out)| message.len() as u64 + left_out).sum();
            prop_assert!(came <= bytes.len() as u64);
            prop_assert_eq!(read(speech, &bytes, &places(&cuts, bytes.len())), whole);
        }
    }
}
