//! A courier against a syslog server that goes away.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tollhouse_testkit::PATIENCE;

use super::{Bed, destination, settings};
use crate::{Courier, Kind, Settings, SyslogMessage};

fn of(way: &str, address: SocketAddr) -> Settings {
    Settings {
        kind: Kind::Syslog(SyslogMessage::Json),
        urls: vec![format!("{way}://{address}")],
        template: false,
        ..settings(address)
    }
}

/// The number of the record in a message.
fn seq(message: &str) -> u64 {
    let (_, rest) = message.split_once(" seq=\"").unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

/// Numbers of messages, read until one is this or a later one.
async fn until(stream: &mut BufReader<TcpStream>, last: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.last().is_none_or(|seq| *seq < last) {
        let mut length = Vec::new();
        timeout(PATIENCE, stream.read_until(b' ', &mut length)).await.unwrap().unwrap();
        let length: usize = String::from_utf8(length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        timeout(PATIENCE, stream.read_exact(&mut message)).await.unwrap().unwrap();
        seqs.push(seq(std::str::from_utf8(&message).unwrap()));
    }
    seqs
}

async fn accepted(listener: &TcpListener) -> BufReader<TcpStream> {
    BufReader::new(timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_gets_the_last_batch_again() {
    let bed = Bed::new(20).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let courier = Courier::start(destination(of("tcp", listener.local_addr().unwrap())), bed.book(), None);
    let mut first = accepted(&listener).await;
    // The last one tells that the destination is connected.
    let before = until(&mut first, 21).await;
    assert_eq!(before[..20], (1..=20).collect::<Vec<_>>());
    drop(first);
    bed.append(5).await;
    let mut second = accepted(&listener).await;
    let after = until(&mut second, 26).await;
    assert!(after[0] <= *before.last().unwrap(), "the last batch comes again: {before:?} {after:?}");
    assert!(after.is_sorted());
    let mut all = [before, after].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all[..26], (1..=26).collect::<Vec<_>>());
    let status = courier.status();
    assert_eq!((status.kind, status.dead_letters), ("syslog", 0));
    // It ends in order: what is written is read by then.
    let reading = tokio::spawn(async move { second.read_to_end(&mut Vec::new()).await });
    courier.stop().await;
    timeout(PATIENCE, reading).await.unwrap().unwrap().unwrap();
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_udp_each_record_is_a_datagram() {
    let bed = Bed::new(3).await;
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let courier = Courier::start(destination(of("udp", server.local_addr().unwrap())), bed.book(), None);
    for expected in 1..=3 {
        let mut message = vec![0; 65_536];
        let length = timeout(PATIENCE, server.recv(&mut message)).await.unwrap().unwrap();
        let message = std::str::from_utf8(&message[..length]).unwrap();
        assert!(message.starts_with("<134>1 "), "{message}");
        assert_eq!(seq(message), expected);
    }
    courier.stop().await;
    bed.close().await;
}
