//! Requests to servers that keep, close and refuse.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn client() -> Client {
    Client::http(Duration::from_secs(5))
}

fn post(address: SocketAddr, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(format!("http://{address}/path?query")).body(body.into()).expect("a request")
}

/// The status and the text of an answer that is read to its end.
async fn ask(client: &Client, request: Request<Bytes>) -> Result<(u16, String), ClientError> {
    let response = client.ask(&request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.into()).expect("text")))
}

/// Reads a request with a body of so many bytes, as text.
async fn hear(stream: &mut TcpStream, body_bytes: usize) -> String {
    let mut heard = Vec::new();
    loop {
        let head = heard.windows(4).position(|end| end == b"\r\n\r\n");
        if head.is_some_and(|head| heard.len() >= head + 4 + body_bytes) {
            return String::from_utf8(heard).expect("text");
        }
        assert!(stream.read_buf(&mut heard).await.expect("reads") > 0, "closed early");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_until_its_server_closes_it() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let (mut first, _) = listener.accept().await.expect("first");
        for body in ["one", "two"] {
            let heard = hear(&mut first, 3).await;
            let head = format!("POST /path?query HTTP/1.1\r\nhost: {address}\r\ncontent-length: 3\r\n\r\n");
            assert_eq!(heard, format!("{head}{body}"));
            first.write_all(OK.as_bytes()).await.expect("answers");
        }
        first
    };
    let ok = Ok((200, "ok".to_owned()));
    let asked = async { [ask(&client, post(address, "one")).await, ask(&client, post(address, "two")).await] };
    let (first, answers) = tokio::join!(server, asked);
    for answer in answers {
        assert_eq!(answer.map_err(|error| error.to_string()), ok);
    }
    drop(first);
    // It goes out on a new one, also when it is only now that the end of the old one is heard of.
    let server = async {
        let (mut second, _) = listener.accept().await.expect("second");
        hear(&mut second, 5).await;
        second.write_all(OK.as_bytes()).await.expect("answers");
    };
    tokio::task::yield_now().await;
    let ((), answer) = tokio::join!(server, ask(&client, post(address, "three")));
    assert_eq!(answer.map_err(|error| error.to_string()), ok);
}

#[tokio::test]
async fn a_connection_that_says_more_than_its_answer_is_not_used_again() {
    let (listener, address) = listener().await;
    let client = client();
    for extra in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", "!"] {
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a new connection");
            hear(&mut stream, 1).await;
            stream.write_all(format!("{OK}{extra}").as_bytes()).await.expect("answers");
        };
        let ((), answer) = tokio::join!(server, ask(&client, post(address, "x")));
        assert_eq!(answer.expect("answered").1, "ok");
    }
}

#[tokio::test]
async fn a_large_body_is_taken_slowly_or_refused_in_the_middle() {
    const BYTES: usize = 16 << 20;
    let (listener, address) = listener().await;
    let client = client();
    let large = Bytes::from(vec![b'x'; BYTES]);
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("first");
        hear(&mut stream, BYTES).await;
        stream.write_all(OK.as_bytes()).await.expect("answers");
        // The next one is refused after its head, and its body is never taken.
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.expect("reads");
        let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.expect("refuses");
        stream.write_all(b"no!").await.expect("refuses");
        stream
    };
    let asked =
        async { [ask(&client, post(address, large.clone())).await, ask(&client, post(address, large.clone())).await] };
    let (mut first, [answered, refused]) = tokio::join!(server, asked);
    assert_eq!(answered.expect("answered"), (200, "ok".to_owned()));
    assert_eq!(refused.expect("refused"), (413, "no!".to_owned()));
    // Half a request lies on it, so it was closed.
    while first.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_one_that_is_dropped_closes_its_connection() {
    let (listener, address) = listener().await;
    let client = client();
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    let server = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            hear(&mut stream, 1).await;
            stream.write_all(begun.as_bytes()).await.expect("begins");
        }
        let (mut stream, _) = listener.accept().await.expect("a connection");
        hear(&mut stream, 1).await;
        stream.write_all(begun.as_bytes()).await.expect("begins");
        assert_eq!(stream.read(&mut [0]).await.expect("closed in order"), 0);
    };
    let asked = async {
        for _ in 0..2 {
            let broken = ask(&client, post(address, "x")).await;
            assert!(matches!(broken, Err(ClientError::Closed | ClientError::Read(_))), "{broken:?}");
        }
        let mut body = client.ask(&post(address, "x")).await.expect("begun").into_body();
        let piece = body.frame().await.expect("a piece").expect("read").into_data().expect("data");
        assert_eq!(piece, "ok");
        drop(body);
    };
    tokio::join!(server, asked);
}

