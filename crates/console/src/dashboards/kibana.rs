//! Kibana's saved objects (8.x, one JSON object a line) as dashboards of ours; what cannot be taken is said line by line.
//!
//! Dashboards, Lens views, visualizations of the older editor and saved searches are read as far as a panel of ours can show the same.
//! Field names lose `.keyword`: a field of ours is both.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use tollhouse_state::{Dashboard, PANELS_MAX, Panel};

/// Lines that are read.
const LINES_MAX: usize = 5000;
/// Columns of Kibana's grid, and of ours.
const KIBANA_COLUMNS: u64 = 48;
const COLUMNS: u64 = 12;
/// Rows of Kibana's grid that one of ours takes.
const KIBANA_ROWS: u64 = 4;
/// The name of the dashboard for views that stand on none.
const ALONE: &str = "Imported from Kibana";
const NAME_CHARS_MAX: usize = 200;

/// What a file would become.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) dashboards: Vec<Dashboard>,
    pub(super) notes: Vec<Note>,
}

/// What became of one object.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Note {
    /// Counted from 1.
    line: usize,
    /// Kibana's word for it.
    kind: String,
    name: String,
    /// `taken`, `changed` or `not taken`.
    fate: &'static str,
    /// Why.
    text: String,
}

/// One object of the file.
struct Object {
    line: usize,
    kind: String,
    id: String,
    attributes: Value,
    /// Name of a reference → (kind, id).
    references: HashMap<String, (String, String)>,
}

/// A panel, and what of the object it does not show.
type Taken = Result<(Panel, Vec<String>), String>;

/// Reads the file.
///
/// # Errors
/// The first line that is no saved object, or that there is nothing in the file.
pub(super) fn read(text: &str) -> Result<Read, String> {
    let objects = objects(text)?;
    let mut read = Read::default();
    let mut panels: HashMap<(&str, &str), Panel> = HashMap::new();
    for object in &objects {
        let taken = match object.kind.as_str() {
            "search" => Ok(search(object)),
            "visualization" => visualization(object, &objects),
            "lens" => lens(&object.attributes),
            "dashboard" => continue,
            "index-pattern" => {
                read.notes.push(note(object, "not taken", "the panels ask this house's own records"));
                continue;
            }
            _ => Err("objects of this kind are not known here".to_owned()),
        };
        read.tell(object, &taken);
        if let Ok((panel, _)) = taken {
            panels.insert((&object.kind, &object.id), panel);
        }
    }
    let mut shown = Vec::new();
    for object in objects.iter().filter(|object| object.kind == "dashboard") {
        read.dashboard(object, &panels, &mut shown);
    }
    let mut alone: Vec<Panel> = Vec::new();
    for object in &objects {
        let key = (object.kind.as_str(), object.id.as_str());
        if let Some(panel) = panels.get(&key).filter(|_| !shown.contains(&(key.0.to_owned(), key.1.to_owned()))) {
            alone.push(panel.clone());
        }
    }
    alone.truncate(PANELS_MAX);
    if !alone.is_empty() {
        read.dashboards.push(Dashboard { name: ALONE.to_owned(), panels: alone, ..Dashboard::default() });
    }
    Ok(read)
}

impl Read {
    fn tell(&mut self, object: &Object, taken: &Taken) {
        self.notes.push(match taken {
            Ok((panel, left)) if left.is_empty() => note(object, "taken", &format!("as a panel ({})", panel.view)),
            Ok((panel, left)) => note(object, "changed", &format!("as a panel ({}); {}", panel.view, left.join("; "))),
            Err(why) => note(object, "not taken", why),
        });
    }

