//! Where each value in force comes from: a line of the file, the environment, or the defaults.

use std::collections::HashMap;

use crate::{
    config::Config,
    tree::{self, Data, Node},
};

/// Longest value that is shown, in characters.
const VALUE_CHARS_MAX: usize = 300;

/// A value in force, as `effective_yaml` shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The way to it, such as `access.rate_limit.requests`.
    pub path: String,
    /// The value; secrets are `***`.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// Who said a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// The file.
    File {
        /// The line, counted from 1.
        line: usize,
    },
    /// The file names variables of the environment there.
    Environment {
        /// The line, counted from 1.
        line: usize,
        /// The variables.
        variables: Vec<String>,
    },
}

impl Config {
    /// Every value in force and where it comes from, in the order of `effective_yaml`. `text` is the one that this
    /// configuration was read from.
    pub fn settings(&self, text: &str) -> Vec<Setting> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let written = tree::read(text, &mut Vec::new()).ok().flatten();
        let nodes = written.iter().flat_map(Node::all).filter(|node| !matches!(node.data, Data::Map(_)));
        let places: HashMap<&str, &Node> = nodes.map(|node| (node.path.as_str(), node)).collect();
        let mut settings = Vec::new();
        let effective = self.tree();
        let mut waiting: Vec<&Node> = effective.iter().collect();
        while let Some(node) = waiting.pop() {
            let Some(value) = shown(node) else {
                waiting.extend(node.children().rev());
                continue;
            };
            let value = value.chars().take(VALUE_CHARS_MAX).collect();
            settings.push(Setting { path: node.path.clone(), value, origin: origin(&node.path, &places) });
        }
        settings
    }
}

/// One line for what is shown as a whole: a scalar, a list of scalars, an empty mapping.
fn shown(node: &Node) -> Option<String> {
    let scalar = |node: &Node| match &node.data {
        Data::Scalar { text, .. } => Some(text.clone()),
        Data::List(_) | Data::Map(_) => None,
    };
    match &node.data {
        Data::Scalar { text, .. } => Some(text.clone()),
        Data::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
        Data::Map(entries) => entries.is_empty().then(|| "{}".to_owned()),
    }
}

/// The nearest thing that was written on the way to `path`; a mapping on it says nothing of what it leaves out.
fn origin(path: &str, places: &HashMap<&str, &Node>) -> Origin {
    let mut path = path;
    loop {
        if let Some(node) = places.get(path) {
            let variables = variables(node);
            let line = node.place.line;
            return if variables.is_empty() { Origin::File { line } } else { Origin::Environment { line, variables } };
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return Origin::Default,
        }
    }
}

/// The names in `${NAME}` and `${NAME:-default}`.
fn variables(node: &Node) -> Vec<String> {
    let mut names = Vec::new();
    for node in node.all() {
        if let Data::Scalar { text, .. } = &node.data {
            let inside = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            names.extend(inside.map(|(inside, _)| inside.split(":-").next().unwrap_or(inside).to_owned()));
        }
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_says_where_it_comes_from() {
        let text = "service: ${NAME:-gate}\ntimeouts:\n  idle: 30s\nhosts: [a.example, b.example]\n";
        let config = crate::parse(text, "a.yaml", &|_| None).unwrap();
        let settings = config.settings(text);
        let of = |path: &str| settings.iter().find(|setting| setting.path == path).unwrap();
        let variables = vec!["NAME".to_owned()];
        assert_eq!(of("service").origin, Origin::Environment { line: 1, variables });
        assert_eq!(of("service").value, "gate");
        assert_eq!(of("timeouts.idle").origin, Origin::File { line: 3 });
        assert_eq!(of("timeouts.total").origin, Origin::Default, "the mapping is written, this is not");
        assert_eq!(of("hosts").origin, Origin::File { line: 4 });
        assert_eq!(settings[0].path, "service", "in the order of the effective text");
    }
}