#[tokio::test]
async fn what_crosses_the_end_of_a_kept_connection_goes_out_once_more() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let answered = async |mut stream: TcpStream| {
            hear(&mut stream, 1).await;
            stream.write_all(OK.as_bytes()).await.expect("answers");
            stream
        };
        let (first, _) = listener.accept().await.expect("first");
        let mut first = answered(first).await;
        hear(&mut first, 1).await;
        drop(first);
        let (second, _) = listener.accept().await.expect("second");
        let mut second = answered(second).await;
        // This one has begun to answer.
        hear(&mut second, 1).await;
        second.write_all(b"HTTP/1.1 2").await.expect("begins");
        drop(second);
        let (third, _) = listener.accept().await.expect("third");
        let mut third = answered(third).await;
        hear(&mut third, 1).await;
        drop(third);
        // A new connection that is closed is no crossing.
        let (mut fourth, _) = listener.accept().await.expect("fourth");
        hear(&mut fourth, 1).await;
    };
    let asked = async {
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(ask(&client, post(address, "x")).await);
        }
        told
    };
    let ((), told) = tokio::join!(server, asked);
    let [ok, crossed, begun, anew, twice] = &told[..] else { panic!("{told:?}") };
    for good in [ok, crossed, anew] {
        assert_eq!(good.as_ref().expect("answered").1, "ok");
    }
    for lost in [begun, twice] {
        assert!(matches!(lost, Err(ClientError::Closed | ClientError::Read(_))), "{lost:?}");
    }
}

#[tokio::test]
async fn a_server_that_goes_with_the_request_is_told_from_one_that_was_away() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async move {
        let (mut first, _) = listener.accept().await.expect("first");
        hear(&mut first, 1).await;
        first.write_all(OK.as_bytes()).await.expect("answers");
        hear(&mut first, 1).await;
        drop(listener);
    };
    let asked = async {
        ask(&client, post(address, "x")).await.expect("answered");
        [ask(&client, post(address, "x")).await, ask(&client, post(address, "x")).await]
    };
    let ((), [gone, away]) = tokio::join!(server, asked);
    assert!(matches!(gone, Err(ClientError::Gone(_))), "{gone:?}");
    assert!(matches!(away, Err(ClientError::Connect(_))), "{away:?}");
}

#[tokio::test]
async fn what_may_not_be_done_twice_is_sent_once() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let (mut first, _) = listener.accept().await.expect("first");
        hear(&mut first, 1).await;
        first.write_all(OK.as_bytes()).await.expect("answers");
        hear(&mut first, 1).await;
    };
    let asked = async {
        ask(&client, post(address, "x")).await.expect("answered");
        let request = post(address, "x");
        client.connection(request.uri()).await.expect("kept").send(&request).await
    };
    let ((), lost) = tokio::join!(server, asked);
    assert!(matches!(lost, Err(ClientError::Crossed)), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_over_a_request_does_not_get_it_again() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let (mut first, _) = listener.accept().await.expect("first");
        hear(&mut first, 1).await;
        first.write_all(OK.as_bytes()).await.expect("answers");
        hear(&mut first, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let asked = async { [ask(&client, post(address, "x")).await, ask(&client, post(address, "x")).await] };
    let ((), [answered, lost]) = tokio::join!(server, asked);
    answered.expect("answered");
    assert!(matches!(lost, Err(ClientError::Closed | ClientError::Read(_))), "{lost:?}");
}
