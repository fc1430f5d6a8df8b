//! An orderly end: what was begun is finished, and what is confirmed is acknowledged.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollhouse_collect::net::ListenOptions;
use tollhouse_testkit::{LumberjackClient, Packing, lumberjack_window};

use crate::common::{Collector, checksum, keep_all, read_to_end, texts};

#[tokio::test]
async fn batches_that_are_confirmed_late_are_still_acknowledged() {
    let (collector, mut from) = Collector::start(ListenOptions::default(), 4).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    client.send(&lumberjack_window(&["a", "b"], Packing::Plain)).await.unwrap();
    let received = from.recv().await.unwrap();
    let stopping = tokio::spawn(collector.listening.stop());
    // Stopping does not end before it is answered.
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    received.receipt.confirm();
    client.acknowledged(2).await.unwrap();
    assert_eq!(client.close().await.unwrap(), b"");
    assert_eq!(stopping.await.unwrap().confirmed, 2);
}

#[tokio::test]
async fn a_window_that_has_begun_may_end() {
    let (collector, journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    let window = lumberjack_window(&["a", "b", "c"], Packing::Plain);
    client.send(&window[..20]).await.unwrap();
    collector.until(|counts| counts.confirmed == 1).await;
    let stopping = tokio::spawn(collector.listening.stop());
    tokio::task::yield_now().await;
    client.send(&window[20..]).await.unwrap();
    client.acknowledged(3).await.unwrap();
    client.close().await.unwrap();
    stopping.await.unwrap();
    assert_eq!(texts(&journal), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_consumer_that_never_answers_is_not_waited_for_longer_than_the_drain() {
    let options = ListenOptions { drain: Duration::from_millis(300), ..ListenOptions::default() };
    let (collector, mut from) = Collector::start(options, 4).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    client.send(&lumberjack_window(&["a", "b"], Packing::Plain)).await.unwrap();
    let _received = from.recv().await.unwrap();
    let counts = collector.listening.stop().await;
    assert_eq!((counts.open, counts.acknowledgements), (0, 0));
    assert_eq!(client.acknowledged(2).await, Err(0));
}

#[tokio::test]
async fn a_sender_of_syslog_that_looks_before_it_writes_loses_nothing() {
    const MESSAGES: usize = 20_000;
    let (collector, journal, keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut stream = collector.connect().await;
    let (mut reader, mut writer) = stream.split();
    let mut sent = Vec::new();
    let mut listening = Some(collector.listening);
    let mut stopping = None;
    let mut end = [0; 1];
    for number in 0..MESSAGES {
        // As rsyslog does: has the other side closed?
        let is_closed = tokio::select! {
            biased;
            read = reader.read(&mut end) => read.is_ok_and(|read| read == 0),
            () = std::future::ready(()) => false,
        };
        if is_closed {
            break;
        }
        let line = format!("<13>{number}");
        writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        sent.push(line);
        if number == 1_000 {
            stopping = listening.take().map(|listening| tokio::spawn(listening.stop()));
        }
        if number > 1_000 {
            tokio::task::yield_now().await;
        }
    }
    drop(stream);
    stopping.unwrap().await.unwrap();
    keeper.await.unwrap();
    assert!(sent.len() > 1_000 && sent.len() < MESSAGES, "{}", sent.len());
    assert_eq!(checksum(texts(&journal)), checksum(sent));
}

#[tokio::test]
async fn a_connection_that_waits_to_be_accepted_is_served() {
    let (collector, from) = Collector::start(ListenOptions::default(), 4).await;
    // Nothing runs between these lines: the listener has not seen the connection when it is told to stop.
    let mut stream = std::net::TcpStream::connect(collector.address).unwrap();
    std::io::Write::write_all(&mut stream, b"<13>a\n").unwrap();
    let stopping = collector.listening.stop();
    let journal = crate::common::Journal::default();
    let keeper = tokio::spawn(keep_all(from, journal.clone()));
    let counts = stopping.await;
    keeper.await.unwrap();
    assert_eq!((counts.confirmed, texts(&journal)), (1, vec!["<13>a".to_owned()]));
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let (collector, _journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut silent = collector.connect().await;
    let mut idle = LumberjackClient::connect(collector.address).await;
    idle.send(&lumberjack_window(&["a"], Packing::Plain)).await.unwrap();
    idle.acknowledged(1).await.unwrap();
    collector.until(|counts| counts.open == 2).await;
    let (counts, rest) = tokio::join!(collector.listening.stop(), idle.close());
    assert_eq!((counts.open, rest.unwrap()), (0, Vec::new()));
    assert!(counts.closed.values().all(|closed| *closed == 0), "{counts:?}");
    assert_eq!(read_to_end(&mut silent).await, b"");
}
