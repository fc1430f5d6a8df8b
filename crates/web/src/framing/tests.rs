//! The framing against itself, however its bytes are cut, and against hyper's.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const HEAD_BYTES_MAX: usize = 512;

/// What the framing makes of a stream of bytes: the length of each head and body that it let through, and how it ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Verdict {
    /// Each head, and the bytes of its body with their framing.
    requests: Vec<(usize, usize)>,
    /// The last request has not come to its end.
    is_unfinished: bool,
    refusal: Option<Refusal>,
}

/// Feeds `bytes` in pieces of these sizes, as the guard does: a head is shown whole again each time, a body only once.
fn verdict(bytes: &[u8], sizes: &[usize]) -> Verdict {
    let mut framing = Framing::new(HEAD_BYTES_MAX);
    let mut verdict = Verdict::default();
    let mut sizes = sizes.iter().copied().cycle();
    let (mut start, mut end) = (0, 0);
    loop {
        while framing.is_in_body() || start < end {
            if framing.is_in_body() {
                match framing.body(&bytes[start..end]) {
                    Ok(count) => {
                        verdict.requests.last_mut().unwrap().1 += count;
                        start += count;
                    }
                    Err(refusal) => return Verdict { refusal: Some(refusal), ..verdict },
                }
                if framing.is_in_body() {
                    break;
                }
                continue;
            }
            match framing.head(&bytes[start..end]) {
                Ok(Some(count)) => {
                    verdict.requests.push((count, 0));
                    start += count;
                }
                Ok(None) => break,
                Err(refusal) => return Verdict { refusal: Some(refusal), ..verdict },
            }
        }
        if end == bytes.len() {
            verdict.is_unfinished = start < end || framing.is_in_body();
            return verdict;
        }
        end = (end + sizes.next().unwrap().max(1)).min(bytes.len());
    }
}

/// Requests as they are, as they nearly are, and as nobody should send them.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => prop::sample::select(vec![
            "GET / HTTP/1.1",
            "POST /a?b=c HTTP/1.1",
            "GET http://a/b HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "HEAD /a/b.c HTTP/1.1",
            "PUT /v1/chat%20x HTTP/1.1",
        ]),
        1 => prop::sample::select(vec!["POST / HTTP/1.0", "GET / HTTP/1.0", "get / HTTP/1.1", "GET / HTTP/1.2"]),
    ];
    let framed = prop::sample::select(vec![
        ("", ""),
        ("Content-Length: 5\r\n", "hello"),
        ("content-length:0\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("transfer-encoding:Chunked\r\n", "1;a=b\r\nx\r\n2\r\nyz\r\n000\r\nA: b\r\n\r\n"),
        ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "F\r\n0123456789abcde\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: gzip\r\n", "hello"),
    ]);
    let good = vec!["X-A: \u{e9}\t b ", "Connection: keep-alive", "Upgrade: websocket", "Accept:", "TE: trailers"];
    let bad = vec!["Expect: x", "X_A: b", " folded", "X : y", "Host: b", "Content-Length: 4"];
    let field = prop_oneof![12 => prop::sample::select(good), 1 => prop::sample::select(bad)];
    let fields = prop::collection::vec(field, 0..4);
    let request = (line, fields, framed).prop_map(|(line, fields, (framing, body))| {
        let lines = [vec![line, "Host: a"], fields].concat().join("\r\n");
        format!("{lines}\r\n{framing}\r\n{body}").into_bytes()
    });
    let interesting = prop::sample::select(b"\r\n\t :;,%/.\0_-0Aaf5\x7f\xff".to_vec());
    let byte = prop_oneof![3 => interesting, 1 => any::<u8>()];
    // At most a few bytes are changed, put in or taken out: most of it stays plausible.
    let changes = prop::collection::vec((any::<prop::sample::Index>(), byte, 0..3_u8), 0..3);
    (prop::collection::vec(request, 1..4), changes).prop_map(|(requests, changes)| {
        let mut bytes = requests.concat();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                _ => {}
            }
        }
        bytes
    })
}

