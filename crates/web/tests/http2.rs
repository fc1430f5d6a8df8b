//! HTTP/2 by its raw frames (RFC 9113): what is served, what is refused, and how slow a client may be (attack catalogue, parts
//! B and C).

mod common;

use common::House;
use common::frames::*;
use tollhouse_web::ServeOptions;

async fn house() -> House {
    House::start(ServeOptions::default()).await
}

#[tokio::test]
async fn a_request_is_served() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    for stream in [1, 3] {
        client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/a", None))).await;
        let answer = client.stream(stream).await;
        // 0x88 is `:status: 200` of the static table.
        assert_eq!((answer[0].kind, answer[0].content[0]), (HEADERS, 0x88));
    }
    assert_eq!(house.served(), ["GET http://localhost/a "; 2]);
}

#[tokio::test]
async fn what_the_head_guard_refuses_is_refused_here_too() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    let heads = [
        get("/a/../b", None),
        get("/a%2fb", None),
        get("/a%00", None),
        get("/a", Some(("x_a", "b"))),
        get("/a", Some(("host", "elsewhere"))),
    ];
    for (number, head) in heads.iter().enumerate() {
        let stream = 1 + 2 * number as u32;
        client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, head)).await;
        let answer = client.stream(stream).await;
        // 0x8c is `:status: 400`.
        assert_eq!((answer[0].kind, answer[0].content[0]), (HEADERS, 0x8c), "{number}");
    }
    assert_eq!(house.served(), Vec::<String>::new());
}

#[tokio::test]
async fn fields_of_http1_and_a_wrong_length_end_the_stream() {
    let house = house().await;
    for field in [("connection", "close"), ("transfer-encoding", "chunked"), ("x", "a\r\nb"), ("X-Upper", "a")] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/a", Some(field)))).await;
        // A stream error, or one of the connection where the block cannot be decoded.
        let answer = client.stream(1).await;
        assert!(answer.first().is_none_or(|frame| frame.kind == RST_STREAM), "{field:?}");
    }
    let mut client = Client::connect(&house).await;
    client.raw.send(frame(HEADERS, END_HEADERS, 21, &get("/a", Some(("content-length", "3"))))).await;
    client.raw.send(frame(DATA, END_STREAM, 21, b"hello")).await;
    assert_eq!(client.stream(21).await.last().unwrap().kind, RST_STREAM);
    assert_eq!(house.served(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_is_let_go() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    let began = tokio::time::Instant::now();
    while client.frame().await.is_some() {}
    assert!(began.elapsed().as_secs() <= 16, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_keeps_its_window_shut_is_cut_off() {
    let options = ServeOptions { write_timeout: std::time::Duration::from_secs(5), ..ServeOptions::default() };
    let house = House::start(options).await;
    let mut client = Client::connect(&house).await;
    client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/large", None))).await;
    let mut taken = 0;
    while let Some(frame) = client.frame().await {
        taken += if frame.kind == DATA { frame.content.len() } else { 0 };
    }
    assert_eq!(taken, 65_535);
}

/// How much of this answer a client gets that makes room for so many bytes every four seconds, for ten minutes.
async fn taken_at(house: &House, path: &str, bytes: u32) -> usize {
    let mut client = Client::connect(house).await;
    client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get(path, None))).await;
    let mut taken = 0;
    let (mut rounds, mut next) = (0, tokio::time::Instant::now() + PAUSE);
    while rounds < 150 {
        match tokio::time::timeout_at(next, client.frame()).await {
            Ok(None) => break,
            Ok(Some(frame)) if frame.kind == DATA => taken += frame.content.len(),
            Ok(Some(_)) => {}
            Err(_) => {
                let room = bytes.to_be_bytes();
                client.raw.send([0, 1].map(|stream| frame(WINDOW_UPDATE, 0, stream, &room)).concat()).await;
                (rounds, next) = (rounds + 1, next + PAUSE);
            }
        }
    }
    taken
}

const PAUSE: std::time::Duration = std::time::Duration::from_secs(4);

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_waited_for_and_one_that_trickles_is_cut_off() {
    let options = ServeOptions { write_timeout: std::time::Duration::from_secs(20), ..ServeOptions::default() };
    let house = House::start(options).await;
    for path in ["/large", "/pieces"] {
        let all = 65_535 + 149 * 5 * 1024;
        assert!(taken_at(&house, path, 5 * 1024).await >= all, "{path}: a little faster than the slowest pace");
        let few = taken_at(&house, path, 512).await;
        assert!((65_535..65_535 + 512 * 20).contains(&few), "{path}: {few}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_ends_the_connection_and_a_slow_one_is_waited_for() {
    let house = house().await;
    for (bytes_per_second, passes) in [(1100, true), (500, false), (0, false)] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(HEADERS, END_HEADERS, 1, &get("/a", None))).await;
        let began = tokio::time::Instant::now();
        let mut is_open = true;
        for second in 1..=120 {
            let body = frame(DATA, if second == 120 { END_STREAM } else { 0 }, 1, &vec![b'x'; bytes_per_second]);
            if bytes_per_second > 0 && is_open {
                client.raw.send(body).await;
            }
            let until = began + std::time::Duration::from_secs(second);
            while let Ok(frame) = tokio::time::timeout_at(until, client.frame()).await {
                is_open = frame.is_some();
                if !is_open {
                    break;
                }
            }
            if !is_open {
                break;
            }
        }
        assert_eq!(is_open, passes, "{bytes_per_second}: {:?}", began.elapsed());
        assert!(passes || began.elapsed().as_secs() <= 30, "{bytes_per_second}: {:?}", began.elapsed());
    }
    assert_eq!(house.served().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_not_waited_for() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    client.raw.send(frame(HEADERS, END_HEADERS, 1, &get("/never", None))).await;
    for _ in 0..4 {
        client.raw.send(frame(DATA, 0, 1, &[b'x'; 15_000])).await;
    }
    let end = async { while client.frame().await.is_some() {} };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(60), end).await.is_err());
}
