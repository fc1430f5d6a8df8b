//! A configuration as YAML, with every default filled in and every secret masked.

use std::fmt::Write;

use serde_json::{Map, Value};
use tollhouse_units::format_duration;

use crate::{
    config::{
        Auth, By, Compress, Config, Deny, ErrorStyle, KeyConfig, ModelConfig, RateLimit, SyncPolicy, UpstreamConfig,
        UpstreamKind,
    },
    decode::resolve,
};

impl Config {
    /// The configuration in force: all keys, defaults included, secrets as `***`. `parse` reads it as the same configuration
    /// but for the secrets.
    pub fn effective_yaml(&self) -> String {
        let mut out = String::new();
        self.write_yaml(&mut out).expect("a String takes every text");
        out
    }

    fn write_yaml(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "service: {}", scalar(&self.service))?;
        writeln!(out, "data_dir: {}", scalar(&self.data_dir.to_string_lossy()))?;
        writeln!(out, "listen: {}", scalar(&self.listen.to_string()))?;
        writeln!(out, "public_url: {}", optional(self.public_url.as_deref()))?;
        writeln!(out, "hosts: {}", list(&self.hosts))?;
        writeln!(out, "upstreams:")?;
        for upstream in &self.upstreams {
            writeln!(out, "  {}: {}", key(&upstream.name), upstream_yaml(upstream))?;
        }
        writeln!(out, "models:{}", if self.models.is_empty() { " {}" } else { "" })?;
        for model in &self.models {
            write_model(out, model)?;
        }
        self.write_access(out)?;
        self.write_bounds(out)?;
        self.write_logging(out)?;
        writeln!(out, "tags:{}", if self.tags.is_empty() { " {}" } else { "" })?;
        for (name, query) in &self.tags {
            writeln!(out, "  {}: {}", key(name), scalar(query))?;
        }
        let keep = self.store.keep;
        writeln!(out, "store:\n  keep: {{days: {}, bytes: {}}}", keep.days, keep.bytes)
    }

    fn write_access(&self, out: &mut String) -> std::fmt::Result {
        let access = &self.access;
        writeln!(out, "access:")?;
        writeln!(out, "  auth: {}", if access.auth == Auth::Keys { "keys" } else { "off" })?;
        writeln!(out, "  header: {}", scalar(&access.header))?;
        writeln!(out, "  keys:{}", if access.keys.is_empty() { " []" } else { "" })?;
        for key in &access.keys {
            writeln!(out, "    - {}", access_key_yaml(key))?;
        }
        writeln!(out, "  allow: {}", list(&access.allow))?;
        writeln!(out, "  deny: {}", if access.deny == Deny::Drop { "drop" } else { "403" })?;
        writeln!(out, "  trusted_proxies: {}", list(&access.trusted_proxies))?;
        writeln!(out, "  user_header: {}", optional(access.user_header.as_deref()))?;
        writeln!(out, "  rate_limit: {}", rate_limit_yaml(access.rate_limit.as_ref()))
    }

    fn write_bounds(&self, out: &mut String) -> std::fmt::Result {
        let limits = &self.limits;
        writeln!(out, "limits:")?;
        writeln!(out, "  prompt_chars: {}", limits.prompt_chars)?;
        writeln!(out, "  body: {}", limits.body)?;
        writeln!(out, "  messages: {}", limits.messages)?;
        writeln!(out, "  head: {}", limits.head)?;
        writeln!(out, "  json_depth: {}", limits.json_depth)?;
        let timeouts = &self.timeouts;
        writeln!(out, "timeouts:")?;
        writeln!(out, "  connect: {}", format_duration(timeouts.connect))?;
        writeln!(out, "  silent: {}", format_duration(timeouts.silent))?;
        writeln!(out, "  first_byte: {}", format_duration(timeouts.first_byte))?;
        writeln!(out, "  idle: {}", format_duration(timeouts.idle))?;
        writeln!(out, "  total: {}", format_duration(timeouts.total))?;
        writeln!(out, "  drain: {}", format_duration(timeouts.drain))?;
        writeln!(out, "errors: {}", if self.errors == ErrorStyle::OpenAi { "openai" } else { "plain" })
    }

    fn write_logging(&self, out: &mut String) -> std::fmt::Result {
        let logging = &self.logging;
        let sync = match logging.sync {
            SyncPolicy::Each => "each".to_owned(),
            SyncPolicy::Within(time) => format_duration(time),
        };
        writeln!(out, "logging:")?;
        writeln!(out, "  level: {}", scalar(&logging.level))?;
        writeln!(out, "  file: {}", scalar(&self.journal_file().to_string_lossy()))?;
        writeln!(out, "  json: {}", logging.json)?;
        writeln!(out, "  fields: {}", object(&logging.fields))?;
        let every = if logging.rotate.every_day { "day" } else { "never" };
        writeln!(out, "  rotate: {{every: {every}, size: {}}}", logging.rotate.size)?;
        writeln!(out, "  keep: {{days: {}, bytes: {}}}", logging.keep.days, logging.keep.bytes)?;
        writeln!(out, "  compress: {}", if logging.compress == Compress::Zstd { "zstd" } else { "none" })?;
        writeln!(out, "  sync: {sync}")
    }
}

