//! The form of a line: written here, and its ends read back here without parsing the middle.

use std::io::Write;

use memchr::memmem;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::JournalError;
use crate::names::timestamp;
use crate::record::{FIELDS_MAX, Record, push_json};

/// Longest line, its LF included, in bytes.
pub const LINE_BYTES_MAX: usize = 2 << 20;
/// Longest line of a record that has no field which is kept uncut, its LF included, in bytes.
pub const RECORD_BYTES_MAX: usize = 256 << 10;
/// Longest field that is kept uncut, as it stands in the line, in bytes.
pub const UNCUT_BYTES_MAX: usize = LINE_BYTES_MAX - RECORD_BYTES_MAX;
/// What the configured fields may take of each line.
const FIXED_BYTES_MAX: usize = 64 * 1024;
/// Room kept for everything in a line that is neither message, caller nor field: names, time, seq, hash.
const FRAME_BYTES_MAX: usize = 1024;
/// What is left at least of a text that must be cut.
const CUT_BYTES_MIN: usize = 128;
/// Room for the mark that tells how much was cut.
const MARK_BYTES_MAX: usize = 48;
/// Hex digits of the chain hash that a line carries.
const HASH_DIGITS: usize = 32;
/// `,"prev":"` + hash + `"}`
const PREV_BYTES: usize = 9 + HASH_DIGITS + 2;
/// `kind` begins within this many bytes of a line.
const KIND_WITHIN: usize = 96;

const _: () = assert!(FIXED_BYTES_MAX + FRAME_BYTES_MAX < RECORD_BYTES_MAX / 2, "a record must have room in its line");

/// The chain hash as text.
pub(crate) type Hash = [u8; HASH_DIGITS];

/// What the next line continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// `seq` of the last line, 0 when there is none.
    pub(crate) seq: u64,
    /// Hash of the last line.
    pub(crate) hash: Hash,
    /// Time of the last line, milliseconds since 1970.
    pub(crate) ts_ms: i64,
}

impl Head {
    /// Before the first line.
    pub(crate) const START: Self = Self { seq: 0, hash: [b'0'; HASH_DIGITS], ts_ms: 0 };
}

/// Writes lines of one journal.
#[derive(Debug)]
pub(crate) struct Form {
    /// `,"service":"…"`
    service: Vec<u8>,
    /// Configured fields: name with quotes, and `,"name":value`.
    fixed: Vec<(Vec<u8>, Vec<u8>)>,
    fixed_bytes: usize,
    /// The last time printed and its text: many lines share a millisecond.
    stamp_ms: i64,
    stamp: String,
}

impl Form {
    pub(crate) fn new(service: &str, fields: &Map<String, Value>) -> Result<Self, JournalError> {
        let mut service_text = b",\"service\":".to_vec();
        push_json(&mut service_text, service);
        // A record gives names their free form; configured fields follow the same rule.
        let record = fields
            .iter()
            .fold(Record::new("", crate::Level::Info, ""), |record, (name, value)| record.field(name, value));
        let mut fixed = Vec::new();
        for (index, name) in record.names.iter().enumerate() {
            let end = record.names.get(index + 1).map_or(record.body.len(), |next| next.start - 1);
            fixed.push((record.body[name.clone()].to_vec(), record.body[name.start - 1..end].to_vec()));
        }
        let fixed_bytes = service_text.len() + record.body.len();
        if fixed_bytes > FIXED_BYTES_MAX {
            return Err(JournalError::FieldsTooLong { bytes: fixed_bytes, max: FIXED_BYTES_MAX });
        }
        Ok(Self { service: service_text, fixed, fixed_bytes, stamp_ms: i64::MIN, stamp: String::new() })
    }

