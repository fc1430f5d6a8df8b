//! The description of all calls in the words of `OpenAPI` 3.1, served at `/console/api/openapi.json`.
//!
//! A call is declared together with what is told of it ([`Told`]): there is no other way to declare one (`calls`). The schemas
//! come from the types that are read and written; of answers that other crates give as JSON, `answers` has the types.
//!
//! The file `ui/openapi.json` is this description, for the pages' typed client. `UPDATE_CASES=1 cargo test -p tollhouse-console
//! description` writes it anew; look at the difference as at a change of the interface.

pub(crate) mod answers;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tollhouse_state::Role;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::guard::CONSOLE_HEADER;

/// Schemas of answers that leave out what does not apply; in all others nothing stands as `null`.
const LEAVE_OUT: [&str; 9] = [
    "ItemDetail",
    "RunDetail",
    "RunPage",
    "RunSummary",
    "StepDetail",
    "StepSummary",
    "TaskQuestion",
    "TaskSummary",
    "Why",
];

/// Who may call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// Anybody.
    Public,
    /// Whoever may chat: by a session or a key, or anybody where no key is asked for.
    Chatter,
    /// Sessions with at least this role.
    Session(Role),
}

impl From<Role> for Door {
    fn from(role: Role) -> Self {
        Self::Session(role)
    }
}

/// What is told of a call: what it does, takes and answers.
pub(crate) struct Told {
    summary: &'static str,
    query: Vec<(&'static str, &'static str)>,
    takes: Option<Content>,
    gives: Vec<(u16, &'static str, Option<Content>)>,
    refuses: &'static [u16],
}

/// What a body is.
struct Content {
    media: &'static str,
    /// Whether it may be left out.
    is_optional: bool,
    /// The name of its schema; none for plain text.
    schema: Option<String>,
    parts: Schemas,
}

type Schemas = Vec<(String, RefOr<Schema>)>;

impl Content {
    fn json<T: ToSchema>() -> Self {
        let mut parts = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut parts);
        Self { media: "application/json", is_optional: false, schema: Some(T::name().into_owned()), parts }
    }

    fn text(media: &'static str) -> Self {
        Self { media, is_optional: false, schema: None, parts: Vec::new() }
    }

    fn to_json(&self) -> Value {
        let schema = match &self.schema {
            Some(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
            None => json!({"type": "string"}),
        };
        json!({self.media: {"schema": schema}})
    }
}

/// Begins to tell of a call: what it does, in one line.
pub(crate) fn told(summary: &'static str) -> Told {
    Told { summary, query: Vec::new(), takes: None, gives: Vec::new(), refuses: &[] }
}

impl Told {
    /// A parameter in the address, which may be left out.
    pub(crate) fn query(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.query.push((name, meaning));
        self
    }

    /// The body that it takes.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(Content::json::<T>());
        self
    }

    /// A body that may be left out.
    pub(crate) fn may_take<T: ToSchema>(mut self) -> Self {
        self.takes = Some(Content { is_optional: true, ..Content::json::<T>() });
        self
    }

    /// A body that is text.
    pub(crate) fn takes_text(mut self, media: &'static str) -> Self {
        self.takes = Some(Content::text(media));
        self
    }

    /// What it answers.
    pub(crate) fn gives<T: ToSchema>(self) -> Self {
        self.gives_with::<T>(200, "done")
    }

    /// What it answers with another status.
    pub(crate) fn gives_with<T: ToSchema>(mut self, status: u16, meaning: &'static str) -> Self {
        self.gives.push((status, meaning, Some(Content::json::<T>())));
        self
    }

    /// An answer of events, each with a JSON object (server-sent events).
    pub(crate) fn streams(mut self) -> Self {
        self.gives.push((200, "events, each with a JSON object", Some(Content::text("text/event-stream"))));
        self
    }

    /// That it answers with nothing but that it is done.
    pub(crate) fn done(mut self) -> Self {
        self.gives.push((204, "done", None));
        self
    }

