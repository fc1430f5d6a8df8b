//! `tollhouse key …` and `tollhouse token`: secrets are made here and shown once.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tollhouse_config::{Auth, Config, IpNet};
use tollhouse_state::{CreatedKey, KeyLimits, KeySettings, State, StateError, StoredKey};
use tollhouse_units::{format_duration, parse_duration};

use crate::cli::{CreateArgs, KeyArgs, KeyCommand, TokenArgs};
use crate::say;
use crate::table::aligned;

/// So many of something in so many milliseconds.
pub(crate) type PerTime = (u64, u64);

/// `30/60s` as a number and milliseconds.
pub(crate) fn parse_rate(text: &str) -> Result<PerTime, String> {
    let expected = "expected a number per time, such as 30/60s";
    let (most, per) = text.split_once('/').ok_or(expected)?;
    let most = most.trim().parse().ok().filter(|most| *most > 0).ok_or(expected)?;
    let per = parse_duration(per.trim()).map_err(|error| format!("{expected}: {error}"))?;
    match u64::try_from(per.as_millis()) {
        Ok(per_ms) if per_ms > 0 => Ok((most, per_ms)),
        _ => Err(expected.to_owned()),
    }
}

/// A time of the calendar for which there are budgets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Period {
    Day,
    Month,
}

/// `2000000/day` as tokens and a period.
pub(crate) fn parse_budget(text: &str) -> Result<(u64, Period), String> {
    let expected = "expected tokens per day or month, such as 2000000/day";
    let (tokens, period) = text.split_once('/').ok_or(expected)?;
    let tokens = tokens.trim().parse().ok().filter(|tokens| *tokens > 0).ok_or(expected)?;
    match period.trim() {
        "day" => Ok((tokens, Period::Day)),
        "month" => Ok((tokens, Period::Month)),
        _ => Err(expected.to_owned()),
    }
}

/// Longest time that can be asked for; what is to last longer has no end.
const TIME_MAX: Duration = Duration::from_hours(36_500 * 24);

/// A time from now that is more than nothing.
pub(crate) fn parse_lifetime(text: &str) -> Result<Duration, String> {
    match parse_overlap(text)? {
        Duration::ZERO => Err("expected a time such as 24h or 90d".to_owned()),
        time => Ok(time),
    }
}

/// How long an old secret goes on, which may be not at all.
pub(crate) fn parse_overlap(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time > TIME_MAX { Err("expected at most 36500d".to_owned()) } else { Ok(time) }
}

/// A network, or an address as a network of one.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address or a network, such as 10.0.0.0/16".to_owned())
}

pub(crate) async fn key(args: &KeyArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    let done = match &args.command {
        KeyCommand::Create(create) => create_key(&state, &config, create).await,
        KeyCommand::List { json } => list_keys(&state, &config, *json).await,
        KeyCommand::Revoke { id } => revoke_key(&state, &config, id).await,
        KeyCommand::Rotate { id, overlap, json } => rotate_key(&state, id, *overlap, *json).await,
    };
    state.close().await;
    done.map_err(|error| match error.downcast_ref() {
        Some(StateError::Database(_)) => error.context(format!("keys in {}", config.data_dir.join("state").display())),
        _ => error,
    })
}

async fn create_key(state: &State, config: &Config, args: &CreateArgs) -> anyhow::Result<()> {
    let made = state.create_key(&settings(args)?).await?;
    if let Err(error) = show_secret(&made, args.json) {
        // Not as its cause: that whoever reads has read enough is no success here.
        let id = &made.key.id;
        match state.revoke_key(id).await {
            Ok(_) => bail!("the key could not be shown, so it is revoked again ({id}); make another one: {error:#}"),
            Err(failed) => bail!(
                "the key could not be shown, and not be revoked again ({failed}); do so: tollhouse key revoke {id}: {error:#}"
            ),
        }
    }
    if !args.json {
        eprintln!("key {} for {} is made; it is shown this once", made.key.id, made.key.settings.name);
    }
    if config.access.auth == Auth::Off {
        eprintln!("note: access.auth is off, so nobody is asked for a key");
    }
    Ok(())
}

