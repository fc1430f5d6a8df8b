//! Watches the records by the rules of the configuration, and tells whom it names.
//!
//! A changed configuration leaves those channels alone that stay as they are, and what is known of rules that are still
//! there.

pub(crate) mod desk;
pub(crate) mod saved;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;
use tokio::task::spawn_blocking;
use tollhouse_config::{
    AlertConfig, AlertMeasure, AlertSeverity, ChannelConfig, ChannelKind, Config, ReportConfig, Secret, SmtpConfig,
    SmtpTls,
};
use tollhouse_journal::Journal;
use tollhouse_notify::{Channel, Encryption, Login, Settings, Severity, SmtpServer, Url};
use tollhouse_remote::Shelf;
use tollhouse_state::State;
use tollhouse_watch::{
    Escalate, Limit, Measure, Place, Plan, Quiet, Report, ReportKind, Rule, RuleSettings, Troubles, Watch,
};

use self::saved::Rules;
use crate::source::Print;
use crate::{keys, wiring};

/// The rules at work.
pub(crate) struct Watching {
    watch: Watch,
    state: State,
    running: Vec<Running>,
    rules: usize,
}

/// One channel at work.
#[derive(Clone)]
struct Running {
    config: ChannelConfig,
    /// The file of its authorities, as it was when it was read.
    ca: Option<Print>,
    channel: Arc<Channel>,
}

/// What a configuration wants to have watched, ready: from here on nothing fails.
pub(crate) struct Prepared {
    rules: Vec<Rule>,
    reports: Vec<Report>,
    places: u32,
    running: Vec<Running>,
}

impl Watching {
    /// Begins what was prepared.
    pub(crate) fn new(
        shelf: Shelf,
        state: State,
        journal: Journal,
        troubles: Troubles,
        prepared: Prepared,
        place: Place,
    ) -> Self {
        let (rules, running) = (prepared.rules.len(), prepared.running.clone());
        let watch = Watch::start(shelf, state.clone(), journal, troubles, prepared.plan(place));
        Self { watch, state, running, rules }
    }

    /// Makes ready what a configuration wants; channels that stay the same are taken over.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        Prepared::new(config, &self.state, &self.running).await
    }

    /// Paths of the configuration whose files are others than when they were read.
    pub(crate) async fn renewed(&self) -> Vec<String> {
        let mut renewed = Vec::new();
        for running in &self.running {
            if running.ca != print(&running.config).await {
                renewed.push(format!("channels.{}.ca", running.config.name));
            }
        }
        renewed
    }

    /// Watches that from now on.
    pub(crate) fn adopt(&mut self, prepared: Prepared, place: Place) {
        (self.rules, self.running) = (prepared.rules.len(), prepared.running.clone());
        self.watch.adopt(prepared.plan(place));
    }

    /// Ends after the messages under way; what still waits is sent after the next start.
    pub(crate) async fn end(self) {
        self.watch.stop().await;
    }

    /// What is watched, and who is told.
    pub(crate) fn greeting(&self) -> Option<String> {
        if self.running.is_empty() {
            return None;
        }
        let channels: Vec<String> = self
            .running
            .iter()
            .map(|running| format!("{} ({})", running.config.name, running.channel.kind()))
            .collect();
        Some(format!("{} rules, told to {}", self.rules, channels.join(", ")))
    }
}

impl Prepared {
    /// Makes ready what this configuration wants, when nothing runs yet.
    pub(crate) async fn first(config: &Config, state: &State) -> anyhow::Result<Self> {
        Self::new(config, state, &[]).await
    }

    async fn new(config: &Config, state: &State, before: &[Running]) -> anyhow::Result<Self> {
        let mut running = Vec::with_capacity(config.channels.len());
        for wanted in &config.channels {
            // Before it is read: what comes in between is noticed at the next reload.
            let ca = print(wanted).await;
            if let Some(same) = before.iter().find(|running| running.config == *wanted && running.ca == ca) {
                running.push(same.clone());
                continue;
            }
            let config = wanted.clone();
            let channel = spawn_blocking(move || channel(&config)).await??;
            running.push(Running { config: wanted.clone(), ca, channel: Arc::new(channel) });
        }
        let reports = config.reports.iter().filter(|report| report.on).map(report).collect::<anyhow::Result<_>>()?;
        let saved = Rules::of(config, state.saved_rules().await.context("reading the saved rules")?);
        for saved in &saved.saved {
            if let Some(problem) = &saved.problem {
                tracing::warn!(rule = saved.rule.name, why = problem.text(), "a saved rule is not in force");
            }
        }
        Ok(Self { rules: rules(&saved.within(config))?, reports, places: wiring::places(config), running })
    }

    fn plan(self, place: Place) -> Plan {
        let channels = self.running.into_iter().map(|running| running.channel).collect();
        Plan { rules: self.rules, reports: self.reports, channels, place, places: Some(self.places) }
    }
}

/// Where messages say that the records are.
pub(crate) fn place(config: &Config, address: SocketAddr) -> Place {
    let here = || format!("http://{}", keys::reachable(address));
    Place { service: config.service.clone(), console: Some(config.public_url.clone().unwrap_or_else(here)) }
}

/// The rules that are on.
pub(crate) fn rules(config: &Config) -> anyhow::Result<Vec<Rule>> {
    config.alerts.iter().filter(|alert| alert.on).map(rule).collect()
}

