//! The ways that messages take: one file each, all of the same shape.

mod dingtalk;
mod feishu;
mod ntfy;
mod signature;
mod slack;
mod smtp;
mod telegram;
#[cfg(test)]
pub(crate) mod tests;
mod webhook;
mod wecom;

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Delivered, NotifyError, Trouble};
use crate::http::{Answer, Client, Outgoing};
use crate::message::Message;
use crate::settings::Settings;

/// A way that messages take, ready.
#[derive(Debug)]
pub struct Channel {
    name: String,
    kind: &'static str,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Mail(Box<smtp::Smtp>),
    Http { client: Box<Client>, service: Box<dyn Service> },
}

/// What is special about one service that is spoken to over HTTP.
trait Service: fmt::Debug + Send + Sync {
    /// The request that tells a message.
    fn outgoing(&self, message: &Message, now: Timestamp) -> Outgoing;

    /// What its answer means.
    fn judge(&self, client: &Client, answer: &Answer) -> Result<(), Trouble> {
        client.judge(answer)
    }
}

impl Channel {
    /// Makes a channel ready. Reads certificates, so it blocks; nothing is connected.
    pub fn new(name: impl Into<String>, settings: Settings) -> Result<Self, NotifyError> {
        let kind = settings.kind();
        let of = |secret: &Option<String>| secret.iter().cloned().collect();
        let (url, secrets, service): (_, Vec<String>, Box<dyn Service>) = match settings {
            Settings::Smtp { server, from, to } => {
                let way = Way::Mail(Box::new(smtp::Smtp::new(server, &from, &to)?));
                return Ok(Self { name: name.into(), kind, way });
            }
            Settings::Webhook { url, secret, body } => {
                (url.clone(), of(&secret), Box::new(webhook::Webhook::new(url, secret, body)?))
            }
            Settings::Slack { url } => (url.clone(), Vec::new(), Box::new(slack::Slack { url })),
            Settings::DingTalk { url, secret } => {
                (url.clone(), of(&secret), Box::new(dingtalk::DingTalk { url, secret }))
            }
            Settings::Feishu { url, secret } => (url.clone(), of(&secret), Box::new(feishu::Feishu { url, secret })),
            Settings::WeCom { url } => (url.clone(), Vec::new(), Box::new(wecom::WeCom { url })),
            Settings::Telegram { url, token, chat } => {
                (url.clone(), vec![token.clone()], Box::new(telegram::Telegram { url, token, chat }))
            }
            Settings::Ntfy { url, token } => (url.clone(), of(&token), Box::new(ntfy::Ntfy::new(&url, token)?)),
        };
        let client = Box::new(Client::new(&url, secrets)?);
        Ok(Self { name: name.into(), kind, way: Way::Http { client, service } })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which way it is: `smtp`, `slack`, …
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Tells a message once.
    pub async fn send(&self, message: &Message) -> Result<Delivered, Trouble> {
        match &self.way {
            Way::Mail(smtp) => smtp.send(message).await,
            Way::Http { client, service } => {
                let answer = client.send(service.outgoing(message, Timestamp::now())).await?;
                service.judge(client, &answer).map(|()| Delivered::default())
            }
        }
    }
}

/// Services that answer 200 with a code of their own: 0 is success, some mean that it was too much at once.
fn judge_code(client: &Client, answer: &Answer, names: &[&str], passing: &[i64]) -> Result<(), Trouble> {
    client.judge(answer)?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match names.iter().find_map(|name| body[*name].as_i64()) {
        Some(0) => Ok(()),
        Some(code) => {
            let is_retryable = passing.contains(&code);
            Err(Trouble { is_retryable, ..client.refused(answer, &format!("code {code}")) })
        }
        None => Err(Trouble { is_retryable: true, ..client.refused(answer, "something else") }),
    }
}

/// JSON as bytes.
fn body(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}
