//! Which searches make a story, one after the other.

use serde_json::{Map, Value, json};

use crate::joined::{Joined, REQUEST_ID_FIELDS, TRACE_ID_FIELDS};
use crate::story::Story;

/// Records of one request that are looked at; it leaves two of its own and the log lines that name it.
const RECORDS_MAX: usize = 200;
/// Lines of other programs that are told.
pub const LINES_MAX: usize = 500;
/// Requests around it that are looked at.
const NEIGHBOURS_MAX: usize = 1_000;
/// Longest request whose record is looked for after this one ended, in milliseconds.
const REACH_MS: f64 = 15.0 * 60.0 * 1_000.0;
/// A trace goes on over many requests: of its lines, those are looked at that were written so long before and after this one.
const TRACE_MARGIN_MS: f64 = 5.0 * 60.0 * 1_000.0;
/// Model servers write whole seconds, and some lines of a request when it has ended.
const TIME_MARGIN_MS: f64 = 1_000.0;
/// An id shorter than this says nothing where it stands in a text.
const ID_IN_TEXT_CHARS_MIN: usize = 8;
/// Records of the house itself that are looked at: alerts, restarts, samples of cards and memory.
const EVENTS_MAX: usize = 200;
/// So long before and after the request they count, in milliseconds: samples come every minute or so.
const EVENTS_MARGIN_MS: f64 = 60.0 * 1_000.0;
/// Requests before it that are looked at, where its model had to be loaded.
const BEFORE_MAX: usize = 50;
/// A load before it says what lies where, for so long, in milliseconds.
const LOADED_MS: f64 = 24.0 * 3_600.0 * 1_000.0;

/// What has to be known to tell of one request, and what is known already.
#[derive(Debug)]
pub struct Telling {
    id: String,
    server_sources: Vec<String>,
    step: Step,
    story: Option<Story>,
    /// The searches until now, by what each is for.
    searches: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// All that names it.
    Own,
    /// Lines of other programs.
    Lines,
    /// Other requests of its model server.
    Neighbours,
    /// What the house recorded meanwhile: alerts, restarts, samples.
    Events,
    /// What its model server did before.
    Before,
    /// What its model server said when it loaded a model last.
    Loaded,
    Done,
}

impl Step {
    fn next(self) -> Self {
        match self {
            Self::Own => Self::Lines,
            Self::Lines => Self::Neighbours,
            Self::Neighbours => Self::Events,
            Self::Events => Self::Before,
            Self::Before => Self::Loaded,
            Self::Loaded | Self::Done => Self::Done,
        }
    }

    /// What its search is called in what is told.
    fn name(self) -> &'static str {
        match self {
            Self::Own => "records",
            Self::Lines => "lines",
            Self::Neighbours => "neighbours",
            Self::Events => "events",
            Self::Before => "before",
            Self::Loaded => "loaded",
            Self::Done => "done",
        }
    }
}

impl Telling {
    /// Of the request with this id. `server_sources` are the sources that collect the lines of model servers: those have no
    /// ids, and are joined by time.
    pub fn new(request_id: &str, server_sources: &[String]) -> Self {
        let server_sources = server_sources.to_vec();
        Self { id: request_id.to_owned(), server_sources, step: Step::Own, story: None, searches: Map::new() }
    }

    /// The body of the next search over all records, whose answer [`Self::take`] wants; nothing when all is known.
    pub fn next_search(&mut self) -> Option<Value> {
        loop {
            let search = match (self.step, &self.story) {
                (Step::Own, _) => Some(self.own()),
                (Step::Done, _) | (_, None) => return None,
                (Step::Lines, Some(story)) => Some(self.lines(story)),
                (Step::Neighbours, Some(story)) => neighbours(story),
                (Step::Events, Some(story)) => events(story),
                (Step::Before, Some(story)) => before(story),
                (Step::Loaded, Some(story)) => self.loaded(story),
            };
            if let Some(search) = search {
                self.searches.insert(self.step.name().to_owned(), search.clone());
                return Some(search);
            }
            self.step = self.step.next();
        }
    }

