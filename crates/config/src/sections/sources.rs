//! `sources`: whose log lines are collected.

use std::collections::HashMap;
use std::net::SocketAddr;

use tollhouse_units::Bytes;

use super::{access::networks, check_name, listen_address};
use crate::{
    config::{
        Auth, Begin, FileRotate, FileSource, HttpSource, JournaldSource, KeepFiles, LineFormat, ListenSource, Reopen,
        ReopenSignal, RotateMethod, SourceConfig, SourceKind, TlsFiles,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    tree::Node,
};

/// How a `type` is read.
type ReadKind = fn(&mut Decoder<'_>, &mut Section<'_>) -> Option<SourceKind>;

/// What stands as `type`.
const TYPES: [(&str, ReadKind); 5] =
    [("listen", listen), ("file", file), ("http", http), ("journald", journald), ("stdin", stdin)];
/// Most patterns of one source.
const PATHS_MAX: usize = 64;
/// From this size on a file is rotated where nothing is said.
const ROTATE_SIZE: u64 = 256 << 20;
/// Most parts of a command.
const COMMAND_PARTS_MAX: usize = 64;
/// Longest name of a unit (systemd's own bound).
const UNIT_BYTES_MAX: usize = 255;

/// Reads all sources. `house` is where the house itself listens, and `auth` whether it asks for keys.
pub(super) fn sources(d: &mut Decoder<'_>, node: &Node, house: SocketAddr, auth: Auth) -> Option<Vec<SourceConfig>> {
    let entries = d.entries(node, "names with settings, such as network: {type: listen, address: 127.0.0.1:5044}")?;
    let mut taken = HashMap::from([(house, "`listen`".to_owned())]);
    let mut stdin_of = None;
    let mut sources = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "sources", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let mut kind = None;
        d.section(&entry.value, |d, s| kind = source(d, s));
        let Some(kind) = kind else { continue };
        check_alone(d, &entry.name, &entry.value, &kind, &mut taken, &mut stdin_of);
        if let SourceKind::Http(HttpSource { address, .. }) = &kind
            && auth == Auth::Off
            && !address.ip().to_canonical().is_loopback()
        {
            let what = "nobody is asked for a key, and anybody who reaches this address could send";
            d.wrong(&entry.value, what, "an address of this machine alone, or access: {auth: keys}");
        }
        sources.push(SourceConfig { name: entry.name.clone(), kind });
    }
    Some(sources)
}

/// What one source has, no other one can have.
fn check_alone(
    d: &mut Decoder<'_>,
    name: &str,
    node: &Node,
    kind: &SourceKind,
    taken: &mut HashMap<SocketAddr, String>,
    stdin_of: &mut Option<String>,
) {
    let (what, other, expected) = match kind {
        // Port 0 is a port of the system's choice, each time another one.
        SourceKind::Listen(ListenSource { address, .. }) | SourceKind::Http(HttpSource { address, .. })
            if address.port() != 0 =>
        {
            (address.to_string(), taken.insert(*address, format!("source `{name}`")), "an address of its own")
        }
        SourceKind::Stdin(_) => {
            let other = stdin_of.replace(format!("source `{name}`"));
            ("the standard input".to_owned(), other, "one source of this type")
        }
        SourceKind::Listen(_)
        | SourceKind::Http(_)
        | SourceKind::File(_)
        | SourceKind::Journald(_)
        | SourceKind::Process(_) => return,
    };
    if let Some(other) = other {
        d.wrong(node, Said::filled("{} belongs to {} already", &[&what, &shown(&other)]), expected);
    }
}

fn source(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let index = s.require(d, "type", Saying::OneOf { names: known.join(", ") }, |d, node| d.one_of(node, &known));
    let Some(index) = index else {
        // Which keys there are depends on it: one message is enough.
        s.allow_all();
        return None;
    };
    TYPES[index].1(d, s)
}

