//! Ollama's question about one model.

use serde_json::Value;

use crate::{JsonLimits, RequestError, json};

/// Reads the body of `POST /api/show`: which model is meant. Older clients say `name`.
pub fn parse_show(body: &[u8], limits: &JsonLimits) -> Result<String, RequestError> {
    let asked = json::object(body, limits.depth)?;
    match ["model", "name"].iter().find_map(|field| asked.get(*field)) {
        Some(Value::String(name)) if !name.is_empty() => Ok(name.clone()),
        Some(_) => Err(RequestError::field("model", "must be the name of a model")),
        None => Err(RequestError::field("model", "is missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_field() {
        let read = |body: &str| parse_show(body.as_bytes(), &JsonLimits::default()).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"model":"m"}"#), Ok("m".to_owned()));
        assert_eq!(read(r#"{"name":"m","verbose":true}"#), Ok("m".to_owned()));
        assert_eq!(read("{}"), Err("model is missing".to_owned()));
        assert_eq!(read(r#"{"model":1}"#), Err("model must be the name of a model".to_owned()));
    }
}
