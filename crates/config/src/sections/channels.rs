//! `channels`: who is told of alerts, and which way.

use std::net::IpAddr;

use super::{base_url, check_name, user_and_password};
use crate::{
    config::{ChannelConfig, ChannelKind, SmtpConfig, SmtpTls},
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    secret::Secret,
    tree::Node,
};

/// How a `kind` is read.
type ReadKind = fn(&mut Decoder<'_>, &mut Section<'_>) -> Option<ChannelKind>;

/// What stands as `kind`.
const KINDS: [(&str, ReadKind); 8] = [
    ("smtp", smtp),
    ("webhook", webhook),
    ("slack", slack),
    ("dingtalk", dingtalk),
    ("feishu", feishu),
    ("wecom", wecom),
    ("telegram", telegram),
    ("ntfy", ntfy),
];
/// Most receivers of a mail.
const RECEIVERS_MAX: usize = 100;
/// What an address of a service has to be.
const URL: &str = "an address that begins with http:// or https://";
/// Where Telegram's bots are spoken to.
const TELEGRAM: &str = "https://api.telegram.org";

/// Reads all channels.
pub(super) fn channels(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<ChannelConfig>> {
    let expected = "names with settings, such as ops: {kind: slack, url: \"${SLACK}\"}";
    let mut channels = Vec::new();
    for entry in d.entries(node, expected)? {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "channels", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| {
            channels.extend(kind(d, s).map(|kind| ChannelConfig { name: entry.name.clone(), kind }));
        });
    }
    Some(channels)
}

fn kind(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let index = s.require(d, "kind", Saying::OneOf { names: known.join(", ") }, |d, node| d.one_of(node, &known));
    let Some(index) = index else {
        // Which keys there are depends on it: one message is enough.
        s.allow_all();
        return None;
    };
    KINDS[index].1(d, s)
}

fn smtp(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let server = s.require(d, "server", "such as smtps://mail.example.com or smtp://127.0.0.1:25", |d, node| {
        d.parsed(node, "such as smtps://mail.example.com or smtp://127.0.0.1:25", mail_server)
    });
    let from = s.require(d, "from", "a mail address", mail_address);
    let to = s.require(d, "to", "a list of mail addresses", |d, node| {
        let to = d.list(node, "a list of mail addresses", mail_address)?;
        if node.is_empty() || to.len() > RECEIVERS_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: to.len(), things: "addresses".to_owned() },
                Saying::OneToThings { most: RECEIVERS_MAX, things: "mail addresses".to_owned() },
            );
            return None;
        }
        Some(to)
    });
    let login = login(d, s);
    let tls_node = s.get("tls");
    let tls = tls_node.and_then(|node| d.word(node, &SmtpTls::WORDS));
    let mut ca = None;
    s.set_some(d, "ca", &mut ca, Decoder::path);
    let (host, port, by_scheme) = server?;
    let tls = tls.unwrap_or(by_scheme);
    if let Some(node) = tls_node
        && tls == SmtpTls::Off
        && login.is_some()
        && !is_loopback(&host)
    {
        d.wrong(node, "the password could be read by everybody on the way", "starttls or implicit");
    }
    Some(ChannelKind::Smtp(SmtpConfig { host, port, tls, login, ca, from: from?, to: to? }))
}

/// Host, port, and what the scheme means; without a word, nothing is sent in the clear beyond this machine.
fn mail_server(text: &str) -> Result<(String, u16, SmtpTls), Said> {
    let (rest, is_implicit) = match (text.strip_prefix("smtp://"), text.strip_prefix("smtps://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(Said::from("it does not begin with smtp:// or smtps://")),
    };
    if rest.contains('@') {
        return Err(Said::from("a login stands in `user` and `password`"));
    }
    let uri: http::Uri = format!("http://{rest}").parse().map_err(|_| "it is not an address".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(Said::from("it is not a host with a port"));
    }
    let tls = match (is_implicit, is_loopback(&host)) {
        (true, _) => SmtpTls::Implicit,
        (false, true) => SmtpTls::Off,
        (false, false) => SmtpTls::StartTls,
    };
    let default = match tls {
        SmtpTls::Implicit => 465,
        SmtpTls::StartTls => 587,
        SmtpTls::Off => 25,
    };
    Ok((host, uri.port_u16().unwrap_or(default), tls))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The rest of its form is read where it is used.
fn mail_address(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "a mail address, such as ops@example.com";
    let text = d.text(node, expected)?.value;
    if text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Some(text);
    }
    d.wrong(node, Said::filled("`{}` has no `@` with something on both sides", &[&shown(&text)]), expected);
    None
}

/// `user` and `password`, both or none. An empty password is none.
fn login(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<(String, Secret)> {
    let (user, password) = (s.get("user"), s.get("password"));
    let (user, password) = user_and_password(d, s, user, password)?;
    let user = d.text(user, "the name of a user")?.value;
    Some((user, d.secret(password)?))
}

fn webhook(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let (url, secret) = (url(d, s), secret(d, s, "secret"));
    let mut body = None;
    s.set_some(d, "body", &mut body, Decoder::json);
    Some(ChannelKind::Webhook { url: url?, secret, body })
}

fn slack(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    Some(ChannelKind::Slack { url: url(d, s)? })
}

fn dingtalk(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let (url, secret) = (url(d, s), secret(d, s, "secret"));
    Some(ChannelKind::DingTalk { url: url?, secret })
}

fn feishu(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let (url, secret) = (url(d, s), secret(d, s, "secret"));
    Some(ChannelKind::Feishu { url: url?, secret })
}

fn wecom(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    Some(ChannelKind::WeCom { url: url(d, s)? })
}

fn telegram(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let mut url = TELEGRAM.to_owned();
    s.set(d, "url", &mut url, |d, node| d.parsed(node, "an address such as https://api.telegram.org", base_url));
    let token = s.require(d, "token", "the bot's token, \"${NAME}\" or file:/path", Decoder::secret);
    let chat = s.require(d, "chat", "the chat's number or @channel", |d, node| {
        d.text(node, "the chat's number or @channel").map(|text| text.value)
    });
    Some(ChannelKind::Telegram { url, token: token?, chat: chat? })
}

fn ntfy(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ChannelKind> {
    let (url, token) = (url(d, s), secret(d, s, "token"));
    Some(ChannelKind::Ntfy { url: url?, token })
}

/// The URL itself is not repeated in messages: who knows it can write there.
fn url(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<Secret> {
    s.require(d, "url", URL, |d, node| {
        let Some(url) = d.secret(node) else {
            d.wrong(node, "there is no address", URL);
            return None;
        };
        if ["http://", "https://"]
            .iter()
            .any(|scheme| url.expose().strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        {
            return Some(url);
        }
        d.wrong(node, "it does not begin with http:// or https://", URL);
        None
    })
}

fn secret(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &'static str) -> Option<Secret> {
    s.get(name).and_then(|node| d.secret(node))
}
