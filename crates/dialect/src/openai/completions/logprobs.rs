//! Probabilities of tokens, which are an array of objects in chats and parallel arrays in completions.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::json::Object;

/// Either form, as a server sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::openai) struct Probabilities {
    content: Option<Value>,
    tokens: Option<Vec<String>>,
    /// Without a number where the token has none: the first of an echoed prompt.
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
}

impl Probabilities {
    /// The middle form, which is a chat's: one object per token; empty where there is nothing.
    pub(in crate::openai) fn items(self) -> Vec<Value> {
        if let Some(Value::Array(items)) = self.content {
            return items;
        }
        let numbers = self.token_logprobs.unwrap_or_default();
        let mut tops = self.top_logprobs.unwrap_or_default().into_iter();
        let tokens = self.tokens.unwrap_or_default().into_iter();
        let item = |(index, token): (usize, String)| {
            let mut item = Map::new();
            item.insert("token".to_owned(), Value::from(token));
            item.insert("logprob".to_owned(), Value::from(numbers.get(index).copied().flatten()));
            if let Some(top) = tops.next().flatten() {
                let pair = |(token, logprob)| serde_json::json!({"token": Value::String(token), "logprob": logprob});
                item.insert("top_logprobs".to_owned(), top.into_iter().map(pair).collect());
            }
            Value::Object(item)
        };
        tokens.enumerate().map(item).collect()
    }
}

/// Writes the middle form as parallel arrays; `offset` is where the first token begins in the answer's text, in
/// characters, and then where the next one will.
pub(super) fn write(out: &mut Vec<u8>, items: &[Value], offset: &mut usize) {
    let token = |item: &Value| item.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let logprob = |item: &Value| item.get("logprob").cloned().unwrap_or_default();
    let tokens: Vec<String> = items.iter().map(token).collect();
    let numbers: Vec<Value> = items.iter().map(logprob).collect();
    let alternatives = |item: &Value| match item.get("top_logprobs") {
        Some(Value::Array(tops)) => tops.iter().map(|top| (token(top), logprob(top))).collect::<Map<_, _>>().into(),
        _ => Value::Null,
    };
    let tops: Vec<Value> = items.iter().map(alternatives).collect();
    let offsets: Vec<usize> = tokens
        .iter()
        .map(|token| {
            let here = *offset;
            *offset += token.chars().count();
            here
        })
        .collect();
    let mut body = Object::open(out);
    body.put("tokens", &tokens);
    body.put("token_logprobs", &numbers);
    body.put("top_logprobs", &tops);
    body.put("text_offset", &offsets);
    body.close();
}
