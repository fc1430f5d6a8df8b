//! `edge` as YAML.

use std::fmt::Write;

use tollhouse_units::format_duration;

use super::{key, list, or_null, scalar};
use crate::config::{EdgeConfig, RouteConfig, RouteTarget, SiteConfig};

pub(super) fn write(out: &mut String, edge: Option<&EdgeConfig>) -> std::fmt::Result {
    let Some(edge) = edge else { return writeln!(out, "edge: null") };
    writeln!(out, "edge:")?;
    writeln!(out, "  http: {}", or_null(edge.http.map(|address| scalar(&address.to_string()))))?;
    writeln!(out, "  https: {}", scalar(&edge.https.to_string()))?;
    writeln!(out, "  sites:")?;
    edge.sites.iter().try_for_each(|site| write_site(out, site))
}

fn write_site(out: &mut String, site: &SiteConfig) -> std::fmt::Result {
    let (cert, private) = (scalar(&site.cert.to_string_lossy()), scalar(&site.key.to_string_lossy()));
    writeln!(out, "    {}:", key(&site.host))?;
    writeln!(out, "      tls: {{cert: {cert}, key: {private}}}")?;
    writeln!(out, "      headers: {}", scalar(site.headers.as_str()))?;
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
        ]);
    }
    parts.join(", ") + "}"
}