fn settings(args: &CreateArgs) -> anyhow::Result<KeySettings> {
    let requests = |(most, per_ms): PerTime| Ok::<_, anyhow::Error>((u32::try_from(most)?, per_ms));
    let budget = |wanted| {
        let mut told = args.budget.iter().filter(|(_, period)| *period == wanted).map(|(tokens, _)| *tokens);
        let first = told.next();
        if told.next().is_some() {
            bail!("--budget has two values for the same period");
        }
        Ok(first)
    };
    let limits = KeyLimits {
        requests: args.requests.map(requests).transpose().context("--requests is too large")?,
        tokens: args.tokens,
        concurrent: args.concurrent,
        tokens_per_day: budget(Period::Day)?,
        tokens_per_month: budget(Period::Month)?,
    };
    Ok(KeySettings {
        name: args.name.trim().to_owned(),
        user: args.user.clone(),
        role: args.role.clone(),
        models: args.models.clone(),
        indices: args.indices.clone(),
        limits,
        prompt_chars: args.prompt_chars,
        priority: args.priority.clone(),
        weight: args.weight,
        allow: args.allow.iter().map(ToString::to_string).collect(),
        expires_ms: args.expires.map(|time| now_ms().saturating_add(time.as_millis() as i64)),
    })
}

async fn rotate_key(state: &State, id: &str, overlap: Duration, as_json: bool) -> anyhow::Result<()> {
    let Some(made) = state.rotate_key(id, overlap).await? else {
        bail!(
            "no key with the id {id} is in force; `tollhouse key list` shows them (for a key of the configuration file, put \
             the hash of a second secret into its `also`)"
        );
    };
    if let Err(error) = show_secret(&made, as_json) {
        let overlap = format_duration(overlap);
        bail!(
            "key {id} has a new secret that could not be shown; rotate it once more, while the one before is valid ({overlap}), \
             or revoke it (tollhouse key revoke {id}): {error:#}"
        );
    }
    if !as_json {
        let overlap = format_duration(overlap);
        eprintln!("key {id} has a new secret, shown this once; the one before is valid for {overlap} more");
    }
    Ok(())
}

/// The one moment at which a secret is seen.
fn show_secret(made: &CreatedKey, as_json: bool) -> anyhow::Result<()> {
    if !as_json {
        return say(&format!("{}\n", made.secret));
    }
    let mut shown = made.key.shown(now_ms());
    shown["key"] = made.secret.as_str().into();
    say(&format!("{shown}\n"))
}

async fn revoke_key(state: &State, config: &Config, id: &str) -> anyhow::Result<()> {
    let in_file = config.access.keys.iter().any(|key| key.id == id);
    let revoked = if in_file { state.revoke_id(id).await? } else { state.revoke_key(id).await? };
    if !revoked {
        bail!("no key with the id {id} is in force; `tollhouse key list` shows them");
    }
    eprintln!("key {id} is revoked; a running house refuses it within a second");
    if in_file {
        eprintln!("it can be taken out of `access.keys` now; its id stays revoked");
    }
    Ok(())
}

async fn list_keys(state: &State, config: &Config, as_json: bool) -> anyhow::Result<()> {
    let keys = state.keys().await?;
    if as_json {
        let shown: Vec<Value> = keys.iter().map(|key| key.shown(now_ms())).collect();
        return say(&format!("{}\n", Value::from(shown)));
    }
    if keys.is_empty() && config.access.keys.is_empty() {
        eprintln!("no keys yet; make one with: tollhouse key create --name NAME");
        return Ok(());
    }
    let revoked = state.revoked_ids().await?;
    let of_file = config.access.keys.iter().map(|key| Row::of_file(key, revoked.contains(&key.id)));
    let rows = of_file.chain(keys.iter().map(Row::of_stored));
    say(&aligned(Row::HEADINGS, rows.map(|row| row.0)))
}

/// A key as one line of the table.
struct Row([String; 7]);

impl Row {
    const HEADINGS: [&str; 7] = ["ID", "NAME", "ROLE", "MODELS", "LIMITS", "CREATED", "STATE"];

    fn of_file(key: &tollhouse_config::KeyConfig, is_revoked: bool) -> Self {
        let ms = |rate: tollhouse_config::Rate| (rate.most, rate.per.as_millis() as u64);
        let limits = key.limits;
        Self([
            key.id.clone(),
            key.user.clone().unwrap_or_else(|| "-".to_owned()),
            key.role.to_owned(),
            joined(&key.models),
            limits_text(
                limits.requests.map(ms),
                limits.tokens.map(ms),
                limits.concurrent,
                limits.tokens_per_day,
                limits.tokens_per_month,
            ),
            "-".to_owned(),
            if is_revoked { "revoked (configuration file)" } else { "configuration file" }.to_owned(),
        ])
    }