    fn dashboard(&mut self, object: &Object, panels: &HashMap<(&str, &str), Panel>, shown: &mut Vec<(String, String)>) {
        let placed = embedded(&object.attributes, "panelsJSON");
        let mut placed: Vec<&Value> = placed.as_array().into_iter().flatten().collect();
        placed.sort_by_key(|panel| (panel["gridData"]["y"].as_u64(), panel["gridData"]["x"].as_u64()));
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for place in placed {
            let found = match referenced(object, place) {
                Some(key) => {
                    shown.push(key.clone());
                    panels.get(&(key.0.as_str(), key.1.as_str())).cloned().ok_or_else(|| {
                        format!("a panel shows {} {}, which is not in the file or could not be taken", key.0, key.1)
                    })
                }
                None => by_value(place).map(|(panel, _)| panel),
            };
            match found {
                Ok(panel) if taken.len() < PANELS_MAX => taken.push(on_our_grid(panel, place)),
                Ok(_) => left.push(format!("it has more than {PANELS_MAX} panels")),
                Err(why) => left.push(why),
            }
        }
        left.dedup();
        if taken.is_empty() {
            left.insert(0, "no panel of it could be taken".to_owned());
            return self.notes.push(note(object, "not taken", &left.join("; ")));
        }
        let counted = format!("with {} panels", taken.len());
        let text = std::iter::once(counted).chain(left.iter().cloned()).collect::<Vec<_>>().join("; ");
        self.notes.push(note(object, if left.is_empty() { "taken" } else { "changed" }, &text));
        let moment = |name: &str| object.attributes[name].as_str().unwrap_or_default().to_owned();
        self.dashboards.push(Dashboard {
            name: cut(&title(&object.attributes), "Dashboard"),
            panels: taken,
            from: moment("timeFrom"),
            to: moment("timeTo"),
        });
    }
}

// The file

fn objects(text: &str) -> Result<Vec<Object>, String> {
    let mut objects = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if number >= LINES_MAX {
            return Err(format!("the file has more than {LINES_MAX} lines"));
        }
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let value: Value = serde_json::from_str(line).map_err(|error| wrong(&format!("no JSON object ({error})")))?;
        // The last line of an export counts the others.
        if value.get("exportedCount").is_some() {
            continue;
        }
        let (Some(kind), Some(id)) = (value["type"].as_str(), value["id"].as_str()) else {
            return Err(wrong("no saved object of Kibana: it has no `type` and `id`"));
        };
        let reference = |one: &Value| {
            let text = |name: &str| one[name].as_str().map(str::to_owned);
            Some((text("name")?, (text("type")?, text("id")?)))
        };
        objects.push(Object {
            line: number + 1,
            kind: kind.to_owned(),
            id: id.to_owned(),
            attributes: value["attributes"].clone(),
            references: value["references"].as_array().into_iter().flatten().filter_map(reference).collect(),
        });
    }
    if objects.is_empty() { Err("there is nothing in the file".to_owned()) } else { Ok(objects) }
}

/// Which object a panel of a dashboard shows.
fn referenced(object: &Object, place: &Value) -> Option<(String, String)> {
    let name = place["panelRefName"].as_str()?;
    let index = place["panelIndex"].as_str().unwrap_or_default();
    object.references.get(name).or_else(|| object.references.get(&format!("{index}:{name}"))).cloned()
}

/// A panel whose view stands in the dashboard itself.
fn by_value(place: &Value) -> Taken {
    let config = &place["embeddableConfig"];
    match place["type"].as_str() {
        Some("lens") => lens(&config["attributes"]),
        Some("visualization") => shown_by(&config["savedVis"], &config["savedVis"]["data"]["searchSource"]),
        Some(other) => Err(format!("a panel of kind {other} is not known here")),
        None => Err("a panel says not what it shows".to_owned()),
    }
}

fn on_our_grid(mut panel: Panel, place: &Value) -> Panel {
    let grid = &place["gridData"];
    let scaled = |name: &str, factor: u64, divisor: u64| {
        grid[name].as_u64().map(|size| u8::try_from((size * factor).div_ceil(divisor).clamp(1, COLUMNS)).unwrap_or(1))
    };
    panel.width = scaled("w", COLUMNS, KIBANA_COLUMNS).unwrap_or(panel.width);
    panel.height = scaled("h", 1, KIBANA_ROWS).unwrap_or(panel.height);
    if let Some(title) =
        place["title"].as_str().or(place["embeddableConfig"]["title"].as_str()).filter(|title| !title.is_empty())
    {
        panel.title = cut(title, "");
    }
    panel
}

