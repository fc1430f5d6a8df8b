//! Looks for lines at warning level of a kind that their source has not written before: each is told once.
//!
//! A source is learned in silence while it is younger than [`LEARNING_MS`] by the times of its own lines; afterwards each new
//! pattern becomes a record of kind `pattern`, which the rule `new-pattern` tells. What is known is kept in the same
//! transaction as the records that follow from it, so that none is lost and none comes twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollhouse_remote::Shelf;
use tollhouse_state::{AlertChanges, AlertIntent};

use crate::ask::{records, search};
use crate::error::WatchError;
use crate::patterns::Patterns;

/// Name of what is kept.
pub(crate) const PATTERN_MEMORY: &str = "patterns";
/// A source's lines say what is usual there for so long.
const LEARNING_MS: i64 = 3_600_000;
/// Lines that one look takes in.
const LINES_MAX: usize = 1_000;
/// Sources that are remembered: those whose lines came last.
const SOURCES_MAX: usize = 20;
/// Patterns of one source that are told within [`TOLD_TIME_MS`]; others are learned in silence.
const TOLD_MAX: usize = 10;
const TOLD_TIME_MS: i64 = 3_600_000;
/// So much of a line is told.
const LINE_CHARS_MAX: usize = 300;
/// Lines at warning level and above.
const QUERY: &str = "kind:log AND level:(warn OR error)";

/// What is known of all sources.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Miner {
    /// The last line that was taken in.
    seq: u64,
    sources: BTreeMap<String, Source>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Source {
    patterns: Patterns,
    /// The time of its first line.
    first_ms: i64,
    /// The number of its last line.
    last: u64,
    /// When patterns of it were told.
    told_ms: Vec<i64>,
}

impl Miner {
    /// What was kept.
    pub(crate) fn remember(kept: Option<&str>) -> Self {
        kept.and_then(|kept| serde_json::from_str(kept).ok()).unwrap_or_default()
    }

    /// Takes in the lines that came since the last look. Gives what is known then and what is to be kept, if there were any.
    pub(crate) async fn look(&self, shelf: &Shelf) -> Result<Option<(Self, AlertChanges)>, WatchError> {
        let filter = [json!({"query_string": {"query": QUERY}}), json!({"range": {"seq": {"gt": self.seq}}})];
        let body = json!({
            "size": LINES_MAX, "query": records(&filter), "sort": [{"seq": "asc"}],
            "_source": ["seq", "@timestamp", "source", "msg", "level"],
        });
        let answer = search(shelf, "new-pattern", &body).await?;
        let lines = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        if lines.is_empty() {
            return Ok(None);
        }
        let (mut miner, mut changes) = (self.clone(), AlertChanges::default());
        for hit in &lines {
            let line = &hit["_source"];
            let name = line["source"].as_str().unwrap_or_default();
            if !miner.sources.contains_key(name) {
                let first_ms = first_line(shelf, name).await?;
                miner.sources.insert(name.to_owned(), Source { first_ms, ..Source::default() });
            }
            if let Some(record) = miner.take(line) {
                changes.intents.push(AlertIntent { channel: String::new(), body: record });
            }
        }
        while miner.sources.len() > SOURCES_MAX {
            let Some(oldest) = miner.sources.iter().min_by_key(|(_, source)| source.last).map(|(name, _)| name.clone())
            else {
                break;
            };
            miner.sources.remove(&oldest);
        }
        changes.memory.push((PATTERN_MEMORY.to_owned(), serde_json::to_string(&miner).unwrap_or_default()));
        Ok(Some((miner, changes)))
    }

    /// Takes in a line; the record that tells its pattern when that is new.
    fn take(&mut self, line: &Value) -> Option<String> {
        let seq = line["seq"].as_u64()?;
        self.seq = self.seq.max(seq);
        let name = line["source"].as_str().unwrap_or_default();
        let at_ms = line["@timestamp"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        let source = self.sources.get_mut(name)?;
        source.last = seq;
        let msg = line["msg"].as_str()?;
        let pattern = source.patterns.take(msg)?;
        source.told_ms.retain(|told| (at_ms - TOLD_TIME_MS..=at_ms).contains(told));
        if at_ms - source.first_ms < LEARNING_MS || source.told_ms.len() >= TOLD_MAX {
            return None;
        }
        source.told_ms.push(at_ms);
        let shown: String = msg.chars().take(LINE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let fields = json!({
            "source": name, "pattern": pattern, "line": shown, "line_seq": seq, "line_level": line["level"],
        });
        Some(
            json!({"kind": "pattern", "event": "new", "msg": format!("a new kind of line: {shown}"), "fields": fields})
                .to_string(),
        )
    }
}

/// When the first line of a source was written, as far as lines are kept.
async fn first_line(shelf: &Shelf, source: &str) -> Result<i64, WatchError> {
    let filter = [json!({"term": {"kind": "log"}}), json!({"term": {"source": source}})];
    let aggs = json!({"first": {"min": {"field": "@timestamp"}}});
    let body = json!({"size": 0, "query": records(&filter), "aggs": aggs});
    let answer = search(shelf, "new-pattern", &body).await?;
    Ok(answer["aggregations"]["first"]["value"].as_f64().map_or(i64::MAX / 2, |first| first as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, minute: i64, msg: &str) -> Value {
        let at = jiff::Timestamp::from_millisecond(minute * 60_000).unwrap().to_string();
        json!({"seq": seq, "@timestamp": at, "source": "app", "level": "warn", "msg": msg})
    }

    #[test]
    fn a_new_pattern_is_told_once_and_not_while_a_source_is_learned() {
        let mut miner = Miner::default();
        miner.sources.insert("app".into(), Source::default());
        assert_eq!(miner.take(&line(1, 1, "cache miss for key 7")), None, "learned");
        assert_eq!(miner.take(&line(2, 90, "cache miss for key 8")), None, "known");
        let told = miner.take(&line(3, 91, "certificate of upstream will end soon")).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((told["kind"].as_str(), told["fields"]["line_seq"].as_u64()), (Some("pattern"), Some(3)));
        assert_eq!(miner.take(&line(4, 92, "certificate of upstream will end soon")), None);
        let kept = serde_json::to_string(&miner).unwrap();
        let mut again = Miner::remember(Some(&kept));
        assert_eq!(again.seq, 4);
        assert_eq!(again.take(&line(5, 93, "certificate of upstream will end soon")), None, "after a restart");
        // A flood of new things is told in part, and learned as a whole.
        let flood: Vec<String> = ('a'..='z').map(|c| format!("{c}{c}{c} went wrong quite badly")).collect();
        let told = flood.iter().enumerate().filter_map(|(n, text)| again.take(&line(6 + n as u64, 94, text)));
        assert_eq!(told.count(), TOLD_MAX - 1);
    }
}
