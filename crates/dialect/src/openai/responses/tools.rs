//! Reads the tools of a request of the Responses API, which stand there without the chat's wrapper.

use serde_json::{Map, Value};

use crate::{RequestError, wire};

/// The `tools` in the chat's form.
pub(super) fn read(value: Value) -> Result<Option<Value>, RequestError> {
    if value.is_null() {
        return Ok(None);
    }
    let tools = wire::list(value, "tools")?.into_iter().enumerate().map(|(index, tool)| read_tool(tool, index));
    let tools = tools.collect::<Result<Vec<_>, _>>()?;
    Ok((!tools.is_empty()).then_some(Value::Array(tools)))
}

fn read_tool(value: Value, index: usize) -> Result<Value, RequestError> {
    let at = |field: &str| format!("tools[{index}].{field}");
    let mut tool = wire::object(value, format!("tools[{index}]"))?;
    let kind = wire::text(tool.shift_remove("type").unwrap_or_default(), at("type"))?;
    if kind != "function" {
        let shown: String = kind.chars().take(40).collect();
        return Err(RequestError::Unsupported(format!(
            "{} {shown:?} is not supported: this gateway runs no tools itself, offer functions that the client runs",
            at("type")
        )));
    }
    if !tool.get("name").is_some_and(Value::is_string) {
        return Err(RequestError::field(at("name"), "must be a string"));
    }
    tool.retain(|_, value| !value.is_null());
    Ok(wrap(tool))
}

/// `{"name":…}` as `{"type":"function","function":{"name":…}}`.
fn wrap(function: Map<String, Value>) -> Value {
    let mut wrapped = Map::new();
    wrapped.insert("type".to_owned(), Value::from("function"));
    wrapped.insert("function".to_owned(), Value::Object(function));
    Value::Object(wrapped)
}

/// The `tool_choice` in the chat's form, and the names of the only tools that it allows, where it names such.
pub(super) fn read_choice(value: Value) -> Result<(Option<Value>, Option<Vec<String>>), RequestError> {
    let mut choice = match value {
        Value::Null => return Ok((None, None)),
        Value::String(_) => return Ok((Some(value), None)),
        Value::Object(choice) => choice,
        _ => return Err(RequestError::field("tool_choice", "must be a string or an object")),
    };
    match choice.shift_remove("type").as_ref().and_then(Value::as_str) {
        Some("function") => {
            let name = wire::text(choice.shift_remove("name").unwrap_or_default(), "tool_choice.name")?;
            Ok((Some(wrap(Map::from_iter([("name".to_owned(), Value::String(name))]))), None))
        }
        Some("allowed_tools") => {
            let tools = wire::list(choice.shift_remove("tools").unwrap_or_default(), "tool_choice.tools")?;
            let name = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
            Ok((choice.shift_remove("mode"), Some(tools.iter().filter_map(name).collect())))
        }
        _ => Err(RequestError::Unsupported(
            "tool_choice.type must be \"function\" or \"allowed_tools\": this gateway runs no tools itself".to_owned(),
        )),
    }
}

/// Leaves the tools of these names only: what the model is not to call, it need not know.
pub(super) fn keep(tools: &mut Option<Value>, allowed: &[String]) {
    let Some(Value::Array(items)) = tools else { return };
    let name = |tool: &Value| tool.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
    items.retain(|tool| name(tool).is_some_and(|name| allowed.contains(&name)));
    if items.is_empty() {
        *tools = None;
    }
}
