//! What there is: lists of models, their details, what is loaded, the server's version, counts of tokens.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tollhouse_dialect::{Shape, anthropic, ollama};
use tollhouse_upstream::Model;
use tollhouse_web::{Answer, json as json_answer};

use crate::page::Page;
use crate::refusal::Refusal;
use crate::stack::{Way, cut_name};
use crate::{Caller, Gateway};

/// What `/api/version` tells where no Ollama server does: clients only look whether there is one.
const VERSION_UNKNOWN: &str = "0.0.0";

impl Gateway {
    async fn models_for(&self, caller: &Caller) -> Vec<Model> {
        let mut models = self.inner.upstreams.models().await;
        let allows = |model: &Model| {
            let names = [Some(&model.name), model.alias_of.as_ref()];
            caller.key.as_ref().is_none_or(|key| names.into_iter().flatten().any(|name| key.allows_model(name)))
        };
        models.retain(allows);
        models
    }

    /// All models; Anthropic's clients get them page by page.
    pub(crate) async fn list_models(&self, way: &Way<'_>, caller: &Caller) -> Result<Answer, Refusal> {
        let models = self.models_for(caller).await;
        let entries = |models: &[Model]| models.iter().map(|model| entry(way.shape, model)).collect::<Vec<_>>();
        let body = match way.shape {
            Shape::OpenAi => json!({"object": "list", "data": entries(&models)}),
            Shape::Ollama => json!({"models": entries(&models)}),
            Shape::Anthropic => {
                let ids: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
                let query = way.head.uri.query().unwrap_or_default();
                let Page { items, has_more } = Page::of(&ids, query).map_err(Refusal::BadRequest)?;
                let (first, last) = (ids[items.clone()].first(), ids[items.clone()].last());
                json!({"data": entries(&models[items.clone()]), "has_more": has_more, "first_id": first, "last_id": last})
            }
        };
        Ok(json_answer(StatusCode::OK, body.to_string()))
    }

    pub(crate) async fn model_entry(&self, shape: Shape, name: &str, caller: &Caller) -> Result<Answer, Refusal> {
        let models = self.models_for(caller).await;
        let model = models.iter().find(|model| model.name == name);
        let model = model.ok_or_else(|| Refusal::UnknownModel(cut_name(name)))?;
        Ok(json_answer(StatusCode::OK, entry(shape, model).to_string()))
    }

    /// `/api/show`: what the model's server tells of it.
    pub(crate) async fn show<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.enter(way, caller, "").await?;
        let body = self.read_body(way, body).await?;
        let name = ollama::parse_show(&body, &self.inner.settings.json).map_err(Refusal::BadRequest)?;
        let model = self.find_model(&name, caller, way).await?;
        let shown = self.inner.upstreams.show(&model.name).await.map_err(Refusal::Upstream)?;
        Ok(json_answer(StatusCode::OK, shown.to_string()))
    }

    /// `/api/ps`: the loaded models that the caller may use.
    pub(crate) async fn running(&self, caller: &Caller) -> Answer {
        let mut rows = self.inner.upstreams.running().await;
        let name = |row: &Value| row["name"].as_str().unwrap_or_default().to_owned();
        rows.retain(|row| caller.key.as_ref().is_none_or(|key| key.allows_model(&name(row))));
        json_answer(StatusCode::OK, json!({"models": rows}).to_string())
    }

    pub(crate) async fn version(&self) -> Answer {
        let version = self.inner.upstreams.version().await;
        let version = version.as_deref().unwrap_or(VERSION_UNKNOWN);
        json_answer(StatusCode::OK, json!({"version": version}).to_string())
    }

    /// `/v1/messages/count_tokens`: counted with the model's own tokenizer where it can be had, else estimated.
    pub(crate) async fn count_tokens<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.enter(way, caller, "").await?;
        let body = self.read_body(way, body).await?;
        let mut request = anthropic::parse_count(&body, &self.inner.settings.json).map_err(Refusal::BadRequest)?;
        drop(body);
        self.check_chars(way, caller, &request)?;
        let model = self.find_model(&request.model, caller, way).await?;
        request.model = model.name;
        let tokens = self.inner.guard.count(&mut request).await;
        way.open.record.prompt_tokens_counted = Some(tokens);
        Ok(json_answer(StatusCode::OK, anthropic::write_count(tokens)))
    }
}

/// A model as each family of APIs lists it.
fn entry(shape: Shape, model: &Model) -> Value {
    match shape {
        Shape::OpenAi => {
            json!({"id": model.name, "object": "model", "created": model.created_unix, "owned_by": "tollhouse"})
        }
        Shape::Anthropic => {
            let created = jiff::Timestamp::from_second(model.created_unix).unwrap_or_default().to_string();
            json!({"type": "model", "id": model.name, "display_name": model.name, "created_at": created})
        }
        // What only the server itself knows is passed on as it told it.
        Shape::Ollama => {
            let mut entry = json!({"name": model.name, "model": model.name});
            if let (Some(entry), Some(details)) = (entry.as_object_mut(), model.details.as_object()) {
                for (name, value) in details {
                    entry.entry(name.as_str()).or_insert_with(|| value.clone());
                }
            }
            entry
        }
    }
}
