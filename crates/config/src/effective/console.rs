//! `console` as YAML.

use std::fmt::Write;
use std::path::Path;

use tollhouse_units::format_duration;

use super::{list, optional, scalar};
use crate::config::{ConsoleConfig, OidcConfig};

pub(super) fn write(out: &mut String, console: &ConsoleConfig) -> std::fmt::Result {
    match &console.oidc {
        None => writeln!(out, "console: {{oidc: null}}"),
        Some(oidc) => write_oidc(out, oidc),
    }
}

fn write_oidc(out: &mut String, oidc: &OidcConfig) -> std::fmt::Result {
    writeln!(out, "console:\n  oidc:")?;
    writeln!(out, "    name: {}", scalar(&oidc.name))?;
    writeln!(out, "    issuer: {}", scalar(&oidc.issuer))?;
    writeln!(out, "    client_id: {}", scalar(&oidc.client_id))?;
    writeln!(out, "    client_secret: {}", if oidc.client_secret.is_some() { "\"***\"" } else { "null" })?;
    writeln!(out, "    ca: {}", optional(oidc.ca.as_deref().map(Path::to_string_lossy).as_deref()))?;
    writeln!(out, "    scopes: {}", list(&oidc.scopes))?;
    writeln!(out, "    name_claim: {}", scalar(&oidc.name_claim))?;
    writeln!(out, "    role_claim: {}", scalar(&oidc.role_claim))?;
    let roles: Vec<String> =
        oidc.roles.iter().map(|(role, values)| format!("{}: {}", role.as_str(), list(values))).collect();
    writeln!(out, "    roles: {{{}}}", roles.join(", "))?;
    writeln!(out, "    domains: {}", list(&oidc.domains))?;
    writeln!(out, "    session: {}", format_duration(oidc.session))
}