    fn of_stored(key: &StoredKey) -> Self {
        let shown = key.shown(now_ms());
        let text = |name: &str| shown[name].as_str().unwrap_or("-").to_owned();
        let limits = key.settings.limits;
        let mut state = text("state");
        if state == "in force" && key.settings.expires_ms.is_some() {
            state = format!("until {}", text("expires"));
        }
        if let Some(until) = shown["old_secrets_until"].as_array().and_then(|until| until.last()?.as_str()) {
            state = format!("{state}, old secret until {until}");
        }
        let requests = limits.requests.map(|(most, per_ms)| (most.into(), per_ms));
        Self([
            key.id.clone(),
            key.settings.name.clone(),
            key.settings.role.clone(),
            joined(&key.settings.models),
            limits_text(requests, limits.tokens, limits.concurrent, limits.tokens_per_day, limits.tokens_per_month),
            text("created"),
            state,
        ])
    }
}

fn joined(models: &[String]) -> String {
    if models.is_empty() { "*".to_owned() } else { models.join(",") }
}

/// A key's own limits, as the flags of `key create` take them.
fn limits_text(
    requests: Option<PerTime>,
    tokens: Option<PerTime>,
    concurrent: Option<u32>,
    day: Option<u64>,
    month: Option<u64>,
) -> String {
    let rate = |(most, per_ms): PerTime| format!("{most}/{}", format_duration(Duration::from_millis(per_ms)));
    let parts = [
        requests.map(|requests| format!("requests {}", rate(requests))),
        tokens.map(|tokens| format!("tokens {}", rate(tokens))),
        concurrent.map(|concurrent| format!("concurrent {concurrent}")),
        day.map(|tokens| format!("budget {tokens}/day")),
        month.map(|tokens| format!("budget {tokens}/month")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

pub(crate) async fn token(args: &TokenArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    let address = console_address(&state, &config, config.listen.address, args.expires).await?;
    state.close().await;
    say(&format!("{address}\n"))
}

/// A fresh tokenised address of the console.
pub(crate) async fn console_address(
    state: &State,
    config: &Config,
    listening: std::net::SocketAddr,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let token = state.create_console_token(lifetime).await.context("making a console token")?;
    let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(listening)));
    Ok(format!("{base}/?token={token}"))
}

/// An address that a browser on this machine can open: loopback in place of "every address".
pub(crate) fn reachable(listening: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut address = listening;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        assert_eq!(parse_budget("2000000/day"), Ok((2_000_000, Period::Day)));
        assert_eq!(parse_budget("1 / month"), Ok((1, Period::Month)));
        for wrong in ["", "5", "0/day", "5/week", "-1/day"] {
            assert!(parse_budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_an_end() {
        assert_eq!(parse_lifetime("36500d"), Ok(TIME_MAX));
        assert_eq!(parse_overlap("0s"), Ok(Duration::ZERO));
        for wrong in ["0s", "36501d", "999999999999d", "soon"] {
            assert!(parse_lifetime(wrong).is_err(), "{wrong}");
        }
        assert!(parse_overlap("999999999999d").is_err());
    }

    #[test]
    fn the_table_is_as_wide_as_its_cells_and_shows_limits_as_flags() {
        let limits = limits_text(Some((30, 60_000)), None, Some(4), Some(2_000_000), None);
        assert_eq!(limits, "requests 30/1m, concurrent 4, budget 2000000/day");
        assert_eq!(limits_text(None, None, None, None, None), "-");
        let row = |id: &str| Row([id, "n", "user", "*", "-", "-", "in force"].map(str::to_owned));
        let rows = [row("a"), row("a-long-id")].map(|row| row.0);
        assert_eq!(
            aligned(Row::HEADINGS, rows),
            "ID         NAME  ROLE  MODELS  LIMITS  CREATED  STATE\n\
             a          n     user  *       -       -        in force\n\
             a-long-id  n     user  *       -       -        in force\n"
        );
    }

    #[test]
    fn rates() {
        assert_eq!(parse_rate("30/60s"), Ok((30, 60_000)));
        assert_eq!(parse_rate("1 / 250ms"), Ok((1, 250)));
        for wrong in ["", "30", "0/60s", "30/0s", "x/60s", "30/x", "-1/60s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
