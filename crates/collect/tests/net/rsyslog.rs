//! The real rsyslog: a file of 200,000 lines is read by imfile and forwarded to us as RFC 5424 over TCP.
//!
//! ```text
//! cargo test -p tollhouse-collect --test net -- --ignored rsyslog
//! ```

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tollhouse_collect::net::{ListenOptions, Sockets, listen};

use crate::common::{Collector, Journal, checksum, keep_all, texts};

const LINES: usize = 200_000;

fn line(number: usize) -> String {
    format!(r#"{{"level":"info","number":{number},"msg":"POST /v1/chat/completions 200","user_id":"größer 中文"}}"#)
}

/// An rsyslog in a folder of its own, ended when dropped.
struct Rsyslog(Child);

impl Rsyslog {
    fn start(folder: &Path, port: u16, framing: &str) -> Self {
        let folder = folder.display();
        let config = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imfile" mode="inotify")
input(type="imfile" File="{folder}/in.log" Tag="gateway" ruleset="forward" freshStartTail="off")
ruleset(name="forward" queue.type="linkedlist" queue.size="50000" queue.timeoutEnqueue="60000") {{
  action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
         TCP_Framing="{framing}" action.resumeRetryCount="-1" action.resumeInterval="1")
}}
"#
        );
        let path = format!("{folder}/rsyslog.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("rsyslogd");
        command.args(["-n", "-f", &path, "-i", &format!("{folder}/pid")]);
        Self(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("rsyslogd is installed"))
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The text of an RFC 5424 message of rsyslog: what follows its seven fields.
fn text(message: &str) -> &str {
    message.splitn(8, ' ').nth(7).unwrap()
}

fn write_lines(folder: &Path, numbers: std::ops::Range<usize>) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(folder.join("in.log")).unwrap();
    let lines: String = numbers.map(|number| line(number) + "\n").collect();
    file.write_all(lines.as_bytes()).unwrap();
}

fn assert_whole(journal: &Journal) {
    let expected = checksum((0..LINES).map(line));
    assert_eq!(checksum(texts(journal).iter().map(|message| text(message))), expected);
}

async fn forwarded(framing: &str) {
    let folder = tempfile::tempdir().unwrap();
    write_lines(folder.path(), 0..LINES);
    let (collector, journal, keeper) = Collector::keeping(ListenOptions::default()).await;
    let _rsyslog = Rsyslog::start(folder.path(), collector.address.port(), framing);
    while collector.listening.counts().confirmed < LINES as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    assert_eq!((counts.syslog_tcp, counts.cut, counts.unfinished), (LINES as u64, 0, 0));
    assert_whole(&journal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs rsyslog"]
async fn rsyslog_forwards_lines() {
    forwarded("traditional").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs rsyslog"]
async fn rsyslog_forwards_counted_messages() {
    forwarded("octet-counted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs rsyslog"]
async fn rsyslog_loses_nothing_while_we_are_restarted() {
    const RESTARTS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    write_lines(folder.path(), 0..1);
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let rsyslog = Rsyslog::start(folder.path(), address.port(), "traditional");
    let (to, from) = mpsc::channel(16);
    let journal = Journal::default();
    let keeper = tokio::spawn(keep_all(from, journal.clone()));
    let mut tcp = Some(first);
    let mut confirmed = 0;
    for round in 0..RESTARTS {
        let tcp = match tcp.take() {
            Some(tcp) => tcp,
            None => TcpListener::bind(address).await.unwrap(),
        };
        let listening = listen(Sockets { tcp, udp: None }, ListenOptions::default(), to.clone(), |_, _| {});
        let numbers = (1 + (LINES - 1) * round / RESTARTS)..(1 + (LINES - 1) * (round + 1) / RESTARTS);
        let most = numbers.end as u64;
        write_lines(folder.path(), numbers);
        // Somewhere in the middle of what was written, the last time at its end. Repeated lines may hide new ones.
        let is_enough = |confirmed: u64| match round + 1 {
            RESTARTS => journal.lock().unwrap().last().is_some_and(|last| last.text.ends_with(&line(LINES - 1))),
            _ => confirmed >= most - (most / RESTARTS as u64 / 2),
        };
        while !is_enough(confirmed + listening.counts().confirmed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let counts = listening.stop().await;
        assert_eq!(counts.unfinished, 0, "{counts:?}");
        confirmed += counts.confirmed;
    }
    drop((rsyslog, to));
    keeper.await.unwrap();
    // rsyslog repeats the batch in which it saw that we had left; each line has come, and in its first place in order.
    let mut came = HashSet::new();
    let texts = texts(&journal);
    let firsts = texts.iter().map(|message| text(message)).filter(|line| came.insert(*line));
    assert_eq!(checksum(firsts), checksum((0..LINES).map(line)));
    assert!(texts.len() < LINES + RESTARTS * 2_048, "{} doubled", texts.len() - LINES);
}
