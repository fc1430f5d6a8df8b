//! A chat page's `config.yaml`: the console has a chat page of its own, so what counts is whom it asked.

use super::{Desk, Fate, Outcome, gateway, litellm, plain_name, scalar_of};
use crate::{
    effective::scalar,
    tree::{Data, Entry, Node},
};

const OWN_PAGE: &str = "the console has its own chat page, without such a setting";

/// Takes what can be taken.
pub(super) fn take(desk: &mut Desk<'_>, root: &Node) {
    let mut entries = Vec::new();
    gather(root, &mut entries);
    let model = entries.iter().find(|entry| matches!(plain_name(&entry.name).as_str(), "model" | "modelname"));
    let model = model.and_then(|entry| scalar_of(&entry.value)).map(str::to_owned);
    for entry in entries {
        match scalar_of(&entry.value) {
            Some(text) => {
                let outcome = setting(desk, &plain_name(&entry.name), text, model.as_deref());
                desk.tell(&entry.value, outcome);
            }
            None => desk.refuse(&entry.value, OWN_PAGE),
        }
    }
}

/// Whether this is such a file.
pub(super) fn knows(root: &Node) -> bool {
    let mut entries = Vec::new();
    gather(root, &mut entries);
    let marks = ["title", "description", "apibase", "apibaseurl"];
    entries.iter().any(|entry| marks.contains(&plain_name(&entry.name).as_str()))
}

/// Entries above and in sections: pages have few, with no name twice.
fn gather<'n>(node: &'n Node, found: &mut Vec<&'n Entry>) {
    for entry in node.entries().unwrap_or_default() {
        match &entry.value.data {
            Data::Map(entries) if !entries.is_empty() => gather(&entry.value, found),
            _ => found.push(entry),
        }
    }
}

fn setting(desk: &mut Desk<'_>, name: &str, text: &str, model: Option<&str>) -> Outcome {
    match (name, model) {
        ("title" | "name", _) => page(desk, "chat.title", text),
        ("description" | "subtitle", _) => page(desk, "chat.description", text),
        ("port" | "listen" | "host", _) => {
            Err("the chat page is where the gateway is: at /chat of `listen`".to_owned())
        }
        ("apibase" | "apibaseurl" | "baseurl" | "apiurl" | "endpoint", _) => asked(desk, text),
        ("model" | "modelname", _) => {
            desk.draft.model(text)?;
            page(desk, "chat.model", text)
        }
        ("apikey" | "key" | "token", _) => desk.client_key("chat-page", text, None, None),
        ("temperature", Some(model)) => litellm::option(desk, model, "temperature", text),
        ("topp", Some(model)) => litellm::option(desk, model, "top_p", text),
        ("systemprompt" | "system", _) => Err("what a client says to the model is not changed here".to_owned()),
        ("maxtokens", _) => Err("each client says for itself how long an answer may be".to_owned()),
        _ => Err(OWN_PAGE.to_owned()),
    }
}

/// A setting of our own chat page.
fn page(desk: &mut Desk<'_>, key: &'static str, text: &str) -> Outcome {
    desk.draft.put(key, &scalar(text))?;
    Ok((Fate::Taken, key.to_owned()))
}

/// The page asked the gateway, or a model server where there was none.
fn asked(desk: &mut Desk<'_>, text: &str) -> Outcome {
    let is_ollama = text.contains(":11434");
    let is_gateway = text.contains(":8080") || text.contains(":18789") || text.starts_with('/');
    if is_gateway || (!is_ollama && !desk.draft.upstreams.is_empty()) {
        let told = "the page asked the gateway, which tollhouse is now; the console's page asks it by itself";
        return Ok((Fate::Changed, told.to_owned()));
    }
    gateway::server(desk, text)
}
