//! Syslog over TCP: framing by the first byte, and every line.

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tollhouse_collect::net::{ListenOptions, Wire};
use tollhouse_testkit::Dice;

use crate::common::{Collector, checksum, texts};

fn message(sender: usize, number: usize) -> String {
    format!(r#"<134>1 2026-01-27T08:00:00Z h{sender} gateway - - - {{"number":{number},"msg":"größer"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_messages_in_either_framing() {
    const SENDERS: usize = 4;
    const MESSAGES: usize = 50_000;
    let (collector, journal, keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let address = collector.address;
        senders.spawn(async move {
            let mut dice = Dice::new(sender as u64);
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let framed = |message: String| match sender % 2 {
                0 => format!("{message}\n"),
                _ => format!("{} {message}", message.len()),
            };
            let bytes: String = (0..MESSAGES).map(|number| framed(message(sender, number))).collect();
            let mut rest = bytes.as_bytes();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + dice.below(20_000)));
                stream.write_all(piece).await.unwrap();
                rest = after;
            }
            stream.shutdown().await.unwrap();
            crate::common::read_to_end(&mut stream).await;
        });
    }
    senders.join_all().await;
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    assert_eq!((counts.syslog_tcp, counts.confirmed, counts.unfinished), (200_000, 200_000, 0));
    let texts = texts(&journal);
    for sender in 0..SENDERS {
        let host = format!(" h{sender} ");
        let came = texts.iter().filter(|text| text.contains(&host));
        assert_eq!(checksum(came), checksum((0..MESSAGES).map(|number| message(sender, number))));
    }
}

#[tokio::test]
async fn a_line_arrives_without_the_next_one() {
    let (collector, journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut stream = collector.connect().await;
    for count in 1..4 {
        stream.write_all(b"<13>a\n").await.unwrap();
        collector.until(|counts| counts.confirmed == count).await;
    }
    assert!(journal.lock().unwrap().iter().all(|kept| kept.text == "<13>a" && kept.wire == Wire::SyslogTcp));
}

#[tokio::test]
async fn the_end_of_a_connection_is_the_end_of_a_line_but_not_of_a_count() {
    let (collector, journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
    collector.say(b"<13>a\n<13>b").await;
    collector.say(b"5 <13>c9 <13>d").await;
    collector.until(|counts| counts.confirmed == 3 && counts.unfinished == 1).await;
    assert_eq!(texts(&journal), ["<13>a", "<13>b", "<13>c"]);
}

#[tokio::test]
async fn long_messages_are_cut_and_counted() {
    let options = ListenOptions { syslog_bytes_max: 100, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let long = format!("<13>{}", "x".repeat(500_000));
    collector.say(format!("{long}\n<13>a\n").as_bytes()).await;
    collector.say(format!("{} {long}5 <13>b", long.len()).as_bytes()).await;
    let counts = collector.until(|counts| counts.confirmed == 4).await;
    let sizes: Vec<_> = journal.lock().unwrap().iter().map(|kept| (kept.text.len(), kept.left_out_bytes)).collect();
    assert_eq!(sizes, [(100, 499_904), (5, 0), (100, 499_904), (5, 0)]);
    assert_eq!(counts.cut, 2);
}