// Views

fn panel(title: &str, view: &str) -> Panel {
    let panel = serde_json::json!({"title": cut(title, "–"), "view": view});
    serde_json::from_value(panel).expect("a panel needs a title and a view")
}

/// A saved search: a table of records.
fn search(object: &Object) -> (Panel, Vec<String>) {
    let attributes = &object.attributes;
    let mut panel = panel(&title(attributes), "table");
    let columns = attributes["columns"].as_array().into_iter().flatten().filter_map(Value::as_str);
    panel.columns = columns.filter(|name| *name != "_source").map(plain).collect();
    // `[["@timestamp","desc"]]`, or the pair alone.
    let sort = &attributes["sort"];
    let pair = if sort[0].is_array() { &sort[0] } else { sort };
    if let (Some(field), Some(order)) = (pair[0].as_str(), pair[1].as_str()) {
        panel.sort = format!("{}:{order}", plain(field));
    }
    let left = asked(&mut panel, &embedded(&attributes["kibanaSavedObjectMeta"], "searchSourceJSON"));
    (panel, left)
}

fn visualization(object: &Object, objects: &[Object]) -> Taken {
    let mut source = embedded(&object.attributes["kibanaSavedObjectMeta"], "searchSourceJSON");
    let state = embedded(&object.attributes, "visState");
    // A view of a saved search asks what that one asks.
    let name = object.attributes["savedSearchRefName"].as_str().unwrap_or("search_0");
    let behind = object.references.get(name).filter(|(kind, _)| kind == "search");
    if let Some(search) = behind.and_then(|(_, id)| objects.iter().find(|one| one.kind == "search" && one.id == *id)) {
        source = embedded(&search.attributes["kibanaSavedObjectMeta"], "searchSourceJSON");
    }
    let (mut panel, left) = shown_by(&state, &source)?;
    panel.title = cut(&title(&object.attributes), &panel.title);
    Ok((panel, left))
}

/// A view of the older editor: `type`, and `aggs` with their schemas.
fn shown_by(state: &Value, source: &Value) -> Taken {
    let kind = state["type"].as_str().unwrap_or_default();
    let view = match kind {
        "area" => "area",
        "line" => "line",
        "histogram" | "horizontal_bar" => "bars",
        "table" => "table",
        "heatmap" => "heat",
        "metric" | "goal" | "gauge" => "number",
        _ => return Err(format!("a view of kind `{kind}` has no counterpart here")),
    };
    let mut panel = panel(&title(state), view);
    let mut left = Vec::new();
    let aggs = state["aggs"].as_array().map_or(Value::Null, |aggs| Value::Array(aggs.clone()));
    let aggs = if aggs.is_null() { &state["data"]["aggs"] } else { &aggs };
    let mut measured = false;
    for agg in aggs.as_array().into_iter().flatten().filter(|agg| agg["enabled"] != false) {
        let params = &agg["params"];
        let field = params["field"].as_str().map(plain).unwrap_or_default();
        match agg["type"].as_str().unwrap_or_default() {
            "date_histogram" => panel.interval_s = params["interval"].as_str().map_or(0, seconds),
            "terms" => split(&mut panel, field, agg["schema"] == "group", &mut left),
            measure => match measure_of(measure, &params["percents"]) {
                Some(_) if measured => left.push(format!("a second figure ({measure} {field})")),
                Some(measure) => {
                    measured = true;
                    (panel.measure, panel.field) =
                        (measure.to_owned(), if measure == "count" { String::new() } else { field });
                }
                None => left.push(format!("{measure} {field}")),
            },
        }
    }
    left.extend(asked(&mut panel, source));
    finished(panel, left)
}

