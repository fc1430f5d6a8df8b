//! `tollhouse man`: manual pages, made of the command line's own words.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use clap::{Arg, Command, CommandFactory};

use crate::cli::{Cli, ManArgs, VERSION};
use crate::say;

/// Writes one page, or all of them into a folder.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let mut program = Cli::command();
    program.build();
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        for (name, text) in pages(&program) {
            let file = folder.join(format!("{name}.1"));
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        return Ok(());
    }
    let wanted = args.command.as_ref().map_or_else(|| "tollhouse".to_owned(), |name| format!("tollhouse-{name}"));
    match pages(&program).into_iter().find(|(name, _)| *name == wanted) {
        Some((_, text)) => say(&text),
        None => {
            bail!("there is no command `{}`; tollhouse --help names them", args.command.as_deref().unwrap_or_default())
        }
    }
}

/// The name and the text of each page: the program's, and one for each of its commands.
fn pages(program: &Command) -> Vec<(String, String)> {
    let mut pages = vec![("tollhouse".to_owned(), page(program, "tollhouse", &see_commands(program)))];
    for command in visible(program) {
        let name = format!("tollhouse-{}", command.get_name());
        let text = page(command, &name, "tollhouse(1)");
        pages.push((name, text));
    }
    pages
}

fn see_commands(program: &Command) -> String {
    let names: Vec<String> = visible(program).map(|command| format!("tollhouse-{}(1)", command.get_name())).collect();
    names.join(", ")
}

/// The commands below one, without the one that clap adds.
pub(crate) fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set())
}

fn page(command: &Command, name: &str, see: &str) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        ".TH {} 1 \"\" \"tollhouse {VERSION}\" \"tollhouse\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
        quoted(&name.to_uppercase()),
        escaped(name),
        escaped(&lower_first(&about))
    );
    let words = name.replacen('-', " ", 1);
    synopsis(&mut text, command, &words);
    let _ = write!(text, ".SH DESCRIPTION\n{}.\n", paragraphs(about.trim_end_matches('.')));
    options(&mut text, command, ".SH OPTIONS");
    if visible(command).next().is_some() {
        text += ".SH COMMANDS\n";
        commands(&mut text, command, &words, name != "tollhouse");
    }
    after(&mut text, command);
    if name == "tollhouse" {
        text += ".SH FILES\n.TP\n.I ./tollhouse.yaml\n.TQ\n.I /etc/tollhouse/tollhouse.yaml\nThe configuration: the first that is there.\n";
        text += ".SH EXIT STATUS\n0: done; 1: it failed; 2: wrong use; 78: the configuration is wrong. Where a command has others, its page names them.\n";
    }
    let _ = writeln!(text, ".SH SEE ALSO\n{}", escaped(see));
    text
}

fn synopsis(text: &mut String, command: &Command, words: &str) {
    let _ = write!(text, ".B {}\n[\\fIOPTIONS\\fR]", escaped(words));
    for argument in command.get_positionals() {
        let _ = write!(text, " {}", value(argument));
    }
    if visible(command).next().is_some() {
        text.push_str(" \\fICOMMAND\\fR");
    }
    text.push('\n');
}

/// Commands below this one; with their own options where they have no page of their own.
fn commands(text: &mut String, command: &Command, words: &str, is_whole: bool) {
    for inner in visible(command) {
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        if !is_whole {
            let _ = write!(
                text,
                ".TP\n.BR {}(1)\n{}\n",
                escaped(&format!("tollhouse-{}", inner.get_name())),
                escaped(&about)
            );
            continue;
        }
        let _ = writeln!(text, ".SS {}", quoted(&format!("{words} {}", inner.get_name())));
        let _ = writeln!(text, "{}.", paragraphs(about.trim_end_matches('.')));
        options(text, inner, "");
        after(text, inner);
        commands(text, inner, &format!("{words} {}", inner.get_name()), true);
    }
}

fn options(text: &mut String, command: &Command, heading: &str) {
    let is_own = |argument: &&Arg| !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version");
    let mut arguments = command.get_arguments().filter(is_own).peekable();
    if arguments.peek().is_some() && !heading.is_empty() {
        let _ = writeln!(text, "{heading}");
    }
    for argument in arguments {
        let mut names: Vec<String> = Vec::new();
        names.extend(argument.get_short().map(|short| format!("\\fB\\-{short}\\fR")));
        names.extend(argument.get_long().map(|long| format!("\\fB{}\\fR", escaped(&format!("--{long}")))));
        let mut head = names.join(", ");
        if argument.is_positional() {
            head = value(argument);
        } else if argument.get_action().takes_values() {
            let _ = write!(head, " {}", value(argument));
        }
        let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, ".TP\n{head}\n{}", paragraphs(&help));
        let defaults = argument.get_default_values();
        if !defaults.is_empty() && argument.get_action().takes_values() {
            let defaults: Vec<String> = defaults.iter().map(|value| value.to_string_lossy().into_owned()).collect();
            let _ = write!(text, " [default: {}]", escaped(&defaults.join(" ")));
        }
        text.push('\n');
    }
}

fn value(argument: &Arg) -> String {
    let names =
        argument.get_value_names().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let name = names.unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
    let shown = format!("\\fI{}\\fR", escaped(&name));
    if argument.is_required_set() || !argument.is_positional() { shown } else { format!("[{shown}]") }
}

/// What stands behind the help: examples as they are, and paragraphs.
fn after(text: &mut String, command: &Command) {
    let Some(after) = command.get_after_help().map(ToString::to_string) else { return };
    for part in after.split("\n\n") {
        match part.strip_prefix("Examples:\n") {
            Some(examples) => {
                let _ = write!(text, ".PP\nExamples:\n.PP\n.nf\n{}\n.fi\n", lines(examples));
            }
            None => {
                let _ = write!(text, ".PP\n{}\n", paragraphs(part));
            }
        }
    }
}

/// Lines that stay as they are.
fn lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Text that is filled; a break of a line in it means nothing.
fn paragraphs(text: &str) -> String {
    text.lines().map(|line| escaped(line.trim())).collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\(dq"))
}

/// A text that troff prints as it is.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_nothing_is_read_as_an_order() {
        let mut program = Cli::command();
        program.build();
        let pages = pages(&program);
        assert_eq!(pages.len(), visible(&program).count() + 1);
        for (name, text) in &pages {
            assert!(text.starts_with(".TH ") && text.contains("\n.SH NAME\n"), "{name}");
            let orders = ["TH", "SH", "SS", "TP", "TQ", "PP", "B", "BR", "I", "nf", "fi"];
            for line in text.lines().filter(|line| line.starts_with('.')) {
                let order = line[1..].split(' ').next().unwrap_or_default();
                assert!(orders.contains(&order), "{name}: {line}");
            }
        }
        let key = &pages.iter().find(|(name, _)| name == "tollhouse-key").unwrap().1;
        assert!(key.contains(".SS \"tollhouse key create\"") && key.contains("\\-\\-budget"), "{key}");
    }
}
