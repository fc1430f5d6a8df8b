//! `tollhouse alert`: how the rules stand, whether a channel works, silence for a while, and what a rule would have told.
//! It reads what lies on the disk, so it also works while the house is down.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tollhouse_config::{AlertConfig, Config};
use tollhouse_state::State;
use tollhouse_watch::{Backtest, Told, Troubles, backtest};

use crate::cli::{AlertArgs, AlertCommand};
use crate::search::cell;
use crate::watching::desk;
use crate::watching::saved::Rules;
use crate::{say, shelf, watching};

/// Who acknowledges by this command.
const BY: &str = "command line";
/// Groups of a message that a line shows.
const GROUPS_SHOWN_MAX: usize = 5;

/// Runs the command; its exit status says whether a tried channel works.
pub(crate) async fn alert(args: &AlertArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    match &args.command {
        AlertCommand::List { json } => list(&config, *json).await.map(|()| ExitCode::SUCCESS),
        AlertCommand::Test { channel, json } => test(&config, channel, *json).await,
        AlertCommand::Silence { rule, time, json } => {
            silence(&config, rule, *time, *json).await.map(|()| ExitCode::SUCCESS)
        }
        AlertCommand::Acknowledge { id, json } => acknowledge(&config, id, *json).await.map(|()| ExitCode::SUCCESS),
        AlertCommand::Backtest { rule, days, json } => {
            test_back(&config, rule, *days, *json).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

async fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let state = State::open(&config.data_dir).await?;
    let told = desk::rules(config, &state, &Troubles::default()).await?;
    let open = state.open_incidents().await?;
    state.close().await;
    if as_json {
        return say(&format!("{:#}\n", Value::from(told)));
    }
    let mut lines = vec![
        "RULE                    STATE     SEVERITY  FROM      GROUP               VALUE  LAST TOLD                 SILENCED UNTIL"
            .to_owned(),
    ];
    for rule in &told {
        let groups = rule["groups"].as_array().cloned().unwrap_or_default();
        let groups = if groups.is_empty() { vec![json!({"state": rule["state"]})] } else { groups };
        for group in &groups {
            lines.push(row(rule, group));
        }
    }
    for rule in told.iter().filter(|rule| rule["saved"]["problem"].is_string()) {
        let (name, why) =
            (rule["name"].as_str().unwrap_or_default(), rule["saved"]["problem"].as_str().unwrap_or_default());
        lines.push(format!(
            "saved in the console, but not in force: {name}: {}",
            why.lines().next().unwrap_or_default()
        ));
    }
    for incident in &open {
        let seen = match &incident.acknowledged {
            Some((at, by)) => format!("acknowledged {} by {by}", time(*at)),
            None => format!("tollhouse alert acknowledge {}", incident.id),
        };
        lines.push(format!("open since {}: {} ({seen})", time(incident.began_ms), incident.id));
    }
    say(&format!("{}\n", lines.join("\n")))
}

fn row(rule: &Value, group: &Value) -> String {
    format!(
        "{:<22}  {:<8}  {:<8}  {:<8}  {:<14}  {:>9}  {:<24}  {}",
        cell(&rule["name"], 22),
        cell(&group["state"], 8),
        cell(&rule["severity"], 8),
        cell(&rule["origin"], 8),
        cell(&group["group"], 14),
        cell(&group["value"], 9),
        cell(&group["last_told"], 24),
        cell(&rule["silenced_until"], 24),
    )
}

async fn test(config: &Config, name: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let wanted = config.channels.iter().find(|channel| channel.name == name).cloned().ok_or_else(|| {
        let known: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
        anyhow!("the configuration has no channel {name}; it has: {}", known.join(", "))
    })?;
    let told = desk::try_channel(&wanted, &config.service).await;
    let is_ok = told["ok"] == true;
    let refused: Vec<&str> = told["refused"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let kind = told["kind"].as_str().unwrap_or_default();
    let text = match told["error"].as_str() {
        None if refused.is_empty() => format!("{name} ({kind}): taken\n"),
        None => format!("{name} ({kind}): taken, but not for {}\n", refused.join("; ")),
        Some(error) => {
            let again = if told["retryable"] == true { "; it would be tried again" } else { "" };
            format!("{name} ({kind}): not taken: {error}{again}\n")
        }
    };
    if as_json { say(&format!("{told:#}\n")) } else { say(&text) }?;
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn silence(config: &Config, rule: &str, time_from_now: Duration, as_json: bool) -> anyhow::Result<()> {
    known(config, rule).await?;
    let until_ms = Timestamp::now().as_millisecond() + i64::try_from(time_from_now.as_millis()).unwrap_or(i64::MAX / 2);
    let state = State::open(&config.data_dir).await?;
    state.silence_alerts(rule, until_ms).await?;
    state.close().await;
    if as_json {
        return say(&format!("{:#}\n", json!({"rule": rule, "silenced_until": time(until_ms)})));
    }
    say(&format!("nothing of {rule} is told until {}\n", time(until_ms)))
}

async fn acknowledge(config: &Config, id: &str, as_json: bool) -> anyhow::Result<()> {
    let state = State::open(&config.data_dir).await?;
    let seen = desk::acknowledge(&state, id, BY).await?;
    state.close().await;
    let seen =
        seen.ok_or_else(|| anyhow!("there is no incident {id}; `tollhouse alert list` shows those that are open"))?;
    if as_json {
        return say(&format!("{:#}\n", desk::incident_json(&seen)));
    }
    let (at, by) = seen.acknowledged.unwrap_or_default();
    say(&format!("{id} is looked after by {by} since {}\n", time(at)))
}

async fn test_back(config: &Config, rule: &str, days: u32, as_json: bool) -> anyhow::Result<()> {
    let rule = watching::rule(&known(config, rule).await?)?;
    let opened = config.clone();
    let shelf = spawn_blocking(move || shelf::open_read_only(&opened)).await??;
    let result = backtest(&rule, &shelf, Timestamp::now().as_millisecond(), days).await;
    let Backtest { fired, told, looks } = result.context("going through the stored records")?;
    if as_json {
        let messages: Vec<Value> = told
            .iter()
            .map(|told| json!({"at": time(told.at_ms), "state": told.state, "groups": told.groups}))
            .collect();
        return say(&format!(
            "{:#}\n",
            json!({"rule": rule.name(), "days": days, "fired": fired, "messages": messages})
        ));
    }
    let mut lines: Vec<String> = told.iter().map(|told| line(&rule, told)).collect();
    lines.push(format!("{} in {days} days: {fired} alerts, {} messages ({looks} looks)", rule.name(), told.len()));
    say(&format!("{}\n", lines.join("\n")))
}

fn line(rule: &tollhouse_watch::Rule, told: &Told) -> String {
    let group = |(group, value): &(String, Option<f64>)| {
        let value = value.map_or_else(|| "-".to_owned(), |value| rule.settings().measure.shown(value));
        if group.is_empty() { value } else { format!("{group}: {value}") }
    };
    let mut groups: Vec<String> = told.groups.iter().take(GROUPS_SHOWN_MAX).map(group).collect();
    if told.groups.len() > GROUPS_SHOWN_MAX {
        groups.push(format!("{} more", told.groups.len() - GROUPS_SHOWN_MAX));
    }
    format!("{}  {:<8}  {}", time(told.at_ms), told.state, groups.join(", "))
}

/// The rule of this name: as the file has it, or as it was saved in the console.
async fn known(config: &Config, rule: &str) -> anyhow::Result<AlertConfig> {
    let state = State::open(&config.data_dir).await?;
    let saved = state.saved_rules().await;
    state.close().await;
    let alerts = Rules::of(config, saved?).alerts;
    let names: Vec<String> = alerts.iter().map(|alert| alert.name.clone()).collect();
    let known = alerts.into_iter().find(|alert| alert.name == rule);
    known.ok_or_else(|| anyhow!("there is no rule {rule}; there are: {}", names.join(", ")))
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| format!("{time:.0}")).unwrap_or_default()
}
