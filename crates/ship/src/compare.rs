//! Whether a cluster has what the journal has: each record's document once, by its id.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use tollhouse_journal::{JournalError, Line, Reader};

use crate::courier::blocking;
use crate::cursor::{Cursor, document_id, hash};
use crate::destination::Destination;
use crate::error::ShipError;
use crate::teller::{DEAD_LETTER, numbers, ranges};
use crate::trouble::{State, Trouble};

/// Records that are asked for at once.
const LINES_AT_ONCE: usize = 2_000;
/// Documents of a page: what a cluster gives at most without being told otherwise.
const PAGE_MAX: usize = 10_000;
/// Missing and doubled records that are named; all are counted.
const NAMED_MAX: usize = 1_000_000;

/// What a cluster has of the journal, up to the destination's cursor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Comparison {
    /// First and last record compared; nothing when there was none.
    pub compared: Option<(u64, u64)>,
    /// How many those were.
    pub records: u64,
    /// Of those, records whose document is there once.
    pub there: u64,
    /// Records whose document is not there and was not refused.
    pub missing: u64,
    /// Their numbers, as `3,7-9`.
    pub missing_seqs: String,
    /// Records whose document is there more than once.
    pub doubled: u64,
    /// Their numbers.
    pub doubled_seqs: String,
    /// Records whose document was refused, as dead letters in the journal say.
    pub dead_letters: u64,
    /// Documents with these numbers that are of another journal: of another node of the service, or an earlier one.
    pub others: u64,
    /// Records of the journal that are not shipped yet.
    pub behind: u64,
}

impl Comparison {
    /// Whether each record that was shipped is there once, or was refused with a dead letter.
    pub fn is_equal(&self) -> bool {
        self.missing == 0 && self.doubled == 0
    }
}

/// Compares the journal with a destination, up to the destination's cursor; also while both go on. `progress` is told
/// after each page how many records were compared.
pub async fn compare(
    destination: &Destination,
    service: &str,
    journal_file: &Path,
    cursor: Option<&Cursor>,
    progress: impl Fn(u64),
) -> Result<Comparison, ShipError> {
    let own = format!("{}-", service.to_lowercase());
    let cluster = |trouble| ShipError::Cluster { name: destination.name().to_owned(), trouble };
    destination.refresh().await.map_err(cluster)?;
    let end_seq = cursor.map_or(1, Cursor::next_seq);
    let mut tally = Tally::new(destination.name());
    let file = journal_file.to_owned();
    let mut reader = blocking(move || Reader::open(&file, None)).await?;
    loop {
        let (back, lines) = blocking(move || {
            let lines = next_lines(&mut reader);
            (reader, lines)
        })
        .await;
        reader = back;
        let lines = lines?;
        if lines.is_empty() {
            break;
        }
        let mut wanted: Vec<(u64, String)> = Vec::with_capacity(lines.len());
        for line in &lines {
            tally.note_dead_letters(&line.bytes);
            if line.seq < end_seq {
                wanted.push((line.seq, document_id(line.seq, &hash(&line.bytes))));
            } else {
                tally.comparison.behind += 1;
            }
        }
        // Where there are more documents of these numbers than fit on a page, fewer numbers are asked for.
        let mut parts: Vec<&[(u64, String)]> = vec![&wanted];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let found = page(destination, part).await.map_err(cluster)?;
            if found.len() >= PAGE_MAX && part.len() > 1 {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            } else {
                tally.count(part, &found, &own);
            }
        }
        progress(tally.comparison.records);
    }
    Ok(tally.result())
}

