//! HTTP/2 clients that make a server work for nothing (attack catalogue, 26 to 29): each connection ends, others go on.

mod common;

use common::frames::*;
use common::{House, Served};
use tollhouse_web::ServeOptions;

const PRIORITY: u8 = 2;
const PADDED: u8 = 8;

async fn house() -> House {
    House::start(ServeOptions::default()).await
}

/// Another client is served as if nothing had been.
async fn goes_on(house: &House) {
    let mut good = Client::connect(house).await;
    good.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/a", None))).await;
    assert_eq!(good.stream(1).await[0].content[0], 0x88);
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    let mut flood = Vec::new();
    for number in 0..5_000_u32 {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * number, &get("/never", None)));
        flood.extend(frame(RST_STREAM, 0, 1 + 2 * number, &8_u32.to_be_bytes()));
    }
    client.raw.send(flood).await;
    assert_eq!(client.goodbye().await, Some(ENHANCE_YOUR_CALM));
    let mut good = Client::connect(&house).await;
    good.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/a", None))).await;
    assert_eq!(good.stream(1).await[0].content[0], 0x88);
}

#[tokio::test]
async fn resets_at_a_pace_that_h2_does_not_mind_end_the_connection_too() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    for number in 0..101_u32 {
        let stream = 1 + 2 * number;
        client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/never", None))).await;
        common::until("the request", || {
            house.served().iter().filter(|line| line.contains("/never")).count() > number as usize
        })
        .await;
        client.raw.send(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await;
    }
    assert_eq!(client.goodbye().await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn frames_without_content_are_counted() {
    let house = house().await;
    for (kind, content) in [(PING, &[0; 8][..]), (SETTINGS, &[]), (0x2A, &[])] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(kind, 0, 0, content).repeat(2_000)).await;
        assert!(client.goodbye().await.is_some(), "{kind}");
    }
    // Empty pieces of a body: nothing at all, or nothing but padding.
    for (flags, content) in [(0, vec![]), (PADDED, vec![0]), (PADDED, [&[255][..], &[0; 255]].concat())] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(HEADERS, END_HEADERS, 1, &get("/a", None))).await;
        client.raw.send(frame(DATA, flags, 1, &content).repeat(2_000)).await;
        assert!(client.goodbye().await.is_some(), "{content:?}");
    }
}

#[tokio::test]
async fn windows_may_be_opened_for_what_was_sent_and_not_for_nothing() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    client.raw.send(frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(2_000)).await;
    assert_eq!(client.goodbye().await, Some(ENHANCE_YOUR_CALM));
    // A client that opens both windows by each kilobyte that it gets: two thousand times for a megabyte.
    let mut client = Client::connect(&house).await;
    client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/large", None))).await;
    let (mut taken, mut due) = (0, 0);
    while taken < 1024 * 1024 {
        let piece = client.frame().await.expect("the connection goes on");
        if piece.kind != DATA {
            continue;
        }
        taken += piece.content.len();
        due += piece.content.len();
        while due >= 1024 {
            due -= 1024;
            let more = 1024_u32.to_be_bytes();
            client.raw.send([frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, 1, &more)].concat()).await;
        }
    }
}

/// Frames by which a client makes the server reset a stream that is being answered (MadeYouReset, CVE-2025-8671).
fn made_resets(stream: u32) -> Vec<(&'static str, Vec<u8>)> {
    let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/never", None));
    let with_body = frame(HEADERS, END_HEADERS, stream, &get("/never", Some(("content-length", "1"))));
    let then = |then: Vec<u8>| [open.clone(), then].concat();
    vec![
        ("a window update of nothing", then(frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()))),
        ("a window beyond its bound", then(frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()))),
        ("a body behind the end", then(frame(DATA, 0, stream, b"x"))),
        ("a head behind the end", then(frame(HEADERS, END_HEADERS, stream, &get("/never", None)))),
        (
            "a stream that depends on itself",
            then(frame(PRIORITY, 0, stream, &[stream.to_be_bytes().as_slice(), &[1]].concat())),
        ),
        ("a priority of the wrong length", then(frame(PRIORITY, 0, stream, &[0; 4]))),
        ("more than was announced", [with_body, frame(DATA, 0, stream, b"hello")].concat()),
    ]
}

#[tokio::test]
async fn resets_that_the_server_is_made_to_send_end_the_connection() {
    let house = house().await;
    for (number, (name, _)) in made_resets(1).into_iter().enumerate() {
        let mut client = Client::connect(&house).await;
        let flood: Vec<u8> = (0..3_000).flat_map(|stream| made_resets(1 + 2 * stream).swap_remove(number).1).collect();
        client.raw.send(flood).await;
        client.goodbye().await;
        // Whatever was begun has ended with the connection, and it was no more than may be open at once, and be reset.
        common::until(name, || open(&house.served) == 0).await;
        let begun = house.served().iter().filter(|line| line.contains("/never")).count();
        assert!(begun <= 300, "{name}: {begun}");
        house.served.lock().unwrap().clear();
    }
    goes_on(&house).await;
}

