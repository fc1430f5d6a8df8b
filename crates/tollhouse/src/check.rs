//! `tollhouse check`: the configuration as it is in force, and what its sources would find here. Nothing is written.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use anyhow::Context;
use jiff::Zoned;
use tollhouse_collect::file::{Pattern, Sight, Sighted};
use tollhouse_collect::formats::{Format, Survey};
use tollhouse_config::{Config, FileSource, LineFormat, SourceKind};

use crate::cli::ConfigArgs;
use crate::{say, up, wiring};

/// Lines of a file that are looked at.
const LINES_MAX: usize = 100;
/// Files of a source that are told one by one.
const FILES_TOLD_MAX: usize = 10;
/// Directories and files that cannot be looked at, told one by one.
const TROUBLES_TOLD_MAX: usize = 5;

/// Runs the command.
pub(crate) fn check(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = args.load()?;
    up::check_all(&config).context(up::Unfit)?;
    let mut out = config.effective_yaml();
    // Comments: what a program reads of this stays YAML.
    for line in sources(&config)? {
        let _: std::fmt::Result = writeln!(out, "# {line}");
    }
    say(&out)
}

/// What each source would find, in lines.
fn sources(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for source in &config.sources {
        let name = &source.name;
        match &source.kind {
            SourceKind::Listen(listen) => {
                let mut free = address(listen.address, TcpListener::bind(listen.address).map(drop));
                if listen.udp {
                    let udp = address(listen.address, UdpSocket::bind(listen.address).map(drop));
                    free = format!("{free} (TCP), {udp} (UDP)");
                }
                lines.push(format!("source {name}: {free}"));
            }
            SourceKind::Http(http) => {
                let free = address(http.address, TcpListener::bind(http.address).map(drop));
                lines.push(format!("source {name}: {free}"));
            }
            SourceKind::File(file) => files(name, file, &mut lines)?,
            SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => {}
        }
    }
    Ok(lines)
}

/// Whether an address can be listened on.
fn address(address: SocketAddr, bound: io::Result<()>) -> String {
    match bound {
        Ok(()) => format!("{address} is free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            format!("{address} is taken; by this house, if it runs already")
        }
        Err(error) => format!("warning: {address} cannot be listened on: {error}"),
    }
}

fn files(name: &str, source: &FileSource, lines: &mut Vec<String>) -> anyhow::Result<()> {
    let patterns: Result<Vec<Pattern>, _> = source.paths.iter().map(|path| Pattern::new(path)).collect();
    let Sight { files, troubles } = Sight::of(patterns?);
    let (own, rotated): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| !file.is_rotated());
    let count = |number: usize| if number == 1 { "1 file".to_owned() } else { format!("{number} files") };
    if own.is_empty() {
        lines.push(format!("source {name}: no file matches now; it is read as soon as one appears"));
    } else {
        let older = if rotated.is_empty() { String::new() } else { format!(", and {} rotated", rotated.len()) };
        lines.push(format!("source {name}: {}{older}", count(own.len())));
    }
    lines.extend(own.iter().take(FILES_TOLD_MAX).map(|file| format!("  {}", told(file, source.format))));
    if own.len() > FILES_TOLD_MAX {
        lines.push(format!("  … and {} more", own.len() - FILES_TOLD_MAX));
    }
    for (path, why) in troubles.iter().take(TROUBLES_TOLD_MAX) {
        lines.push(format!("  warning: {}: {why}", path.display()));
    }
    Ok(())
}

/// What the first lines of a file look like.
fn told(file: &Sighted, format: LineFormat) -> String {
    let path: String =
        file.path().display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let lines = match file.first_lines(LINES_MAX) {
        Ok(lines) if lines.is_empty() => return format!("{path}: empty"),
        Ok(lines) => lines,
        Err(error) => return format!("warning: {path}: {error}"),
    };
    let wanted = wiring::line_format(format);
    let survey = Survey::of(&lines, wanted, &Zoned::now());
    let looks = survey.shown.map_or("text", Format::as_str);
    let understood = format!("{} of the first {} lines understood", survey.understood, survey.lines);
    match wanted {
        None => format!("{path}: looks like {looks}, {understood}"),
        Some(wanted) if survey.is_amiss(Some(wanted)) => {
            format!("warning: {path}: `format: {}` does not fit, it looks like {looks}; {understood}", wanted.as_str())
        }
        Some(wanted) => format!("{path}: {}, {understood}", wanted.as_str()),
    }
}
