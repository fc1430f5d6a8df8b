//! Vectors of texts.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tollhouse_dialect::{EmbedApi, EmbedMeta};
use tollhouse_web::{Answer, json};

use crate::refusal::{Refusal, rate_headers};
use crate::stack::{Way, cut_name};
use crate::talk::START_RECORDED_AFTER;
use crate::{By, Caller, Gateway};

impl Gateway {
    /// Limits → body → parsed → prompt limits → model → tokens reserved → sent → answered.
    pub(crate) async fn embed<B>(
        &self,
        way: &mut Way<'_>,
        body: B,
        caller: &Caller,
        api: EmbedApi,
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let settings = &self.inner.settings;
        if settings.by != By::Model {
            self.enter(way, caller, "").await?;
        }
        let body = self.read_body(way, body).await?;
        let mut request = api.parse(&body, &settings.json).map_err(Refusal::BadRequest)?;
        drop(body);

        way.note_user(request.user());
        let chars = request.inputs.chars();
        way.open.record.prompt_chars = Some(chars);
        let max = self.chars_max(caller);
        if chars > max {
            way.open.record.model = Some(cut_name(&request.model));
            return Err(Refusal::PromptTooLong { max });
        }
        let model = self.find_model(&request.model, caller, way).await?;
        if settings.by == By::Model {
            self.enter(way, caller, &model.name).await?;
        }
        request.model.clone_from(&model.name);
        let tokens = request.inputs.tokens().unwrap_or(chars as u64 / 4 + 1);
        self.reserve(way, tokens, 0).await?;
        self.check_recording(way).await?;

        let meta = EmbedMeta { model: model.name.clone(), encoding: request.encoding };
        let context = self.context(way, caller, &model, tokens, 0);
        let mut asking = std::pin::pin!(self.inner.upstreams.embed(Arc::new(request), context));
        let reply = loop {
            tokio::select! {
                biased;
                () = revoked(caller) => return Err(Refusal::InvalidKey),
                reply = &mut asking => break reply,
                () = tokio::time::sleep(START_RECORDED_AFTER), if !way.open.has_started() => way.open.started(),
            }
        };
        let reply = reply.map_err(|error| {
            way.open.not_replied(&error);
            Refusal::Upstream(error)
        })?;
        way.open.embedded(&reply);
        let mut answer = json(StatusCode::OK, api.write_answer(&meta, &reply.answer));
        crate::answer::tell(answer.headers_mut(), &reply.upstream, &reply.model, reply.queue_ms, reply.queue_position);
        if let Some(entered) = &way.open.entered {
            rate_headers(answer.headers_mut(), &entered.told());
        }
        Ok(answer)
    }
}

/// Resolves when the caller's key has ended.
async fn revoked(caller: &Caller) {
    match &caller.key {
        Some(key) => key.revoked().await,
        None => std::future::pending().await,
    }
}
