//! `batches` and `approvals`: work that nobody waits for, and questions of others that are shown here too.

use super::tasks::{HOST, few, host};
use crate::{
    config::{BatchesConfig, OpenclawApprovals, TasksConfig, WebhooksConfig},
    decode::{Decoder, Section},
    saying::Saying,
    tree::Node,
};

/// Most batches that are worked on at a time, and most requests of one that are under way at a time.
const AT_ONCE_MAX: u64 = 32;
/// Most requests in one batch.
const LINES_MAX: u64 = 1_000_000;
/// Most people whom a question is for.
const BY_MAX: usize = 64;
/// Where an OpenClaw is.
const OPENCLAW: &str = "an address such as ws://127.0.0.1:18789 or wss://claw.example.com";

/// Reads `batches`. Whoever says `off` has none, as if nothing stood here.
pub(super) fn batches(d: &mut Decoder<'_>, node: &Node) -> Option<BatchesConfig> {
    if d.is_word(node, "off") {
        return None;
    }
    let mut read = BatchesConfig::default();
    d.section(node, |d, s| {
        s.set(d, "file", &mut read.file, Decoder::bytes);
        s.set(d, "files", &mut read.files, Decoder::count_u32);
        s.set(d, "bytes", &mut read.bytes, Decoder::bytes);
        s.set(d, "total", &mut read.total, Decoder::bytes);
        s.set(d, "lines", &mut read.lines, |d, node| d.count(node, LINES_MAX).map(|count| count as u32));
        s.set(d, "open", &mut read.open, Decoder::count_u32);
        s.set(d, "running", &mut read.running, at_once);
        s.set(d, "at_once", &mut read.at_once, at_once);
        s.section(d, "keep", |d, s| s.set(d, "days", &mut read.keep_days, Decoder::days));
        s.section(d, "later", |d, s| {
            s.set(d, "open", &mut read.later_open, Decoder::count_u32);
            s.set(d, "at_once", &mut read.later_at_once, at_once);
            s.set(d, "keep", &mut read.later_keep, Decoder::duration);
        });
        s.section(d, "webhooks", |d, s| read.webhooks = webhooks(d, s));
    });
    Some(read)
}

fn at_once(d: &mut Decoder<'_>, node: &Node) -> Option<u32> {
    d.count(node, AT_ONCE_MAX).map(|count| count as u32)
}

fn webhooks(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<WebhooksConfig> {
    let expected = "a list of hosts, such as [hooks.example.com]";
    let hosts = s.require(d, "hosts", expected, |d, node| few(d, node, expected, |d, node| d.parsed(node, HOST, host)));
    let secret = s.require(d, "secret", "a secret that signs what is told, \"${NAME}\" or file:/path", Decoder::secret);
    Some(WebhooksConfig { hosts: hosts?, secret: secret? })
}

/// Reads `approvals`. They stand among the questions of tasks, so there have to be tasks.
pub(super) fn approvals(d: &mut Decoder<'_>, node: &Node, tasks: Option<&TasksConfig>) -> Option<OpenclawApprovals> {
    let mut read = None;
    d.section(node, |d, s| {
        if let Some(node) = s.get("openclaw") {
            d.section(node, |d, s| read = openclaw(d, s));
            if tasks.is_none() {
                d.wrong(node, "they are shown among the questions of tasks, and `tasks` is off", "`tasks: {}` too");
            }
        }
    });
    read
}

fn openclaw(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<OpenclawApprovals> {
    let url = s.require(d, "url", OPENCLAW, |d, node| {
        d.parsed(node, OPENCLAW, |text| {
            let uri: Option<http::Uri> = text.parse().ok();
            let is_whole =
                uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("ws" | "wss")) && uri.host().is_some());
            if is_whole && !text.contains('@') { Ok(text.to_owned()) } else { Err("it is no address of a WebSocket") }
        })
    });
    let ca_node = s.get("ca");
    let ca = ca_node.and_then(|node| d.path(node));
    if let (Some(node), Some(url)) = (ca_node, &url)
        && !url.starts_with("wss:")
    {
        d.wrong(node, "nothing is encrypted, so no certificate is looked at", "a url that begins with wss://");
    }
    let token = s.require(d, "token", "the token of its gateway, \"${NAME}\" or file:/path", Decoder::secret);
    let mut by = Vec::new();
    s.set(d, "by", &mut by, |d, node| {
        let by = d.list(node, "a list of channels, users and roles", |d, node| {
            d.text(node, "a name").map(|text| text.value)
        })?;
        if by.len() > BY_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: by.len(), things: "names".to_owned() },
                Saying::AtMost { most: BY_MAX as u64 },
            );
        }
        Some(by)
    });
    Some(OpenclawApprovals { url: url?, ca, token: token?, by })
}
