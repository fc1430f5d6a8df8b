//! Beats: everything arrives, nothing is acknowledged that is not kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tollhouse_collect::net::{ListenOptions, Received};
use tollhouse_testkit::{Dice, LumberjackClient, Packing, lumberjack_window};

use crate::common::{Collector, checksum, keep, read_to_end, texts};

fn event(sender: usize, number: usize) -> String {
    format!(r#"{{"sender":{sender},"number":{number},"message":"GET /v1/chat 200 中文"}}"#)
}

/// Sender and number of an event.
fn parsed(text: &str) -> (usize, usize) {
    let numbers: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_events_arrive_whole_once_and_in_order() {
    const SENDERS: usize = 4;
    const EVENTS: usize = 50_000;
    const WINDOW: usize = 2_048;
    let (collector, journal, keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let address = collector.address;
        senders.spawn(async move {
            let packing = if sender % 2 == 0 { Packing::Plain } else { Packing::Compressed };
            let mut client = LumberjackClient::connect(address).await;
            let events: Vec<String> = (0..EVENTS).map(|number| event(sender, number)).collect();
            let windows: Vec<&[String]> = events.chunks(WINDOW).collect();
            // As Filebeat does, the next window is sent before the one before is acknowledged.
            client.send(&lumberjack_window(windows[0], packing)).await.unwrap();
            for (at, window) in windows.iter().enumerate() {
                if let Some(next) = windows.get(at + 1) {
                    client.send(&lumberjack_window(next, packing)).await.unwrap();
                }
                client.acknowledged(window.len()).await.unwrap();
            }
            assert_eq!(client.close().await.unwrap(), b"");
        });
    }
    senders.join_all().await;
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    let texts = texts(&journal);
    assert_eq!((counts.beats, counts.confirmed, texts.len()), (200_000, 200_000, 200_000));
    assert!(counts.closed.values().all(|closed| *closed == 0), "{counts:?}");
    for sender in 0..SENDERS {
        let head = format!("{{\"sender\":{sender},");
        let came = texts.iter().filter(|text| text.starts_with(&head));
        assert_eq!(checksum(came), checksum((0..EVENTS).map(|number| event(sender, number))));
    }
}

/// Keeps most batches a moment later, and refuses some.
async fn keep_moodily(mut from: mpsc::Receiver<Received>, kept: Arc<Mutex<HashMap<(usize, usize), u32>>>, seed: u64) {
    let mut dice = Dice::new(seed);
    while let Some(received) = from.recv().await {
        if dice.once_in(20) {
            received.receipt.refuse("the disk is full");
            continue;
        }
        if dice.once_in(3) {
            tokio::time::sleep(Duration::from_millis(dice.below(3) as u64)).await;
        }
        let mut kept = kept.lock().unwrap();
        for message in received.batch.messages() {
            *kept.entry(parsed(&String::from_utf8_lossy(message.bytes))).or_default() += 1;
        }
        drop(kept);
        received.receipt.confirm();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_and_refusals_lose_nothing() {
    const SENDERS: usize = 4;
    const EVENTS: usize = 50_000;
    let seed = 0x5044;
    let options = ListenOptions { batch_messages_max: 300, ..ListenOptions::default() };
    let (collector, from) = Collector::start(options, 4).await;
    let kept = Arc::new(Mutex::new(HashMap::new()));
    let keeper = tokio::spawn(keep_moodily(from, kept.clone(), seed));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (address, kept) = (collector.address, kept.clone());
        senders.spawn(async move {
            let mut dice = Dice::new(seed + 1 + sender as u64);
            let (mut done, mut sent, mut cuts) = (0, 0, 0);
            let mut client = LumberjackClient::connect(address).await;
            while done < EVENTS {
                let last = EVENTS.min(done + 1 + dice.below(2_048));
                let events: Vec<String> = (done..last).map(|number| event(sender, number)).collect();
                let window = lumberjack_window(&events, *dice.pick(&[Packing::Plain, Packing::Compressed]));
                sent += events.len();
                // The cable is pulled within the window, behind it, or not at all.
                let is_cut = dice.once_in(4);
                let bytes = if is_cut { dice.below(window.len() + 1) } else { window.len() };
                let acknowledged = match client.send(&window[..bytes]).await {
                    Ok(()) if !is_cut => match client.acknowledged(events.len()).await {
                        Ok(()) => Ok(events.len()),
                        Err(part) => Err(part),
                    },
                    Ok(()) | Err(_) => Err(0),
                };
                let (Ok(part) | Err(part)) = acknowledged;
                for number in done..done + part {
                    assert!(kept.lock().unwrap().contains_key(&(sender, number)), "{sender}/{number} was not kept");
                }
                done += part;
                if acknowledged.is_err() {
                    cuts += 1;
                    client = LumberjackClient::connect(address).await;
                }
            }
            (sent, cuts)
        });
    }
    let ended = senders.join_all().await;
    let (sent, cuts) = ended.into_iter().fold((0, 0), |(sent, cuts), one| (sent + one.0, cuts + one.1));
    let counts = collector.listening.stop().await;
    keeper.await.unwrap();
    let kept = kept.lock().unwrap();
    let expected: HashSet<_> =
        (0..SENDERS).flat_map(|sender| (0..EVENTS).map(move |number| (sender, number))).collect();
    assert_eq!(kept.keys().copied().collect::<HashSet<_>>(), expected, "seed {seed}");
    // What is there twice was sent twice, and some of it was: else this has shown nothing.
    let doubled: u32 = kept.values().map(|times| times - 1).sum();
    assert!(cuts > 20 && doubled > 0 && sent >= 200_000 + doubled as usize, "{cuts} {doubled} {sent}");
    assert!(counts.refused > 0 && counts.closed["refused"] > 0, "{counts:?}");
    assert_eq!(counts.beats, counts.confirmed + counts.refused);
}

#[tokio::test]
async fn a_large_window_is_acknowledged_in_parts() {
    let options = ListenOptions { batch_messages_max: 100, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    let events: Vec<String> = (0..1_050).map(|number| event(0, number)).collect();
    client.send(&lumberjack_window(&events, Packing::Compressed)).await.unwrap();
    for part in (100..=1_000).step_by(100).chain([1_050]) {
        assert_eq!(client.acknowledgement().await.unwrap(), part);
    }
    assert_eq!(texts(&journal), events);
}

#[tokio::test]
async fn a_window_that_fills_slowly_is_handed_over_as_it_comes() {
    let (collector, journal, _keeper) = Collector::keeping(ListenOptions::default()).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    let window = lumberjack_window(&["one", "two", "three"], Packing::Plain);
    let end_of_two = window.len() - "2J11112222three".len();
    client.send(&window[..end_of_two + 4]).await.unwrap();
    assert_eq!(client.acknowledgement().await.unwrap(), 2);
    client.send(&window[end_of_two + 4..]).await.unwrap();
    assert_eq!(client.acknowledgement().await.unwrap(), 3);
    assert_eq!(texts(&journal), ["one", "two", "three"]);
}

#[tokio::test]
async fn version_1_is_acknowledged_once_a_window() {
    let options = ListenOptions { batch_messages_max: 2, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    let pair = |sequence: u8| [&b"1D\0\0\0"[..], &[sequence], b"\0\0\0\x01\0\0\0\x04line\0\0\0\x01", b"x"].concat();
    let window = [b"1W\0\0\0\x05".to_vec(), (11..16).flat_map(pair).collect()].concat();
    client.send(&window).await.unwrap();
    let mut stream = client.into_inner();
    let mut answer = [0; 6];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.unwrap();
    assert_eq!(&answer, b"1A\0\0\0\x0f");
    assert_eq!(texts(&journal), [r#"{"line":"x"}"#; 5]);
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"", "no other acknowledgement");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_that_we_are_alive() {
    let options = ListenOptions { batch_messages_max: 2, ..ListenOptions::default() };
    let (collector, mut from) = Collector::start(options, 1).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    client.send(&lumberjack_window(&["a", "b", "c"], Packing::Plain)).await.unwrap();
    let first = from.recv().await.unwrap();
    assert_eq!([client.acknowledgement().await.unwrap(), client.acknowledgement().await.unwrap()], [0, 0]);
    first.receipt.confirm();
    assert_eq!(client.acknowledgement().await.unwrap(), 2);
    // A part that is acknowledged stays acknowledged.
    assert_eq!(client.acknowledgement().await.unwrap(), 2);
    let second = from.recv().await.unwrap();
    second.receipt.confirm();
    assert_eq!(client.acknowledgement().await.unwrap(), 3);
    // Said now, 3 would be taken for the next window's.
    client.send(&lumberjack_window(&["d", "e", "f"], Packing::Plain)).await.unwrap();
    assert_eq!(client.acknowledgement().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_refused_is_not_acknowledged_and_the_connection_closes() {
    let (collector, mut from) = Collector::start(ListenOptions::default(), 4).await;
    for is_dropped in [false, true] {
        let mut client = LumberjackClient::connect(collector.address).await;
        client.send(&lumberjack_window(&["a", "b"], Packing::Plain)).await.unwrap();
        let received = from.recv().await.unwrap();
        if is_dropped {
            drop(received);
        } else {
            received.receipt.refuse("the disk is full");
        }
        assert_eq!(client.acknowledged(2).await, Err(0));
    }
    let counts = collector.until(|counts| counts.closed["refused"] == 2).await;
    assert_eq!((counts.refused, counts.confirmed), (4, 0));
    // Of each reason one in ten seconds.
    assert_eq!(*collector.told.lock().unwrap(), [("refused", "messages were not kept: the disk is full".to_owned())]);
}

#[tokio::test]
async fn what_was_handed_over_before_the_sender_left_is_answered_for() {
    let (collector, mut from) = Collector::start(ListenOptions::default(), 4).await;
    let mut client = LumberjackClient::connect(collector.address).await;
    client.send(&lumberjack_window(&["a", "b"], Packing::Plain)).await.unwrap();
    // It has closed its side, and still reads.
    let closing = tokio::spawn(client.close());
    let received = from.recv().await.unwrap();
    let journal = crate::common::Journal::default();
    keep(&received, &journal);
    received.receipt.confirm();
    assert_eq!(closing.await.unwrap().unwrap(), b"2A\0\0\0\x02");
    assert_eq!(texts(&journal), ["a", "b"]);
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_not_sent_for_ever() {
    let options = ListenOptions { event_bytes_max: 1_000, ..ListenOptions::default() };
    let (collector, journal, _keeper) = Collector::keeping(options).await;
    for packing in [Packing::Plain, Packing::Compressed] {
        let mut client = LumberjackClient::connect(collector.address).await;
        let long = "x".repeat(3_000_000);
        client.send(&lumberjack_window(&["a", &long, "b"], packing)).await.unwrap();
        client.acknowledged(3).await.unwrap();
    }
    let kept = journal.lock().unwrap();
    let sizes: Vec<_> = kept.iter().map(|kept| (kept.text.len(), kept.left_out_bytes)).collect();
    assert_eq!(sizes, [(1, 0), (1_000, 2_999_000), (1, 0), (1, 0), (1_000, 2_999_000), (1, 0)]);
    assert_eq!(collector.listening.counts().cut, 2);
}
