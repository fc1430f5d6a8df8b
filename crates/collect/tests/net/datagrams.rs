//! Syslog over UDP: one datagram, one message, and drops that are counted.

use tokio::net::UdpSocket;
use tollhouse_collect::net::{ListenOptions, Wire};

use crate::common::{Collector, keep_all};

#[tokio::test]
async fn each_datagram_is_a_message_with_its_sender() {
    let (collector, mut from) = Collector::start(ListenOptions::default(), 4).await;
    let senders = [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
    for (sender, text) in [(0, "<13>a\n"), (1, "<13>b\nc"), (0, "")] {
        senders[sender].send_to(text.as_bytes(), collector.address).await.unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 2 {
        let received = from.recv().await.unwrap();
        assert_eq!(received.transport.wire, Wire::SyslogUdp);
        came.extend(received.batch.messages().map(|message| (message.bytes.to_vec(), message.peer)));
        received.receipt.confirm();
    }
    let expected = [
        (b"<13>a".to_vec(), senders[0].local_addr().unwrap()),
        (b"<13>b\nc".to_vec(), senders[1].local_addr().unwrap()),
    ];
    assert_eq!(came, expected);
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let options = ListenOptions { datagrams_max: 10, ..ListenOptions::default() };
    let (collector, from) = Collector::start(options, 1).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Few enough for the system to hold them all.
    for number in 0..100 {
        sender.send_to(format!("<13>{number}").as_bytes(), collector.address).await.unwrap();
    }
    // One batch was handed over and is not answered, the next one is full.
    let counts = collector.until(|counts| counts.syslog_udp + counts.dropped >= 90).await;
    assert!(counts.syslog_udp <= 10 && counts.dropped >= 80, "{counts:?}");
    let journal = crate::common::Journal::default();
    let keeper = tokio::spawn(keep_all(from, journal.clone()));
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    assert_eq!(counts.confirmed + counts.dropped, 100, "{counts:?}");
    assert_eq!(journal.lock().unwrap().len() as u64, counts.confirmed);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_the_system_drops_is_counted_too() {
    const DATAGRAMS: usize = 50_000;
    let (collector, journal, keeper) = Collector::keeping(ListenOptions::default()).await;
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.until(|counts| counts.open == 0).await;
    // Nothing else runs between these: nobody reads.
    for number in 0..DATAGRAMS {
        sender.send_to(format!("<13>{number:0500}").as_bytes(), collector.address).unwrap();
    }
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    assert!(counts.dropped_by_system > 0, "{counts:?}");
    assert_eq!(counts.confirmed + counts.dropped + counts.dropped_by_system, DATAGRAMS as u64, "{counts:?}");
    assert_eq!(journal.lock().unwrap().len() as u64, counts.confirmed);
}
