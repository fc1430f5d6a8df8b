//! A group robot of Feishu (Lark): <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>.
//!
//! With a secret, `timestamp` (seconds) and `sign` = base64(HMAC-SHA-256(key "<timestamp>\n<secret>", nothing)) stand in the body.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Service, judge_code, signature};
use crate::error::Trouble;
use crate::http::{Answer, Client, Outgoing};
use crate::message::Message;
use crate::settings::Url;
use crate::text::{plain, shortened};

/// Longest message (20 KB), less its frame.
const BYTES_MAX: usize = 18_000;
/// Too many requests, in its two forms.
const PASSING: [i64; 2] = [9_499, 11_232];

/// A robot.
#[derive(Debug)]
pub(super) struct Feishu {
    pub(super) url: Url,
    pub(super) secret: Option<String>,
}

impl Service for Feishu {
    fn outgoing(&self, message: &Message, now: Timestamp) -> Outgoing {
        let without_link = Message { link: None, ..message.clone() };
        let text = shortened(&plain(&without_link), BYTES_MAX);
        let mut lines: Vec<Value> = text.lines().map(|line| json!([{"tag": "text", "text": line}])).collect();
        if let Some(link) = &message.link {
            lines.push(json!([{"tag": "a", "text": link, "href": link}]));
        }
        let post = json!({"zh_cn": {"title": message.headline(), "content": lines}});
        let mut json = json!({"msg_type": "post", "content": {"post": post}});
        if let Some(secret) = &self.secret {
            let timestamp = now.as_second().to_string();
            json["sign"] = signature::base64(format!("{timestamp}\n{secret}").as_bytes(), b"").into();
            json["timestamp"] = timestamp.into();
        }
        Outgoing { url: self.url.expose().to_owned(), headers: Vec::new(), body: super::body(&json) }
    }

    fn judge(&self, client: &Client, answer: &Answer) -> Result<(), Trouble> {
        judge_code(client, answer, &["code", "StatusCode"], &PASSING)
    }
}