fn listen(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let expected = "an IP address and a port, such as 127.0.0.1:5044";
    let address_node = s.get("address");
    let address = address_node.and_then(|node| listen_address(d, node));
    if address_node.is_none() {
        s.missing(d, "address", expected);
    }
    let mut udp = false;
    s.set(d, "udp", &mut udp, Decoder::bool);
    let tls = s.get("tls").map(|node| tls(d, node));
    let mut allow = Vec::new();
    let allow_node = s.get("allow");
    if let Some(read) = allow_node.and_then(|node| networks(d, node)) {
        allow = read;
    }
    if let Some((address, node)) = address.zip(address_node) {
        let knows_clients = tls.as_ref().is_some_and(|tls| tls.as_ref().is_none_or(|tls| tls.client_ca.is_some()));
        let names_networks = allow_node.is_some_and(|node| !node.is_empty());
        check_reach(d, node, address, udp, knows_clients, names_networks);
    }
    Some(SourceKind::Listen(ListenSource {
        address: address?,
        udp,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        allow,
    }))
}

fn http(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let expected = "an IP address and a port, such as 127.0.0.1:4318";
    let address = s.require(d, "address", expected, listen_address);
    let tls = s.get("tls").map(|node| tls(d, node));
    let allow_node = s.get("allow");
    let allow = allow_node.map(|node| networks(d, node));
    let format = format(d, s);
    Some(SourceKind::Http(HttpSource {
        address: address?,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        // Without those that were meant, everybody would be let in.
        allow: allow.map_or(Some(Vec::new()), |allow| allow)?,
        format,
    }))
}

fn file(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let expected = "a list of absolute paths, such as [/var/log/app/*.log]";
    let paths = s.require(d, "paths", expected, |d, node| {
        let paths = d.list(node, expected, path_pattern)?;
        // What was wrong with one of them is told already.
        if node.is_empty() || paths.len() > PATHS_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: paths.len(), things: "paths".to_owned() },
                Saying::OneToThings { most: PATHS_MAX, things: "paths".to_owned() },
            );
            return None;
        }
        Some(paths)
    });
    let (format, begin, rotate) = (format(d, s), begin(d, s), rotate(d, s));
    Some(SourceKind::File(FileSource { paths: paths?, format, begin, rotate }))
}