/// A Lens view.
fn lens(attributes: &Value) -> Taken {
    let state = &attributes["state"];
    let kind = attributes["visualizationType"].as_str().unwrap_or_default();
    let visualization = &state["visualization"];
    let layer = &visualization["layers"][0];
    let view = match kind {
        "lnsXY" => match layer["seriesType"].as_str().unwrap_or_default() {
            kind if kind.starts_with("area") => "area",
            "line" => "line",
            _ => "bars",
        },
        "lnsDatatable" => "table",
        "lnsHeatmap" => "heat",
        "lnsMetric" | "lnsLegacyMetric" => "number",
        _ => return Err(format!("a Lens view of kind `{kind}` has no counterpart here")),
    };
    let sources = &state["datasourceStates"];
    let layers =
        [&sources["formBased"]["layers"], &sources["indexpattern"]["layers"]].into_iter().find_map(Value::as_object);
    let Some(layers) = layers else { return Err("its data come from a source that is not known here".to_owned()) };
    let mut panel = panel(&title(attributes), view);
    let mut left = Vec::new();
    if layers.len() > 1 {
        left.push("further layers".to_owned());
    }
    let id = layer["layerId"].as_str().or(visualization["layerId"].as_str());
    let layer_data = id.and_then(|id| layers.get(id)).or_else(|| layers.values().next()).unwrap_or(&Value::Null);
    let splits = [layer["splitAccessor"].as_str(), visualization["yAccessor"].as_str()];
    let order = layer_data["columnOrder"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut measured = false;
    for id in order {
        let column = &layer_data["columns"][id];
        let field = column["sourceField"].as_str().map(plain).unwrap_or_default();
        match column["operationType"].as_str().unwrap_or_default() {
            "date_histogram" => panel.interval_s = column["params"]["interval"].as_str().map_or(0, seconds),
            "terms" => split(&mut panel, field, splits.contains(&Some(id)), &mut left),
            operation => {
                let percent = serde_json::json!([column["params"]["percentile"]]);
                match measure_of(operation, &percent) {
                    Some(_) if measured => left.push(format!("a second figure ({operation} {field})")),
                    Some(measure) => {
                        measured = true;
                        (panel.measure, panel.field) =
                            (measure.to_owned(), if measure == "count" { String::new() } else { field });
                    }
                    None => left.push(format!("{operation} {field}")),
                }
            }
        }
    }
    let source = serde_json::json!({"query": state["query"], "filter": state["filters"]});
    left.extend(asked(&mut panel, &source));
    finished(panel, left)
}

/// Records are told apart by a field: the first says rows or curves, the second a heat map's columns.
fn split(panel: &mut Panel, field: String, is_rows: bool, left: &mut Vec<String>) {
    let is_heat = panel.view == "heat";
    match (panel.by.is_empty(), panel.across.is_empty()) {
        (true, true) if is_heat && !is_rows => panel.across = field,
        (true, _) => panel.by = field,
        (false, true) if is_heat => panel.across = field,
        _ => left.push(format!("a further split by {field}")),
    }
}

fn finished(panel: Panel, left: Vec<String>) -> Taken {
    if panel.view == "heat" && (panel.by.is_empty() || panel.across.is_empty()) {
        return Err("a heat map here has two fields whose values are counted".to_owned());
    }
    Ok((panel, left))
}

fn measure_of(operation: &str, percents: &Value) -> Option<&'static str> {
    Some(match operation {
        "count" => "count",
        "avg" | "average" => "avg",
        "sum" => "sum",
        "min" => "min",
        "max" => "max",
        "median" => "p50",
        "percentile" | "percentiles" => match percents[0].as_f64()?.round() as i64 {
            50 => "p50",
            95 => "p95",
            99 => "p99",
            _ => return None,
        },
        _ => return None,
    })
}

// Questions