/// Requests that are being answered.
fn open(served: &Served) -> usize {
    let served = served.lock().unwrap();
    let count = |wanted: &str| served.iter().filter(|line| line.contains(wanted)).count();
    count("/never") - count("gone")
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let house = house().await;
    let field = [&[0, 1, b'x', 127, 0x81, 0x7d][..], &[b'y'; 16_000]].concat();
    for (name, piece) in [("full", &field[..]), ("small", &[0, 1, b'x', 1, b'y']), ("empty", &[])] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(HEADERS, END_STREAM, 1, &get("/a", None))).await;
        client.raw.send(frame(CONTINUATION, 0, 1, piece).repeat(5_000)).await;
        let end = async { while client.frame().await.is_some() {} };
        assert!(tokio::time::timeout(std::time::Duration::from_secs(5), end).await.is_ok(), "{name}");
    }
    assert_eq!(house.served(), Vec::<String>::new());
    goes_on(&house).await;
}

#[tokio::test]
async fn a_head_that_grows_when_it_is_unpacked_is_refused() {
    let house = house().await;
    let mut client = Client::connect(&house).await;
    // A field of 3,000 bytes goes into the table (literal with indexing), as entry 62, and then costs one byte each time.
    let mut bomb = get("/a", None);
    bomb.extend([0x40, 1, b'x', 127]);
    bomb.extend([0x80 | ((3_000 - 127) & 0x7f) as u8, ((3_000 - 127) >> 7) as u8]);
    bomb.extend([b'y'; 3_000]);
    bomb.extend([0xbe; 10_000]);
    client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await;
    let answer = client.stream(1).await;
    let is_refused = match answer.first() {
        // `:status` is no whole entry of the static table here; 0x88 would be 200.
        Some(head) if head.kind == HEADERS => head.content[0] != 0x88,
        _ => true,
    };
    assert!(is_refused);
    assert_eq!(house.served(), Vec::<String>::new());
    // A table that is asked to grow beyond what was offered.
    let mut client = Client::connect(&house).await;
    let grow = [&[0x3f, 0xff, 0xff, 0x7f][..], &get("/a", None)].concat();
    client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &grow)).await;
    assert!(client.goodbye().await.is_some_and(|reason| reason != 0));
    goes_on(&house).await;
}

#[tokio::test]
async fn what_is_no_http2_ends_the_connection() {
    let house = house().await;
    for (name, bytes) in [
        ("a frame beyond its bound", frame(DATA, 0, 1, &vec![0; 16_385])),
        ("a body of no stream", frame(DATA, 0, 0, b"x")),
        ("a body before its head", frame(DATA, 0, 1, b"x")),
        ("a stream of the server's", frame(HEADERS, END_STREAM | END_HEADERS, 2, &get("/a", None))),
        ("a head that cannot be unpacked", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 40])),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("settings of the wrong length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("a ping of the wrong length", frame(PING, 0, 0, &[0; 7])),
        ("a push", frame(5, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("a window of the connection beyond its bound", frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())),
        ("a reset of a stream that never was", frame(RST_STREAM, 0, 9, &8_u32.to_be_bytes())),
    ] {
        let mut client = Client::connect(&house).await;
        client.raw.send(bytes).await;
        assert!(client.goodbye().await.is_some(), "{name}");
    }
    assert_eq!(house.served(), Vec::<String>::new());
    goes_on(&house).await;
}

#[tokio::test]
async fn pseudo_fields_and_paths_that_http1_could_read_otherwise_are_refused() {
    let house = house().await;
    let indexed = |bytes: &[u8], path: &str| {
        let text = |prefix: u8, text: &str| [&[prefix, text.len() as u8], text.as_bytes()].concat();
        [bytes, &text(0x04, path), &text(0x01, "localhost")].concat()
    };
    for (name, block) in [
        ("a space in the path", get("/a HTTP/1.1", None)),
        ("a line end in the path", get("/a\r\nx: y", None)),
        ("no path", vec![0x82, 0x86]),
        ("an empty path", get("", None)),
        ("a path without a slash", get("a", None)),
        ("two paths", indexed(&[0x82, 0x86, 0x84], "/b")),
        ("two methods", indexed(&[0x82, 0x83, 0x86], "/a")),
        ("no method", indexed(&[0x86], "/a")),
        ("no scheme", indexed(&[0x82], "/a")),
        ("a pseudo field of answers", indexed(&[0x82, 0x86, 0x88], "/a")),
        ("an unknown pseudo field", get("/a", Some((":x", "y")))),
        ("a name with a space", get("/a", Some(("x y", "z")))),
        ("a name with a colon", get("/a", Some(("x:", "z")))),
        ("a NUL in a value", get("/a", Some(("x", "a\0b")))),
        ("an empty name", get("/a", Some(("", "z")))),
        ("proxy-connection", get("/a", Some(("proxy-connection", "close")))),
        ("keep-alive", get("/a", Some(("keep-alive", "5")))),
        ("upgrade", get("/a", Some(("upgrade", "h2c")))),
        ("te", get("/a", Some(("te", "gzip")))),
    ] {
        let mut client = Client::connect(&house).await;
        client.raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
        let answer = client.stream(1).await;
        // 0x8c is `:status: 400`.
        let is_refused = answer.first().is_none_or(|frame| frame.kind != HEADERS || frame.content[0] == 0x8c);
        assert!(is_refused, "{name}");
        assert_eq!(house.served(), Vec::<String>::new(), "{name}");
    }
    goes_on(&house).await;
}
