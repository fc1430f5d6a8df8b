//! The lines of one request become records, and are waited for until they are on the disk.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tollhouse_collect::formats::{Entry, Text};
use tollhouse_collect::http::{Line, Way};
use tollhouse_journal::{Appended, Journal, Record};

use super::CALLER;
use super::reply::Trouble;
use crate::collecting::came::Came;
use crate::collecting::record;
use crate::collecting::shaping::Shaping;

/// Records that are made before they are handed over.
const RECORDS_AT_ONCE: usize = 1_024;
/// How long written lines may wait for their fsync.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);

/// What one line or one record of a request says.
#[derive(Debug)]
pub(super) struct Sent {
    entry: Entry,
    /// As it came, and how it was read; nothing of a record of OpenTelemetry, which has no bytes of its own.
    line: Option<(Text, Way)>,
}

impl From<Line> for Sent {
    fn from(Line { entry, line, way }: Line) -> Self {
        Self { entry, line: Some((line, way)) }
    }
}

impl From<Entry> for Sent {
    fn from(entry: Entry) -> Self {
        Self { entry, line: None }
    }
}

/// Keeps lines; when this returns well, a loss of power does not take them any more.
pub(super) async fn keep(
    journal: &Journal,
    shaping: &Shaping,
    client: IpAddr,
    key_id: Option<&str>,
    lines: Vec<Sent>,
) -> Result<(), Trouble> {
    let peer = client.to_string();
    let mut last = None;
    let mut lines = lines.into_iter().peekable();
    let mut records = Vec::with_capacity(lines.len().min(RECORDS_AT_ONCE));
    while let Some(sent) = lines.next() {
        // Thousands may be there at once: others have their turn in between.
        consume_budget().await;
        let came = sent.line.as_ref().map(|(line, way)| Came { bytes: line.as_came(), form: (*way).into() });
        let shaped = shaping.record(CALLER, sent.entry, came.as_ref(), &[("peer", peer.as_str())], |record| {
            let record = record.field("peer", &peer);
            match key_id {
                Some(id) => record.field("key_id", id),
                None => record,
            }
        });
        // Who is not answered sends it again.
        records.extend(shaped.map(Record::comes_again));
        if records.len() == RECORDS_AT_ONCE || (lines.peek().is_none() && !records.is_empty()) {
            let Appended { seqs, error, .. } = journal.append_all(std::mem::take(&mut records)).await;
            if let Some(error) = error {
                return Err(Trouble::Unkept(error.to_string()));
            }
            last = seqs.last().copied().or(last);
        }
    }
    shaping.left_out(CALLER, false).into_iter().for_each(|told| record(journal, told));
    let Some(last) = last else { return Ok(()) };
    let mut synced = journal.synced();
    match tokio::time::timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= last)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Trouble::Unkept("the journal is closed".to_owned())),
        Err(_) => Err(Trouble::Unkept("the disk did not take them in time".to_owned())),
    }
}