    /// Appends the line of `record` after `head`, and moves `head`. Says whether something had to be cut.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, record: &Record, head: &mut Head, now_ms: i64) -> bool {
        let start = out.len();
        let ts_ms = now_ms.max(head.ts_ms);
        if ts_ms != self.stamp_ms {
            self.stamp = format!("{:.3}", timestamp(ts_ms));
            self.stamp_ms = ts_ms;
        }
        self.write_record(out, record, head);
        let cut = out.len() - start > RECORD_BYTES_MAX + record.uncut_bytes();
        if cut {
            out.truncate(start);
            self.write_record(out, &shorten(record, RECORD_BYTES_MAX - FRAME_BYTES_MAX - self.fixed_bytes), head);
        }
        debug_assert!(out.len() - start <= LINE_BYTES_MAX, "a cut line must fit");
        *head = Head { seq: head.seq + 1, hash: hash(&out[start..out.len() - 1]), ts_ms };
        cut
    }

    fn write_record(&self, out: &mut Vec<u8>, record: &Record, head: &Head) {
        out.extend_from_slice(b"{\"ts\":\"");
        out.extend_from_slice(self.stamp.as_bytes());
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(record.level.as_str().as_bytes());
        out.extend_from_slice(b"\",\"kind\":");
        push_json(out, record.kind);
        out.extend_from_slice(b",\"msg\":");
        push_json(out, &record.msg);
        out.extend_from_slice(b",\"caller\":");
        push_json(out, &record.caller);
        out.extend_from_slice(&self.service);
        for (name, field) in &self.fixed {
            if !record.has(name) {
                out.extend_from_slice(field);
            }
        }
        out.extend_from_slice(&record.body);
        // Writing to a Vec cannot fail.
        if record.dropped > 0 {
            let _ = write!(out, ",\"fields_dropped\":{}", record.dropped);
        }
        let _ = write!(out, ",\"seq\":{},\"prev\":\"", head.seq + 1);
        out.extend_from_slice(&head.hash);
        out.extend_from_slice(b"\"}\n");
    }
}

