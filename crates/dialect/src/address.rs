//! Keeps a client from sending the model server elsewhere: to fetch something, to meet another server, to run code.
//!
//! Servers of the OpenAI kind get what we do not know of an OpenAI client's request verbatim, and they stand in a network
//! that the client does not reach: vLLM and SGLang fetch a `video_url` from wherever it points. So whatever is named like
//! an address must be the thing itself (a `data:` URL), at any depth of such fields. Text that only looks like an address
//! is let through where it is text by its name: what is said, labels, sources that an earlier answer cited, schemas.

use serde_json::{Map, Value};

use crate::{ChatRequest, Content, Part, RequestError, Shape};

/// Fields that are text to every server, whatever stands in them: labels that are handed back, sources of an earlier
/// answer, documents that the template writes into the prompt, schemas.
const TEXTS: &[&str] = &[
    "metadata",
    "annotations",
    "citations",
    "documents",
    "functions",
    "guided_json",
    "structured_outputs",
    "json_schema",
];

/// Fields that name a medium. Servers take base64 in them, or a place to fetch it from.
const MEDIA: &[&str] = &["image", "images", "video", "videos", "audio", "audios", "file", "files"];

const ELSEWHERE: &str = "is not accepted: it would make the model's server connect to another one";
const CODE: &str = "is not accepted: it would make the model's server run code of the client's";

/// Fields that no client may send, and why not.
const REFUSED: &[(&str, &str)] = &[
    // vLLM: where the cache of a prompt or of its pictures is to be taken from.
    ("kv_transfer_params", ELSEWHERE),
    ("ec_transfer_params", ELSEWHERE),
    // SGLang: where the two servers that share a request are to meet.
    ("bootstrap_host", ELSEWHERE),
    ("bootstrap_port", ELSEWHERE),
    ("bootstrap_room", ELSEWHERE),
    // TensorRT-LLM: the server that has read the prompt.
    ("disaggregated_params", ELSEWHERE),
    // vLLM loads these by their names in Python, SGLang unpacks it from a pickle.
    ("logits_processors", CODE),
    ("custom_logit_processor", CODE),
];

/// Refuses what a server of the OpenAI kind would follow elsewhere.
pub(crate) fn check(request: &ChatRequest) -> Result<(), RequestError> {
    // An Anthropic client's tools are functions here, or refused as such.
    if request.family != Shape::Anthropic {
        let tools = request.tools.as_ref().and_then(Value::as_array).into_iter().flatten().enumerate();
        // What a function takes is described by a schema.
        let run_by_server = tools.filter(|(_, tool)| tool["type"] != "function");
        for (index, tool) in run_by_server {
            refuse(find(tool, Kind::Plain), || format!("tools[{index}]"))?;
        }
    }
    if request.family != Shape::OpenAi {
        return Ok(());
    }
    for (index, message) in request.messages.iter().enumerate() {
        refuse(find_in(&message.rest, Kind::Plain), || format!("messages[{index}]"))?;
        let Content::Parts(parts) = &message.content else { continue };
        for (position, part) in parts.iter().enumerate() {
            refuse(find_in_part(part), || format!("messages[{index}].content[{position}]"))?;
        }
    }
    check_fields(&request.rest)
}

/// The same of the fields of a request that are carried along.
pub(crate) fn check_fields(rest: &Map<String, Value>) -> Result<(), RequestError> {
    refuse(find_in(rest, Kind::Plain), String::new)
}

/// What a field is by its name.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    /// Something to look at or to listen to.
    Medium,
    /// Where something is.
    Address,
}

impl Kind {
    fn of(field: &str) -> Option<Self> {
        let field = field.to_ascii_lowercase();
        if ["url", "urls", "uri", "uris"].iter().any(|end| field.ends_with(end)) || field == "src" || field == "href" {
            return Some(Self::Address);
        }
        MEDIA.contains(&field.as_str()).then_some(Self::Medium)
    }

    /// What the fields of an object in such a field are, unless their names tell.
    fn inner(self) -> Self {
        match self {
            Self::Address => Self::Medium,
            kind => kind,
        }
    }

