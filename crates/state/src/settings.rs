//! What is kept of a key, what of it may be shown, and which settings make sense.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::Digest;

/// Length of the texts that people give.
const TEXT_CHARS_MAX: usize = 100;
/// Patterns of models, and networks, that one key may have.
const LIST_MAX: usize = 100;
/// Largest number that the database keeps.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// What a key is for and what it may use: all that does not change when its secret does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeySettings {
    /// A name for people.
    pub name: String,
    /// Whom its requests are counted for; the name when absent.
    pub user: Option<String>,
    /// `user` (may call models), `logs:read`, `logs:write`, `metrics:read`, `admin`.
    pub role: String,
    /// Patterns of the models it may call; empty means every model.
    pub models: Vec<String>,
    /// Patterns of the indices it may use, for the roles `logs:read` and `logs:write`; empty means every index.
    pub indices: Vec<String>,
    /// Its own limits.
    pub limits: KeyLimits,
    /// Its own limit on the length of a prompt, in characters.
    pub prompt_chars: Option<usize>,
    /// `low`, `normal` or `high`.
    pub priority: String,
    /// Its share of a busy model server, from 1 to 100.
    pub weight: u32,
    /// Networks from which it may be used, such as `10.0.0.0/16`, and addresses; empty means everywhere.
    pub allow: Vec<String>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

impl Default for KeySettings {
    /// A nameless key that may call every model, without limits of its own.
    fn default() -> Self {
        Self {
            name: String::new(),
            user: None,
            role: "user".to_owned(),
            models: Vec::new(),
            indices: Vec::new(),
            limits: KeyLimits::default(),
            prompt_chars: None,
            priority: "normal".to_owned(),
            weight: 1,
            allow: Vec::new(),
            expires_ms: None,
        }
    }
}

/// What one key may use; each in place of the general limit of its kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyLimits {
    /// Requests per milliseconds.
    pub requests: Option<(u32, u64)>,
    /// Tokens per milliseconds.
    pub tokens: Option<(u64, u64)>,
    /// Requests at once.
    pub concurrent: Option<u32>,
    /// Tokens in a calendar day (UTC).
    pub tokens_per_day: Option<u64>,
    /// Tokens in a calendar month (UTC).
    pub tokens_per_month: Option<u64>,
}

/// Settings with which no key can be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}` must be {expected}")]
pub struct WrongSetting {
    /// Which of them, as [`StoredKey::shown`] names it.
    pub field: &'static str,
    /// What it should have been.
    pub expected: String,
}

impl KeySettings {
    /// Whether a key can be made of these.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), WrongSetting> {
        let demand = |fits: bool, field, expected: &str| {
            if fits { Ok(()) } else { Err(WrongSetting { field, expected: expected.to_owned() }) }
        };
        let text = format!("a text of 1 to {TEXT_CHARS_MAX} characters, none of them a control character");
        demand(is_text(&self.name), "name", &text)?;
        demand(self.user.as_deref().is_none_or(is_text), "user", &text)?;
        demand(
            matches!(self.role.as_str(), "user" | "logs:read" | "logs:write" | "metrics:read" | "admin"),
            "role",
            "one of: user, logs:read, logs:write, metrics:read, admin",
        )?;
        let patterns = self.models.len() <= LIST_MAX && self.models.iter().all(|pattern| is_text(pattern));
        demand(patterns, "models", &format!("at most {LIST_MAX} patterns such as qwen3:*, each {text}"))?;
        let patterns = self.indices.len() <= LIST_MAX && self.indices.iter().all(|pattern| is_index_pattern(pattern));
        demand(patterns, "indices", &format!("at most {LIST_MAX} patterns such as team-a-*, in lower case"))?;
        let is_limitable = self.indices.is_empty() || self.role.starts_with("logs:");
        demand(is_limitable, "indices", "left out: only logs:read and logs:write can be limited to indices")?;
        demand(matches!(self.priority.as_str(), "low" | "normal" | "high"), "priority", "one of: low, normal, high")?;
        demand((1..=100).contains(&self.weight), "weight", "a number from 1 to 100")?;
        let networks = self.allow.len() <= LIST_MAX && self.allow.iter().all(|network| is_network(network));
        demand(networks, "allow", &format!("at most {LIST_MAX} addresses or networks such as 10.0.0.0/16"))?;
        let number = "a number above zero";
        let is_number = |number: u64| (1..=NUMBER_MAX).contains(&number);
        let is_rate = |most: u64, per_ms: u64| is_number(most) && is_number(per_ms);
        let limits = &self.limits;
        let requests = limits.requests.is_none_or(|(most, per_ms)| is_rate(most.into(), per_ms));
        demand(requests, "requests", number)?;
        demand(limits.tokens.is_none_or(|(most, per_ms)| is_rate(most, per_ms)), "tokens", number)?;
        demand(limits.concurrent != Some(0), "concurrent", number)?;
        demand(limits.tokens_per_day.is_none_or(is_number), "tokens_per_day", number)?;
        demand(limits.tokens_per_month.is_none_or(is_number), "tokens_per_month", number)?;
        demand(self.prompt_chars != Some(0), "prompt_chars", number)
    }
}

/// A text that can be shown in a table.
fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

