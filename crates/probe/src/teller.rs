//! Asks an Ollama server what it serves: digest of the weights, version.

use std::time::Duration;

use serde_json::Value;

use crate::ProbeError;
use crate::http::Http;
use crate::model::About;

/// How long its answers may take together.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Asks servers about models.
#[derive(Clone, Debug)]
pub struct Teller(Http);

impl Teller {
    /// Reads the system's certificates, so it blocks.
    pub fn new() -> Result<Self, ProbeError> {
        Http::new().map(Self)
    }

    /// What the Ollama server at this URL tells of a model. What it does not tell in time is not known.
    pub async fn ollama(&self, url: &str, model: &str) -> About {
        let (tags_url, version_url) = (format!("{url}/api/tags"), format!("{url}/api/version"));
        let asked = async { tokio::join!(self.0.json(&tags_url), self.0.json(&version_url)) };
        let (tags, version) = tokio::time::timeout(TIME_MAX, asked).await.unwrap_or_default();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        About {
            digest: tags.as_ref().and_then(|tags| text(listed(tags, model)?, "digest")),
            server_version: version.as_ref().and_then(|version| text(version, "version")),
            options: None,
        }
    }
}

/// The entry of a model; a name without a tag is one of `latest`.
fn listed<'t>(tags: &'t Value, model: &str) -> Option<&'t Value> {
    let whole = if model.contains(':') { model.to_owned() } else { format!("{model}:latest") };
    tags.get("models")?.as_array()?.iter().find(|entry| {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
        name == whole || name == model
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_without_a_tag_is_found() {
        let tags = json!({"models": [{"name": "qwen3:32b", "digest": "a"}, {"name": "tiny:latest", "digest": "b"}]});
        let digest = |model| listed(&tags, model).and_then(|entry| entry["digest"].as_str());
        assert_eq!((digest("qwen3:32b"), digest("tiny"), digest("qwen3")), (Some("a"), Some("b"), None));
    }
}