/// A rule as the configuration describes it.
pub(crate) fn rule(alert: &AlertConfig) -> anyhow::Result<Rule> {
    let context = || format!("reading `alerts.{}`", alert.name);
    let limit = Limit::parse(&alert.limit).map_err(anyhow::Error::msg).with_context(context)?;
    let quiet = |quiet: &tollhouse_config::QuietConfig| Quiet::new(quiet.from, quiet.to, quiet.zone.as_deref());
    let defaults = RuleSettings::new(&alert.name);
    Rule::new(RuleSettings {
        query: alert.query.clone(),
        measure: match &alert.measure {
            AlertMeasure::Count => Measure::Count,
            AlertMeasure::Sum(field) => Measure::Sum(field.clone()),
            AlertMeasure::Average(field) => Measure::Average(field.clone()),
            AlertMeasure::Percentile { field, percent } => {
                Measure::Percentile { field: field.clone(), percent: *percent }
            }
            AlertMeasure::Ratio(query) => Measure::Ratio(query.clone()),
            AlertMeasure::Absence => Measure::Absence,
            AlertMeasure::Latest(query) => Measure::Latest(query.clone()),
            AlertMeasure::Burn { bad, goal, over } => Measure::Burn { bad: bad.clone(), goal: *goal, over: *over },
        },
        limit,
        baseline: alert.baseline,
        samples: alert.samples,
        within: alert.within,
        group_by: alert.group_by.clone(),
        hold: alert.hold,
        severity: match alert.severity {
            AlertSeverity::Info => Severity::Info,
            AlertSeverity::Warning => Severity::Warning,
            AlertSeverity::Critical => Severity::Critical,
        },
        cooldown: alert.cooldown,
        resolve: alert.resolve.unwrap_or(defaults.resolve),
        tells_end: alert.resolve.is_some(),
        quiet: alert.quiet.as_ref().map(quiet).transpose().with_context(context)?,
        needs: alert.needs.clone(),
        notify: alert.notify.clone(),
        escalate: alert.escalate.as_ref().map(|to| Escalate { after: to.after, notify: to.notify.clone() }),
        around: alert.around,
        runbook: alert.runbook.clone(),
        ..defaults
    })
    .with_context(context)
}

/// A report as the configuration describes it.
pub(crate) fn report(config: &ReportConfig) -> anyhow::Result<Report> {
    let zone = match &config.zone {
        None => TimeZone::system(),
        Some(name) => TimeZone::get(name).with_context(|| format!("reading `reports.{}.zone`", config.name))?,
    };
    Ok(Report {
        name: config.name.clone(),
        kind: report_kind(config.report),
        at: config.at,
        zone,
        rows_max: config.top,
        notify: config.notify.clone(),
    })
}

pub(crate) fn report_kind(kind: tollhouse_config::ReportKind) -> ReportKind {
    match kind {
        tollhouse_config::ReportKind::Errors => ReportKind::Errors,
        tollhouse_config::ReportKind::Slow => ReportKind::Slow,
        tollhouse_config::ReportKind::Tokens => ReportKind::Tokens,
        tollhouse_config::ReportKind::Top => ReportKind::Top,
    }
}

/// A channel as the configuration describes it. Reads certificates, so it blocks.
pub(crate) fn channel(config: &ChannelConfig) -> anyhow::Result<Channel> {
    let context = || format!("preparing the channel {} (`channels.{}`)", config.name, config.name);
    let settings = settings(&config.kind).with_context(context)?;
    Channel::new(&config.name, settings).with_context(context)
}

fn settings(kind: &ChannelKind) -> anyhow::Result<Settings> {
    let url = |url: &Secret| Url::parse(url.expose());
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    Ok(match kind {
        ChannelKind::Smtp(smtp) => {
            Settings::Smtp { server: server(smtp), from: smtp.from.clone(), to: smtp.to.clone() }
        }
        ChannelKind::Webhook { url: to, secret, body } => {
            Settings::Webhook { url: url(to)?, secret: text(secret), body: body.clone() }
        }
        ChannelKind::Slack { url: to } => Settings::Slack { url: url(to)? },
        ChannelKind::DingTalk { url: to, secret } => Settings::DingTalk { url: url(to)?, secret: text(secret) },
        ChannelKind::Feishu { url: to, secret } => Settings::Feishu { url: url(to)?, secret: text(secret) },
        ChannelKind::WeCom { url: to } => Settings::WeCom { url: url(to)? },
        ChannelKind::Telegram { url, token, chat } => {
            Settings::Telegram { url: Url::parse(url)?, token: token.expose().to_owned(), chat: chat.clone() }
        }
        ChannelKind::Ntfy { url: to, token } => Settings::Ntfy { url: url(to)?, token: text(token) },
    })
}

fn server(smtp: &SmtpConfig) -> SmtpServer {
    let login =
        |(user, password): &(String, Secret)| Login { user: user.clone(), password: password.expose().to_owned() };
    SmtpServer {
        host: smtp.host.clone(),
        port: smtp.port,
        encryption: match smtp.tls {
            SmtpTls::Implicit => Encryption::Implicit,
            SmtpTls::StartTls => Encryption::StartTls,
            SmtpTls::Off => Encryption::Plain,
        },
        login: smtp.login.as_ref().map(login),
        ca: smtp.ca.clone(),
    }
}

/// The file of a channel's authorities.
async fn print(config: &ChannelConfig) -> Option<Print> {
    let ca: Option<&Path> = match &config.kind {
        ChannelKind::Smtp(smtp) => smtp.ca.as_deref(),
        _ => None,
    };
    Print::of(ca?).await
}