/// What is asked, as a search source says it; what of it could not be taken.
fn asked(panel: &mut Panel, source: &Value) -> Vec<String> {
    let query = &source["query"];
    query["query"].as_str().unwrap_or_default().trim().clone_into(&mut panel.query);
    let language = if query["language"] == "lucene" { "lucene" } else { "kql" };
    language.clone_into(&mut panel.language);
    let mut left = Vec::new();
    for filter in source["filter"].as_array().into_iter().flatten() {
        match phrase(filter) {
            Some((field, value, not)) => {
                let not = match (not, language) {
                    (false, _) => "",
                    (true, "kql") => "not ",
                    (true, _) => "NOT ",
                };
                let and = if language == "kql" { "and" } else { "AND" };
                let clause = format!("{not}{field}:{value}");
                panel.query = if panel.query.is_empty() { clause } else { format!("({}) {and} {clause}", panel.query) };
            }
            None => left.push("a filter that is more than a value".to_owned()),
        }
    }
    left.dedup();
    left
}

/// A filter that asks for one value of a field, and whether it asks for all others.
fn phrase(filter: &Value) -> Option<(String, String, bool)> {
    if filter["meta"]["disabled"] == true {
        return None;
    }
    let query = filter["query"].as_object()?;
    let asked: &Map<String, Value> = ["match_phrase", "term"].iter().find_map(|kind| query.get(*kind))?.as_object()?;
    let (field, value) = asked.iter().next()?;
    let value = match value {
        Value::Object(inner) => inner.get("query").or_else(|| inner.get("value"))?,
        plain => plain,
    };
    let value = match value {
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    Some((plain(field), value, filter["meta"]["negate"] == true))
}

/// An interval in seconds; 0 for one that goes by the range.
fn seconds(interval: &str) -> u32 {
    let digits = interval.trim_end_matches(char::is_alphabetic);
    let number: u32 = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(0) };
    number.saturating_mul(match &interval[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => 0,
    })
}

// Texts

/// JSON that stands as a text in a member, or as it is.
fn embedded(value: &Value, name: &str) -> Value {
    match &value[name] {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    }
}

fn title(attributes: &Value) -> String {
    attributes["title"].as_str().unwrap_or_default().to_owned()
}

fn plain(field: &str) -> String {
    field.strip_suffix(".keyword").unwrap_or(field).to_owned()
}

/// A name of ours; `other` when there is none.
fn cut(name: &str, other: &str) -> String {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    if name.is_empty() { other.to_owned() } else { name }
}

