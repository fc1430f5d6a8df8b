//! A kept request asked once more, of another model: `POST /console/api/v1/requests/{id}/replay`, for operators.
//!
//! Only the prompt is asked again: parameters, tools and pictures are not kept. It goes through the gate behind everybody
//! else, is counted for nobody, and its record carries `origin: replay` and `replay_of`. What was said before is given out
//! beside it, so each replay is an audit record. Errors are `{"error": message, "code": word}`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tollhouse_content::{ContentError, Transcript, find};
use tollhouse_gateway::Entry;
use tollhouse_web::{Dropped, Peer};
use utoipa::ToSchema;

use crate::Console;
use crate::chats::{End, Said, read_answer};
use crate::refusal::refused;
use crate::session::{audit, tell};
use crate::users::Doer;

/// Longest id that is looked for, and longest name of a model, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Replays at the same time.
static REPLAYS: Semaphore = Semaphore::const_new(2);

/// Where prompts and answers are kept.
#[derive(Clone, Debug)]
pub struct KeptContent {
    /// The file; it may be there from a time at which they were kept.
    pub file: PathBuf,
    /// Whether they are kept now.
    pub is_on: bool,
}

/// What is to be asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The model that is asked now.
    model: String,
}

/// What both said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    before: Before,
    now: Now,
}

/// What was answered then.
#[derive(Debug, Serialize, ToSchema)]
struct Before {
    model: Option<String>,
    text: String,
    thinking: String,
    /// Why the prompt is not what the model was asked then: `left_out`, `cut`, `redacted`, `withheld`, `media`.
    differs: Vec<&'static str>,
}

/// What is answered now.
#[derive(Debug, Serialize, ToSchema)]
struct Now {
    request_id: Option<String>,
    model: String,
    text: String,
    thinking: String,
    duration_ms: u64,
    ttft_ms: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// Why there is none, or not all of it.
    error: Option<String>,
}

/// Why nothing is asked.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the id or the model's name is too long, or the model has none")]
    Names,
    #[error("prompts and answers are not kept (`logging.content` is off), so nothing can be asked again")]
    Off,
    #[error("nothing of this request is kept; prompts are kept from the moment on at which `logging.content` says so")]
    NotKept,
    #[error("what was said in this request was erased")]
    Erased,
    #[error("the request used tools, whose descriptions are not kept")]
    Tools,
    #[error("two replays are under way; try again when one has ended")]
    Busy,
    #[error("what is kept of this request cannot be read")]
    Unreadable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::Names => (StatusCode::BAD_REQUEST, "names"),
            Self::Off => (StatusCode::CONFLICT, "content_off"),
            Self::NotKept => (StatusCode::NOT_FOUND, "not_kept"),
            Self::Erased => (StatusCode::GONE, "erased"),
            Self::Tools => (StatusCode::CONFLICT, "tools"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Unreadable => (StatusCode::SERVICE_UNAVAILABLE, "unreadable"),
        };
        (status, Json(json!({"error": self.to_string(), "code": code}))).into_response()
    }
}

pub(crate) async fn replay(
    State(console): State<Console>,
    doer: Doer,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let wanted: Replay = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match replayed(&console, &doer, &id, wanted.model).await {
        Ok(replayed) => Json(replayed).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn replayed(console: &Console, doer: &Doer, id: &str, model: String) -> Result<Replayed, Refusal> {
    if id.len() > NAME_BYTES_MAX || model.len() > NAME_BYTES_MAX || model.is_empty() {
        return Err(Refusal::Names);
    }
    let _place = REPLAYS.try_acquire().map_err(|_| Refusal::Busy)?;
    let kept = &console.inner.settings.content;
    let found = find(&kept.file, id, &console.inner.state).await.map_err(|error| match error {
        ContentError::Erased(_) => Refusal::Erased,
        error => {
            tracing::error!(error = %error, request_id = %id, "reading what is kept of a request");
            Refusal::Unreadable
        }
    })?;
    let transcript = found.ok_or(if kept.is_on { Refusal::NotKept } else { Refusal::Off })?;
    let messages = messages_of(&transcript).ok_or(Refusal::Tools)?;
    // Before it is asked: what was said is about to be shown.
    let record = audit("request replayed", &doer.session, doer.client).field("replay_of", id);
    tell(console, record.field("model_name", &model));
    let now = ask(console, doer, id, model, messages).await;
    Ok(Replayed { before: before(transcript), now })
}

/// The conversation; none where tools had a part in it.
fn messages_of(transcript: &Transcript) -> Option<Value> {
    let has_tools = |said: &tollhouse_content::Said| said.role == "tool" || !said.calls.is_empty();
    if transcript.asked.iter().any(has_tools) {
        return None;
    }
    let messages: Vec<Value> =
        transcript.asked.iter().map(|said| json!({"role": said.role, "content": said.text})).collect();
    Some(messages.into())
}

fn before(transcript: Transcript) -> Before {
    let differs = [
        ("left_out", transcript.left_out_messages > 0),
        ("cut", transcript.cut),
        ("redacted", !transcript.redacted.is_empty()),
        ("withheld", !transcript.withheld.is_empty()),
        ("media", transcript.asked.iter().any(|said| said.media > 0)),
    ];
    Before {
        model: transcript.model,
        text: transcript.answer.text,
        thinking: transcript.answer.thinking,
        differs: differs.into_iter().filter(|(_, is_so)| *is_so).map(|(word, _)| word).collect(),
    }
}

/// Asks through the gate. When the browser leaves, this is dropped, and with it the request.
async fn ask(console: &Console, doer: &Doer, id: &str, model: String, messages: Value) -> Now {
    let began = Instant::now();
    let millis = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (mut said, mut first_ms, mut request_id) = (Said::default(), None, None);
    let body = json!({
        "model": model, "messages": messages, "stream": true, "stream_options": {"include_usage": true},
    });
    let asked = async {
        let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).map_err(|error| error.to_string())?;
        let peer = Peer((doer.client, 0).into());
        let entry = Entry::Replay { of: id.to_owned() };
        let answer = console.inner.gateway.handle(request, peer, entry).await;
        let (head, body) = answer.map_err(|Dropped| "the address is not allowed".to_owned())?.into_parts();
        request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let ended = read_answer(head.status, body, |lines, data| {
            let goes_on = lines.push(data, &mut said);
            if first_ms.is_none() && said.len() > 0 {
                first_ms = Some(millis());
            }
            goes_on && said.len() <= ANSWER_BYTES_MAX
        });
        match ended.await {
            End::Whole => {}
            End::Enough => return Err("the answer is too long to be shown".to_owned()),
            End::Refused(why) => return Err(why),
        }
        if said.whole { Ok(()) } else { Err("the answer broke off".to_owned()) }
    };
    let ended = tokio::time::timeout(ANSWER_TIME_MAX, asked).await;
    let ended = ended.unwrap_or_else(|_| Err(format!("no whole answer within {} s", ANSWER_TIME_MAX.as_secs())));
    let told = |name: &str| said.told.get(name).and_then(Value::as_u64);
    let error = said.told.get("error").and_then(Value::as_str).map(str::to_owned).or(ended.err());
    let (input_tokens, output_tokens) = (told("input_tokens"), told("output_tokens"));
    Now {
        request_id,
        model,
        text: said.text,
        thinking: said.thinking,
        duration_ms: millis(),
        ttft_ms: first_ms,
        input_tokens,
        output_tokens,
        error,
    }
}