    /// With which statuses it may say why not, beside those that every call has.
    pub(crate) fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.refuses = statuses;
        self
    }
}

/// Everything that is declared.
#[derive(Default)]
pub(crate) struct Description {
    paths: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
    /// Schemas of what is taken: what may be left out there stands in every answer.
    taken: BTreeSet<String>,
}

impl Description {
    /// Adds a call.
    pub(crate) fn add(&mut self, door: Door, method: &str, path: &str, told: Told) {
        let operation = operation(door, method, path, &told);
        let members = self.paths.entry(path).or_insert_with(|| json!({})).as_object_mut();
        members.expect("only objects are put in").insert(method.to_owned(), operation);
        let taken = told.takes.map(|content| content.parts).unwrap_or_default();
        self.taken.extend(taken.iter().map(|(name, _)| name.clone()));
        let given = told.gives.into_iter().filter_map(|(.., content)| content).flat_map(|content| content.parts);
        for (name, schema) in taken.into_iter().chain(given) {
            self.schemas.insert(name, serde_json::to_value(schema).expect("a schema is JSON"));
        }
    }

    /// The whole description.
    pub(crate) fn to_json(&self) -> Value {
        let mut schemas = self.schemas.clone();
        schemas.insert("Refusal".to_owned(), refusal());
        for (name, schema) in &mut schemas {
            flatten(schema, &self.schemas);
            if !self.taken.contains(name) && !LEAVE_OUT.contains(&name.as_str()) {
                all_there(schema);
            }
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "The console's calls",
                "summary": "What the pages of the console ask the house, for programs too.",
                "version": env!("CARGO_PKG_VERSION"),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": self.paths,
            "components": {"schemas": schemas, "securitySchemes": {
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "tollhouse_18789",
                    "description": "The cookie of a session. Its name has the port, and over TLS begins with `__Host-`.",
                },
                "key": {"type": "http", "scheme": "bearer", "description": "A key with the role `user` or `admin`."},
            }},
        })
    }
}

fn operation(door: Door, method: &str, path: &str, told: &Told) -> Value {
    let changes = method != "get";
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(told.query.iter().map(
        |(name, meaning)| json!({"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}),
    ));
    if changes {
        parameters.push(json!({
            "name": CONSOLE_HEADER.as_str(), "in": "header", "required": true, "schema": {"type": "string"},
            "description": "Anything: other sites cannot send it.",
        }));
    }
    let mut operation = json!({
        "operationId": operation_id(method, path),
        "tags": [tag(path)],
        "summary": told.summary,
        "security": security(door),
        "parameters": parameters,
    });
    if let Door::Session(role) = door {
        operation["description"] = format!("Needs a session with the role {}.", role.name()).into();
    }
    if let Some(content) = &told.takes {
        operation["requestBody"] = json!({"required": !content.is_optional, "content": content.to_json()});
    }
    operation["responses"] = responses(door, changes, told);
    operation
}

fn responses(door: Door, changes: bool, told: &Told) -> Value {
    let mut responses = Map::new();
    for (status, meaning, content) in &told.gives {
        let mut response = json!({"description": meaning});
        if let Some(content) = content {
            response["content"] = content.to_json();
        }
        responses.insert(status.to_string(), response);
    }
    let refusal = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}});
    let of_door: &[u16] = match (door, changes) {
        (Door::Public, false) => &[],
        (Door::Public, true) => &[403],
        (Door::Chatter, false) => &[401],
        (Door::Session(Role::Viewer), false) => &[401, 503],
        (Door::Chatter | Door::Session(_), _) => &[401, 403, 503],
    };
    for status in of_door.iter().chain(told.refuses) {
        let response = json!({"description": meaning(*status), "content": refusal});
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// Why a call is refused with this status.
fn meaning(status: u16) -> &'static str {
    match status {
        400 => "it makes no sense; the message says what",
        401 => "nobody is signed in",
        403 => "it is not allowed: by the role, or because it does not come from the console itself",
        404 => "there is none of this id",
        409 => "it does not fit what there is",
        413 => "it is too large",
        429 => "too many; the header `Retry-After` says when again",
        502 => "whoever is asked for this does not answer as it should",
        503 => "it cannot be done right now",
        _ => "it cannot be done",
    }
}

