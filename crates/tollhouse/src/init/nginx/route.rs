//! A route of the edge that a `location` of nginx becomes: open, or refused with what it would be as a comment.

use std::fmt::Write as _;

use super::yaml;

/// What stands behind a path.
pub(super) struct Route {
    pub(super) path: String,
    /// Nothing where nginx itself says no.
    pub(super) to: Option<Target>,
    pub(super) balance: Option<&'static str>,
    pub(super) settings: Settings,
    /// Whether nginx means this path alone.
    pub(super) is_exact: bool,
    /// Why it is refused until somebody has decided.
    pub(super) guard: Option<String>,
}

/// Who answers.
pub(super) enum Target {
    Gateway,
    Servers(Vec<String>),
    Files(String),
    Redirect(String),
}

/// What holds for a level and all below it.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) body: Option<String>,
    /// In seconds.
    pub(super) silence: Option<f64>,
    pub(super) root: Option<String>,
}

impl Route {
    /// Its line, or lines: what is guarded is refused, and what it would be stands above it.
    pub(super) fn yaml(&self) -> String {
        let opened = self.to.as_ref().map(|to| self.opened(to));
        let Some(guard) = &self.guard else {
            return opened.map_or_else(String::new, |opened| format!("        - {opened}\n"));
        };
        let mut text =
            format!("        # Decide before you open it: nginx guards it ({guard}), and no route asks who comes.\n");
        if let Some(opened) = opened {
            let _ = writeln!(text, "        # - {opened}");
        }
        let _ = writeln!(text, "        - {{path: {}, to: refuse}}", yaml(&self.path));
        text
    }

    /// As it would be were it open.
    fn opened(&self, to: &Target) -> String {
        let to = match to {
            Target::Gateway => "gateway".to_owned(),
            Target::Files(folder) => yaml(&format!("dir:{folder}")),
            Target::Redirect(url) => yaml(&format!("redirect:{url}")),
            Target::Servers(urls) => {
                let urls: Vec<String> = urls.iter().map(|url| yaml(url)).collect();
                if urls.len() == 1 { urls[0].clone() } else { format!("[{}]", urls.join(", ")) }
            }
        };
        let mut text = format!("{{path: {}, to: {to}", yaml(&self.path));
        if matches!(self.to, Some(Target::Servers(_))) {
            let silence = self.settings.silence.map(|seconds| format!("{}s", seconds.ceil().max(1.0)));
            let balance = self.balance.map(str::to_owned);
            for (name, value) in
                [("balance", &balance), ("body", &self.settings.body), ("timeout", &silence), ("idle", &silence)]
            {
                if let Some(value) = value {
                    let _ = write!(text, ", {name}: {value}");
                }
            }
        }
        text + "}"
    }
}
