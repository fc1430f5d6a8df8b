//! The task of a source: messages become records, and a batch is confirmed when its last record is on the disk.
//!
//! While it waits for that, the next batches are written, so that many small ones share an fsync. When the journal is slow,
//! the task waits, its channel fills, and the senders wait; nothing of the gate does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use tokio::sync::{mpsc, watch};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tollhouse_collect::formats;
use tollhouse_collect::net::{Batch, Message, Receipt, Received, Transport, Wire};
use tollhouse_journal::{Appended, Journal, JournalError, Record};

use crate::collecting::came::{Came, Form};
use crate::collecting::shaping::Shaping;

/// Records that are made before they are handed over.
const RECORDS_AT_ONCE: usize = 1_024;
/// Batches of a source that are written and wait for their fsync.
const UNSYNCED_MAX: usize = 1_024;
/// How long a written batch may wait for its fsync. After one that failed, the journal writes and syncs again.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);
/// Where these records come from.
pub(super) const CALLER: &str = "collect/listen";

/// Keeps what comes of one source.
pub(super) struct Keeping {
    shaping: Arc<Shaping>,
    journal: Journal,
    from: mpsc::Receiver<Received>,
    synced: watch::Receiver<u64>,
    unsynced: VecDeque<Written>,
}

/// A batch that is in the journal, perhaps not on the disk.
struct Written {
    /// Of its last record.
    seq: u64,
    /// When waiting ends.
    until: Instant,
    receipt: Receipt,
}

impl Keeping {
    /// Keeps what comes by `from`, until that is closed.
    pub(super) fn new(shaping: Arc<Shaping>, journal: Journal, from: mpsc::Receiver<Received>) -> Self {
        let synced = journal.synced();
        Self { shaping, journal, from, synced, unsynced: VecDeque::new() }
    }

    /// Ends when nothing more comes and everything was answered.
    pub(super) async fn run(mut self) {
        let mut is_open = true;
        while is_open || !self.unsynced.is_empty() {
            let oldest = self.unsynced.front().map(|written| (written.seq, written.until));
            let tell = self.shaping.due();
            tokio::select! {
                received = self.from.recv(), if is_open && self.unsynced.len() < UNSYNCED_MAX => match received {
                    Some(received) => self.keep(received).await,
                    None => is_open = false,
                },
                answer = on_disk(&mut self.synced, oldest), if oldest.is_some() => self.answer(answer),
                () = sleep_until(tell.unwrap_or_else(Instant::now)), if tell.is_some() => self.tell_left_out(false),
            }
        }
        self.tell_left_out(true);
    }

    /// Tells of lines that were left out, if the journal takes it now.
    fn tell_left_out(&self, all: bool) {
        self.shaping.left_out(CALLER, all).into_iter().for_each(|record| super::record(&self.journal, record));
    }

    async fn keep(&mut self, received: Received) {
        let Received { transport, batch, receipt } = received;
        match self.append(&batch, &transport).await {
            Ok(seq) => self.unsynced.push_back(Written { seq, until: Instant::now() + SYNC_TIME_MAX, receipt }),
            Err(error) => {
                tracing::error!(error = %error, source = self.shaping.source(), "keeping collected lines");
                receipt.refuse(error.to_string());
            }
        }
    }

    /// Appends all of a batch in order, and gives the number of its last record.
    async fn append(&self, batch: &Batch, transport: &Transport) -> Result<u64, JournalError> {
        let now = Zoned::now();
        // Who is not answered sends it again; a datagram is gone.
        let comes_again = !matches!(transport.wire, Wire::SyslogUdp);
        let mut last = 0;
        let mut records = Vec::with_capacity(RECORDS_AT_ONCE);
        let mut messages = batch.messages().peekable();
        while let Some(message) = messages.next() {
            // Thousands of lines may be there at once: others have their turn in between.
            consume_budget().await;
            if let Some(record) = record(&self.shaping, transport, message, &now) {
                records.push(if comes_again { record.comes_again() } else { record });
            }
            if records.len() == RECORDS_AT_ONCE || (messages.peek().is_none() && !records.is_empty()) {
                let Appended { seqs, error, .. } = self.journal.append_all(std::mem::take(&mut records)).await;
                if let Some(error) = error {
                    return Err(error);
                }
                last = seqs.last().copied().unwrap_or(last);
            }
        }
        Ok(last)
    }