fn note(object: &Object, fate: &'static str, text: &str) -> Note {
    let name = title(&object.attributes);
    let name = cut(&name, &object.id);
    Note { line: object.line, kind: object.kind.clone(), name, fate, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(kind: &str, id: &str, attributes: &Value, references: &Value) -> String {
        json!({"type": kind, "id": id, "attributes": attributes, "references": references}).to_string()
    }

    fn vis(title: &str, kind: &str, aggs: &Value, query: &str) -> Value {
        let source = json!({"query": {"query": query, "language": "kuery"}, "filter": []}).to_string();
        json!({
            "title": title,
            "visState": json!({"title": title, "type": kind, "aggs": aggs}).to_string(),
            "kibanaSavedObjectMeta": {"searchSourceJSON": source},
        })
    }

    #[test]
    fn the_four_views_of_the_tutorial_are_taken() {
        let rate = json!([{"type": "count", "schema": "metric", "params": {}},
            {"type": "date_histogram", "schema": "segment", "params": {"field": "@timestamp", "interval": "1m"}}]);
        let heat =
            json!({"layerId": "l", "shape": "heatmap", "xAccessor": "x", "yAccessor": "y", "valueAccessor": "v"});
        let columns = json!({
            "x": {"operationType": "terms", "sourceField": "model_name.keyword"},
            "y": {"operationType": "terms", "sourceField": "http_status"},
            "v": {"operationType": "average", "sourceField": "duration_ms"},
        });
        let lens = json!({
            "title": "Heat map", "visualizationType": "lnsHeatmap",
            "state": {
                "visualization": heat, "query": {"query": "kind: request", "language": "kuery"},
                "filters": [{"meta": {"negate": true}, "query": {"match_phrase": {"origin": "probe"}}}],
                "datasourceStates": {"formBased": {"layers": {"l": {"columns": columns, "columnOrder": ["x", "y", "v"]}}}},
            },
        });
        let search = json!({
            "title": "Efficiency", "columns": ["input_tokens", "token_efficiency"], "sort": [["token_efficiency", "asc"]],
            "kibanaSavedObjectMeta": {"searchSourceJSON": "{\"query\":{\"query\":\"token_efficiency:*\",\"language\":\"lucene\"}}"},
        });
        let panels = json!([
            {"panelRefName": "panel_2", "gridData": {"x": 0, "y": 15, "w": 48, "h": 12}},
            {"panelRefName": "panel_0", "gridData": {"x": 0, "y": 0, "w": 24, "h": 15}, "title": "Rate"},
            {"panelRefName": "panel_1", "gridData": {"x": 24, "y": 0, "w": 24, "h": 15}},
            {"panelRefName": "panel_3", "gridData": {"x": 0, "y": 30, "w": 8, "h": 4}},
        ]);
        let references = json!([
            {"name": "panel_0", "type": "visualization", "id": "rate"}, {"name": "panel_1", "type": "lens", "id": "heat"},
            {"name": "panel_2", "type": "search", "id": "efficiency"}, {"name": "panel_3", "type": "map", "id": "map"},
        ]);
        let board =
            json!({"title": "Clawdbot", "panelsJSON": panels.to_string(), "timeFrom": "now-1d", "timeTo": "now"});
        let text = [
            line("index-pattern", "p", &json!({"title": "clawdbot-*"}), &json!([])),
            line("visualization", "rate", &vis("Requests", "area", &rate, "kind: request"), &json!([])),
            line("lens", "heat", &lens, &json!([])),
            line("search", "efficiency", &search, &json!([])),
            line("map", "map", &json!({"title": "Where"}), &json!([])),
            line("visualization", "alone", &vis("Pie", "pie", &json!([]), ""), &json!([])),
            line("dashboard", "d", &board, &references),
            json!({"exportedCount": 7, "missingRefCount": 0}).to_string(),
        ]
        .join("\n");
        let read = read(&text).unwrap();
        let [board] = &read.dashboards[..] else { panic!("{:?}", read.dashboards) };
        assert_eq!((board.name.as_str(), board.from.as_str()), ("Clawdbot", "now-1d"));
        board.check().unwrap();
        let [rate, heat, table] = &board.panels[..] else { panic!("{:?}", board.panels) };
        assert_eq!((rate.title.as_str(), rate.view.as_str(), rate.interval_s, rate.width), ("Rate", "area", 60, 6));
        assert_eq!((heat.by.as_str(), heat.across.as_str()), ("http_status", "model_name"));
        assert_eq!((heat.measure.as_str(), heat.field.as_str()), ("avg", "duration_ms"));
        assert_eq!(heat.query, "(kind: request) and not origin:\"probe\"");
        assert_eq!((table.language.as_str(), table.sort.as_str(), table.width), ("lucene", "token_efficiency:asc", 12));
        let fates: Vec<_> = read.notes.iter().map(|note| (note.line, note.fate)).collect();
        let expected = [
            (1, "not taken"),
            (2, "taken"),
            (3, "taken"),
            (4, "taken"),
            (5, "not taken"),
            (6, "not taken"),
            (7, "changed"),
        ];
        assert_eq!(fates, expected);
        assert!(read.notes[6].text.contains("map map, which is not in the file or could not be taken"));
    }

    #[test]
    fn what_is_no_export_is_said_with_its_line() {
        assert_eq!(read("").err().unwrap(), "there is nothing in the file");
        assert!(read("{}\n").err().unwrap().starts_with("line 1: no saved object"));
        assert!(read("\nnonsense").err().unwrap().starts_with("line 2: no JSON"));
    }
}
