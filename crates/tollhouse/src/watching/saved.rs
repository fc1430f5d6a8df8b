//! Rules that were saved in the console, beside those of the configuration's file (docs/decisions/0011).

use tollhouse_config::{AlertConfig, AlertOrigin, Config, parse_alert};
use tollhouse_state::SavedRule;

use super::rule;

/// What a saved rule says to end one that everybody has.
const OFF: &str = "off";

/// The rules of both places.
pub(crate) struct Rules {
    /// Those in force, those that are off among them.
    pub(crate) alerts: Vec<AlertConfig>,
    /// What was saved, by name.
    pub(crate) saved: Vec<Saved>,
}

/// What was saved, and why it is not in force.
pub(crate) struct Saved {
    pub(crate) rule: SavedRule,
    pub(crate) problem: Option<Problem>,
}

/// Why a saved rule is not in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// The file has a rule of this name.
    InFile,
    /// It cannot be read any more: a channel or a rule that it names is gone, say.
    Wrong(String),
}

impl Problem {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::InFile => "the configuration's file has a rule of this name; that one is in force".to_owned(),
            Self::Wrong(why) => why.clone(),
        }
    }
}

impl Rules {
    /// Puts saved rules beside those of a configuration. What the file says of a name counts, whatever was saved.
    pub(crate) fn of(config: &Config, saved: Vec<SavedRule>) -> Self {
        let mut known = config.clone();
        let (hidden, mut left): (Vec<_>, Vec<_>) = saved.into_iter().partition(|saved| is_in_file(config, &saved.name));
        let mut told: Vec<Saved> =
            hidden.into_iter().map(|rule| Saved { rule, problem: Some(Problem::InFile) }).collect();
        // One may need another that comes later: round by round, until a round brings none.
        loop {
            let mut wrong = Vec::new();
            let count = left.len();
            for rule in left {
                match read(&known, &rule.name, &rule.body) {
                    Ok(alert) => {
                        put(&mut known.alerts, alert);
                        told.push(Saved { rule, problem: None });
                    }
                    Err(why) => wrong.push((rule, why)),
                }
            }
            if wrong.is_empty() || wrong.len() == count {
                let wrong = wrong.into_iter();
                told.extend(wrong.map(|(rule, why)| Saved { rule, problem: Some(Problem::Wrong(why)) }));
                break;
            }
            left = wrong.into_iter().map(|(rule, _)| rule).collect();
        }
        told.sort_by(|a, b| a.rule.name.cmp(&b.rule.name));
        Self { alerts: known.alerts, saved: told }
    }

    /// The configuration with these rules.
    pub(crate) fn within(&self, config: &Config) -> Config {
        Config { alerts: self.alerts.clone(), ..config.clone() }
    }
}

/// Whether the file says something of a rule of this name.
pub(crate) fn is_in_file(config: &Config, name: &str) -> bool {
    config.alerts.iter().any(|alert| alert.name == name && alert.origin == AlertOrigin::File)
}

/// A rule as its text describes it.
pub(crate) fn read(known: &Config, name: &str, text: &str) -> Result<AlertConfig, String> {
    let alert = if text.trim() == OFF {
        let known = known.alerts.iter().find(|alert| alert.name == name);
        AlertConfig { on: false, ..known.ok_or("there is no such rule to end")?.clone() }
    } else {
        parse_alert(name, text, known).map_err(|errors| errors.to_string())?
    };
    rule(&alert).map_err(|error| format!("{error:#}"))?;
    Ok(AlertConfig { origin: AlertOrigin::Console, ..alert })
}

fn put(alerts: &mut Vec<AlertConfig>, alert: AlertConfig) {
    match alerts.iter().position(|known| known.name == alert.name) {
        Some(place) => alerts[place] = alert,
        None => alerts.push(alert),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        tollhouse_config::parse(text, "test.yaml", &|_| None).unwrap()
    }

    fn saved(name: &str, body: &str) -> SavedRule {
        SavedRule { name: name.to_owned(), body: body.to_owned(), owner: "alice".to_owned(), changed_ms: 1 }
    }

    fn found<'r>(rules: &'r Rules, name: &str) -> &'r AlertConfig {
        rules.alerts.iter().find(|alert| alert.name == name).unwrap()
    }

    #[test]
    fn what_the_file_says_counts_and_nothing_else_is_lost() {
        let config = config("alerts:\n  mine: {query: \"*\", count: \">= 5\"}\n  slow-model: {within: 10m}\n");
        let rules = Rules::of(
            &config,
            vec![
                // Needs one that comes later.
                saved("after", "{query: \"*\", count: \">= 1\", needs: [zebra]}"),
                saved("broken", "{query: \"*\", count: \">= 1\", notify: [gone]}"),
                saved("failing-requests", "{samples: 50}"),
                saved("mine", "{query: \"*\", count: \">= 9\"}"),
                saved("new-pattern", "off"),
                saved("zebra", "{query: \"a:b\", count: \">= 2\"}"),
            ],
        );
        assert_eq!(found(&rules, "mine").limit, ">= 5");
        assert_eq!(found(&rules, "mine").origin, AlertOrigin::File);
        assert_eq!(found(&rules, "slow-model").origin, AlertOrigin::File);
        assert_eq!((found(&rules, "failing-requests").samples, found(&rules, "failing-requests").on), (50, true));
        assert_eq!(found(&rules, "failing-requests").origin, AlertOrigin::Console);
        assert!(!found(&rules, "new-pattern").on);
        assert_eq!(found(&rules, "after").needs, ["zebra"]);
        assert!(rules.alerts.iter().all(|alert| alert.name != "broken"));
        let problem = |name: &str| rules.saved.iter().find(|saved| saved.rule.name == name).unwrap().problem.clone();
        assert_eq!(problem("mine"), Some(Problem::InFile));
        assert!(matches!(problem("broken"), Some(Problem::Wrong(why)) if why.contains("channel")));
        assert_eq!(problem("after"), None);
        assert_eq!(rules.saved.len(), 6);
        assert!(super::super::rules(&rules.within(&config)).is_ok());
    }
}
