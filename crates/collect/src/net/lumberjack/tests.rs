//! What is read from frames, whole, in pieces, and broken.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;

use super::*;
use crate::net::batch::Bounds;

const BOUNDS: Bounds = Bounds { message_bytes_max: 64, messages_max: 1 << 20, bytes_max: 1 << 20 };

fn frame(head: &str, numbers: &[u32], payload: &[u8]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    head.bytes().chain(numbers).chain(payload.iter().copied()).collect()
}

fn window(events: u32) -> Vec<u8> {
    frame("2W", &[events], b"")
}

fn event(sequence: u32, json: &str) -> Vec<u8> {
    frame("2J", &[sequence, json.len() as u32], json.as_bytes())
}

fn pairs(sequence: u32, pairs: &[(&str, &str)]) -> Vec<u8> {
    let texts = pairs.iter().flat_map(|(key, value)| [key, value]);
    let texts = texts.flat_map(|text| frame("", &[text.len() as u32], text.as_bytes()));
    frame("1D", &[sequence, pairs.len() as u32], &texts.collect::<Vec<_>>())
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let bytes = zlib(bytes);
    frame("2C", &[bytes.len() as u32], &bytes)
}

/// All steps but the hungry and the working ones, in words, and the events; or what was wrong.
fn read(bytes: &[u8], sizes: &[usize]) -> (Vec<String>, Option<Broken>, bool) {
    let mut decoder = Lumberjack::new(1 << 20);
    let mut sheaf = Sheaf::new(BOUNDS, ([127, 0, 0, 1], 1).into());
    let mut steps = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (mut piece, after) = rest.split_at(rest.len().min((*size).max(1)));
        rest = after;
        loop {
            match decoder.step(&mut piece, &mut sheaf) {
                Ok(Step::Hungry) => break,
                Ok(Step::Working) => {}
                Ok(Step::Window { version }) => steps.push(format!("{version:?} window")),
                Ok(Step::Event { version, sequence, is_last_of_window }) => {
                    let batch = sheaf.take();
                    let message = batch.messages().next().unwrap();
                    let text = String::from_utf8_lossy(message.bytes).into_owned();
                    let end = if is_last_of_window { " end" } else { "" };
                    steps.push(format!("{version:?} {sequence} {text} -{}{end}", message.left_out_bytes));
                }
                Err(broken) => return (steps, Some(broken), decoder.is_inside()),
            }
        }
        assert!(piece.is_empty());
        if rest.is_empty() {
            break;
        }
    }
    (steps, None, decoder.is_inside())
}