/// How the house rotates the files, if it does.
fn rotate(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<FileRotate> {
    let mut keep = KeepFiles::default();
    let keep_node = s.get("keep");
    if let Some(node) = keep_node {
        d.section(node, |d, s| {
            s.set(d, "bytes", &mut keep.bytes, Decoder::bytes);
            s.set(d, "days", &mut keep.days, Decoder::days);
            s.set_some(d, "count", &mut keep.count, Decoder::count_u32);
        });
    }
    let Some(node) = s.get("rotate") else {
        if let Some(node) = keep_node {
            let what = "what this house does not rotate, it does not remove";
            d.wrong(node, what, "`rotate` beside it, such as rotate: {size: 256MiB, method: copytruncate}");
        }
        return None;
    };
    let mut read = None;
    d.section(node, |d, s| {
        let (mut size, mut every_day, mut method) = (None, false, None);
        s.set_some(d, "size", &mut size, Decoder::bytes);
        s.set(d, "every", &mut every_day, |d, node| d.word(node, &[("day", true), ("never", false)]));
        s.set_some(d, "method", &mut method, |d, node| d.word(node, &RotateMethod::WORDS));
        let reopen = reopen(d, s);
        if size.is_none() && !every_day {
            size = Some(Bytes(ROTATE_SIZE));
        }
        // A program that is not told would go on in the old file.
        let usual = if reopen.is_some() { RotateMethod::Rename } else { RotateMethod::CopyTruncate };
        let method = method.unwrap_or(usual);
        if method == RotateMethod::CopyTruncate && reopen.is_some() {
            d.wrong(node, "a file that is emptied needs nobody who is told", "method: rename");
        }
        read = Some(FileRotate { size, every_day, method, reopen, keep });
    });
    read
}

fn reopen(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<Reopen> {
    let command = s.get("command").and_then(|node| {
        let expected = "a list of a program and its arguments, such as [nginx, -s, reopen]";
        let parts = d.list(node, expected, |d, node| d.text(node, "a text").map(|text| text.value))?;
        if parts.is_empty() || parts.len() > COMMAND_PARTS_MAX {
            let count = Saying::CountStands { count: parts.len(), things: "parts".to_owned() };
            d.wrong(node, count, Saying::OneToThings { most: COMMAND_PARTS_MAX, things: "parts".to_owned() });
            return None;
        }
        Some((node, Reopen::Command(parts)))
    });
    let signal_node = s.get("signal");
    let signal = signal_node.and_then(|node| d.word(node, &ReopenSignal::WORDS));
    let file_node = s.get("pid_file");
    let file = file_node.and_then(|node| d.path(node));
    if let Some(node) = signal_node.or(file_node)
        && (signal_node.is_none() || file_node.is_none())
    {
        d.wrong(node, "it takes both to tell a program", "`signal` and `pid_file`, or `command`");
    }
    match (command, signal.zip(file)) {
        (Some((node, _)), Some(_)) => {
            d.wrong(node, "a program is told in one way", "`command`, or `signal` and `pid_file`");
            None
        }
        (command, by_signal) => {
            command.map(|(_, command)| command).or(by_signal.map(|(signal, file)| Reopen::Signal(signal, file)))
        }
    }
}

/// The rest of its form is read where it is used.
fn path_pattern(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "an absolute path, in which `*`, `?`, `[…]` and `**` stand for others";
    let text = d.text(node, expected)?.value;
    if text.starts_with('/') {
        return Some(text);
    }
    d.wrong(node, Said::filled("`{}` does not begin with `/`", &[&shown(&text)]), expected);
    None
}

fn journald(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let unit = s.get("unit").map(|node| unit(d, node));
    let (format, begin) = (format(d, s), begin(d, s));
    Some(SourceKind::Journald(JournaldSource { unit: unit.map_or(Some(None), |unit| unit.map(Some))?, format, begin }))
}

pub(super) fn unit(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "the name of a unit, such as ollama.service";
    let text = d.text(node, expected)?.value;
    let is_name = !text.starts_with('-')
        && text.len() <= UNIT_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@*?[]!".contains(&byte));
    if !is_name {
        d.wrong(node, Said::filled("`{}` is not a name", &[&shown(&text)]), expected);
    }
    is_name.then_some(text)
}

#[expect(clippy::unnecessary_wraps, reason = "as the other types are read")]
fn stdin(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    Some(SourceKind::Stdin(format(d, s)))
}

fn format(d: &mut Decoder<'_>, s: &mut Section<'_>) -> LineFormat {
    let mut format = LineFormat::default();
    s.set(d, "format", &mut format, |d, node| d.word(node, &LineFormat::WORDS));
    format
}

fn begin(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Begin {
    let mut begin = Begin::default();
    s.set(d, "begin", &mut begin, |d, node| d.word(node, &Begin::WORDS));
    begin
}

/// Whoever may send can fill the journal and say what it likes: beyond this machine it must be said who that is.
fn check_reach(
    d: &mut Decoder<'_>,
    node: &Node,
    address: SocketAddr,
    udp: bool,
    knows_clients: bool,
    names_networks: bool,
) {
    if address.ip().is_loopback() || names_networks {
        return;
    }
    let expected = "`allow` with the networks of those who may send";
    if !knows_clients {
        let hint = "allow: [10.0.0.0/16], or tls: {cert: …, key: …, client_ca: …} to know them by their certificates";
        d.wrong_hint(node, "anybody who reaches this address could send", expected, hint);
    } else if udp {
        d.wrong_hint(
            node,
            "over UDP nobody shows a certificate, and anybody who reaches this address could send",
            expected,
            "allow: [10.0.0.0/16], or udp: false",
        );
    }
}

fn tls(d: &mut Decoder<'_>, node: &Node) -> Option<TlsFiles> {
    let mut files = None;
    d.section(node, |d, s| {
        let cert = s.require(d, "cert", "the file of the certificate and its chain (PEM)", Decoder::path);
        let key = s.require(d, "key", "the file of the private key (PEM)", Decoder::path);
        let mut client_ca = None;
        let client_ca_node = s.get("client_ca");
        if let Some(node) = client_ca_node {
            client_ca = d.path(node);
        }
        // Without the one that was meant, anybody would be let in.
        let is_complete = client_ca.is_some() == client_ca_node.is_some();
        files = cert.zip(key).filter(|_| is_complete).map(|(cert, key)| TlsFiles { cert, key, client_ca });
    });
    files
}
