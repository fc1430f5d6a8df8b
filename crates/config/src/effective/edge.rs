//! `edge` as YAML.

use std::fmt::Write;

use tollhouse_units::format_duration;

use super::{key, list, or_null, scalar};
use crate::config::{AcmeConfig, EdgeConfig, RecordsConfig, RouteConfig, RouteTarget, SiteConfig, TlsConfig};

pub(super) fn write(out: &mut String, edge: Option<&EdgeConfig>) -> std::fmt::Result {
    let Some(edge) = edge else { return writeln!(out, "edge: null") };
    writeln!(out, "edge:")?;
    writeln!(out, "  http: {}", or_null(edge.http.map(|address| scalar(&address.to_string()))))?;
    writeln!(out, "  https: {}", scalar(&edge.https.to_string()))?;
    if edge.proxy_protocol {
        writeln!(out, "  proxy_protocol: true")?;
    }
    write_acme(out, edge.acme.as_ref())?;
    writeln!(out, "  sites:")?;
    edge.sites.iter().try_for_each(|site| write_site(out, site))
}

fn write_acme(out: &mut String, acme: Option<&AcmeConfig>) -> std::fmt::Result {
    let Some(acme) = acme else { return writeln!(out, "  acme: null") };
    let known = AcmeConfig::DIRECTORIES.iter().find(|(_, url)| *url == acme.directory).map(|(word, _)| *word);
    writeln!(out, "  acme:")?;
    writeln!(out, "    directory: {}", scalar(known.unwrap_or(&acme.directory)))?;
    writeln!(out, "    terms_agreed: true")?;
    writeln!(out, "    ca: {}", or_null(acme.ca.as_ref().map(|ca| scalar(&ca.to_string_lossy()))))?;
    writeln!(out, "    contacts: {}", list(&acme.contacts))?;
    writeln!(out, "    profile: {}", or_null(acme.profile.as_deref().map(scalar)))?;
    writeln!(out, "    challenge: {}", acme.challenge.as_str())?;
    writeln!(out, "    retry: {}", format_duration(acme.retry))?;
    match &acme.binding {
        None => writeln!(out, "    binding: null"),
        Some((id, _)) => writeln!(out, "    binding: {{id: {}, key: \"***\"}}", scalar(id)),
    }
}

fn write_site(out: &mut String, site: &SiteConfig) -> std::fmt::Result {
    writeln!(out, "    {}:", key(&site.host))?;
    writeln!(out, "      aliases: {}", list(&site.aliases))?;
    match &site.tls {
        TlsConfig::Acme => writeln!(out, "      tls: acme")?,
        TlsConfig::Files { cert, key } => {
            let (cert, private) = (scalar(&cert.to_string_lossy()), scalar(&key.to_string_lossy()));
            writeln!(out, "      tls: {{cert: {cert}, key: {private}}}")?;
        }
    }
    writeln!(out, "      headers: {}", scalar(site.headers.as_str()))?;
    if site.records == RecordsConfig::Failures {
        writeln!(out, "      records: failures")?;
    }
    writeln!(out, "      routes:")?;
    site.routes.iter().try_for_each(|route| writeln!(out, "        - {}", route_yaml(route)))
}

/// What has no meaning for a target is left out.
fn route_yaml(route: &RouteConfig) -> String {
    let texts = route.to.texts();
    let to = if texts.len() == 1 { scalar(&texts[0]) } else { list(&texts) };
    let mut parts = vec![format!("{{path: {}", scalar(&route.path)), format!("to: {to}")];
    if let RouteTarget::Servers(_) = route.to {
        parts.extend([
            format!("balance: {}", route.balance.as_str()),
            format!("body: {}", route.body),
            format!("timeout: {}", format_duration(route.timeout)),
            format!("idle: {}", format_duration(route.idle)),
            format!("health: {}", or_null(route.health.as_deref().map(scalar))),
            format!("every: {}", format_duration(route.every)),
            format!("slow_start: {}", or_null(route.slow_start.map(format_duration))),
        ]);
    }
    parts.join(", ") + "}"
}
