//! JSON to any address, signed where there is a secret.
//!
//! The signature is that of `<timestamp>.<body>`, so that an old request cannot be sent again later by somebody else: whoever
//! checks it also looks at `x-tollhouse-timestamp` (seconds since 1970). `idempotency-key` is the message's id.

use jiff::Timestamp;
use serde_json::Value;

use super::{Service, signature};
use crate::error::NotifyError;
use crate::http::Outgoing;
use crate::message::Message;
use crate::settings::Url;
use crate::template::Template;

/// A webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    url: Url,
    secret: Option<String>,
    form: Option<Template>,
}

impl Webhook {
    pub(super) fn new(url: Url, secret: Option<String>, body: Option<Value>) -> Result<Self, NotifyError> {
        Ok(Self { url, secret, form: body.map(Template::new).transpose()? })
    }
}

impl Service for Webhook {
    fn outgoing(&self, message: &Message, now: Timestamp) -> Outgoing {
        let json = match &self.form {
            Some(form) => form.fill(message),
            None => serde_json::to_value(message).unwrap_or_default(),
        };
        let body = super::body(&json);
        let timestamp = now.as_second().to_string();
        let mut headers = vec![("idempotency-key", message.id.clone()), ("x-tollhouse-timestamp", timestamp.clone())];
        if let Some(secret) = &self.secret {
            let signed = [timestamp.as_bytes(), b".", &body].concat();
            headers.push(("x-tollhouse-signature", format!("v1={}", signature::hex(secret.as_bytes(), &signed))));
        }
        Outgoing { url: self.url.expose().to_owned(), headers, body }
    }
}
