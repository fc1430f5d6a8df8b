//! A topic of ntfy, published as JSON: <https://docs.ntfy.sh/publish/#publish-as-json>.

use jiff::Timestamp;
use serde_json::json;

use super::Service;
use crate::error::NotifyError;
use crate::http::Outgoing;
use crate::message::{Message, Phase, Severity};
use crate::settings::Url;
use crate::text::{plain, shortened};

/// Longest text; longer ones become files there.
const BYTES_MAX: usize = 4_000;

/// A topic.
#[derive(Debug)]
pub(super) struct Ntfy {
    server: String,
    topic: String,
    token: Option<String>,
}

impl Ntfy {
    pub(super) fn new(url: &Url, token: Option<String>) -> Result<Self, NotifyError> {
        let wrong = || NotifyError::Address("it does not end with a topic, as in https://ntfy.sh/my-topic".to_owned());
        let (scheme, rest) = url.expose().split_once("://").ok_or_else(wrong)?;
        let (server, topic) = rest.trim_end_matches('/').rsplit_once('/').ok_or_else(wrong)?;
        if topic.is_empty() || topic.contains('?') {
            return Err(wrong());
        }
        Ok(Self { server: format!("{scheme}://{server}/"), topic: topic.to_owned(), token })
    }
}

impl Service for Ntfy {
    fn outgoing(&self, message: &Message, _: Timestamp) -> Outgoing {
        let priority = match (message.state, message.severity) {
            (Phase::Firing | Phase::Digest, Severity::Critical) => 5,
            (Phase::Firing | Phase::Digest, Severity::Warning) => 4,
            _ => 3,
        };
        let tag = match message.state {
            Phase::Firing => "rotating_light",
            Phase::Resolved => "white_check_mark",
            Phase::Digest | Phase::Report | Phase::Test => "bell",
        };
        let mut json = json!({
            "topic": self.topic,
            "title": message.headline(),
            "message": shortened(&plain(message), BYTES_MAX),
            "priority": priority,
            "tags": [tag],
        });
        if let Some(link) = &message.link {
            json["click"] = link.as_str().into();
        }
        let headers = self.token.iter().map(|token| ("authorization", format!("Bearer {token}"))).collect();
        Outgoing { url: self.server.clone(), headers, body: super::body(&json) }
    }
}
