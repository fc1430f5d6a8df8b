//! The attack catalogue's part A (HTTP/1 parsing and smuggling), each case byte for byte.

mod common;

use common::House;
use tollhouse_testkit::{RawClient, Unanswered};
use tollhouse_web::ServeOptions;

/// What follows each bad request: it must never be served.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends `bytes` and a smuggled request behind them; the refusal must be the only answer, and nothing be served.
async fn refused(house: &House, case: &str, bytes: impl AsRef<[u8]>, status: u16) {
    let mut client = RawClient::connect(house.address).await;
    client.send([bytes.as_ref(), SMUGGLED.as_bytes()].concat()).await;
    let (answers, end) = client.answers().await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [status], "{case}: {answers:?}");
    let answer = &answers[0];
    assert_eq!(answer.header("connection"), Some("close"), "{case}");
    assert!(answer.complete && answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{case}");
    assert_eq!(end, Unanswered::Closed, "{case}");
    assert_eq!(house.served(), Vec::<String>::new(), "{case}");
}

async fn house() -> House {
    House::start(ServeOptions { per_address_max: 0, ..ServeOptions::default() }).await
}

/// A `POST` with these fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

#[tokio::test]
async fn a1_to_a3_the_length_of_a_body_is_beyond_doubt() {
    let house = house().await;
    for (fields, status) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5, 5", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -5", 400),
        ("Content-Length: 0x5", 400),
        ("Content-Length:  5", 400),
        ("Content-Length:\t5", 400),
        ("Content-Length: 5 ", 400),
        ("Content-Length: ", 400),
        ("Content-Length: 5.0", 400),
        ("Content-Length: 18446744073709551621", 400),
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked;p=1", 400),
        ("Transfer-Encoding:\tchunked", 400),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding:  chunked", 400),
        ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: ", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    ] {
        refused(&house, fields, post(fields, "5\r\nhello\r\n0\r\n\r\n"), status).await;
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&house, "HTTP/1.0 with chunks", old, 400).await;
}

#[tokio::test]
async fn a4_an_expectation_is_met_or_refused_and_never_a_way_to_smuggle() {
    let house = house().await;
    for (expectation, status) in
        [("bogus", 417), ("100-continue, bogus", 417), ("100-continue\r\nExpect: 100-continue", 400)]
    {
        let fields = format!("Content-Length: 5\r\nExpect: {expectation}");
        refused(&house, expectation, post(&fields, "hello"), status).await;
    }
    // 0.CL: the answer comes early, the body later and looks like a request.
    let mut client = RawClient::connect(house.address).await;
    let head = format!(
        "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        SMUGGLED.len()
    );
    client.send(&head).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
    client.send(SMUGGLED).await;
    assert_eq!(client.answers().await, (Vec::new(), Unanswered::Closed));
    assert_eq!(house.served(), Vec::<String>::new());
    // The honest way.
    let mut client = RawClient::connect(house.address).await;
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("hello").await;
    assert_eq!(client.answer().await.unwrap().text(), "hello");
}

#[tokio::test]
async fn a5_to_a7_chunks_are_read_in_one_way_only() {
    let house = house().await;
    let zeros = format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(10_000));
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(64 * 1024));
    let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(101));
    let trailer = format!("0\r\na: {}\r\n\r\n", "x".repeat(9 * 1024));
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        &zeros,
        "5;a\nX: y\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        &extension,
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhellos\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\n\r\n",
        "0\r\nname : value\r\n\r\n",
        "0\r\nname\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nname: a\nb\r\n\r\n",
        "0\r\nname: a\0b\r\n\r\n",
        &trailers,
        &trailer,
    ] {
        let shown: String = body.chars().take(40).collect();
        refused(&house, &shown, post("Transfer-Encoding: chunked", body), 400).await;
    }
    // Without its last CR LF a body has not ended.
    let mut client = RawClient::connect(house.address).await;
    client.send(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n")).await;
    client.half_close().await;
    let (answers, _) = client.answers().await;
    assert!(answers.iter().all(|answer| answer.status == 400), "{answers:?}");
    assert_eq!(house.served(), Vec::<String>::new());
}

#[tokio::test]
async fn a8_to_a10_lines_and_fields_are_strict() {
    let house = house().await;
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{1}: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\tX: b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
        "\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // A18
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: b\r\n\r\n",
        // 33: TLS on a plain port
        "\u{16}\u{3}\u{1}",
    ] {
        refused(&house, head, head, 400).await;
    }
}

#[tokio::test]
async fn a11_and_a12_one_host_and_no_doubt_about_it() {
    let house = house().await;
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\\\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/public?\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a#/\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \ta\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        refused(&house, head, head, 400).await;
    }
}

