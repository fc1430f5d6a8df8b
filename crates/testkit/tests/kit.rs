//! The kit itself: faults happen at the byte named, and leaving is noticed.

use std::time::{Duration, Instant};

use tollhouse_testkit::{Body, End, FaultProxy, ModelServer, Plan, RawClient, Script, Unanswered, exchange, pieces};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = ModelServer::start().await;
    server.on_each("/a", vec![Script::ok("text/plain", "1"), Script::json(503, "2")]);
    let mut client = RawClient::connect(server.address()).await;
    client.send(GET.repeat(3)).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.answer().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 503, 503]);
    assert_eq!((server.opened(), server.requests_to("/a").len()), (1, 3));
}

#[tokio::test]
async fn a_stream_is_cut_after_exactly_so_many_bytes() {
    let server = ModelServer::start().await;
    server.on("/a", Script::stream("text/plain", pieces("abcdef", &[2]), Duration::ZERO));
    let whole = {
        let mut client = RawClient::connect(server.address()).await;
        client.send(GET).await;
        client.until("0\r\n\r\n").await
    };
    let length = whole.len();
    let proxy = FaultProxy::start(server.address(), |number| Plan::pass().cut_down(number as u64, End::Close)).await;
    for cut in 0..length {
        let mut client = RawClient::connect(proxy.address()).await;
        client.send(GET).await;
        let mut came = Vec::new();
        loop {
            let bytes = client.bytes().await;
            if bytes.is_empty() {
                break;
            }
            came.extend(bytes);
        }
        assert_eq!(came, &whole[..cut]);
    }
}

#[tokio::test]
async fn each_fault_is_seen_as_what_it_is() {
    let server = ModelServer::start().await;
    server.on("/a", Script::ok("text/plain", "hello"));
    let proxy = FaultProxy::start(server.address(), |number| match number {
        0 => Plan::refuse(),
        1 => Plan::pass().cut_down(5, End::Reset),
        2 => Plan::say("rubbish\r\n\r\n"),
        3 => Plan::pass().corrupt_down(9, 0b0000_0001),
        _ => Plan::pass().drip_down(1, Duration::ZERO).drip_up(3, Duration::ZERO),
    })
    .await;
    assert_eq!(exchange(proxy.address(), GET).await.1, Unanswered::Reset);
    assert!(matches!(exchange(proxy.address(), GET).await.1, Unanswered::Reset | Unanswered::Malformed(_)));
    assert!(matches!(exchange(proxy.address(), GET).await.1, Unanswered::Malformed(_)));
    let mut client = RawClient::connect(proxy.address()).await;
    client.send(GET).await;
    assert_eq!(client.answer().await.unwrap().status, 300);
    let mut client = RawClient::connect(proxy.address()).await;
    client.send(GET).await;
    assert_eq!(client.answer().await.unwrap().text(), "hello");
    assert_eq!(proxy.opened(), 5);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let server = ModelServer::start().await;
    server.on("/a", Script::endless("text/plain", pieces("tick", &[]), Duration::from_millis(1)));
    server.on("/b", Script::never());
    server.on("/c", Script::new(200, "text/plain", Body::Stalled(pieces("a", &[]))));
    for path in ["/a", "/b", "/c"] {
        let mut client = RawClient::connect(server.address()).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        server.until("the request", |seen, _| seen.iter().any(|request| request.path == path)).await;
        let since = Instant::now();
        if path == "/c" {
            client.reset();
        } else {
            drop(client);
        }
        server.until_left(since).await;
    }
    server.until("connections to end", |_, open| open == 0).await;
    assert!(server.requests().iter().all(|request| request.answered.is_none() && request.left.is_some()));
}
