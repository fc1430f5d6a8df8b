//! `chat`: the chat page, and what is kept of its chats.

use crate::{
    config::ChatConfig,
    decode::{Decoder, Section},
    saying::Said,
    tree::Node,
};

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 100;
/// Characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 500;

/// Reads the settings of the chat page.
pub(super) fn chat(d: &mut Decoder<'_>, s: &mut Section<'_>, chat: &mut ChatConfig) {
    s.set_some(d, "title", &mut chat.title, |d, node| text(d, node, TITLE_CHARS_MAX));
    s.set_some(d, "description", &mut chat.description, |d, node| text(d, node, DESCRIPTION_CHARS_MAX));
    s.set_some(d, "model", &mut chat.model, |d, node| Some(d.text(node, "the name of a model")?.value));
    s.set(d, "history", &mut chat.history, |d, node| d.word(node, &[("on", true), ("off", false)]));
    s.section(d, "keep", |d, s| super::keep(d, s, &mut chat.keep));
    s.set(d, "unwatched", &mut chat.unwatched, Decoder::duration);
}

fn text(d: &mut Decoder<'_>, node: &Node, chars_max: usize) -> Option<String> {
    d.parsed(node, Said::filled("a text of at most {} characters", &[&chars_max]), |text| {
        let fits = text.chars().count() <= chars_max && !text.chars().any(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err("it is longer, or has control characters") }
    })
}