    /// Confirms what is on the disk; on an error, the oldest batch is refused.
    fn answer(&mut self, answer: Result<u64, &'static str>) {
        match answer {
            Ok(synced) => {
                while self.unsynced.front().is_some_and(|written| written.seq <= synced) {
                    self.unsynced.pop_front().into_iter().for_each(|written| written.receipt.confirm());
                }
            }
            Err(why) => self.unsynced.pop_front().into_iter().for_each(|written| written.receipt.refuse(why)),
        }
    }
}

/// Waits until the line of this number is on the disk, but not for ever, and says how far the disk has come.
async fn on_disk(synced: &mut watch::Receiver<u64>, line: Option<(u64, Instant)>) -> Result<u64, &'static str> {
    let Some((seq, until)) = line else { return std::future::pending().await };
    tokio::select! {
        reached = synced.wait_for(|synced| *synced >= seq) => reached.map(|reached| *reached).map_err(|_| "the journal is closed"),
        () = sleep_until(until) => Err("the disk did not take them in time"),
    }
}

/// The record of a message; nothing when it is left out.
fn record(shaping: &Shaping, transport: &Transport, message: Message<'_>, now: &Zoned) -> Option<Record> {
    let bytes = if message.left_out_bytes > 0 { whole_characters(message.bytes) } else { message.bytes };
    let mut entry = match transport.wire {
        Wire::Beats => formats::beats(bytes),
        Wire::SyslogTcp | Wire::SyslogUdp => formats::syslog(bytes, now),
    };
    entry.is_cut |= message.left_out_bytes > 0;
    let peer = message.peer.ip().to_canonical().to_string();
    let form = if transport.wire == Wire::Beats { Form::Event } else { Form::Message };
    let came = Came { bytes, form };
    shaping.record(CALLER, entry, Some(&came), &[("peer", peer.as_str())], |mut record| {
        record = record.field("peer", &peer);
        if let Some(certificate) = &transport.certificate_sha256 {
            record = record.field("certificate_sha256", certificate);
        }
        if message.left_out_bytes > 0 {
            record = record.field("left_out_bytes", message.left_out_bytes);
        }
        record
    })
}

