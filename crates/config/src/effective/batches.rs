//! `batches` and `approvals` as YAML.

use std::fmt::Write;

use tollhouse_units::format_duration;

use super::{list, or_null, scalar};
use crate::config::{BatchesConfig, OpenclawApprovals};

pub(super) fn write(
    out: &mut String,
    batches: Option<&BatchesConfig>,
    approvals: Option<&OpenclawApprovals>,
) -> std::fmt::Result {
    match batches {
        None => writeln!(out, "batches: off")?,
        Some(batches) => write_batches(out, batches)?,
    }
    let Some(OpenclawApprovals { url, ca, by, .. }) = approvals else { return writeln!(out, "approvals: {{}}") };
    let ca = or_null(ca.as_ref().map(|ca| scalar(&ca.to_string_lossy())));
    writeln!(out, "approvals:\n  openclaw: {{url: {}, ca: {ca}, token: \"***\", by: {}}}", scalar(url), list(by))
}

fn write_batches(out: &mut String, batches: &BatchesConfig) -> std::fmt::Result {
    writeln!(out, "batches:")?;
    writeln!(out, "  file: {}", batches.file)?;
    writeln!(out, "  files: {}", batches.files)?;
    writeln!(out, "  bytes: {}", batches.bytes)?;
    writeln!(out, "  total: {}", batches.total)?;
    writeln!(out, "  lines: {}", batches.lines)?;
    writeln!(out, "  open: {}", batches.open)?;
    writeln!(out, "  running: {}", batches.running)?;
    writeln!(out, "  at_once: {}", batches.at_once)?;
    writeln!(out, "  keep: {{days: {}}}", batches.keep_days)?;
    let keep = format_duration(batches.later_keep);
    writeln!(out, "  later: {{open: {}, at_once: {}, keep: {keep}}}", batches.later_open, batches.later_at_once)?;
    match &batches.webhooks {
        None => writeln!(out, "  webhooks: null"),
        Some(webhooks) => writeln!(out, "  webhooks: {{hosts: {}, secret: \"***\"}}", list(&webhooks.hosts)),
    }
}
