//! `shape`: what becomes of collected lines before they are kept.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use tollhouse_units::Bytes;

use crate::{
    config::{FieldKind, LineCap, OnAbort, ShapeConfig, SourceConfig, Vrl},
    decode::{Decoder, Section},
    problem::shown,
    saying::{Said, Saying},
    tree::{Data, Entry, Node},
};

/// Most entries: each line of a source goes through all that are about it.
const ENTRIES_MAX: usize = 64;
/// What an entry does.
const WORK: [&str; 3] = ["vrl", "fields", "cap"];
/// Largest program.
const PROGRAM_BYTES_MAX: u64 = 64 << 10;
/// Most fields of one entry whose kind is declared.
const FIELDS_MAX: usize = 64;
/// Longest name of such a field, in bytes.
const FIELD_NAME_BYTES_MAX: usize = 128;
/// Shortest and longest time of a cap.
const CAP_TIMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));
/// Most lines of a cap.
const CAP_LINES_MAX: u64 = 1_000_000_000;

/// Reads all entries; they can only be about `sources`.
pub(super) fn shapes(d: &mut Decoder<'_>, node: &Node, sources: &[SourceConfig]) -> Option<Vec<ShapeConfig>> {
    let entries = d.list(node, "a list, such as [{source: app, vrl: 'del(.secret)'}]", |d, node| {
        let mut read = None;
        d.section(node, |d, s| read = shape(d, s, node, sources));
        read
    })?;
    if entries.len() > ENTRIES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: "entries".to_owned() },
            Saying::AtMost { most: ENTRIES_MAX as u64 },
        );
    }
    Some(entries)
}

fn shape(d: &mut Decoder<'_>, s: &mut Section<'_>, node: &Node, sources: &[SourceConfig]) -> Option<ShapeConfig> {
    let expected = "the name of a source, a list of names, or \"*\" for all";
    let about = s.require(d, "source", expected, |d, node| names(d, node, sources));
    let mut vrl = None;
    s.set_some(d, "vrl", &mut vrl, program);
    let mut on_abort = OnAbort::default();
    s.set(d, "on_abort", &mut on_abort, |d, node| d.word(node, &OnAbort::WORDS));
    let mut fields = Vec::new();
    s.set(d, "fields", &mut fields, kinds);
    let cap_node = s.get("cap");
    let cap = cap_node.and_then(|node| cap(d, node));
    let does_something = |entries: &[Entry]| entries.iter().any(|entry| WORK.contains(&entry.name.as_str()));
    let does_nothing = !node.entries().is_some_and(does_something);
    if does_nothing {
        d.wrong(node, "this does nothing", "one of: vrl, fields, cap");
    }
    Some(ShapeConfig { sources: about?, vrl, on_abort, fields, cap })
}

/// One name or several.
fn names(d: &mut Decoder<'_>, node: &Node, sources: &[SourceConfig]) -> Option<Vec<String>> {
    if !matches!(node.data, Data::List(_)) {
        return name(d, node, sources).map(|name| vec![name]);
    }
    let names = d.list(node, "names of sources", |d, node| name(d, node, sources))?;
    if node.is_empty() {
        d.wrong(node, "an empty list stands here", "the names of sources");
        return None;
    }
    Some(names)
}

fn name(d: &mut Decoder<'_>, node: &Node, sources: &[SourceConfig]) -> Option<String> {
    let name = d.text(node, "the name of a source, in which `*` stands for any characters")?.value;
    if name.contains('*') || sources.iter().any(|source| source.name == name) {
        return Some(name);
    }
    let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let expected = match known.len() {
        0 => Said::from("a source, and there is none under `sources`"),
        _ => Said::filled("one of: {}; or a pattern with `*`", &[&known.join(", ")]),
    };
    d.wrong(node, Said::filled("there is no source `{}`", &[&shown(&name)]), expected);
    None
}

/// A program as it is written, or from the file that `file:/path` names.
pub(super) fn program(d: &mut Decoder<'_>, node: &Node) -> Option<Vrl> {
    let expected = "a VRL program, or file:/path of one";
    let mut text = d.text(node, expected)?.value;
    if let Some(path) = text.strip_prefix("file:") {
        match read(Path::new(path.trim())) {
            Ok(read) => text = read,
            Err(error) => {
                d.wrong(
                    node,
                    Said::filled("cannot take the program from {}: {}", &[&shown(path), &error.words()]),
                    expected,
                );
                return None;
            }
        }
    }
    if text.len() as u64 > PROGRAM_BYTES_MAX {
        d.wrong(node, "the program is too long", Said::filled("at most {}", &[&Bytes(PROGRAM_BYTES_MAX)]));
        return None;
    }
    Some(Vrl { text, place: node.place, path: node.path.clone(), file: String::new() })
}

fn read(path: &Path) -> Result<String, Said> {
    if !path.is_absolute() {
        return Err(Said::from("the path must begin with `/`"));
    }
    // A pipe or a device could keep us waiting for ever.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err(Said::from("it is not a file"));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(PROGRAM_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.trim().is_empty() { Err(Said::from("it is empty")) } else { Ok(text) }
}

fn kinds(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<(String, FieldKind)>> {
    let entries = d.entries(node, "names of fields with their kinds, such as {took: integer}")?;
    if entries.len() > FIELDS_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: "fields".to_owned() },
            Saying::AtMost { most: FIELDS_MAX as u64 },
        );
        return None;
    }
    let mut kinds = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.name.is_empty() || entry.name.len() > FIELD_NAME_BYTES_MAX {
            let expected = Said::filled("a name of 1 to {} bytes", &[&FIELD_NAME_BYTES_MAX]);
            d.wrong(&entry.value, "the name of this field is empty or too long", expected);
        }
        if let Some(kind) = d.word(&entry.value, &FieldKind::WORDS) {
            kinds.push((entry.name.clone(), kind));
        }
    }
    Some(kinds)
}

fn cap(d: &mut Decoder<'_>, node: &Node) -> Option<LineCap> {
    let mut cap = None;
    d.section(node, |d, s| {
        let lines = s
            .require(d, "lines", "how many lines of one pattern, such as 1000", |d, node| d.count(node, CAP_LINES_MAX));
        let per = s.require(d, "per", "in how long, such as 1s", |d, node| {
            let per = d.duration(node)?;
            if per < CAP_TIMES.0 || per > CAP_TIMES.1 {
                d.wrong(node, "this is too short or too long", "a time from 1s to 24h");
                return None;
            }
            Some(per)
        });
        cap = lines.zip(per).map(|(lines, per)| LineCap { lines, per });
    });
    cap
}