fn upstream_yaml(upstream: &UpstreamConfig) -> String {
    let kind = match upstream.kind {
        UpstreamKind::Ollama => "ollama",
        UpstreamKind::OpenAi => "openai",
        UpstreamKind::Demo => return "{kind: demo}".to_owned(),
    };
    let key = if upstream.key.is_some() { "\"***\"" } else { "null" };
    format!("{{kind: {kind}, url: {}, key: {key}}}", scalar(&upstream.url))
}

fn write_model(out: &mut String, model: &ModelConfig) -> std::fmt::Result {
    writeln!(out, "  {}:", key(&model.name))?;
    writeln!(out, "    upstreams: {}", list(&model.upstreams))?;
    writeln!(out, "    aliases: {}", list(&model.aliases))?;
    writeln!(out, "    context: {}", model.context.map_or_else(|| "null".to_owned(), |tokens| tokens.to_string()))?;
    writeln!(out, "    keep_alive: {}", optional(model.keep_alive.as_deref()))?;
    writeln!(out, "    options: {}", object(&model.options))?;
    writeln!(out, "    strip: {}", list(&model.strip))
}

fn access_key_yaml(key: &KeyConfig) -> String {
    format!(
        "{{id: {}, sha256: {}, user: {}, models: {}, role: {}, prompt_chars: {}, rate_limit: {}}}",
        scalar(&key.id),
        scalar(&key.sha256),
        optional(key.user.as_deref()),
        list(&key.models),
        optional(key.role.as_deref()),
        key.prompt_chars.map_or_else(|| "null".to_owned(), |chars| chars.to_string()),
        rate_limit_yaml(key.rate_limit.as_ref()),
    )
}

fn rate_limit_yaml(limit: Option<&RateLimit>) -> String {
    let Some(RateLimit { requests, per, by }) = limit else { return "null".to_owned() };
    let by = match by {
        By::Key => "key",
        By::User => "user",
        By::Address => "address",
        By::Model => "model",
    };
    format!("{{requests: {requests}, per: {}, by: {by}}}", format_duration(*per))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), scalar)
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| scalar(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

fn object(map: &Map<String, Value>) -> String {
    let entries: Vec<String> = map.iter().map(|(name, value)| format!("{}: {}", key(name), json(value))).collect();
    format!("{{{}}}", entries.join(", "))
}

fn json(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(map) => object(map),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text as a YAML value that is read back as the same text.
pub(crate) fn scalar(text: &str) -> String {
    // Otherwise it would be taken for a variable.
    key(&text.replace("${", "$${"))
}

/// A text as a YAML key: plain where that is safe anywhere, else in double quotes.
fn key(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_');
    let first_is_safe = text.starts_with(safe);
    let all_safe = text.chars().all(|c| safe(c) || matches!(c, '-' | ':' | '*' | '+' | '@'));
    let is_text = matches!(resolve(text), Some(Value::String(_)));
    if first_is_safe && all_safe && is_text && !text.ends_with(':') && text != "..." {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' | '\u{a1}'..='\u{1fff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{fdff}' | '\u{10000}'.. => {
                quoted.push(c);
            }
            // Control characters, breaks, marks without width and the like, for the reader's sake.
            _ => write!(quoted, "\\u{:04x}", c as u32).expect("a String takes every text"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_plain_only_where_that_is_safe() {
        for text in ["gate", "./data", "/var/log/a.log", "http://127.0.0.1:11434", "qwen3:32b", "30m", "127.0.0.1:1"] {
            assert_eq!(scalar(text), text);
        }
        for (text, quoted) in [
            ("", "\"\""),
            ("7", "\"7\""),
            ("true", "\"true\""),
            ("null", "\"null\""),
            ("*", "\"*\""),
            ("a: b", "\"a: b\""),
            ("a\"\\\n\u{7f}\u{202e}", "\"a\\\"\\\\\\n\\u007f\\u202e\""),
            ("模型", "\"模型\""),
            ("${A}", "\"$${A}\""),
        ] {
            assert_eq!(scalar(text), quoted);
        }
    }
}