#[tokio::test]
async fn a13_a_path_has_one_spelling() {
    let house = house().await;
    for path in [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/./admin",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00b",
        "/a%0d%0aX:%20y",
        "/%c0%ae%c0%ae/admin",
        "/%c0%af",
        "/%",
        "/a#b",
        "/\u{e9}",
        "/a|b",
    ] {
        refused(&house, path, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"), 400).await;
    }
}

#[tokio::test]
async fn a14_an_upgrade_that_is_not_granted_changes_nothing() {
    let house = house().await;
    let mut client = RawClient::connect(house.address).await;
    let upgrade = format!("Upgrade: foo\r\nConnection: upgrade\r\nContent-Length: {}", SMUGGLED.len());
    client.send(post(&upgrade, SMUGGLED)).await;
    client.send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let (answers, _) = client.answers().await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    assert_eq!(house.served(), [format!("POST / {SMUGGLED}"), "GET /next ".to_owned()]);
}

#[tokio::test]
async fn a15_a_body_does_not_end_with_the_connection() {
    let house = house().await;
    refused(&house, "no length", "POST / HTTP/1.0\r\nHost: a\r\n\r\nhello", 400).await;
    refused(&house, "keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", 400).await;
    refused(&house, "in a list", "GET / HTTP/1.0\r\nHost: a\r\nConnection: x, keep-alive\r\n\r\n", 400).await;
    // Without any of that, HTTP/1.0 is served: health checks speak it.
    let mut client = RawClient::connect(house.address).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let (answers, end) = client.answers().await;
    assert_eq!((answers.len(), answers[0].status, end), (1, 200, Unanswered::Closed));
}

#[tokio::test]
async fn a16_of_a_thousand_requests_in_one_go_those_before_a_bad_one_are_answered_in_order() {
    let house = house().await;
    let good = |number: usize| format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{number:03}");
    let mut bytes = (0..500).map(good).collect::<String>();
    bytes += "GET / HTTP/1.1\r\nHost : a\r\n\r\n";
    bytes += &(500..999).map(good).collect::<String>();
    let mut client = RawClient::connect(house.address).await;
    client.send(bytes).await;
    let (answers, end) = client.answers().await;
    assert_eq!((answers.len(), end), (501, Unanswered::Closed));
    for (number, answer) in answers[..500].iter().enumerate() {
        assert_eq!((answer.status, answer.text()), (200, format!("{number:03}")));
    }
    assert_eq!(answers[500].status, 400);
    assert_eq!(house.served().len(), 500);
}

#[tokio::test]
async fn a17_and_a22_what_belongs_to_the_connection_or_behind_the_body_changes_no_request() {
    let house = house().await;
    let mut client = RawClient::connect(house.address).await;
    let trailers = "5\r\nhello\r\n0\r\nAuthorization: x\r\nContent-Length: 99\r\nHost: b\r\n\r\n";
    client.send(post("Transfer-Encoding: chunked\r\nTrailer: Authorization", trailers)).await;
    client.send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close, X-Api-Key\r\nX-Api-Key: k\r\n\r\n").await;
    let (answers, end) = client.answers().await;
    assert_eq!((answers.len(), end), (2, Unanswered::Closed));
    assert_eq!(house.served(), ["POST / hello", "GET /next "]);
}

#[tokio::test]
async fn a19_heads_have_bounds() {
    let house = house().await;
    let long = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes));
    refused(&house, "request line", long(64 * 1024), 414).await;
    refused(&house, "request line just over", long(8 * 1024 - 13), 414).await;
    refused(&house, "no line end", "x".repeat(64 * 1024), 414).await;
    let field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    refused(&house, "head", field, 431).await;
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(1000));
    refused(&house, "fields", fields, 431).await;
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    refused(&house, "101 fields", fields, 431).await;
    for good in [
        long(8 * 1024 - 14),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99)),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(32_000)),
    ] {
        let mut client = RawClient::connect(house.address).await;
        client.send(good).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a20_methods_and_versions() {
    let house = house().await;
    for (line, status) in [
        ("TRACE / HTTP/1.1", 405),
        ("CONNECT a:443 HTTP/1.1", 405),
        ("PRI * HTTP/1.1", 400),
        ("get / HTTP/1.1", 501),
        ("Get / HTTP/1.1", 501),
        ("G(T / HTTP/1.1", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/3.0", 505),
    ] {
        refused(&house, line, format!("{line}\r\nHost: a\r\n\r\n"), status).await;
    }
    let mut client = RawClient::connect(house.address).await;
    client.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.answer().await.unwrap().header("allow").is_some());
    // A preface that is none: its beginning has to be waited for.
    refused(&house, "half a preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400).await;
}

#[tokio::test]
async fn a23_a_body_is_no_matter_of_the_method() {
    let house = house().await;
    let mut client = RawClient::connect(house.address).await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")).await;
        assert_eq!(client.answer().await.unwrap().text(), "hello");
    }
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    let answer = client.answer_to_head().await.unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("5")));
    client.send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(house.served().len(), 5);
}

#[tokio::test]
async fn what_many_clients_send_is_served() {
    let house = house().await;
    let mut client = RawClient::connect(house.address).await;
    for request in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://A/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET /a?b=[c]&d={e}|f HTTP/1.1\r\nHost:a\r\nX:\r\nY: \u{e9} \t \r\nZ-1!#$%&'*+-.^`|~: z\r\n\r\n",
        "PROPFIND /a//b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n00005;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n",
    ] {
        client.send(request).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{request}");
    }
    assert_eq!(house.served().len(), 8);
}