/// The chain hash of a line without its LF.
pub(crate) fn hash(line: &[u8]) -> Hash {
    let mut digits = [0; HASH_DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(Sha256::digest(line)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// `seq` and `prev` of a line without its LF, or nothing when the line does not end as ours do.
pub(crate) fn ends(line: &[u8]) -> Option<(u64, Hash)> {
    let (before, prev) = line.split_at_checked(line.len().checked_sub(PREV_BYTES)?)?;
    let hash: Hash = prev.strip_prefix(b",\"prev\":\"")?.strip_suffix(b"\"}")?.try_into().ok()?;
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, digits) = before.split_at(before.len() - digits);
    let seq = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (name.ends_with(b",\"seq\":") && hash.iter().all(u8::is_ascii_hexdigit)).then_some((seq, hash))
}

/// Whether a line begins as ours do: `ts`, `level` and `kind`.
pub(crate) fn begins(line: &[u8]) -> bool {
    how_it_begins(line) == Begin::Whole
}

/// Whether this can be the begin of a line of ours that was cut off anywhere behind its first byte; zeros may follow it.
pub(crate) fn can_begin(torn: &[u8]) -> bool {
    let zeros = torn.iter().rev().take_while(|byte| **byte == 0).count();
    let torn = &torn[..torn.len() - zeros];
    !torn.is_empty() && how_it_begins(torn) != Begin::Other
}

#[derive(PartialEq)]
enum Begin {
    Whole,
    CutOff,
    Other,
}

fn how_it_begins(line: &[u8]) -> Begin {
    let mut rest = line;
    for part in [&b"{\"ts\":\""[..], b"\",\"level\":\"", b"\",\"kind\":\""] {
        let Some(value) = rest.strip_prefix(part) else {
            return if part.starts_with(rest) { Begin::CutOff } else { Begin::Other };
        };
        let is_value = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-:.".contains(byte);
        rest = &value[value.iter().take_while(is_value).count()..];
    }
    Begin::Whole
}

/// `ts` of a line in milliseconds since 1970, without parsing the rest.
pub(crate) fn ts_ms(line: &[u8]) -> Option<i64> {
    let text = line.strip_prefix(b"{\"ts\":\"")?;
    let text = &text[..memchr::memchr(b'"', text)?];
    let ts: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(ts.as_millisecond())
}

/// `kind` of a line, and what follows it, without parsing.
pub(crate) fn kind(line: &[u8]) -> Option<(&[u8], &[u8])> {
    const NAME: &[u8] = b"\"kind\":\"";
    let at = memmem::find(&line[..line.len().min(KIND_WITHIN)], NAME)? + NAME.len();
    let end = at + memchr::memchr(b'"', &line[at..])?;
    Some((&line[at..end], &line[end + 1..]))
}

/// A record whose message, caller and fields take at most `room` bytes, apart from the one that is kept uncut: the longest texts are
/// cut one after another, and when that is not enough the last fields go.
fn shorten(record: &Record, room: usize) -> Record {
    let mut short = Record::new(record.kind, record.level, record.msg.clone());
    short.caller = cut(&record.caller, FRAME_BYTES_MAX / 2).unwrap_or_else(|| record.caller.to_string()).into();
    let mut object = vec![b'{'];
    object.extend_from_slice(record.body.get(1..).unwrap_or_default());
    object.push(b'}');
    let fields: Map<String, Value> = serde_json::from_slice(&object).unwrap_or_default();
    let lost = if fields.is_empty() { record.names.len() } else { 0 };

    // The message takes part as if it were a field, and what is kept uncut does not.
    let mut parts: Vec<(String, Value)> = vec![(String::new(), Value::String(record.msg.to_string()))];
    parts.extend(fields);
    let uncut =
        record.uncut.map(|place| place + 1).filter(|place| *place < parts.len()).map(|place| parts.remove(place));
    let size = |name: &str, value: &Value| json_bytes(name) + json_bytes(value) + 2;
    let mut sizes: Vec<usize> = parts.iter().map(|(name, value)| size(name, value)).collect();
    let mut total = json_bytes(&short.caller) + sizes.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(sizes[index]));
    for index in order {
        if total <= room {
            break;
        }
        let text = match &parts[index].1 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // What was not a text may grow by the escaping that makes it one; then the least of it must do.
        for keep in [text.len().saturating_sub(total - room + MARK_BYTES_MAX).max(CUT_BYTES_MIN), CUT_BYTES_MIN] {
            let Some(text) = cut(&text, keep).filter(|_| total > room) else { break };
            parts[index].1 = Value::String(text);
            total -= sizes[index];
            sizes[index] = size(&parts[index].0, &parts[index].1);
            total += sizes[index];
        }
    }
    while total > room && parts.len() > 1 {
        total -= sizes[parts.len() - 1];
        parts.pop();
        short.dropped += 1;
    }
    short.dropped += record.dropped + lost;

    let mut parts = parts.into_iter();
    if let Some((_, Value::String(msg))) = parts.next() {
        short.msg = msg.into();
    }
    let dropped = short.dropped;
    debug_assert!(parts.len() <= FIELDS_MAX, "a record never has more");
    let mut short = parts.fold(short, |short, (name, value)| short.field(&name, &value));
    if let Some((name, Value::String(text))) = uncut {
        short = short.uncut(&name, &text);
    }
    short.dropped = dropped;
    short
}

/// The first `keep` bytes of a text with a mark, or nothing when it is not longer.
fn cut(text: &str, keep: usize) -> Option<String> {
    let end = text.floor_char_boundary(keep);
    (end < text.len()).then(|| format!("{}…[cut {} bytes]", &text[..end], text.len() - end))
}

fn json_bytes<T: serde::Serialize + ?Sized>(value: &T) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use proptest::prelude::*;
    use serde_json::json;

    fn form(fields: &Value) -> Form {
        Form::new("house", fields.as_object().unwrap()).unwrap()
    }

    fn write(form: &mut Form, record: &Record, head: &mut Head) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let cut = form.write(&mut out, record, head, 1_769_508_000_123);
        assert_eq!(out.pop(), Some(b'\n'));
        (out, cut)
    }

    #[test]
    fn a_line_is_as_documented() {
        let mut head = Head::START;
        let mut form = form(&json!({"site": "shanghai", "user": "nobody", "seq": 1}));
        let record =
            Record::new("request", Level::Info, "done \"x\"\n\u{1b}[0m").caller("gateway/stack.rs").field("user", "u");
        let (line, cut) = write(&mut form, &record, &mut head);
        let expected = concat!(
            r#"{"ts":"2026-01-27T10:00:00.123Z","level":"info","kind":"request","msg":"done \"x\"\n\u001b[0m","#,
            r#""caller":"gateway/stack.rs","service":"house","site":"shanghai","_seq":1,"user":"u","#,
            r#""seq":1,"prev":"00000000000000000000000000000000"}"#
        );
        assert_eq!((std::str::from_utf8(&line).unwrap(), cut), (expected, false));
        assert_eq!(ends(&line), Some((1, Head::START.hash)));
        assert_eq!(kind(&line).unwrap().0, b"request");
        assert_eq!(ts_ms(&line), Some(1_769_508_000_123));

        let (second, _) = write(&mut form, &record, &mut head);
        assert_eq!(ends(&second), Some((2, hash(&line))));
        assert_eq!(hash(b"abc"), *b"ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn time_never_goes_back() {
        let mut head = Head { ts_ms: 1_800_000_000_000, ..Head::START };
        let (line, _) = write(&mut form(&json!({})), &Record::new("log", Level::Info, ""), &mut head);
        assert!(line.starts_with(b"{\"ts\":\"2027-01-15T08:00:00.000Z\""));
    }

    #[test]
    fn foreign_ends_are_refused() {
        let prev = "0".repeat(32);
        for (line, expected) in [
            (format!("{{\"a\":1,\"seq\":5,\"prev\":\"{prev}\"}}"), Some(5)),
            (format!("{{\"a\":1,\"seq\":,\"prev\":\"{prev}\"}}"), None),
            (format!("{{\"a\":1,\"seq\":99999999999999999999,\"prev\":\"{prev}\"}}"), None),
            (format!("{{\"a\":1,\"seq\":5,\"prev\":\"{}x\"}}", &prev[1..]), None),
            (format!("{{\"a\":1,\"sec\":5,\"prev\":\"{prev}\"}}"), None),
            ("{}".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(ends(line.as_bytes()).map(|(seq, _)| seq), expected, "{line}");
        }
    }

    #[test]
    fn long_fields_are_cut_longest_first() {
        let record = Record::new("request", Level::Info, "short")
            .field("prompt", "é".repeat(300_000))
            .field("model", "qwen3:32b")
            .field("list", vec![7; 50]);
        let (line, cut) = write(&mut form(&json!({})), &record, &mut Head::START.clone());
        assert!(cut && line.len() < RECORD_BYTES_MAX && line.len() > RECORD_BYTES_MAX - 4096, "{}", line.len());
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&value["model"], &value["msg"], &value["list"][49]),
            (&json!("qwen3:32b"), &json!("short"), &json!(7))
        );
        let prompt = value["prompt"].as_str().unwrap();
        assert!(prompt.starts_with("éé") && prompt.ends_with(" bytes]"));
    }

    #[test]
    fn one_field_may_be_kept_uncut() {
        let whole = "é".repeat(UNCUT_BYTES_MAX / 2 - 64);
        let record = Record::new("dead_letter", Level::Error, "long")
            .field("event", json!({"msg": "x".repeat(300_000)}))
            .uncut("line", &whole)
            .field("line", "another")
            .field("form", "json");
        let (line, cut) = write(&mut form(&json!({})), &record, &mut Head::START.clone());
        assert!(cut && line.len() < LINE_BYTES_MAX, "{}", line.len());
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&value["line"], &value["_line"]), (&json!(whole), &json!("another")));
        assert_eq!((&value["form"], ends(&line).map(|(seq, _)| seq)), (&json!("json"), Some(1)));
        assert!(value["event"].as_str().unwrap().ends_with(" bytes]"));

        let record = Record::new("dead_letter", Level::Error, "long").uncut("line", &whole).field("n", 1);
        let (line, cut) = write(&mut form(&json!({})), &record, &mut Head::START.clone());
        assert!(!cut && line.len() > whole.len(), "nothing else is too long");

        // One that is too long has to take part, and so has a second one.
        let record = Record::new("dead_letter", Level::Error, "long")
            .uncut("line", &"x".repeat(UNCUT_BYTES_MAX))
            .uncut("one", &whole)
            .uncut("other", &whole);
        let (line, cut) = write(&mut form(&json!({})), &record, &mut Head::START.clone());
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert!(cut && line.len() < LINE_BYTES_MAX && value["one"] == whole.as_str());
        assert!(["line", "other"].iter().all(|name| value[*name].as_str().unwrap().ends_with(" bytes]")));
    }

    #[test]
    fn configured_fields_have_a_bound() {
        let fields = json!({"x": "y".repeat(FIXED_BYTES_MAX)});
        assert!(matches!(Form::new("s", fields.as_object().unwrap()), Err(JournalError::FieldsTooLong { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_record_becomes_one_sound_line(
            msg in ".{0,40}", caller in ".{0,10}", repeat in 1_usize..10_000,
            fields in prop::collection::vec((".{0,6}|seq|prev|msg", ".{0,20}", any::<bool>()), 0..12),
        ) {
            let mut record = Record::new("log", Level::Info, msg.clone()).caller(caller);
            for (name, text, long) in &fields {
                let text = if *long { text.repeat(repeat) } else { text.clone() };
                record = if *long && repeat % 2 == 0 { record.field(name, [text]) } else { record.field(name, text) };
            }
            let (line, _) = write(&mut form(&json!({"site": "x"})), &record, &mut Head::START.clone());
            prop_assert!(line.len() < LINE_BYTES_MAX);
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(ends(&line).unwrap().0, 1);
            let value: Map<String, Value> = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(&value["seq"], &json!(1));
            prop_assert!(value.len() >= 8 + fields.len());
        }
    }
}
