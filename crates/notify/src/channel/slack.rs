//! Slack's incoming webhooks: <https://api.slack.com/messaging/webhooks>.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Service;
use crate::http::Outgoing;
use crate::message::{Message, Phase};
use crate::settings::Url;
use crate::text::{aligned, shortened};

/// Longest text of one block (3,000 characters), less what its frame takes.
const BLOCK_BYTES_MAX: usize = 2_900;
/// Longest heading.
const HEADING_BYTES_MAX: usize = 150;

/// A hook.
#[derive(Debug)]
pub(super) struct Slack {
    pub(super) url: Url,
}

impl Service for Slack {
    fn outgoing(&self, message: &Message, _: Timestamp) -> Outgoing {
        let headline = message.headline();
        let mut blocks = vec![
            json!({"type": "header", "text": {"type": "plain_text", "text": shortened(&headline, HEADING_BYTES_MAX)}}),
            section(&message.text),
        ];
        if !message.figures.is_empty() {
            let lines = message.figures.iter().map(|figure| format!("{}: {}", figure.name, figure.value));
            blocks.push(section(&lines.collect::<Vec<_>>().join("\n")));
        }
        if !message.worst.is_empty() {
            blocks.push(section(&message.worst.join("\n")));
        }
        if !message.timeline.is_empty() {
            blocks.push(section(&message.timeline.join("\n")));
        }
        blocks.extend(message.tables.iter().map(|table| section(&aligned(table))));
        if let Some(runbook) = &message.runbook {
            blocks.push(section(runbook));
        }
        if let Some(link) = &message.link {
            blocks.push(
                json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("<{}|Look>", escaped(link))}}),
            );
        }
        if let Some(link) = &message.acknowledge {
            let text = format!("<{}|I look after it>", escaped(link));
            blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}));
        }
        let colour = match message.state {
            Phase::Firing => "#b3261e",
            Phase::Resolved => "#1e7a34",
            Phase::Digest | Phase::Report | Phase::Test => "#777777",
        };
        let json = json!({"text": escaped(&headline), "attachments": [{"color": colour, "blocks": blocks}]});
        Outgoing { url: self.url.expose().to_owned(), headers: Vec::new(), body: super::body(&json) }
    }
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": escaped(&shortened(text, BLOCK_BYTES_MAX))}})
}

/// The three characters that Slack reads otherwise (and with them `<!channel>`).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
