//! `tollhouse key …` and `tollhouse token`: secrets are made here and shown once.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tollhouse_config::{Auth, Config};
use tollhouse_state::{NewKey, State, StoredKey};
use tollhouse_units::parse_duration;

use crate::cli::{CreateArgs, KeyArgs, KeyCommand, TokenArgs};

/// `30/60s` as requests and milliseconds.
pub(crate) fn parse_rate(text: &str) -> Result<(u32, u64), String> {
    let expected = "expected requests per time, such as 30/60s";
    let (requests, per) = text.split_once('/').ok_or(expected)?;
    let requests = requests.trim().parse::<u32>().ok().filter(|requests| *requests > 0).ok_or(expected)?;
    let per = parse_duration(per.trim()).map_err(|error| format!("{expected}: {error}"))?;
    if per.is_zero() {
        return Err(expected.to_owned());
    }
    Ok((requests, per.as_millis() as u64))
}

/// A time from now that is more than nothing.
pub(crate) fn parse_lifetime(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => Err("expected a time such as 24h or 90d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that can be shown in a table: not empty, no control characters, at most 100 characters.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    const CHARS_MAX: usize = 100;
    let name = text.trim();
    let fits = !name.is_empty() && name.chars().count() <= CHARS_MAX && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(format!("expected 1 to {CHARS_MAX} characters, none of them a control character"))
    }
}

pub(crate) async fn key(args: &KeyArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    match &args.command {
        KeyCommand::Create(create) => create_key(&state, &config, create).await?,
        KeyCommand::List { json } => list_keys(&state, &config, *json).await?,
        KeyCommand::Revoke { id } => {
            if !state.revoke_key(id).await? {
                bail!(
                    "no key with the id {id} is in force; `tollhouse key list` shows them (keys of the configuration file are removed there)"
                );
            }
            eprintln!("key {id} is revoked; a running house refuses it within a second");
        }
    }
    state.close().await;
    Ok(())
}

async fn create_key(state: &State, config: &Config, args: &CreateArgs) -> anyhow::Result<()> {
    let wanted = NewKey {
        name: args.name.clone(),
        user: args.user.clone(),
        role: args.role.clone(),
        models: args.models.clone(),
        rate_limit: args.requests,
        prompt_chars: args.prompt_chars,
        expires_ms: args.expires.map(|time| now_ms().saturating_add(time.as_millis() as i64)),
    };
    let made = state.create_key(&wanted).await?;
    if args.json {
        let mut shown = shown_key(&made.key);
        shown["key"] = made.secret.into();
        println!("{shown}");
    } else {
        println!("{}", made.secret);
        eprintln!("key {} for {} is made; it is shown this once", made.key.id, made.key.name);
    }
    if config.access.auth == Auth::Off {
        eprintln!("note: access.auth is off, so nobody is asked for a key");
    }
    Ok(())
}

async fn list_keys(state: &State, config: &Config, as_json: bool) -> anyhow::Result<()> {
    let keys = state.keys().await?;
    if as_json {
        let shown: Vec<Value> = keys.iter().map(shown_key).collect();
        println!("{}", Value::from(shown));
        return Ok(());
    }
    if keys.is_empty() && config.access.keys.is_empty() {
        eprintln!("no keys yet; make one with: tollhouse key create --name NAME");
        return Ok(());
    }
    println!("{:<12} {:<20} {:<10} {:<20} {:<22} STATE", "ID", "NAME", "ROLE", "MODELS", "CREATED");
    for key in &config.access.keys {
        let models = if key.models.is_empty() { "*".to_owned() } else { key.models.join(",") };
        let (name, role) = (key.user.as_deref().unwrap_or("-"), key.role);
        println!("{:<12} {name:<20} {role:<10} {models:<20} {:<22} configuration file", key.id, "-");
    }
    for key in &keys {
        let models = if key.models.is_empty() { "*".to_owned() } else { key.models.join(",") };
        println!(
            "{:<12} {:<20} {:<10} {models:<20} {:<22} {}",
            key.id,
            key.name,
            key.role,
            moment(Some(key.created_ms)).unwrap_or_default(),
            key_state(key)
        );
    }
    Ok(())
}

fn shown_key(key: &StoredKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "user": key.user,
        "role": key.role,
        "models": key.models,
        "requests": key.rate_limit.map(|(requests, _)| requests),
        "per_ms": key.rate_limit.map(|(_, per_ms)| per_ms),
        "prompt_chars": key.prompt_chars,
        "created": moment(Some(key.created_ms)),
        "expires": moment(key.expires_ms),
        "revoked": moment(key.revoked_ms),
    })
}

fn key_state(key: &StoredKey) -> String {
    match (key.revoked_ms, key.expires_ms) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if end <= now_ms() => "expired".to_owned(),
        (None, Some(_)) => format!("until {}", moment(key.expires_ms).unwrap_or_default()),
        (None, None) => "in force".to_owned(),
    }
}

/// RFC 3339 in UTC, to the second.
fn moment(ms: Option<i64>) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms?).ok()?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

pub(crate) async fn token(args: &TokenArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    let address = console_address(&state, &config, config.listen.address, args.expires).await?;
    state.close().await;
    println!("{address}");
    Ok(())
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
    fn rates() {
        assert_eq!(parse_rate("30/60s"), Ok((30, 60_000)));
        assert_eq!(parse_rate("1 / 250ms"), Ok((1, 250)));
        for wrong in ["", "30", "0/60s", "30/0s", "x/60s", "30/x", "-1/60s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
