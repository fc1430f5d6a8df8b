//! A group robot of DingTalk: <https://open.dingtalk.com/document/robots/custom-robot-access>.
//!
//! With a secret, `timestamp` (milliseconds) and `sign` = base64(HMAC-SHA-256(secret, "<timestamp>\n<secret>")) stand in the URL.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{Service, judge_code, signature};
use crate::error::Trouble;
use crate::http::{Answer, Client, Outgoing};
use crate::message::Message;
use crate::settings::Url;
use crate::text::markdown;

/// Longest message (20,000 bytes), less its frame.
const BYTES_MAX: usize = 18_000;
/// The server is busy; more than 20 messages in a minute.
const PASSING: [i64; 3] = [-1, 130_101, 660_026];

/// A robot.
#[derive(Debug)]
pub(super) struct DingTalk {
    pub(super) url: Url,
    pub(super) secret: Option<String>,
}

impl Service for DingTalk {
    fn outgoing(&self, message: &Message, now: Timestamp) -> Outgoing {
        let mut url = self.url.expose().to_owned();
        if let Some(secret) = &self.secret {
            let timestamp = now.as_millisecond();
            let sign = signature::base64(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
            let sign = utf8_percent_encode(&sign, NON_ALPHANUMERIC);
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}timestamp={timestamp}&sign={sign}");
        }
        let json = json!({
            "msgtype": "markdown",
            "markdown": {"title": message.headline(), "text": markdown(message, BYTES_MAX)},
        });
        Outgoing { url, headers: Vec::new(), body: super::body(&json) }
    }

    fn judge(&self, client: &Client, answer: &Answer) -> Result<(), Trouble> {
        judge_code(client, answer, &["errcode"], &PASSING)
    }
}
