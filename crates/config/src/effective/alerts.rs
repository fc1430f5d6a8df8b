//! `channels`, `alerts` and `reports` as YAML.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use tollhouse_units::format_duration;

use super::{json, key, list, optional, or_null, scalar};
use crate::{
    config::{
        AlertConfig, AlertMeasure, ChannelConfig, ChannelKind, EscalateConfig, QuietConfig, ReportConfig, SmtpConfig,
        SmtpTls,
    },
    secret::Secret,
};

/// What a secret is shown as.
const MASK: &str = "\"***\"";

impl AlertConfig {
    /// The rule as it stands in a configuration: one line of YAML, with every default filled in.
    pub fn yaml(&self) -> String {
        alert_yaml(self)
    }
}

pub(super) fn write(
    out: &mut String,
    channels: &[ChannelConfig],
    alerts: &[AlertConfig],
    reports: &[ReportConfig],
) -> std::fmt::Result {
    writeln!(out, "channels:{}", if channels.is_empty() { " {}" } else { "" })?;
    for channel in channels {
        writeln!(out, "  {}: {}", key(&channel.name), channel_yaml(&channel.kind))?;
    }
    writeln!(out, "alerts:{}", if alerts.is_empty() { " {}" } else { "" })?;
    for alert in alerts {
        let told = if alert.on { alert_yaml(alert) } else { "off".to_owned() };
        writeln!(out, "  {}: {told}", key(&alert.name))?;
    }
    writeln!(out, "reports:{}", if reports.is_empty() { " {}" } else { "" })?;
    for report in reports {
        let told = if report.on { report_yaml(report) } else { "off".to_owned() };
        writeln!(out, "  {}: {told}", key(&report.name))?;
    }
    Ok(())
}

fn report_yaml(report: &ReportConfig) -> String {
    let ReportConfig { report: kind, at, zone, top, notify, .. } = report;
    let notify = notify.as_ref().map_or_else(|| "null".to_owned(), |names| list(names));
    let (kind, zone) = (kind.as_str(), optional(zone.as_deref()));
    format!("{{report: {kind}, at: \"{at}\", zone: {zone}, top: {top}, notify: {notify}}}")
}

fn channel_yaml(kind: &ChannelKind) -> String {
    let secret = |secret: &Option<Secret>| or_null(secret.as_ref().map(|_| MASK));
    match kind {
        ChannelKind::Smtp(smtp) => smtp_yaml(smtp),
        ChannelKind::Webhook { url, secret: signs, body } => {
            let body = body.as_ref().map_or_else(|| "null".to_owned(), json);
            format!("{{kind: webhook, url: {}, secret: {}, body: {body}}}", shown(url), secret(signs))
        }
        ChannelKind::Slack { url } => format!("{{kind: slack, url: {}}}", shown(url)),
        ChannelKind::DingTalk { url, secret: signs } => {
            format!("{{kind: dingtalk, url: {}, secret: {}}}", shown(url), secret(signs))
        }
        ChannelKind::Feishu { url, secret: signs } => {
            format!("{{kind: feishu, url: {}, secret: {}}}", shown(url), secret(signs))
        }
        ChannelKind::WeCom { url } => format!("{{kind: wecom, url: {}}}", shown(url)),
        ChannelKind::Telegram { url, chat, .. } => {
            format!("{{kind: telegram, url: {}, token: {MASK}, chat: {}}}", scalar(url), scalar(chat))
        }
        ChannelKind::Ntfy { url, token } => format!("{{kind: ntfy, url: {}, token: {}}}", shown(url), secret(token)),
    }
}

