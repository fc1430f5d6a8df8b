//! Requests of the past, counted again by their records: a restart must not give anybody a second allowance.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value};

use crate::counted::Who;
use crate::stack::{PROBE_ORIGIN, REPLAY_ORIGIN, TASK_ORIGIN};
use crate::{Caller, Gateway};

impl Gateway {
    /// Counts the request of this record (kind `request`) as if it had run here. For records written after the last
    /// snapshot of the limits, before the first request is served.
    pub fn recount(&self, record: &Map<String, Value>) {
        let Some(past) = Past::of(record) else { return };
        let keyring = self.door().keyring();
        let key_id = past.key_id.map(str::to_owned);
        let caller = Caller { key: past.key_id.and_then(|id| keyring.get(id)).cloned(), key_id };
        let who = Who { caller: &caller, user: past.user, client: past.client };
        let settings = &self.inner.settings;
        for scope in who.scopes(&settings.limits, settings.by, past.model) {
            self.inner.limits.recount(&scope, past.began_ms, past.tokens);
        }
    }
}

/// What a record tells of a request that was counted.
#[derive(Debug, PartialEq)]
struct Past<'a> {
    key_id: Option<&'a str>,
    user: Option<&'a str>,
    model: &'a str,
    client: IpAddr,
    began_ms: i64,
    tokens: u64,
}

impl<'a> Past<'a> {
    /// `None` for a request that was refused before it counted.
    fn of(record: &'a Map<String, Value>) -> Option<Self> {
        let text = |name: &str| record.get(name)?.as_str();
        // What the house asked for itself was counted for nobody.
        if matches!(text("origin"), Some(PROBE_ORIGIN | TASK_ORIGIN | REPLAY_ORIGIN)) {
            return None;
        }
        let number = |name: &str| record.get(name)?.as_u64();
        let was_sent = number("attempts").is_some_and(|attempts| attempts > 0);
        let broke_off = record.get("cancelled") == Some(&Value::Bool(true)) || text("error") == Some("interrupted");
        if !was_sent && !broke_off {
            return None;
        }
        let ended: jiff::Timestamp = text("ts")?.parse().ok()?;
        let took_ms = record.get("duration_ms").and_then(Value::as_f64).unwrap_or(0.0);
        Some(Self {
            key_id: text("key_id"),
            user: text("user_id").filter(|_| record.get("user_claimed") != Some(&Value::Bool(true))),
            model: text("model").unwrap_or_default(),
            client: text("client_ip").and_then(|ip| ip.parse().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            began_ms: ended.as_millisecond() - took_ms as i64,
            tokens: number("input_tokens").unwrap_or(0) + number("output_tokens").unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_counted_is_counted_again() {
        let past = |more: Value| {
            let mut record = json!({"kind": "request", "ts": "1970-01-01T00:00:10.000Z", "client_ip": "10.0.0.1"});
            for (name, value) in more.as_object().unwrap() {
                record[name] = value.clone();
            }
            Past::of(record.as_object().unwrap()).map(|past| (past.began_ms, past.tokens))
        };
        let whole = json!({"attempts": 1, "duration_ms": 2500.5, "input_tokens": 7, "output_tokens": 5});
        assert_eq!(past(whole), Some((7500, 12)));
        assert_eq!(past(json!({"attempts": 0, "cancelled": true})), Some((10_000, 0)), "it left the queue");
        assert_eq!(past(json!({"error": "interrupted"})), Some((10_000, 0)));
        assert_eq!(past(json!({"attempts": 0, "error": "invalid api key", "cancelled": false})), None);
        assert_eq!(past(json!({"attempts": 1, "ts": "long ago"})), None);
        assert_eq!(past(json!({"attempts": 1, "origin": "probe"})), None);
    }
}
