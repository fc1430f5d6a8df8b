//! What a sender may not do, and how far a slow consumer is waited for.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tollhouse_collect::net::ListenOptions;

use crate::common::{Collector, keep_all, read_to_end, texts};

#[tokio::test]
async fn what_is_not_spoken_here_is_told() {
    for (bytes, name, text) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "unknown", "neither Beats nor syslog, but HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "unknown", "neither Beats nor syslog, but TLS"),
        (b"{\"a\":1}\n", "unknown", "neither Beats nor syslog, but JSON"),
        (b"2X", "broken", "lumberjack: unknown frame `2` `X`"),
        (b"2W\0\0\0\x01\0", "broken", ""),
        (b"2W\0\0\0\x01\0\x07", "broken", "lumberjack: unknown frame 0x00 0x07"),
        (b"2W\xff\0\0\0", "broken", "lumberjack: window of 4278190080 events, at most 1048576 are taken"),
        (b"2J\0\0\0\x01\0\0\0\0", "broken", "lumberjack: event outside of a window"),
        (b"2W\0\0\0\x012C\0\0\0\x02ab", "broken", "lumberjack: compressed frame is damaged"),
        (b"", "", ""),
        (b"1", "", ""),
    ] {
        let (collector, journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
        collector.say(bytes).await;
        collector.until(|counts| counts.connections == 1 && counts.open == 0).await;
        let told = collector.told.lock().unwrap().clone();
        if text.is_empty() {
            assert_eq!(told, [], "{bytes:?}");
        } else {
            assert_eq!(told, [(name, text.to_owned())], "{bytes:?}");
        }
        assert!(texts(&journal).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_may_be_silent_or_slow_for_ever() {
    for (bytes, name) in [
        (&b""[..], "silent"),
        (b"2", "silent"),
        (b"2W\0\0\0\x022J\0\0", "slow"),
        (b"2W\0\0\0\x022J\0\0\0\x01\0\0\0\0", "slow"),
        (b"<13>a", "slow"),
        (b"9 <13>a", "slow"),
        (b"<13>a\n", "idle"),
        (b"2W\0\0\0\x02", "idle"),
    ] {
        let (collector, _journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
        let mut stream = collector.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut closed = [0; 64];
        // With the clock paused, waiting costs no time, and the deadline of the test is no help.
        while tokio::io::AsyncReadExt::read(&mut stream, &mut closed).await.is_ok_and(|read| read > 0) {}
        drop(stream);
        let counts = collector.until(|counts| counts.open == 0).await;
        assert_eq!(counts.closed[name], 1, "{bytes:?} {counts:?}");
    }
}

#[tokio::test]
async fn an_address_holds_so_many_connections() {
    let options = ListenOptions { per_address_max: 2, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let mut first = collector.connect().await;
    let _second = collector.connect().await;
    collector.until(|counts| counts.open == 2).await;
    assert_eq!(read_to_end(&mut collector.connect().await).await, b"");
    assert_eq!(*collector.told.lock().unwrap(), [("too_many", "too many connections from this address".to_owned())]);
    first.write_all(b"<13>a\n").await.unwrap();
    first.shutdown().await.unwrap();
    read_to_end(&mut first).await;
    collector.until(|counts| counts.open == 1).await;
    collector.say(b"<13>b\n").await;
    collector.until(|counts| counts.confirmed == 2).await;
    assert_eq!(texts(&journal), ["<13>a", "<13>b"]);
}

#[tokio::test]
async fn connections_beyond_all_wait() {
    let options = ListenOptions { connections_max: 1, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let mut first = collector.connect().await;
    first.write_all(b"<13>a\n").await.unwrap();
    let mut second = collector.connect().await;
    second.write_all(b"<13>b\n").await.unwrap();
    collector.until(|counts| counts.confirmed == 1).await;
    assert_eq!(collector.listening.counts().connections, 1);
    first.shutdown().await.unwrap();
    collector.until(|counts| counts.confirmed == 2).await;
    assert_eq!(texts(&journal), ["<13>a", "<13>b"]);
}

#[tokio::test]
async fn while_the_consumer_is_behind_nothing_more_is_read() {
    let options = ListenOptions { batch_bytes_max: 100_000, unconfirmed_max: 2, ..ListenOptions::default() };
    let (collector, from) = Collector::start(options, 1).await;
    let line = format!("<13>{}\n", "x".repeat(10_000));
    let mut stream = collector.connect().await;
    let mut sent = 0;
    // The system's buffers on both sides take some megabytes, then it is over.
    while timeout(Duration::from_secs(1), stream.write_all(line.as_bytes())).await.is_ok_and(|sent| sent.is_ok()) {
        sent += 1;
        assert!(sent < 10_000, "a hundred megabytes were taken");
    }
    let counts = collector.listening.counts();
    assert!(counts.bytes <= 200_000, "{counts:?}");
    // Then it goes on where it was; the line that was being written when the time was over may be whole or not.
    let journal = crate::common::Journal::default();
    let _keeper = tokio::spawn(keep_all(from, journal.clone()));
    stream.shutdown().await.unwrap();
    read_to_end(&mut stream).await;
    collector.until(|counts| counts.open == 0 && counts.confirmed >= sent).await;
    let whole = texts(&journal).iter().filter(|text| text.len() == line.len() - 1).count() as u64;
    assert!(whole == sent || whole == sent + 1, "{whole} of {sent}");
}

#[tokio::test]
async fn many_large_batches_share_the_memory_and_all_arrive() {
    let options = ListenOptions { large_batches_max: 2, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let line = format!("<13>{}\n", "x".repeat(300_000));
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(collector.connect().await);
    }
    let sending = streams.into_iter().map(|mut stream| {
        let line = line.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                stream.write_all(line.as_bytes()).await.unwrap();
            }
            stream.shutdown().await.unwrap();
            read_to_end(&mut stream).await;
        })
    });
    for sending in sending.collect::<Vec<_>>() {
        sending.await.unwrap();
    }
    collector.until(|counts| counts.confirmed == 50).await;
    assert!(texts(&journal).iter().all(|text| text.len() == line.len() - 1));
}

#[tokio::test]
async fn who_may_not_send_is_not_heard() {
    let allow = vec!["127.0.0.2/32".parse().unwrap()];
    let (collector, journal, _keeper) = Collector::keeping(ListenOptions { allow, ..ListenOptions::default() }).await;
    collector.say(b"<13>1 - - - - - - from elsewhere\n").await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"<13>1 - - - - - - from elsewhere\n", collector.address).await.unwrap();
    let friend = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    friend.send_to(b"<13>1 - - - - - - from a friend\n", collector.address).await.unwrap();
    collector.until(|counts| counts.closed["not_allowed"] == 2 && counts.confirmed == 1).await;
    let friend = tokio::net::TcpSocket::new_v4().unwrap();
    friend.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut friend = friend.connect(collector.address).await.unwrap();
    friend.write_all(b"<13>1 - - - - - - from a friend\n").await.unwrap();
    collector.until(|counts| counts.confirmed == 2).await;
    assert_eq!(texts(&journal), ["<13>1 - - - - - - from a friend"; 2]);
    assert_eq!(*collector.told.lock().unwrap(), [("not_allowed", "address not allowed".to_owned())]);
}