fn smtp_yaml(smtp: &SmtpConfig) -> String {
    let scheme = if smtp.tls == SmtpTls::Implicit { "smtps" } else { "smtp" };
    let host = if smtp.host.contains(':') { format!("[{}]", smtp.host) } else { smtp.host.clone() };
    let server = scalar(&format!("{scheme}://{host}:{}", smtp.port));
    let login =
        smtp.login.as_ref().map_or_else(String::new, |(user, _)| format!("user: {}, password: {MASK}, ", scalar(user)));
    let ca = smtp.ca.as_deref().map(Path::to_string_lossy);
    format!(
        "{{kind: smtp, server: {server}, tls: {}, {login}ca: {}, from: {}, to: {}}}",
        smtp.tls.as_str(),
        optional(ca.as_deref()),
        scalar(&smtp.from),
        list(&smtp.to),
    )
}

/// An address without its path: whoever knows that can write there.
fn shown(url: &Secret) -> String {
    let (scheme, rest) = url.expose().split_once("://").unwrap_or(("https", ""));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    scalar(&format!("{scheme}://{host}/***"))
}

fn alert_yaml(alert: &AlertConfig) -> String {
    let bound = |limit: &str| match (limit.split_once(' '), alert.baseline) {
        (_, Some(time)) => format!("baseline: {}, deviation: {}", format_duration(time), scalar(&format!("{limit}%"))),
        (Some((">", number)), None) => format!("above: {number}"),
        (Some((_, number)), None) => format!("below: {number}"),
        (None, None) => "above: null".to_owned(),
    };
    let measure = match &alert.measure {
        AlertMeasure::Count => format!("count: {}", scalar(&alert.limit)),
        AlertMeasure::Sum(field) => format!("sum: {}, {}", scalar(field), bound(&alert.limit)),
        AlertMeasure::Average(field) => format!("average: {}, {}", scalar(field), bound(&alert.limit)),
        AlertMeasure::Percentile { field, percent } => {
            format!("percentile: {}, percent: {percent}, {}", scalar(field), bound(&alert.limit))
        }
        AlertMeasure::Ratio(query) => format!("ratio: {}, {}", scalar(query), bound(&alert.limit)),
        AlertMeasure::Absence => {
            let seconds = alert.limit.trim_start_matches("> ").parse().unwrap_or_default();
            format!("absence: {}", format_duration(Duration::from_secs_f64(seconds)))
        }
        AlertMeasure::Latest(query) => format!("latest: {}", scalar(query)),
        AlertMeasure::Burn { bad, goal, over } => {
            format!("bad: {}, goal: {goal}%, over: {}", scalar(bad), format_duration(*over))
        }
    };
    let hold = (!alert.hold.is_zero()).then(|| format_duration(alert.hold));
    let resolve = alert.resolve.map_or_else(|| "off".to_owned(), format_duration);
    let notify = alert.notify.as_ref().map_or_else(|| "null".to_owned(), |names| list(names));
    [
        format!("{{query: {}", scalar(&alert.query)),
        measure,
        format!("samples: {}", alert.samples),
        format!("within: {}", format_duration(alert.within)),
        format!("group_by: {}", optional(alert.group_by.as_deref())),
        format!("for: {}", or_null(hold)),
        format!("severity: {}", alert.severity.as_str()),
        format!("cooldown: {}", format_duration(alert.cooldown)),
        format!("resolve: {resolve}"),
        format!("quiet: {}", or_null(alert.quiet.as_ref().map(quiet_yaml))),
        format!("needs: {}", list(&alert.needs)),
        format!("notify: {notify}"),
        format!("escalate: {}", or_null(alert.escalate.as_ref().map(escalate_yaml))),
        format!("around: {}", or_null(alert.around.map(format_duration))),
        format!("runbook: {}}}", optional(alert.runbook.as_deref())),
    ]
    .join(", ")
}

fn escalate_yaml(escalate: &EscalateConfig) -> String {
    format!("{{after: {}, notify: {}}}", format_duration(escalate.after), list(&escalate.notify))
}

fn quiet_yaml(quiet: &QuietConfig) -> String {
    let QuietConfig { from, to, zone } = quiet;
    format!("{{from: \"{from}\", to: \"{to}\", zone: {}}}", optional(zone.as_deref()))
}
