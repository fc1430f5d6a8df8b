//! `telemetry`: what the house tells of itself, and to whom.

use super::base_url;
use crate::{
    config::{OtlpConfig, TelemetryConfig},
    decode::{Decoder, Section},
    saying::Said,
    tree::{Data, Node},
};

/// What stands where the metrics are not told.
const OFF: &str = "off";
/// Paths that something else answers under; one with a slash at the end stands for all below it, too.
const TAKEN: [&str; 9] = ["/v1/", "/api/", "/es/", "/console/", "/assets/", "/health", "/healthz", "/readyz", "/chat"];
/// What a URL has to be.
const URL: &str = "an address such as http://127.0.0.1:4318";

/// Reads the section.
pub(super) fn telemetry(d: &mut Decoder<'_>, s: &mut Section<'_>, telemetry: &mut TelemetryConfig) {
    if let Some(path) = s.get("metrics").and_then(|node| metrics(d, node)) {
        telemetry.metrics = (path != OFF).then_some(path);
    }
    s.set_some(d, "otlp", &mut telemetry.otlp, otlp);
}

/// A path, or the word that there is none.
fn metrics(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "a path such as /metrics, or off", |text| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
        let is_taken =
            |taken: &str| text == taken.trim_end_matches('/') || (taken.ends_with('/') && text.starts_with(taken));
        if text == OFF {
            return Ok(text.to_owned());
        }
        if !text.starts_with('/') || text.len() < 2 || text.ends_with('/') || !text.chars().all(is_plain) {
            return Err(Said::filled("`{}` is no plain path", &[&crate::problem::shown(text)]));
        }
        match TAKEN.iter().find(|taken| is_taken(taken)) {
            Some(taken) => Err(Said::filled("something else answers under {}", &[&taken])),
            None => Ok(text.to_owned()),
        }
    })
}

/// An address alone, or with what is needed to be let in there.
fn otlp(d: &mut Decoder<'_>, node: &Node) -> Option<OtlpConfig> {
    if matches!(node.data, Data::Scalar { .. }) {
        let url = d.parsed(node, URL, otlp_url)?;
        return Some(OtlpConfig { url, key: None, ca: None });
    }
    let mut read = None;
    d.section(node, |d, s| {
        let url = s.require(d, "url", URL, |d, node| d.parsed(node, URL, otlp_url));
        let key = s.get("key").and_then(|node| d.secret(node));
        let ca_node = s.get("ca");
        let ca = ca_node.and_then(|node| d.path(node));
        if let (Some(node), Some(url)) = (ca_node, &url)
            && !url.starts_with("https:")
        {
            d.wrong(node, "nothing is encrypted, so no certificate is looked at", "a url that begins with https://");
        }
        read = url.map(|url| OtlpConfig { url, key, ca });
    });
    read
}

/// The address itself: each signal has its own path below it.
fn otlp_url(text: &str) -> Result<String, Said> {
    let url = base_url(text)?;
    let bare = ["/v1/traces", "/v1/metrics", "/v1/logs"].iter().find_map(|path| url.strip_suffix(path));
    Ok(bare.unwrap_or(&url).to_owned())
}