/// Lines in order; what is damaged has none.
fn next_lines(reader: &mut Reader) -> Result<Vec<Line>, JournalError> {
    let mut lines = Vec::new();
    loop {
        match reader.next_batch(LINES_AT_ONCE, &mut lines) {
            Ok(_) => return Ok(lines),
            Err(JournalError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Index and id of the documents that have these ids or numbers.
async fn page(destination: &Destination, wanted: &[(u64, String)]) -> Result<Vec<(String, String)>, Trouble> {
    let ids: Vec<&str> = wanted.iter().map(|(_, id)| id.as_str()).collect();
    let (first, last) = (wanted.first().map(|(seq, _)| seq), wanted.last().map(|(seq, _)| seq));
    let numbers = json!({"range": {"seq": {"gte": first, "lte": last}}});
    let body = json!({
        "size": PAGE_MAX,
        "_source": false,
        "track_total_hits": false,
        "query": {"bool": {"should": [{"ids": {"values": ids}}, numbers]}},
        "sort": ["_doc"],
    });
    let answer = destination.search(&body).await?;
    let failed = answer["_shards"]["failed"].as_u64().unwrap_or_default();
    let timed_out = answer["timed_out"].as_bool().unwrap_or_default();
    let (Some(hits), 0, false) = (answer["hits"]["hits"].as_array(), failed, timed_out) else {
        let text = "it found only a part: some shards did not answer";
        return Err(Trouble::new(State::Unreachable, text));
    };
    let text = |hit: &Value, name: &str| hit[name].as_str().unwrap_or_default().to_owned();
    Ok(hits.iter().map(|hit| (text(hit, "_index"), text(hit, "_id"))).collect())
}

/// Counts while the journal is read.
struct Tally {
    comparison: Comparison,
    destination: String,
    missing: BTreeSet<u64>,
    doubled: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

impl Tally {
    fn new(destination: &str) -> Self {
        Self {
            comparison: Comparison::default(),
            destination: destination.to_owned(),
            missing: BTreeSet::new(),
            doubled: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Remembers whose documents a line says were refused.
    fn note_dead_letters(&mut self, line: &[u8]) {
        let is_one = line.windows(DEAD_LETTER.len()).take(128).any(|part| part == DEAD_LETTER.as_bytes());
        if !is_one || self.refused.len() >= NAMED_MAX {
            return;
        }
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(line) else { return };
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("kind") != DEAD_LETTER || text("destination") != self.destination {
            return;
        }
        self.refused.extend(record.get("of_seq").and_then(Value::as_u64));
        self.refused.extend(numbers(text("of_seqs")));
    }

    /// `own`: how the names of the service's own indices begin.
    fn count(&mut self, wanted: &[(u64, String)], found: &[(String, String)], own: &str) {
        let ids: HashSet<&str> = wanted.iter().map(|(_, id)| id.as_str()).collect();
        let mut times: HashMap<&str, u32> = HashMap::with_capacity(ids.len());
        for (index, id) in found {
            if ids.contains(id.as_str()) {
                *times.entry(id).or_default() += 1;
            } else if index.starts_with(own) {
                self.comparison.others += 1;
            }
        }
        for (seq, id) in wanted {
            self.comparison.records += 1;
            let first = self.comparison.compared.map_or(*seq, |(first, _)| first);
            self.comparison.compared = Some((first, *seq));
            match times.get(id.as_str()).copied() {
                None => {
                    self.comparison.missing += 1;
                    if self.missing.len() < NAMED_MAX {
                        self.missing.insert(*seq);
                    }
                }
                Some(1) => self.comparison.there += 1,
                Some(_) => {
                    self.comparison.doubled += 1;
                    if self.doubled.len() < NAMED_MAX {
                        self.doubled.insert(*seq);
                    }
                }
            }
        }
    }

    fn result(mut self) -> Comparison {
        let refused: Vec<u64> = self.missing.intersection(&self.refused).copied().collect();
        for seq in &refused {
            self.missing.remove(seq);
        }
        let refused = refused.len() as u64;
        Comparison {
            missing: self.comparison.missing - refused,
            missing_seqs: ranges(self.missing),
            doubled_seqs: ranges(self.doubled),
            dead_letters: refused,
            ..self.comparison
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_doubled_and_refused_are_told_apart() {
        let mut tally = Tally::new("es");
        let wanted: Vec<(u64, String)> = (1..=8).map(|seq| (seq, format!("{seq}-a"))).collect();
        let found = ["gate-1 1-a", "gate-1 2-a", "gate-2 2-a", "gate-1 2-b", "gate-1 5-a", "app-1 8-a", "app-1 8-b"];
        let found = found.map(|hit| hit.split_once(' ').map(|(index, id)| (index.to_owned(), id.to_owned())).unwrap());
        tally.count(&wanted, &found, "gate-");
        for line in [
            r#"{"ts":"x","level":"error","kind":"dead_letter","destination":"es","of_seq":3}"#,
            r#"{"ts":"x","level":"error","kind":"dead_letter","destination":"other","of_seq":4}"#,
            r#"{"ts":"x","level":"error","kind":"dead_letter","destination":"es","of_seq":7,"of_seqs":"7"}"#,
            r#"{"ts":"x","level":"error","kind":"log","msg":"dead_letter","destination":"es","of_seq":6}"#,
        ] {
            tally.note_dead_letters(line.as_bytes());
        }
        let comparison = tally.result();
        assert!(!comparison.is_equal());
        assert_eq!(
            comparison,
            Comparison {
                compared: Some((1, 8)),
                records: 8,
                there: 3,
                missing: 2,
                missing_seqs: "4,6".to_owned(),
                doubled: 1,
                doubled_seqs: "2".to_owned(),
                dead_letters: 2,
                others: 1,
                behind: 0,
            }
        );
    }
}
