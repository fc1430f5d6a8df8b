//! Who may enter, as nginx has it: what stands guarded there is refused here, since no route asks for anything.

use tollhouse_doctor::nginx::Directive;

use super::shown;

/// Files of nginx' own packages, and of certbot's, that say nothing of who may enter.
const PLAIN_INCLUDES: [&str; 7] = [
    "fastcgi_params",
    "fastcgi.conf",
    "mime.types",
    "options-ssl-nginx.conf",
    "proxy_params",
    "scgi_params",
    "uwsgi_params",
];

/// What guards a level and all below it.
#[derive(Clone, Default)]
pub(super) struct Guards {
    /// Each with the directive that a level below may take back.
    held: Vec<(&'static str, String)>,
}

impl Guards {
    /// Those of a level below, with its own.
    pub(super) fn below(&self, level: &[Directive]) -> Self {
        let mut guards = self.clone();
        let has_addresses = level.iter().any(|directive| matches!(directive.name(), "allow" | "deny"));
        if has_addresses {
            // Addresses of a level take the place of those above it.
            guards.held.retain(|(kind, _)| *kind != "allow");
        }
        for directive in level {
            let Some(kind) = kind(directive) else { continue };
            if directive.argument(0) == Some("off") {
                guards.held.retain(|(held, _)| *held != kind);
            } else {
                guards.held.push((kind, shown(&directive.words.join(" "))));
            }
        }
        guards
    }

    /// What guards, as it stands there; nothing where all may enter.
    pub(super) fn said(&self) -> Option<String> {
        let texts: Vec<&str> = self.held.iter().map(|(_, text)| text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// Under which name a directive guards, if it does.
fn kind(directive: &Directive) -> Option<&'static str> {
    let first = directive.argument(0).unwrap_or_default();
    match directive.name() {
        "allow" if first == "all" => None,
        "allow" | "deny" => Some("allow"),
        "auth_basic" => Some("auth_basic"),
        "auth_request" => Some("auth_request"),
        "auth_jwt" => Some("auth_jwt"),
        // What else asks who comes, such as auth_pam or auth_digest; not the settings of those above.
        name if name.starts_with("auth_") && !["_file", "_set", "_delay"].iter().any(|end| name.ends_with(end)) => {
            Some("auth")
        }
        name if name.starts_with("access_by_") => Some("access_by"),
        "internal" => Some("internal"),
        "satisfy" => Some("satisfy"),
        "ssl_verify_client" => Some("ssl_verify_client"),
        "limit_except" => Some("limit_except"),
        "return" if is_refusal(first) => Some("return"),
        "if" if directive.all("return").any(|inner| is_refusal(inner.argument(0).unwrap_or_default())) => Some("if"),
        "include" if !PLAIN_INCLUDES.iter().any(|plain| first.rsplit('/').next() == Some(plain)) => Some("include"),
        _ => None,
    }
}

/// Whether this level or one below it is guarded.
pub(super) fn is_anywhere(above: &Guards, directive: &Directive) -> bool {
    let guards = above.below(&directive.block);
    guards.said().is_some() || directive.all("location").any(|inner| is_anywhere(&guards, inner))
}

/// Whether a status says no.
fn is_refusal(status: &str) -> bool {
    status.len() == 3 && status.starts_with('4') && status.bytes().all(|byte| byte.is_ascii_digit())
}

/// The path whose guarding is the same as that of this pattern, if there is one: `^/admin/` has nothing but a beginning.
pub(super) fn plain_beginning<'p>(modifier: &str, pattern: &'p str) -> Option<&'p str> {
    let path = pattern.strip_prefix('^').filter(|path| path.starts_with('/') && modifier == "~")?;
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte)).then_some(path)
}

/// Whether this pattern is for names that begin with a dot, which are never served as files.
pub(super) fn is_of_hidden(pattern: &str) -> bool {
    pattern.starts_with(r"/\.") && !pattern.starts_with(r"/\.well") && !pattern.contains('|')
}
