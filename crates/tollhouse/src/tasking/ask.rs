//! Asks a model for a step: through the gate, on the way of every request, behind everybody else.
//!
//! While users wait for the same server, a question under way is dropped, which frees its place at once, and asked anew when
//! they are gone.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};
use tollhouse_gateway::{Entry, Gateway};
use tollhouse_outbound::retry_after;
use tollhouse_tasks::{Ask, Call, Outcome, StepError};
use tollhouse_upstream::Progress;
use tollhouse_web::Peer;

use super::room::Gate;
use crate::probing::error_of;
use crate::speech::Speech;

/// Largest refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

pub(super) async fn ask(gate: &Gate, busy_above: f64, call: &Call, ask: &Ask) -> Result<Outcome, StepError> {
    loop {
        gate.room_for(&ask.model, busy_above).await;
        let gateway = gate.current.get().gateway.clone();
        let Some(model) = gateway.upstreams().resolve(&ask.model).await else {
            return Err(StepError::passing(format!("no model server has the model {}", ask.model)));
        };
        let progress = Progress::default();
        let _under = gate.begin(&model.upstream, &progress);
        tokio::select! {
            answer = asked(&gateway, call, ask, progress.clone()) => return answer,
            () = gate.users_come(&gateway, &model.upstream) => {
                tracing::debug!(task = call.task, run = call.run, step = call.step, "users come first: asking anew later");
            }
        }
    }
}

async fn asked(gateway: &Gateway, call: &Call, ask: &Ask, progress: Progress) -> Result<Outcome, StepError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/chat/completions")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body(ask).to_string()))
        .map_err(|error| StepError::lasting(error.to_string()))?;
    let peer = Peer(([127, 0, 0, 1], 0).into());
    let entry = Entry::Task { task: call.task.clone(), progress };
    let answer = gateway.handle(request, peer, entry).await;
    let answer = answer.map_err(|tollhouse_web::Dropped| StepError::passing("the gate dropped the question"))?;
    let (head, mut body) = answer.into_parts();
    if !head.status.is_success() {
        let body = Limited::new(body, REFUSAL_BYTES_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(refused(head.status, &head.headers, &error_of(&body)));
    }
    let broken = |why: String| StepError::passing(format!("the answer of {} broke off: {why}", ask.model));
    let mut speech = Speech::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            speech.take(&data).map_err(&broken)?;
            call.partial.keep(speech.text()).await;
        }
    }
    let tokens = speech.tokens();
    let spoken = speech.end().map_err(&broken)?;
    Ok(Outcome { value: spoken.text.into(), tokens, is_surely_once: false })
}

/// A question as a request.
fn body(ask: &Ask) -> Value {
    let system = ask.system.iter().map(|text| json!({"role": "system", "content": text}));
    let messages: Vec<Value> = system.chain([json!({"role": "user", "content": ask.prompt})]).collect();
    let mut body = json!({
        "model": ask.model, "messages": messages, "stream": true, "stream_options": {"include_usage": true},
    });
    if let Some(tokens) = ask.max_tokens {
        body["max_tokens"] = tokens.into();
    }
    if let Some(temperature) = ask.temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(schema) = &ask.schema {
        let format = json!({"name": "answer", "schema": schema, "strict": true});
        body["response_format"] = json!({"type": "json_schema", "json_schema": format});
    }
    body
}

/// Whether trying again can help, by the status.
fn refused(status: StatusCode, headers: &HeaderMap, why: &str) -> StepError {
    let message = format!("the gate answered {}: {why}", status.as_u16());
    let may_retry = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    StepError { message, may_retry, retry_after: retry_after(headers) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn a_question_is_a_request_of_its_own() {
        let mut ask = Ask {
            model: "m".to_owned(),
            prompt: "p".to_owned(),
            system: Some("s".to_owned()),
            max_tokens: Some(5),
            temperature: None,
            schema: Some(json!({"type": "object"})),
        };
        let whole = body(&ask);
        assert_eq!(whole["messages"][0], json!({"role": "system", "content": "s"}));
        assert_eq!(whole["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
        assert_eq!((whole["max_tokens"].as_u64(), whole.get("temperature")), (Some(5), None));
        (ask.system, ask.schema) = (None, None);
        assert_eq!(body(&ask)["messages"], json!([{"role": "user", "content": "p"}]));
        assert_eq!(body(&ask).get("response_format"), None);
    }

    #[test]
    fn a_refusal_says_whether_trying_again_helps() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let busy = refused(StatusCode::SERVICE_UNAVAILABLE, &headers, "the model is busy");
        assert!(busy.may_retry && busy.retry_after == Some(Duration::from_secs(7)), "{busy:?}");
        assert!(!refused(StatusCode::BAD_REQUEST, &HeaderMap::new(), "too long").may_retry);
    }
}
