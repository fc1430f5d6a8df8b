//! `tasks`: long jobs, where they are defined and kept, and what their steps may reach.

use std::path::{Path, PathBuf};

use super::{check_name, probes::percent};
use crate::{
    config::{ChannelConfig, TaskCommand, TaskStore, TasksConfig},
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    tree::Node,
};

/// Most steps that are worked on at the same time.
const WORKERS_MAX: u64 = 64;
/// Most programs.
const COMMANDS_MAX: usize = 256;
/// Most parts of one command.
const PARTS_MAX: usize = 256;
/// Most folders, and most hosts.
const PLACES_MAX: usize = 256;
/// What stands as a host.
pub(super) const HOST: &str = "a host as it stands in addresses, such as example.com, *.example.com or 127.0.0.1:8080";
/// What stands as a PostgreSQL's URL.
const POSTGRES: &str = "a URL such as postgres://tollhouse@127.0.0.1/tollhouse";

/// Reads the section. Whoever says `off` has no tasks, as if nothing stood here.
pub(super) fn tasks(
    d: &mut Decoder<'_>,
    node: &Node,
    data_dir: &Path,
    channels: &[ChannelConfig],
) -> Option<TasksConfig> {
    if d.is_word(node, "off") {
        return None;
    }
    let mut read = TasksConfig::new(data_dir);
    d.section(node, |d, s| {
        s.set(d, "dir", &mut read.dir, Decoder::path);
        s.set(d, "store", &mut read.store, store);
        s.set(d, "workers", &mut read.workers, |d, node| d.count(node, WORKERS_MAX).map(|count| count as u32));
        s.set(d, "gpu_busy_above", &mut read.gpu_busy_above, percent);
        s.set(d, "gpu_retry", &mut read.gpu_retry, Decoder::duration);
        s.set(d, "commands", &mut read.commands, commands);
        s.set(d, "files", &mut read.files, Decoder::path);
        s.set(d, "read", &mut read.read, |d, node| folders(d, node));
        s.set(d, "write", &mut read.write, |d, node| folders(d, node));
        s.set(d, "hosts", &mut read.hosts, |d, node| {
            few(d, node, "a list of hosts", |d, node| d.parsed(node, HOST, host))
        });
        s.set(d, "notify", &mut read.notify, |d, node| {
            let known: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
            d.list(node, "a list of names of channels", |d, node| {
                d.name_of(node, &known).map(|index| known[index].to_owned())
            })
        });
        s.section(d, "keep", |d, s| {
            s.set(d, "days", &mut read.keep_days, Decoder::days);
            s.set(d, "runs", &mut read.keep_runs, Decoder::count_u32);
            s.set(d, "bytes", &mut read.keep_bytes, Decoder::bytes);
        });
    });
    Some(read)
}

fn folders(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<PathBuf>> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone has not every lifetime")]
    few(d, node, "a list of folders", |d, node| d.path(node))
}

pub(super) fn few<T>(
    d: &mut Decoder<'_>,
    node: &Node,
    expected: &str,
    read: impl FnMut(&mut Decoder<'_>, &Node) -> Option<T>,
) -> Option<Vec<T>> {
    let list = d.list(node, expected, read)?;
    if list.len() > PLACES_MAX {
        let count = Saying::CountStands { count: list.len(), things: "values".to_owned() };
        d.wrong(node, count, Saying::AtMostThings { most: PLACES_MAX, things: "values".to_owned() });
    }
    Some(list)
}

fn store(d: &mut Decoder<'_>, node: &Node) -> Option<TaskStore> {
    let mut read = None;
    d.section(node, |d, s| {
        let mut is_postgres = false;
        s.set(d, "kind", &mut is_postgres, |d, node| d.word(node, &[("sqlite", false), ("postgres", true)]));
        let url_node = s.get("url");
        match (is_postgres, url_node) {
            (false, None) => read = Some(TaskStore::Sqlite),
            (false, Some(node)) => d.wrong(node, "SQLite has no address", "kind: postgres, or no `url`"),
            (true, None) => s.missing(d, "url", POSTGRES),
            (true, Some(node)) => read = postgres(d, node),
        }
    });
    read
}

/// The URL itself is not repeated in messages: it may hold a password.
fn postgres(d: &mut Decoder<'_>, node: &Node) -> Option<TaskStore> {
    let url = d.secret(node)?;
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        d.wrong(node, "it does not begin with postgres:// or postgresql://", POSTGRES);
        return None;
    }
    Some(TaskStore::Postgres(url))
}

fn commands(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<TaskCommand>> {
    let entries = d.entries(node, "names with settings, such as backup: {command: [/usr/local/bin/backup]}")?;
    if entries.len() > COMMANDS_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: "commands".to_owned() },
            Saying::AtMost { most: COMMANDS_MAX as u64 },
        );
    }
    let mut commands = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "tasks.commands", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| commands.extend(command(d, s, &entry.name)));
    }
    Some(commands)
}

fn command(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &str) -> Option<TaskCommand> {
    let expected = "a list of a program and its arguments, such as [/usr/local/bin/backup, --all]";
    let parts = s.require(d, "command", expected, |d, node| {
        let parts = d.list(node, expected, |d, node| d.text(node, "a text").map(|text| text.value))?;
        if parts.is_empty() || parts.len() > PARTS_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: parts.len(), things: "parts".to_owned() },
                Saying::OneToThings { most: PARTS_MAX, things: "parts".to_owned() },
            );
            return None;
        }
        // Whoever can put a program into a folder of `PATH` would choose what is run.
        if !Path::new(&parts[0]).is_absolute() {
            let what = Said::filled("`{}` does not say where the program is", &[&shown(&parts[0])]);
            d.wrong(node, what, "the whole path of the program, such as /usr/local/bin/backup");
            return None;
        }
        Some(parts)
    });
    let mut read = TaskCommand::new(name, parts.clone().unwrap_or_default());
    s.set(d, "args", &mut read.args_max, |d, node| d.count(node, PARTS_MAX as u64).map(|count| count as u32));
    s.set(d, "env", &mut read.env, |d, node| {
        let entries = d.entries(node, "names of variables with their values")?;
        Some(entries.iter().filter_map(|entry| Some((entry.name.clone(), d.secret(&entry.value)?))).collect())
    });
    s.set_some(d, "directory", &mut read.directory, Decoder::path);
    s.set(d, "within", &mut read.within, Decoder::duration);
    s.set(d, "output", &mut read.output, Decoder::bytes);
    s.set(d, "memory", &mut read.memory, Decoder::bytes);
    s.set(d, "open_files", &mut read.files_max, |d, node| d.count(node, u64::from(u32::MAX)));
    parts.map(|_| read)
}

/// A host with its port, as it stands in an address, in small letters.
pub(super) fn host(text: &str) -> Result<String, Said> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let uri: http::Uri = format!("http://{name}/").parse().map_err(|_| wrong_host(text))?;
    let authority = uri.authority().filter(|authority| authority.as_str() == name && !name.contains('@'));
    let is_whole = authority.is_some_and(|authority| !authority.host().is_empty());
    if is_whole { Ok(text.to_ascii_lowercase()) } else { Err(wrong_host(text)) }
}

fn wrong_host(text: &str) -> Said {
    Said::filled("`{}` is not a host", &[&shown(text)])
}
