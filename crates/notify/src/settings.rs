//! What a channel has to know, parsed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use http::Uri;
use serde_json::Value;

use crate::error::NotifyError;
use tollhouse_outbound::is_forbidden;

/// Which way messages take, and what it has to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    /// Mail.
    Smtp {
        /// Who takes it.
        server: SmtpServer,
        /// Who sends it, such as `tollhouse@example.com` or `Gate <tollhouse@example.com>`.
        from: String,
        /// Who gets it.
        to: Vec<String>,
    },
    /// JSON to any address.
    Webhook {
        /// Where to.
        url: Url,
        /// Signs the body, so that the other side knows who sent it.
        secret: Option<String>,
        /// The form of the body; the message as it is when absent.
        body: Option<Value>,
    },
    /// Slack's incoming webhooks, and those that understand the same (Mattermost, Rocket.Chat).
    Slack {
        /// The hook's address.
        url: Url,
    },
    /// A robot in a group of DingTalk.
    DingTalk {
        /// Its address, access token included.
        url: Url,
        /// Signs each request, where the robot asks for that.
        secret: Option<String>,
    },
    /// A robot in a group of Feishu (Lark).
    Feishu {
        /// Its address.
        url: Url,
        /// Signs each request, where the robot asks for that.
        secret: Option<String>,
    },
    /// A robot in a group of WeCom (WeChat Work).
    WeCom {
        /// Its address, key included.
        url: Url,
    },
    /// A bot of Telegram.
    Telegram {
        /// The Bot API's server.
        url: Url,
        /// The bot's token.
        token: String,
        /// The chat that it speaks in: a number, or `@channel`.
        chat: String,
    },
    /// A topic of ntfy.
    Ntfy {
        /// The topic's address, such as `https://ntfy.sh/my-topic`.
        url: Url,
        /// An access token, where the topic asks for one.
        token: Option<String>,
    },
}

impl Settings {
    /// The word for the way.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Smtp { .. } => "smtp",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::DingTalk { .. } => "dingtalk",
            Self::Feishu { .. } => "feishu",
            Self::WeCom { .. } => "wecom",
            Self::Telegram { .. } => "telegram",
            Self::Ntfy { .. } => "ntfy",
        }
    }
}

/// A mail server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether what is said can be read on the way.
    pub encryption: Encryption,
    /// Who we are there.
    pub login: Option<Login>,
    /// File of the authorities that its certificate may come from (PEM); the system's when absent.
    pub ca: Option<PathBuf>,
}

/// Who we are to a mail server.
#[derive(Clone, Eq, PartialEq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whether what is said to a mail server can be read on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// TLS is asked for (RFC 3207), and without it nothing is said.
    StartTls,
    /// None.
    Plain,
}

/// An address that messages are sent to. Its path and query are secrets of most services: `Debug` shows neither.
#[derive(Clone, Eq, PartialEq)]
pub struct Url(String);

impl Url {
    /// An address that begins with `http://` or `https://`, with a host that may be sent to.
    pub fn parse(text: &str) -> Result<Self, NotifyError> {
        let wrong = |why: &str| NotifyError::Address(why.to_owned());
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        if text.contains('#') {
            return Err(wrong("it has a fragment (`#`)"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("it is not a URL"))?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user name or password in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.parse::<IpAddr>().is_ok_and(is_forbidden) {
            return Err(wrong("nothing is sent to link-local addresses and metadata services"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole of it, for the one place that sends there.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Scheme and host, to be shown.
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        format!("{scheme}://{host}/…")
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_only_we_know() {
        let url = Url::parse("https://oapi.dingtalk.com/robot/send?access_token=geheim").unwrap();
        assert_eq!(format!("{url:?}"), "https://oapi.dingtalk.com/…");
    }

    #[test]
    fn addresses_that_are_never_sent_to_are_refused() {
        for text in
            ["ftp://a", "http://", "http://u:p@h/", "http://169.254.169.254/latest", "http://[fe80::1]/", "http://a/#b"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        for text in ["http://127.0.0.1:8080/x?y=z", "https://[::1]:1/", "https://hooks.example.com/a"] {
            assert!(Url::parse(text).is_ok(), "{text}");
        }
    }
}
