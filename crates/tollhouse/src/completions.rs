//! `tollhouse completions`: what a shell completes behind `tollhouse`, made of the command line's own words.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::cli::{Cli, CompletionsArgs, Shell};
use crate::manual::visible;
use crate::say;

/// Writes the script of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut program = Cli::command();
    program.build();
    let places = places(&program);
    say(&match args.shell {
        Shell::Bash => bash(&places),
        Shell::Zsh => zsh(&places),
        Shell::Fish => fish(&places),
    })
}

/// A command with what may stand behind it.
struct Place {
    /// The words of the way to it, without the program.
    way: Vec<String>,
    /// Commands below it, with what they do.
    commands: Vec<(String, String)>,
    options: Vec<Choice>,
}

/// An option.
struct Choice {
    name: String,
    help: String,
    takes: Takes,
}

/// What stands behind an option.
enum Takes {
    Nothing,
    Words(Vec<String>),
    /// A file, or anything else: shells offer files then.
    Any,
}

fn places(program: &Command) -> Vec<Place> {
    let mut found = Vec::new();
    gather(program, &mut Vec::new(), &mut found);
    found
}

fn gather(command: &Command, way: &mut Vec<String>, found: &mut Vec<Place>) {
    let is_shown = |argument: &&Arg| !argument.is_hide_set() && argument.get_long().is_some();
    found.push(Place {
        way: way.clone(),
        commands: visible(command).map(|inner| (inner.get_name().to_owned(), first_line(inner.get_about()))).collect(),
        options: command.get_arguments().filter(is_shown).map(choice).collect(),
    });
    for inner in visible(command) {
        way.push(inner.get_name().to_owned());
        gather(inner, way, found);
        way.pop();
    }
}

fn choice(argument: &Arg) -> Choice {
    let words: Vec<String> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let takes = if !argument.get_action().takes_values() {
        Takes::Nothing
    } else if words.is_empty() {
        Takes::Any
    } else {
        Takes::Words(words)
    };
    let name = format!("--{}", argument.get_long().unwrap_or_default());
    Choice { name, help: first_line(argument.get_help()), takes }
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

impl Place {
    /// Everything that may stand here, for shells that show no help.
    fn words(&self) -> String {
        let commands = self.commands.iter().map(|(name, _)| name.as_str());
        commands.chain(self.options.iter().map(|option| option.name.as_str())).collect::<Vec<_>>().join(" ")
    }
}

/// One function: it walks the words to find the command, then offers what is behind it.
fn bash(places: &[Place]) -> String {
    let mut text = String::from("# Completions of tollhouse for bash. Written by `tollhouse completions bash`.\n");
    text += &walk(places);
    text += "complete -F _tollhouse -o bashdefault -o default tollhouse\n";
    text
}

fn walk(places: &[Place]) -> String {
    let mut text = String::from(
        "\
_tollhouse() {
    local way=tollhouse word words= current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} at
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        case \"$way $word\" in
",
    );
    let way = |place: &Place| [&["tollhouse".to_owned()], &place.way[..]].concat().join(" ");
    for place in places.iter().filter(|place| !place.way.is_empty()) {
        let _ = writeln!(text, "            \"{0}\") way=\"{0}\" ;;", way(place));
    }
    text += "        esac\n    done\n    COMPREPLY=()\n    case \"$way $before\" in\n";
    for place in places {
        for option in &place.options {
            let what = match &option.takes {
                Takes::Nothing => continue,
                Takes::Words(words) => format!("words=\"{}\"", words.join(" ")),
                Takes::Any => "return".to_owned(),
            };
            let _ = writeln!(text, "        \"{} {}\") {what} ;;", way(place), option.name);
        }
    }
    text += "        *)\n            case \"$way\" in\n";
    for place in places {
        let _ = writeln!(text, "                \"{}\") words=\"{}\" ;;", way(place), place.words());
    }
    text += "            esac ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\n";
    text
}

/// zsh runs bash's completions as they are.
fn zsh(places: &[Place]) -> String {
    format!(
        "#compdef tollhouse\n# Completions of tollhouse for zsh. Written by `tollhouse completions zsh`.\nautoload -U +X bashcompinit && bashcompinit\n{}\
         complete -F _tollhouse -o bashdefault -o default tollhouse\n",
        // The file's own name is `_tollhouse`, too: the first call of it only declares.
        walk(places).replace("_tollhouse()", "_tollhouse_words()")
    )
    .replace("complete -F _tollhouse ", "complete -F _tollhouse_words ")
}

fn fish(places: &[Place]) -> String {
    let mut text = String::from(
        "\
# Completions of tollhouse for fish. Written by `tollhouse completions fish`.
function __tollhouse_is_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l way
    for word in $words
        string match -q -- '-*' $word; and continue
        set -a way $word
    end
    test \"$way[1..\"(count $argv)\"]\" = \"$argv\"
end
",
    );
    for place in places {
        let names: Vec<&str> = place.commands.iter().map(|(name, _)| name.as_str()).collect();
        // A command is offered where none of its brothers stands already.
        let here = if place.way.is_empty() {
            format!("not __fish_seen_subcommand_from {}", names.join(" "))
        } else {
            let seen = if names.is_empty() {
                String::new()
            } else {
                format!("; and not __fish_seen_subcommand_from {}", names.join(" "))
            };
            format!("__tollhouse_is_at {}{seen}", place.way.join(" "))
        };
        for (name, help) in &place.commands {
            let _ = writeln!(text, "complete -c tollhouse -f -n '{here}' -a {name} -d {}", quoted(help));
        }
        let at = if place.way.is_empty() {
            String::new()
        } else {
            format!(" -n '__tollhouse_is_at {}'", place.way.join(" "))
        };
        for option in &place.options {
            let takes = match &option.takes {
                Takes::Nothing => String::new(),
                Takes::Words(words) => format!(" -x -a '{}'", words.join(" ")),
                Takes::Any => " -r".to_owned(),
            };
            let name = option.name.trim_start_matches('-');
            let _ = writeln!(text, "complete -c tollhouse{at} -l {name}{takes} -d {}", quoted(&option.help));
        }
    }
    text
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_offered() {
        let mut program = Cli::command();
        program.build();
        let places = places(&program);
        let (bash, fish) = (bash(&places), fish(&places));
        for part in ["\"tollhouse key create\") words=", "--prompt-chars", "words=\"low normal high\""] {
            assert!(bash.contains(part), "{part}");
        }
        assert!(fish.contains("-n '__tollhouse_is_at key create' -l role -x -a 'user logs:read"), "{fish}");
        assert!(zsh(&places).starts_with("#compdef tollhouse\n"));
    }
}