/// What hyper alone makes of these bytes: head and body of each request.
async fn read_by_hyper(bytes: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let service = {
        let seen = seen.clone();
        service_fn(move |request: Request<Incoming>| {
            let seen = seen.clone();
            async move {
                let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
                let body = request.into_body().collect().await.ok().map(|body| body.to_bytes().to_vec());
                seen.lock().unwrap().push((line, body));
                Ok::<_, std::convert::Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
            }
        })
    };
    // Half-open, so that a cut body is seen as what it is.
    let mut builder = hyper::server::conn::http1::Builder::new();
    let serving = builder.half_close(true).serve_connection(TokioIo::new(server), service);
    let asking = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        // hyper may have closed early: what counts is what it has seen.
        let _: std::io::Result<usize> = client.read_to_end(&mut answers).await;
    };
    let (served, ()) = tokio::join!(serving, asking);
    drop(served);
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// The body of a request without its framing.
fn content(head: &[u8], body: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if !head.contains("\r\ntransfer-encoding:") {
        return body.to_vec();
    }
    let mut content = Vec::new();
    let mut rest = body;
    loop {
        let line = memchr::memchr(b'\n', rest).unwrap();
        let digits: String = rest.iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap();
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&rest[line + 1..line + 1 + size]);
        rest = &rest[line + 1 + size + 2..];
    }
}

/// All that the framing let through, hyper must read as the same requests.
fn check_against_hyper(bytes: &[u8]) -> Result<(), TestCaseError> {
    let verdict = verdict(bytes, &[bytes.len()]);
    let mut whole = verdict.requests.clone();
    // The last one may be cut in its body, or refused there.
    if verdict.is_unfinished || verdict.refusal.is_some() {
        let taken: usize = whole.iter().map(|(head, body)| head + body).sum();
        let mut framing = Framing::new(HEAD_BYTES_MAX);
        if let Some((head, _)) = whole.last() {
            let (start, end) = (taken - head - whole[whole.len() - 1].1, taken);
            let is_cut = framing.head(&bytes[start..]) == Ok(Some(*head))
                && (framing.body(&bytes[start + head..end]).is_err() || framing.is_in_body());
            if is_cut {
                whole.pop();
            }
        }
    }
    let admitted: usize = whole.iter().map(|(head, body)| head + body).sum();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let seen = runtime.block_on(read_by_hyper(&bytes[..admitted]));
    let mut at = 0;
    let mut expected = Vec::new();
    for (head, body) in &whole {
        let head = &bytes[at..at + head];
        expected.push(Some(content(head, &bytes[at + head.len()..at + head.len() + body])));
        at += head.len() + body;
        // After such a request hyper ends the connection.
        if head.windows(10).any(|word| word == b" HTTP/1.0\r") {
            break;
        }
    }
    let bodies: Vec<_> = seen.iter().map(|(_, body)| body.clone()).collect();
    prop_assert_eq!(bodies, expected, "{:?}", seen);
    Ok(())
}

/// More cases than usual: most are refused at once. `PROPTEST_CASES` asks for more still.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2048), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_verdict_is_the_same_however_the_bytes_are_cut(
        bytes in requests(),
        sizes in prop::collection::vec(1_usize..40, 1..10),
    ) {
        let whole = verdict(&bytes, &[bytes.len()]);
        prop_assert_eq!(&verdict(&bytes, &sizes).refusal, &whole.refusal);
        let (cut, bytewise) = (verdict(&bytes, &sizes), verdict(&bytes, &[1]));
        for other in [cut, bytewise] {
            prop_assert_eq!(other.is_unfinished, whole.is_unfinished);
            // Where a body breaks, more of it may have passed before.
            let heads = |verdict: &Verdict| verdict.requests.iter().map(|(head, _)| *head).collect::<Vec<_>>();
            prop_assert_eq!(heads(&other), heads(&whole));
            if whole.refusal.is_none() {
                prop_assert_eq!(other.requests, whole.requests.clone());
            }
        }
    }

    #[test]
    fn any_bytes_are_decided(bytes in prop::collection::vec(any::<u8>(), 1..2000), sizes in prop::collection::vec(1_usize..700, 1..4)) {
        let verdict = verdict(&bytes, &sizes);
        prop_assert!(verdict.requests.len() <= bytes.len());
    }

    #[test]
    fn what_is_let_through_hyper_reads_as_the_same_requests(bytes in requests()) {
        check_against_hyper(&bytes)?;
    }
}

#[test]
fn a_refusal_stays() {
    let mut framing = Framing::new(HEAD_BYTES_MAX);
    let bytes = b"GET / HTTP/1.1\r\nHost : a\r\nHost: a\r\n\r\n";
    let refusal = framing.head(bytes).unwrap_err();
    assert_eq!(framing.head(bytes), Err(refusal));
    assert_eq!(framing.body(b"GET"), Err(refusal));
}