    /// Takes the answer to the search that was wanted last.
    pub fn take(&mut self, mut answer: Value) {
        let total = answer["hits"]["total"]["value"].as_u64();
        let hits = answer["hits"]["hits"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let records: Vec<Value> = hits.into_iter().map(|mut hit| hit["_source"].take()).collect();
        match (self.step, &mut self.story) {
            (Step::Own, story) => *story = (!records.is_empty()).then(|| Story::new(&self.id, records)),
            (Step::Lines, Some(story)) => {
                let is_cut = total.is_some_and(|total| total > records.len() as u64);
                let trace_id = story.trace_id().map(str::to_owned);
                let joined = |record| Joined::new(record, &self.id, trace_id.as_deref());
                story.join(records.into_iter().map(joined).collect(), is_cut);
            }
            (Step::Neighbours, Some(story)) => story.meet(&records),
            (Step::Events, Some(story)) => story.happen(records),
            (Step::Before, Some(story)) => story.follow(&records),
            (Step::Loaded, Some(story)) => story.lie(records),
            (Step::Done, _) | (_, None) => {}
        }
        self.step = self.step.next();
    }

    /// The story; nothing when no record names the request.
    pub fn story(self) -> Option<Story> {
        self.story.map(|story| story.told_of(self.searches))
    }

    fn own(&self) -> Value {
        json!({
            "query": {"term": {"request_id": self.id}},
            "sort": [{"seq": "asc"}],
            "size": RECORDS_MAX,
        })
    }

    /// The search for how many layers of the model lie on the card, as its server said last.
    fn loaded(&self, story: &Story) -> Option<Value> {
        let (_, end_ms) = story.span_ms().filter(|_| story.writes_slowly() && !self.server_sources.is_empty())?;
        let (from, to) = ((end_ms - LOADED_MS) as i64, end_ms as i64);
        Some(json!({
            "query": {"bool": {"filter": [
                {"term": {"kind": "log"}},
                {"terms": {"source": self.server_sources}},
                {"range": {"@timestamp": {"gte": from, "lte": to, "format": "epoch_millis"}}},
                {"match_phrase": {"msg": "layers to GPU"}},
            ]}},
            "sort": [{"@timestamp": "desc"}],
            "size": 1,
        }))
    }

    /// One search for the lines of all sources that belong to it: they name it, or its trace, or were written by its model server
    /// while it ran and name nothing.
    fn lines(&self, story: &Story) -> Value {
        let mut any_of: Vec<Value> = REQUEST_ID_FIELDS.iter().map(|field| json!({"term": {*field: self.id}})).collect();
        if self.id.len() >= ID_IN_TEXT_CHARS_MIN {
            any_of.push(json!({"match_phrase": {"msg": self.id}}));
        }
        let span = story.span_ms();
        let within = |margin_ms: f64| {
            let (start_ms, end_ms) = span?;
            let (from, to) = ((start_ms - margin_ms).floor() as i64, (end_ms + margin_ms).ceil() as i64);
            Some(json!({"range": {"@timestamp": {"gte": from, "lte": to, "format": "epoch_millis"}}}))
        };
        if let Some((trace_id, within)) = story.trace_id().zip(within(TRACE_MARGIN_MS)) {
            let of_trace: Vec<Value> =
                TRACE_ID_FIELDS.iter().map(|field| json!({"term": {*field: trace_id}})).collect();
            any_of.push(json!({"bool": {"filter": [within], "should": of_trace, "minimum_should_match": 1}}));
        }
        if let Some(within) =
            within(TIME_MARGIN_MS).filter(|_| !self.server_sources.is_empty() && story.upstream().is_some())
        {
            // A line that names another request or trace is of that one.
            any_of.push(json!({"bool": {
                "filter": [within, {"terms": {"source": self.server_sources}}],
                "must_not": [{"exists": {"field": "request_id"}}, {"exists": {"field": "trace_id"}}],
            }}));
        }
        json!({
            "query": {"bool": {"filter": [{"term": {"kind": "log"}}], "should": any_of, "minimum_should_match": 1}},
            "sort": [{"@timestamp": "asc"}, {"seq": "asc"}],
            "size": LINES_MAX,
            "track_total_hits": true,
        })
    }
}

/// The search for what the house recorded around it: alerts, restarts of processes, samples, probes that found a trouble.
fn events(story: &Story) -> Option<Value> {
    let (start_ms, end_ms) = story.span_ms()?;
    let (from, to) = ((start_ms - EVENTS_MARGIN_MS) as i64, (end_ms + EVENTS_MARGIN_MS) as i64);
    Some(json!({
        "query": {"bool": {"filter": [
            {"terms": {"kind": ["alert", "process", "resource", "probe"]}},
            {"range": {"@timestamp": {"gte": from, "lte": to, "format": "epoch_millis"}}},
        ]}},
        "sort": [{"@timestamp": "asc"}, {"seq": "asc"}],
        "size": EVENTS_MAX,
    }))
}

/// The search for what ran on its model server before, where its model had to be loaded.
fn before(story: &Story) -> Option<Value> {
    let upstream = story.upstream().filter(|_| story.was_loaded())?;
    let (start_ms, _) = story.span_ms()?;
    Some(json!({
        "query": {"bool": {"filter": [
            {"term": {"kind": "request"}},
            {"term": {"upstream": upstream}},
            {"range": {"@timestamp": {"lte": start_ms as i64, "format": "epoch_millis"}}},
        ]}},
        "sort": [{"@timestamp": "desc"}],
        "size": BEFORE_MAX,
    }))
}

/// The search for other requests that ended on the same model server while this one ran or not long after.
fn neighbours(story: &Story) -> Option<Value> {
    let upstream = story.upstream()?;
    let (start_ms, end_ms) = story.span_ms()?;
    Some(json!({
        "query": {"bool": {"filter": [
            {"term": {"kind": "request"}},
            {"term": {"upstream": upstream}},
            {"range": {"@timestamp": {"gte": start_ms as i64, "lte": (end_ms + REACH_MS) as i64, "format": "epoch_millis"}}},
        ]}},
        "size": NEIGHBOURS_MAX,
    }))
}

/// What is given out to programs of a request that no record names.
pub fn not_found(request_id: &str) -> Value {
    json!({
        "request_id": request_id, "found": false, "records": [], "attempts": [], "lines": [], "neighbours": [], "phases": [],
        "verdict": null, "resources": {}, "lines_cut": false, "events": [], "queries": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn answered(mut telling: Telling, answers: &[Value]) -> (Vec<Value>, Option<Story>) {
        let mut searches = Vec::new();
        let mut answers = answers.iter();
        while let Some(search) = telling.next_search() {
            searches.push(search);
            let hits: Vec<Value> = answers.next().and_then(Value::as_array).cloned().unwrap_or_default();
            let total = hits.len().max(1);
            let hits: Vec<Value> = hits.into_iter().map(|record| json!({"_source": record})).collect();
            telling.take(json!({"hits": {"total": {"value": total}, "hits": hits}}));
        }
        (searches, telling.story())
    }

    fn ended(more: &Value) -> Value {
        let mut record = json!({
            "kind": "request", "request_id": "req-00000001", "@timestamp": "2026-01-27T10:00:10.000Z", "duration_ms": 1000.0,
            "http_status": 200, "attempts": 2, "upstream": "local", "model_name": "m", "seq": 7,
        });
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    }

    #[test]
    fn a_request_is_joined_with_lines_of_all_sources() {
        let line = |msg: &str, more: &Value| {
            let mut record = json!({"kind": "log", "msg": msg, "source": "s", "level": "info", "@timestamp": "2026-01-27T10:00:09.500Z"});
            for (name, value) in more.as_object().unwrap() {
                record[name] = value.clone();
            }
            record
        };
        let lines = json!([
            line("proxied", &json!({"sent_http_x_request_id": "req-00000001"})),
            line("turn", &json!({"trace_id": TRACE})),
            line("slot released", &json!({"source": "ollama"})),
        ]);
        let neighbours = json!([
            ended(&json!({"request_id": "req-00000002", "model_name": "other", "load_ms": 900.0})),
            ended(&json!({})),
        ]);
        let telling = Telling::new("req-00000001", &["ollama".to_owned()]);
        let (searches, story) = answered(telling, &[json!([ended(&json!({"trace_id": TRACE}))]), lines, neighbours]);
        assert_eq!(searches.len(), 4);
        let queries = story.as_ref().unwrap().to_json()["queries"].clone();
        assert_eq!(
            queries,
            json!({"records": searches[0], "lines": searches[1], "neighbours": searches[2], "events": searches[3]})
        );
        let query = searches[1].to_string();
        for part in [
            "match_phrase",
            TRACE,
            "\"terms\":{\"source\":[\"ollama\"]}",
            "\"gte\":1769508008000",
            "\"lte\":1769508011000",
        ] {
            assert!(query.contains(part), "{part}: {query}");
        }
        let told = story.unwrap().to_json();
        let by: Vec<&str> = told["lines"].as_array().unwrap().iter().map(|line| line["by"].as_str().unwrap()).collect();
        assert_eq!(by, ["request_id", "trace_id", "time"]);
        assert_eq!(told["lines"][1]["record"]["trace_id"], TRACE);
        assert_eq!(
            (&told["found"], &told["lines_cut"], told["attempts"].as_array().unwrap().len()),
            (&json!(true), &json!(false), 2)
        );
        assert_eq!(
            told["neighbours"],
            json!([{"request_id": "req-00000002", "model": "other", "upstream": "local", "start_ms": 0.0, "duration_ms": 1000.0}])
        );
    }

    #[test]
    fn what_cannot_be_known_is_not_searched_for() {
        let (searches, story) = answered(Telling::new("nobody", &[]), &[]);
        assert_eq!((searches.len(), story.is_none()), (1, true));
        assert_eq!(not_found("nobody")["found"], false);

        // It runs: there is no time to look at, and no server to look around at.
        let start =
            json!([{"kind": "request.start", "request_id": "req-00000001", "@timestamp": "2026-01-27T10:00:10.000Z"}]);
        let (searches, story) = answered(Telling::new("req-00000001", &["ollama".to_owned()]), &[start]);
        assert_eq!(searches.len(), 2);
        assert!(!searches[1].to_string().contains("range"));
        let story = story.unwrap();
        // The answer told of one more than it had.
        assert_eq!((story.verdict().cause, &story.to_json()["lines_cut"]), ("running", &json!(true)));
    }

    /// Each rule by a recorded case: `data/why.json`.
    #[test]
    fn each_rule_is_shown_by_a_recorded_case() {
        let cases: Value = serde_json::from_str(include_str!("data/why.json")).unwrap();
        let mut shown = std::collections::BTreeSet::new();
        for case in cases.as_array().unwrap() {
            let mut telling = Telling::new("req-00000001", &["ollama".to_owned()]);
            while telling.next_search().is_some() {
                let records = match telling.step {
                    Step::Own => json!([ended(&case["request"])]),
                    Step::Lines => case["lines"].clone(),
                    Step::Neighbours => case["neighbours"].clone(),
                    Step::Events => case["events"].clone(),
                    Step::Before => case["before"].clone(),
                    Step::Loaded => case["loaded"].clone(),
                    Step::Done => Value::Null,
                };
                let records = records.as_array().cloned().unwrap_or_default();
                let hits: Vec<Value> = records.into_iter().map(|record| json!({"_source": record})).collect();
                telling.take(json!({"hits": {"hits": hits}}));
            }
            let verdict = telling.story().unwrap().verdict();
            assert_eq!(
                (json!(verdict.cause), json!(verdict.name)),
                (case["cause"].clone(), case["rule"].clone()),
                "{}",
                case["case"]
            );
            for part in case["says"].as_array().into_iter().flatten() {
                assert!(verdict.text.contains(part.as_str().unwrap()), "{}: {}", case["case"], verdict.text);
            }
            shown.insert(verdict.name);
        }
        for rule in crate::verdict::RULES {
            assert!(shown.contains(rule), "no recorded case shows the rule {rule}");
            assert!(
                include_str!("../../../docs/causes.md").contains(&format!("`{rule}`")),
                "{rule} is not in docs/causes.md"
            );
        }
    }
}
