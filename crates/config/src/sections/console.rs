//! `console`: who signs in how.

use std::net::IpAddr;
use std::time::Duration;

use super::{base_url, host};
use crate::{
    config::{ConsoleConfig, ConsoleRole, OidcConfig},
    decode::{Decoder, Section},
    saying::{Said, Saying},
    tree::Node,
};

/// Characters of a name, a claim, a scope, a group and a client id.
const TEXT_CHARS_MAX: usize = 200;
/// Scopes, groups of a role, and domains.
const LIST_MAX: usize = 100;
/// Stands for every user whom the provider names.
const EVERYBODY: &str = "*";
/// The longest session.
const SESSION_MAX: Duration = Duration::from_hours(30 * 24);
/// What an issuer has to be.
const ISSUER: &str = "the provider's address, exactly as it calls itself, such as https://id.example.com/realms/team";
/// What `roles` has to be.
const ROLES: &str = "groups for at least one role, such as {viewer: [staff], admin: [ops]}";

/// Reads the section; `public_url` is where browsers reach the house.
pub(super) fn console(d: &mut Decoder<'_>, s: &mut Section<'_>, console: &mut ConsoleConfig, public_url: Option<&str>) {
    s.set_some(d, "oidc", &mut console.oidc, |d, node| oidc(d, node, public_url));
}

fn oidc(d: &mut Decoder<'_>, node: &Node, public_url: Option<&str>) -> Option<OidcConfig> {
    let mut read = None;
    d.section(node, |d, s| {
        let issuer = s.require(d, "issuer", ISSUER, |d, node| d.parsed(node, ISSUER, issuer));
        let client_id = s.require(d, "client_id", "as what this house is known there", text);
        let client_secret = s.get("client_secret").and_then(|node| d.secret(node));
        let mut ca = None;
        s.set_some(d, "ca", &mut ca, Decoder::path);
        let mut scopes = ["openid", "profile", "email"].map(str::to_owned).to_vec();
        s.set(d, "scopes", &mut scopes, |d, node| texts(d, node, "a list of scopes"));
        let (mut name_claim, mut role_claim) = ("preferred_username".to_owned(), "groups".to_owned());
        s.set(d, "name_claim", &mut name_claim, text);
        s.set(d, "role_claim", &mut role_claim, text);
        let roles_node = s.get("roles");
        let roles = s.require(d, "roles", ROLES, roles);
        let mut domains = Vec::new();
        s.set(d, "domains", &mut domains, |d, node| {
            d.list(node, "a list of mail domains, such as [example.com]", host)
        });
        let mut session = Duration::from_hours(12);
        s.set(d, "session", &mut session, session_time);
        let mut name = None;
        s.set_some(d, "name", &mut name, text);
        let is_open = roles.iter().flatten().any(|(_, values)| values.iter().any(|value| value == EVERYBODY));
        if let Some(node) = roles_node
            && is_open
            && domains.is_empty()
        {
            let what = "`*` lets in everybody whom the provider knows, which may be the whole world";
            d.wrong(node, what, "names of groups, or `domains` beside it");
        }
        if public_url.is_none() {
            d.wrong(
                node,
                "the provider has to know where to send browsers back",
                "`public_url` at the top of the file",
            );
        }
        let (Some(issuer), Some(client_id), Some(roles)) = (issuer, client_id, roles) else { return };
        let host = issuer.split_once("://").map_or(issuer.as_str(), |(_, rest)| rest);
        let name = name.unwrap_or_else(|| host.split(['/', ':']).next().unwrap_or(host).to_owned());
        let told = OidcConfig {
            name,
            issuer,
            client_id,
            client_secret,
            ca,
            scopes,
            name_claim,
            role_claim,
            roles,
            domains,
            session,
        };
        read = Some(told);
    });
    read
}

/// A slash at the end belongs to the name of a provider: it is compared letter by letter.
fn issuer(text: &str) -> Result<String, Said> {
    base_url(text)?;
    let host = text.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if text.starts_with("http://") && !is_here {
        return Err(Said::from("nothing is encrypted, so anybody on the way could sign in"));
    }
    Ok(text.to_owned())
}

fn roles(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<(ConsoleRole, Vec<String>)>> {
    let mut roles = Vec::new();
    d.section(node, |d, s| {
        for role in ConsoleRole::ALL {
            let mut values = Vec::new();
            s.set(d, role.as_str(), &mut values, |d, node| texts(d, node, "a list of groups"));
            if !values.is_empty() {
                roles.push((role, values));
            }
        }
    });
    if roles.is_empty() {
        d.wrong(node, "nobody would be let in", ROLES);
        return None;
    }
    Some(roles)
}

fn texts(d: &mut Decoder<'_>, node: &Node, expected: &str) -> Option<Vec<String>> {
    let texts = d.list(node, expected, text)?;
    if texts.len() > LIST_MAX {
        let count = Saying::CountStands { count: texts.len(), things: "values".to_owned() };
        d.wrong(node, count, Saying::AtMostThings { most: LIST_MAX, things: "values".to_owned() });
        return None;
    }
    Some(texts)
}

fn text(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, Said::filled("a text of 1 to {} characters", &[&TEXT_CHARS_MAX]), |text| {
        let fits = !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err("it is empty or longer, or has control characters") }
    })
}

fn session_time(d: &mut Decoder<'_>, node: &Node) -> Option<Duration> {
    let time = d.duration(node)?;
    if (Duration::from_mins(1)..=SESSION_MAX).contains(&time) {
        return Some(time);
    }
    d.wrong(node, "a session could not last so long", "a time from 1m to 30d");
    None
}