/// Bytes without the character that was cut at their end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    const CHARACTER_BYTES_MAX: usize = 4;
    let from = bytes.len().saturating_sub(CHARACTER_BYTES_MAX - 1);
    let begun = (from..bytes.len()).rev().find(|at| bytes[*at] >= 0xc0);
    match begun {
        Some(at) if std::str::from_utf8(&bytes[at..]).is_err_and(|error| error.error_len().is_none()) => &bytes[..at],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use serde_json::{Map, Value, json};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::spawn_blocking;
    use tollhouse_collect::net::{ListenOptions, Listening, Sockets, listen};
    use tollhouse_journal::{Opened, Options, Reader, Sync, Writer};

    use super::*;

    /// A listener whose messages are kept in a journal of its own.
    struct Kept {
        address: SocketAddr,
        listening: Listening,
        keeping: tokio::task::JoinHandle<()>,
        writer: Writer,
    }

    async fn keep(file: &Path, sync: Sync) -> Kept {
        let Opened { journal, writer, .. } = Journal::open(Options { sync, ..Options::new(file, "s") }).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let (to, from) = mpsc::channel(4);
        let listening = listen(Sockets { tcp, udp: None }, ListenOptions::default(), to, |_, _| {});
        let keeping = tokio::spawn(Keeping::new(network(), journal, from).run());
        Kept { address, listening, keeping, writer }
    }

    fn network() -> Arc<Shaping> {
        Arc::new(Shaping::new("network", watch::channel(Arc::default()).1))
    }

    fn kept_lines(file: &Path) -> Vec<Map<String, Value>> {
        let mut lines = Vec::new();
        let mut reader = Reader::open(file, None).unwrap();
        while reader.next_batch(1_000, &mut lines).unwrap() > 0 {}
        lines.iter().map(|line| serde_json::from_slice(&line.bytes).unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_confirmed_is_in_the_journal_and_in_order() {
        const LINES: usize = 3_000;
        for sync in [Sync::Within(Duration::from_millis(20)), Sync::Each] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("gateway.log");
            let Kept { address, listening, keeping, writer } = keep(&file, sync).await;
            let messages: Vec<String> = (0..LINES).map(|number| format!("<13>1 - - - - - - {number}\n")).collect();
            let mut sender = TcpStream::connect(address).await.unwrap();
            sender.write_all(messages.concat().as_bytes()).await.unwrap();
            drop(sender);
            let counts = listening.stop().await;
            keeping.await.unwrap();
            assert_eq!((counts.confirmed, counts.refused), (LINES as u64, 0));
            spawn_blocking(move || writer.close()).await.unwrap().unwrap();
            let numbers: Vec<usize> =
                kept_lines(&file).iter().map(|line| line["msg"].as_str().unwrap().parse().unwrap()).collect();
            assert_eq!(numbers, (0..LINES).collect::<Vec<_>>(), "{sync:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_closed_journal_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let Kept { address, listening, keeping, writer } =
            keep(&dir.path().join("gateway.log"), Sync::Within(Duration::ZERO)).await;
        spawn_blocking(move || writer.close()).await.unwrap().unwrap();
        let mut sender = TcpStream::connect(address).await.unwrap();
        sender.write_all(b"<13>1 - - - - - - x\n").await.unwrap();
        let counts = listening.stop().await;
        keeping.await.unwrap();
        assert_eq!((counts.confirmed, counts.refused, counts.closed["refused"]), (0, 1, 1));
    }

    #[test]
    fn a_message_becomes_a_record() {
        let transport =
            Transport { wire: Wire::SyslogTcp, is_encrypted: true, certificate_sha256: Some("ab12".to_owned()) };
        let peer = "[::ffff:10.0.0.7]:5044".parse().unwrap();
        let message = Message {
            bytes: b"<11>1 2026-01-27T10:20:30Z web1 gw - - - {\"msg\":\"a\",\"status\":200,\"seq\":9,\"x\":\"\xff\"}",
            left_out_bytes: 0,
            peer,
        };
        let cut = Message { bytes: b"<13>1 - - - - - - a\xe4\xb8", left_out_bytes: 7, peer };
        let now = Zoned::now();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        let Opened { journal, writer, .. } = Journal::open(Options::new(&file, "s")).unwrap();
        for message in [message, cut] {
            journal.enqueue(record(&network(), &transport, message, &now).unwrap()).unwrap();
        }
        writer.close().unwrap();
        let mut lines = kept_lines(&file);
        for line in &mut lines {
            for name in ["ts", "prev"] {
                line.shift_remove(name);
            }
        }
        let syslog = |severity: &str| json!({"syslog": {"facility": {"name": "user"}, "severity": {"name": severity}}});
        assert_eq!(
            Value::from(lines[0].clone()),
            json!({
                "level": "error", "kind": "log", "msg": "a", "caller": "collect/listen", "service": "s",
                "source": "network", "time": "2026-01-27T10:20:30.000Z", "peer": "10.0.0.7", "certificate_sha256": "ab12",
                "utf8": false, "status": 200, "own_seq": 9, "x": "\\xff", "host": {"name": "web1"},
                "process": {"name": "gw"}, "log": syslog("err"), "seq": 1,
            })
        );
        assert_eq!(
            Value::from(lines[1].clone()),
            json!({
                "level": "info", "kind": "log", "msg": "a", "caller": "collect/listen", "service": "s",
                "source": "network", "peer": "10.0.0.7", "certificate_sha256": "ab12", "cut": true, "left_out_bytes": 7,
                "log": syslog("notice"), "seq": 2,
            })
        );
    }

    #[test]
    fn a_character_that_was_cut_is_left_out() {
        for (bytes, whole) in [
            (&b"a\xe4\xb8"[..], &b"a"[..]),
            (b"a\xe4", b"a"),
            (b"a\xf0\x9f\x98", b"a"),
            ("a中".as_bytes(), "a中".as_bytes()),
            (b"a\xff", b"a\xff"),
            (b"a", b"a"),
            (b"", b""),
        ] {
            assert_eq!(whole_characters(bytes), whole);
        }
    }
}
