//! A bot of Telegram: <https://core.telegram.org/bots/api#sendmessage>.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tollhouse_web::escaped;

use super::Service;
use crate::error::Trouble;
use crate::http::{Answer, Client, Outgoing};
use crate::message::Message;
use crate::settings::Url;
use crate::text::{plain, shortened};

/// Longest text (4,096 characters); escaped ones count once.
const BYTES_MAX: usize = 3_900;

/// A bot in a chat.
#[derive(Debug)]
pub(super) struct Telegram {
    pub(super) url: Url,
    pub(super) token: String,
    pub(super) chat: String,
}

impl Service for Telegram {
    fn outgoing(&self, message: &Message, _: Timestamp) -> Outgoing {
        let headline = message.headline();
        let text = shortened(&plain(message), BYTES_MAX.saturating_sub(headline.len()));
        let json = json!({
            "chat_id": self.chat,
            "text": format!("<b>{}</b>\n\n{}", escaped(&headline), escaped(&text)),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        let url = format!("{}/bot{}/sendMessage", self.url.expose().trim_end_matches('/'), self.token);
        Outgoing { url, headers: Vec::new(), body: super::body(&json) }
    }

    /// How long it wants to be left alone stands in the body.
    fn judge(&self, client: &Client, answer: &Answer) -> Result<(), Trouble> {
        client.judge(answer).map_err(|trouble| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let wait = body["parameters"]["retry_after"].as_u64().map(Duration::from_secs);
            Trouble { retry_after: wait.or(trouble.retry_after), ..trouble }
        })
    }
}