fn security(door: Door) -> Value {
    match door {
        Door::Public => json!([]),
        Door::Chatter => json!([{"session": []}, {"key": []}, {}]),
        Door::Session(role) => json!([{"session": [role.name()]}]),
    }
}

/// `GET /console/api/v1/alerts/{rule}` is `getAlertsRule`.
fn operation_id(method: &str, path: &str) -> String {
    let parts = path.split(['/', '{', '}', '-', '.']).filter(|part| !matches!(*part, "" | "console" | "api" | "v1"));
    parts.fold(method.to_owned(), |id, part| {
        let mut letters = part.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        id + &first.chain(letters).collect::<String>()
    })
}

/// What it is about: the first part of its address.
fn tag(path: &str) -> &str {
    path.trim_start_matches("/console/api/").trim_start_matches("v1/").split(['/', '.']).next().unwrap_or_default()
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "description": "Why not. Calls that hand a request on answer in the form of whoever refuses it.",
        "required": ["error"],
        "properties": {"error": {
            "description": "For people; an object in the forms of Elasticsearch and OpenAI.",
            "type": ["string", "object"],
        }},
    })
}

/// Puts the members of a part in place of the part: a type within a type (`flatten`) is one object in what is sent.
fn flatten(schema: &mut Value, schemas: &BTreeMap<String, Value>) {
    let Some(parts) = schema.get_mut("allOf").map(Value::take) else { return };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts.as_array().into_iter().flatten() {
        let name = part["$ref"].as_str().and_then(|at| at.strip_prefix("#/components/schemas/"));
        let mut part = name.and_then(|name| schemas.get(name)).unwrap_or(part).clone();
        flatten(&mut part, schemas);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let mut whole = json!({"type": "object", "required": required, "properties": properties});
    if let Some(description) = schema.get("description") {
        whole["description"] = description.clone();
    }
    *schema = whole;
}

/// Says of an object that none of its members is ever left out: so it is in every answer, where nothing stands as `null`.
fn all_there(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let names: Option<Vec<Value>> = members
                .get("properties")
                .and_then(Value::as_object)
                .map(|all| all.keys().cloned().map(Value::from).collect());
            if let Some(names) = names {
                members.insert("required".to_owned(), names.into());
            }
            members.values_mut().for_each(all_there);
        }
        Value::Array(items) => items.iter_mut().for_each(all_there),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/openapi.json")
    }

    #[test]
    fn the_description_of_the_pages_is_the_one_that_is_served() {
        let now = format!("{:#}\n", crate::calls::all().description());
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(file(), &now).unwrap();
        }
        let kept = std::fs::read_to_string(file()).unwrap_or_default();
        assert!(kept == now, "ui/openapi.json is stale: UPDATE_CASES=1 cargo test -p tollhouse-console description");
    }

    #[test]
    fn every_call_says_what_it_answers_and_no_two_have_one_name() {
        let description = crate::calls::all().description();
        let mut ids = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path} answers nothing");
                assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}");
            }
        }
    }

    #[test]
    fn a_type_within_a_type_is_one_object() {
        let schemas = BTreeMap::from([(
            "Inner".to_owned(),
            json!({"type": "object", "required": ["a"], "properties": {"a": {}}, "additionalProperties": false}),
        )]);
        let mut schema = json!({"description": "both", "allOf": [
            {"$ref": "#/components/schemas/Inner"},
            {"type": "object", "required": ["b"], "properties": {"b": {}, "c": {}}},
        ]});
        flatten(&mut schema, &schemas);
        let expected = json!({
            "type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}, "c": {}}, "description": "both",
        });
        assert_eq!(schema, expected);
    }
}
