//! A group robot of WeCom (WeChat Work): <https://developer.work.weixin.qq.com/document/path/91770>.

use jiff::Timestamp;
use serde_json::json;

use super::{Service, judge_code};
use crate::error::Trouble;
use crate::http::{Answer, Client, Outgoing};
use crate::message::Message;
use crate::settings::Url;
use crate::text::markdown;

/// Longest text.
const BYTES_MAX: usize = 4_096;
/// The server is busy; more than 20 messages in a minute.
const PASSING: [i64; 3] = [-1, 45_009, 45_033];

/// A robot.
#[derive(Debug)]
pub(super) struct WeCom {
    pub(super) url: Url,
}

impl Service for WeCom {
    fn outgoing(&self, message: &Message, _: Timestamp) -> Outgoing {
        let json = json!({"msgtype": "markdown", "markdown": {"content": markdown(message, BYTES_MAX)}});
        Outgoing { url: self.url.expose().to_owned(), headers: Vec::new(), body: super::body(&json) }
    }

    fn judge(&self, client: &Client, answer: &Answer) -> Result<(), Trouble> {
        judge_code(client, answer, &["errcode"], &PASSING)
    }
}