/// A name of an index in which `*` stands for any characters.
fn is_index_pattern(text: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '*');
    is_text(text) && text.chars().all(may_stand) && !text.starts_with(['-', '_', '.'])
}

fn is_network(text: &str) -> bool {
    text.parse::<IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok()
}

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Public part: names the key in records, limits and lists.
    pub id: String,
    /// HMAC-SHA-256 of the whole key (`th_<id>_<secret>`).
    pub hash: Digest,
    /// Secrets before the last rotations that are still valid.
    pub old: Vec<OldSecret>,
    /// What it is for and what it may use.
    pub settings: KeySettings,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A secret that was replaced and is valid for a while longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OldSecret {
    /// Its hash, like [`StoredKey::hash`].
    pub hash: Digest,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
}

impl StoredKey {
    /// Whether it opens the door at this moment.
    pub fn in_force(&self, now_ms: i64) -> bool {
        self.state(now_ms) == "in force"
    }

    /// `in force`, `expired` or `revoked`.
    pub fn state(&self, now_ms: i64) -> &'static str {
        match (self.revoked_ms, self.settings.expires_ms) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now_ms => "expired",
            (None, _) => "in force",
        }
    }

    /// All that may be shown of it, in the form that the command line and the console give it to programs.
    pub fn shown(&self, now_ms: i64) -> Value {
        let settings = &self.settings;
        let limits = &settings.limits;
        json!({
            "id": self.id,
            "name": settings.name,
            "user": settings.user,
            "role": settings.role,
            "models": settings.models,
            "indices": settings.indices,
            "requests": limits.requests.map(|(most, _)| most),
            "per_ms": limits.requests.map(|(_, per_ms)| per_ms),
            "tokens": limits.tokens.map(|(most, _)| most),
            "tokens_per_ms": limits.tokens.map(|(_, per_ms)| per_ms),
            "concurrent": limits.concurrent,
            "tokens_per_day": limits.tokens_per_day,
            "tokens_per_month": limits.tokens_per_month,
            "prompt_chars": settings.prompt_chars,
            "priority": settings.priority,
            "weight": settings.weight,
            "allow": settings.allow,
            "created": moment(self.created_ms),
            "expires": settings.expires_ms.map(moment),
            "revoked": self.revoked_ms.map(moment),
            "old_secrets_until": self.old.iter().map(|old| moment(old.until_ms)).collect::<Vec<_>>(),
            "state": self.state(now_ms),
        })
    }
}

/// RFC 3339 in UTC, to the second.
fn moment(ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_checked() {
        let good = KeySettings { name: "a".into(), ..KeySettings::default() };
        assert_eq!(good.check(), Ok(()));
        let limits = |limits| KeySettings { limits, ..good.clone() };
        let none = KeyLimits::default();
        let wrong = [
            ("name", KeySettings::default()),
            ("name", KeySettings { name: "a\u{1b}".into(), ..good.clone() }),
            ("user", KeySettings { user: Some(" ".into()), ..good.clone() }),
            ("role", KeySettings { role: "root".into(), ..good.clone() }),
            ("models", KeySettings { models: vec![String::new()], ..good.clone() }),
            ("models", KeySettings { models: vec!["a".into(); LIST_MAX + 1], ..good.clone() }),
            ("indices", KeySettings { indices: vec!["a-*".into()], ..good.clone() }),
            ("indices", KeySettings { indices: vec!["-a".into()], role: "logs:read".into(), ..good.clone() }),
            ("priority", KeySettings { priority: "urgent".into(), ..good.clone() }),
            ("weight", KeySettings { weight: 101, ..good.clone() }),
            ("allow", KeySettings { allow: vec!["10.0.0.0/33".into()], ..good.clone() }),
            ("requests", limits(KeyLimits { requests: Some((0, 1)), ..none })),
            ("requests", limits(KeyLimits { requests: Some((1, 0)), ..none })),
            ("tokens", limits(KeyLimits { tokens: Some((u64::MAX, 1)), ..none })),
            ("concurrent", limits(KeyLimits { concurrent: Some(0), ..none })),
            ("tokens_per_day", limits(KeyLimits { tokens_per_day: Some(0), ..none })),
            ("tokens_per_month", limits(KeyLimits { tokens_per_month: Some(0), ..none })),
            ("prompt_chars", KeySettings { prompt_chars: Some(0), ..good.clone() }),
        ];
        for (field, settings) in wrong {
            assert_eq!(settings.check().map_err(|wrong| wrong.field), Err(field));
        }
    }

    #[test]
    fn what_is_shown_holds_no_hash() {
        let old = vec![OldSecret { hash: [7; 32], until_ms: 2000 }];
        let settings = KeySettings { name: "a".into(), expires_ms: Some(5000), ..KeySettings::default() };
        let key = StoredKey { id: "x".into(), hash: [9; 32], old, settings, created_ms: 0, revoked_ms: None };
        let shown = key.shown(5000);
        assert_eq!(shown["state"], "expired");
        assert_eq!(shown["expires"], "1970-01-01T00:00:05Z");
        assert_eq!(shown["old_secrets_until"], json!(["1970-01-01T00:00:02Z"]));
        assert!(!shown.to_string().contains("hash"));
    }
}