#[test]
fn frames_are_read_in_pieces_of_any_size() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
    let stream = [
        window(2),
        event(1, "{}"),
        event(2, ""),
        window(3),
        packed(&[event(u32::MAX, r#"{"a":1}"#), event(0, "{}"), event(1, &long)].concat()),
        frame("1W", &[1], b""),
        pairs(7, &[("line", "say \"hé\"\n"), ("host", "")]),
        pairs(8, &[]),
    ]
    .concat();
    let expected = [
        "Two window",
        "Two 1 {} -0",
        "Two 2  -0 end",
        "Two window",
        "Two 4294967295 {\"a\":1} -0",
        "Two 0 {} -0",
        "Two 1 {\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx -44 end",
        "One window",
        "One 7 {\"line\":\"say \\\"hé\\\"\\n\",\"host\":\"\"} -0 end",
        "One 8 {} -0 end",
    ];
    for size in [1, 2, 3, 7, 64, 100_000] {
        let (steps, broken, is_inside) = read(&stream, &[size]);
        assert_eq!(
            (steps.as_slice(), broken, is_inside),
            (expected.map(str::to_owned).as_slice(), None, false),
            "{size}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let bomb = packed(&event(1, &" ".repeat(2 << 20)));
    let torn = zlib(&event(1, "{}")[..9]);
    let mut damaged = packed(&event(1, "{}"));
    damaged[8] ^= 0xff;
    let cases: &[(&str, Vec<u8>, Broken)] = &[
        ("kind", frame("2X", &[], b""), Broken::Frame { version: b'2', kind: b'X' }),
        ("an acknowledgement from a sender", frame("2A", &[1], b""), Broken::Frame { version: b'2', kind: b'A' }),
        ("version", frame("3W", &[], b""), Broken::Frame { version: b'3', kind: b'W' }),
        ("JSON in version 1", frame("1J", &[], b""), Broken::Frame { version: b'1', kind: b'J' }),
        ("window", window(WINDOW_EVENTS_MAX + 1), Broken::Window { events: WINDOW_EVENTS_MAX + 1 }),
        ("no window", event(1, "{}"), Broken::NoWindow),
        ("window of none", [window(0), event(1, "{}")].concat(), Broken::NoWindow),
        ("length", frame("2J", &[1, u32::MAX], b""), Broken::Length { what: "event", bytes: u32::MAX }),
        ("packed length", frame("2C", &[u32::MAX], b""), Broken::Length { what: "compressed frame", bytes: u32::MAX }),
        ("text", frame("1D", &[1, 1, u32::MAX], b""), Broken::Length { what: "text of a pair", bytes: u32::MAX }),
        ("pairs", frame("1D", &[1, 5_000], b""), Broken::Pairs { count: 5_000 }),
        ("nested", packed(&packed(&event(1, "{}"))), Broken::Nested),
        ("bomb", bomb, Broken::Bomb { bytes_max: 1 << 20 }),
        ("torn", frame("2C", &[torn.len() as u32], &torn), Broken::Torn),
        ("zlib", damaged, Broken::Zlib),
        ("no zlib", frame("2C", &[3], b"abc"), Broken::Zlib),
    ];
    for (what, stream, expected) in cases {
        let with_window =
            if *expected == Broken::NoWindow { stream.clone() } else { [window(9), stream.clone()].concat() };
        for size in [1, 4, 100_000] {
            assert_eq!(read(&with_window, &[size]).1, Some(*expected), "{what} by {size}");
        }
    }
}

#[test]
fn what_follows_the_end_of_zlib_in_its_frame_is_passed_over() {
    for tail in ["", "x", "2J and more"] {
        let bytes = [&zlib(&event(1, "{}"))[..], tail.as_bytes()].concat();
        let stream = [window(2), frame("2C", &[bytes.len() as u32], &bytes), event(2, "{}")].concat();
        for size in [1, 5, 100_000] {
            let (steps, broken, _) = read(&stream, &[size]);
            assert_eq!((steps.len(), broken), (3, None), "{tail:?} by {size}");
        }
    }
}

#[test]
fn a_window_stands_until_another_is_announced() {
    let stream = [window(2), event(1, "a"), event(2, "b"), event(3, "c"), window(1), event(9, "d")].concat();
    let expected = ["Two window", "Two 1 a -0", "Two 2 b -0 end", "Two 3 c -0", "Two window", "Two 9 d -0 end"];
    assert_eq!(read(&stream, &[5]).0, expected);
}

#[test]
fn it_is_known_whether_the_sender_must_go_on() {
    for (stream, is_inside) in [
        (vec![], false),
        (b"2".to_vec(), true),
        (window(2), false),
        ([window(2), event(1, "a")].concat(), true),
        ([window(2), event(1, "a"), event(2, "b")].concat(), false),
        ([window(1), event(1, "abc")[..11].to_vec()].concat(), true),
        ([window(1), packed(&event(1, "abc"))[..7].to_vec()].concat(), true),
    ] {
        assert_eq!(read(&stream, &[3]).2, is_inside, "{stream:?}");
    }
}

fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let plain = prop_oneof![
        4 => (any::<u32>(), ".{0,80}").prop_map(|(sequence, text)| event(sequence, &text)),
        1 => (any::<u32>(), proptest::collection::vec((".{0,9}", ".{0,30}"), 0..4)).prop_map(|(sequence, texts)| {
            pairs(sequence, &texts.iter().map(|(key, value)| (&key[..], &value[..])).collect::<Vec<_>>())
        }),
        1 => (0..6u32).prop_map(window),
    ];
    let some = proptest::collection::vec(plain, 0..8).prop_map(|frames| frames.concat());
    let turn = (any::<bool>(), some).prop_map(|(is_packed, frames)| if is_packed { packed(&frames) } else { frames });
    let cut = proptest::option::of(any::<prop::sample::Index>());
    (proptest::collection::vec(turn, 0..4), cut).prop_map(|(turns, cut)| {
        let mut bytes = [window(3), turns.concat()].concat();
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len() + 1)));
        bytes
    })
}

proptest! {
    #[test]
    fn pieces_do_not_matter(stream in any_frames(), sizes in proptest::collection::vec(1..40usize, 1..20)) {
        prop_assert_eq!(read(&stream, &sizes), read(&stream, &[usize::MAX]));
    }
}
