//! Keys of clients, in a list, a mapping or alone. Only their hashes are written; the keys themselves are never told.

use crate::{
    import::{Desk, Fate, plain_name, scalar_of, values},
    tree::{Data, Entry, Node},
};

/// How long a text has to be to look like a key, with a digit in it and without.
const KEY_CHARS_MIN: (usize, usize) = (12, 20);

const BESIDE: &str = "what a key may do is set by `tollhouse key create`, or beside its hash in access.keys";

const WHICH: &str = "it cannot be told which is the key; write a list: - {name: …, key: …}, or make a new one";

/// Keys in a list or a mapping, as texts or with what else is said of them.
pub(super) fn take(desk: &mut Desk<'_>, node: &Node) {
    match &node.data {
        Data::List(items) => items.iter().for_each(|item| listed(desk, item)),
        Data::Map(entries) if find(entries, &SECRETS).is_some() => listed(desk, node),
        Data::Map(entries) => entries.iter().for_each(|entry| named(desk, entry)),
        Data::Scalar { .. } => {}
    }
}

/// Names of a key, and of its hash, among what is said of it.
const SECRETS: [&str; 5] = ["key", "apikey", "token", "secret", "value"];
const HASHES: [&str; 3] = ["sha256", "hash", "keyhash"];

fn find<'n>(entries: &'n [Entry], names: &[&str]) -> Option<&'n Entry> {
    entries.iter().find(|entry| names.contains(&plain_name(&entry.name).as_str()))
}

/// One of a mapping, where either side may be the key.
fn named(desk: &mut Desk<'_>, entry: &Entry) {
    let (name, value) = (entry.name.as_str(), &entry.value);
    match scalar_of(&entry.value) {
        Some(text) => match (looks_like_key(name), looks_like_key(text)) {
            (false, true) => one(desk, value, Some(name), text, Some(name)),
            (true, false) => one(desk, value, Some(text), name, Some(text)),
            _ => desk.refuse(value, WHICH),
        },
        None if looks_like_key(name) && value.is_null() => one(desk, value, None, name, None),
        None if looks_like_key(name) => of_user(desk, name, value),
        None => described(desk, value, Some(name)),
    }
}

/// Whether this is a key rather than the name of somebody.
fn looks_like_key(text: &str) -> bool {
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let (with_digit, without) = KEY_CHARS_MIN;
    let chars = text.chars().count();
    let is_long = chars >= without || (has_digit && chars >= with_digit);
    // A variable holds what is kept out of the file: the key.
    let is_variable = values::variable(text).is_some();
    is_variable || values::begins_like_key(text) || is_long && !text.contains([' ', '@'])
}

/// A key with what is said of its user behind the colon.
fn of_user(desk: &mut Desk<'_>, key: &str, value: &Node) {
    let entries = value.entries().unwrap_or_default();
    let user = find(entries, &["user", "userid", "name", "owner"]);
    let Some((user, text)) = user.and_then(|user| Some((user, scalar_of(&user.value)?))) else {
        return desk.refuse(value, WHICH);
    };
    one(desk, &user.value, Some(text), key, Some(text));
    for entry in entries.iter().filter(|entry| !std::ptr::eq(*entry, user)) {
        desk.refuse(&entry.value, BESIDE);
    }
}

fn listed(desk: &mut Desk<'_>, item: &Node) {
    match scalar_of(item) {
        Some(text) => one(desk, item, None, text, None),
        None => described(desk, item, None),
    }
}

/// A key with what else is said of it.
fn described(desk: &mut Desk<'_>, item: &Node, name: Option<&str>) {
    let entries = item.entries().unwrap_or_default();
    let hash = find(entries, &HASHES);
    let Some(secret) = hash.or_else(|| find(entries, &SECRETS)) else { return desk.refuse(item, "it has no key") };
    let Some(text) = scalar_of(&secret.value) else { return desk.refuse(item, "it has no key") };
    let label = find(entries, &["name", "id", "label", "description"]);
    let user = find(entries, &["user", "userid", "owner", "team"]);
    let text_of = |entry: Option<&Entry>| entry.and_then(|entry| scalar_of(&entry.value)).map(str::to_owned);
    let (label_text, user_text) = (text_of(label).or(name.map(str::to_owned)), text_of(user));
    let wish = label_text.clone().or(user_text.clone());
    let of = user_text.or(label_text);
    let is_bare_hash = hash.is_some() && !text.starts_with("sha256:");
    let text = if is_bare_hash { format!("sha256:{text}") } else { text.to_owned() };
    one(desk, &secret.value, wish.as_deref(), &text, of.as_deref());
    for entry in entries.iter().filter(|entry| !std::ptr::eq(*entry, secret)) {
        let is_one = |other: Option<&Entry>| other.is_some_and(|other| std::ptr::eq(other, entry));
        if (is_one(label) || is_one(user)) && scalar_of(&entry.value).is_some() {
            desk.note(&entry.value, Fate::Taken, "access.keys: the name of the key, or its user");
        } else {
            desk.refuse(&entry.value, BESIDE);
        }
    }
}

/// Takes a key as its hash. The key itself is neither written nor told.
pub(super) fn one(desk: &mut Desk<'_>, node: &Node, wish: Option<&str>, text: &str, user: Option<&str>) {
    let outcome = desk.client_key(wish.unwrap_or("imported"), text, user, None);
    desk.tell(node, outcome);
}
