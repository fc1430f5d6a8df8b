//! What the configuration means, for the console's Settings page.

use std::path::Path;

use tollhouse_config::{Config, ConfigErrors, FILE_BYTES_MAX, Origin, Problem, Said, Setting, mask, parse, unmask};
use tollhouse_console::{Fault, FaultSaid, InForce, Proposal, SettingsDesk};

use crate::source::Source;
use crate::{keeper, up};

/// What is changed in the file only: it says which programs run.
const BARRED: [&str; 2] = ["supervise", "tasks.commands"];

/// Knows one configuration in force.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) source: Source,
}

impl SettingsDesk for Desk {
    fn file(&self) -> Option<&Path> {
        self.source.path.as_deref()
    }

    fn bytes_max(&self) -> u64 {
        FILE_BYTES_MAX
    }

    fn masked(&self, text: &str) -> Result<String, Vec<Fault>> {
        mask(text, &self.file_name()).map_err(|errors| faults(&errors))
    }

    fn look(&self, text: &str, current: &str) -> Proposal {
        let unmasked = unmask(text, current);
        let mut proposal = Proposal { text: unmasked.text, missing: unmasked.missing, ..Proposal::default() };
        // As `tollhouse check` does it.
        let parsed = parse(&proposal.text, &self.file_name(), &|name| std::env::var(name).ok());
        let checked = parsed.map_err(|errors| faults(&errors)).and_then(|config| {
            let config = self.source.adapted(config);
            match up::check_all(&config) {
                Ok(()) => Ok(config),
                Err(error) => match error.downcast_ref::<ConfigErrors>() {
                    Some(errors) => Err(faults(errors)),
                    None => Err(vec![Fault { message: format!("{error:#}"), ..Fault::default() }]),
                },
            }
        });
        match checked {
            Err(faults) => proposal.faults = faults,
            Ok(config) => {
                proposal.changed = self.config.changes(&config);
                let of = |is: &dyn Fn(&str) -> bool| proposal.changed.iter().filter(|path| is(path)).cloned().collect();
                proposal.restart = of(&keeper::needs_restart);
                proposal.barred = of(&is_barred);
                // The whole section may be new, with programs in it.
                let commands = |config: &Config| config.tasks.as_ref().map_or(0, |tasks| tasks.commands.len());
                if commands(&config) > 0 && proposal.changed.iter().any(|path| path == "tasks") {
                    proposal.barred.push("tasks.commands".to_owned());
                }
            }
        }
        proposal
    }

    fn in_force(&self, text: &str) -> Vec<InForce> {
        self.config.settings(text).into_iter().map(in_force).collect()
    }
}

impl Desk {
    fn file_name(&self) -> String {
        self.source.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

fn is_barred(path: &str) -> bool {
    BARRED.iter().any(|barred| path.strip_prefix(barred).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn in_force(setting: Setting) -> InForce {
    let (from, line, variables) = match setting.origin {
        Origin::Default => ("default", None, Vec::new()),
        Origin::File { line } => ("file", Some(line), Vec::new()),
        Origin::Environment { line, variables } => ("environment", Some(line), variables),
    };
    InForce { path: setting.path, value: setting.value, from, line, variables }
}

/// All that is wrong with a text, as the console shows it.
pub(crate) fn faults(errors: &ConfigErrors) -> Vec<Fault> {
    errors.problems().iter().map(fault).collect()
}

/// One thing that is wrong with a text, as the console shows it.
pub(crate) fn fault(problem: &Problem) -> Fault {
    let code = |said: &Said| said.code().clone();
    let words = |said: &Said| said.words().to_owned();
    Fault {
        line: problem.place.map(|place| place.line),
        column: problem.place.map(|place| place.column),
        width: problem.place.map(|place| place.width),
        message: problem.message(),
        expected: problem.expected.as_ref().map(words),
        hint: problem.hint.as_ref().map(words),
        said: Some(FaultSaid {
            path: problem.path.clone(),
            what: code(&problem.what),
            expected: problem.expected.as_ref().map(code),
            hint: problem.hint.as_ref().map(code),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "upstreams: {a: {kind: openai, url: 'http://a', key: sk-1}}\ntimeouts: {idle: 30s}\n";

    #[test]
    fn a_text_is_looked_at_as_check_does() {
        let path = Some("/etc/a.yaml".into());
        let config = parse(FILE, "a.yaml", &|_| None).unwrap();
        let desk = Desk { config, source: Source { path, demo: false } };
        let shown = desk.masked(FILE).unwrap();
        assert!(!shown.contains("sk-1"));
        let look = |from: &str, to: &str| desk.look(&shown.replace(from, to), FILE);
        assert_eq!(look("", "").changed, Vec::<String>::new(), "the secret is the file's");
        assert_eq!(look("30s", "40s").changed, ["timeouts.idle"]);
        assert_eq!(look("\"***\"", "sk-2").changed, ["upstreams.a.key"]);
        assert_eq!(look("  ", " ").faults, []);
        let wrong = &look("30s", "soon").faults[0];
        assert_eq!((wrong.line, wrong.column), (Some(2), Some(18)));
        assert!(wrong.expected.is_some());
        let fixed = look("timeouts:", "service: other\ntimeouts:");
        assert_eq!((fixed.changed, fixed.restart), (vec!["service".to_owned()], vec!["service".to_owned()]));
        let program = look("timeouts:", "supervise: {x: {command: [sh]}}\ntimeouts:");
        assert_eq!(program.barred, ["supervise.x"], "{:?}", program.faults);
        assert!(desk.in_force(FILE).iter().any(|value| value.path == "timeouts.idle" && value.line == Some(2)));
    }
}