    fn refuses(self, text: &str) -> bool {
        match self {
            Self::Plain => false,
            Self::Medium => text.contains("://"),
            Self::Address => !text.is_empty() && !text.starts_with("data:"),
        }
    }
}

/// A field that is refused.
struct Found {
    /// Its path within what was looked at.
    path: String,
    problem: &'static str,
}

impl Found {
    fn under(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

fn refuse(found: Option<Found>, root: impl FnOnce() -> String) -> Result<(), RequestError> {
    let Some(Found { path, problem }) = found else { return Ok(()) };
    let field = format!("{}{path}", root());
    Err(RequestError::field(field.trim_start_matches('.'), problem))
}

fn find_in_part(part: &Part) -> Option<Found> {
    match part {
        // vLLM looks for addresses beside the text too.
        Part::Text { rest, .. } => find_in(rest, Kind::Plain),
        Part::Image { options, rest, .. } => {
            let beside = || find_in(rest, Kind::Plain);
            find_in(options, Kind::Medium).map(|found| found.under(".image_url")).or_else(beside)
        }
        Part::Audio { options, rest, .. } => {
            let beside = || find_in(rest, Kind::Plain);
            find_in(options, Kind::Medium).map(|found| found.under(".input_audio")).or_else(beside)
        }
        Part::Other(map) => find_in(map, Kind::Plain),
        Part::Thinking(_) => None,
    }
}

fn find(value: &Value, kind: Kind) -> Option<Found> {
    let problem = "must be a data: URL; what is at other addresses is not fetched, send it itself";
    match value {
        Value::String(text) => kind.refuses(text).then(|| Found { path: String::new(), problem }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find(item, kind).map(|found| found.under(&format!("[{index}]")))),
        Value::Object(map) => find_in(map, kind.inner()),
        _ => None,
    }
}

fn find_in(map: &Map<String, Value>, around: Kind) -> Option<Found> {
    map.iter().find_map(|(key, value)| {
        let found = match REFUSED.iter().find(|(name, _)| name == key) {
            Some(_) if value.is_null() => None,
            Some((_, problem)) => Some(Found { path: String::new(), problem }),
            None if TEXTS.contains(&key.as_str()) => None,
            None => find(value, Kind::of(key).unwrap_or(around)),
        };
        found.map(|found| found.under(&format!(".{}", key.chars().take(40).collect::<String>())))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(fields: &Value) -> Option<String> {
        let fields = fields.as_object().expect("an object");
        check_fields(fields).err().and_then(|error| error.param().map(str::to_owned))
    }

    #[test]
    fn an_address_is_found_by_its_field_s_name() {
        for fields in [
            json!({"url": "http://a"}),
            json!({"video_url": "a.mp4"}),
            json!({"imageUrl": "//a"}),
            json!({"src": " data:x"}),
            json!({"Sources_URIs": ["", "ftp://a"]}),
            json!({"audio_url": {"href": "a"}}),
            json!({"video_url": {"place": "rtsp://a"}}),
            json!({"video": "file:///etc/passwd"}),
            json!({"images": [{"at": "http://a"}]}),
            json!({"a": [{"b": [[{"file_url": "x"}]]}]}),
        ] {
            assert!(path(&fields).is_some(), "{fields}");
        }
        assert_eq!(path(&json!({"a": [1, {"b": {"c_url": ["data:x", "x"]}}]})).as_deref(), Some("a[1].b.c_url[1]"));
        assert_eq!(path(&json!({"a": {"logits_processors": []}})).as_deref(), Some("a.logits_processors"));
    }

    #[test]
    fn what_is_no_address_is_let_through() {
        for fields in [
            json!({"text": "https://example.com"}),
            json!({"video_url": {"url": "data:video/mp4;base64,AA", "detail": "low", "fps": 2}}),
            json!({"url": null, "image_url": ""}),
            json!({"image": "/9j/4AAQ", "audio": {"voice": "alloy"}, "file": {"file_id": "f-1", "file_data": "AA=="}}),
            json!({"metadata": {"url": "https://example.com"}, "kv_transfer_params": null}),
            json!({"reasoning": {"effort": "low"}, "user": "https://example.com/me"}),
        ] {
            assert_eq!(path(&fields), None, "{fields}");
        }
    }
}
