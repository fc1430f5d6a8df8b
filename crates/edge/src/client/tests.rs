//! What is asked and answered, on real connections to a server that says what a test wants, and bytes of all kinds.

use std::sync::Mutex;

use bytes::BytesMut;
use futures_util::FutureExt;
use http::HeaderValue;
use http::Version;
use http::header::{CONTENT_LENGTH, HOST};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::framing::Step;
use super::*;
use crate::balance::ServerSpec;

/// What a server says to a request, and whether it closes the connection behind it.
type Said = (&'static str, bool);

/// A server that answers one request after the other by what it was told to say, and keeps what it was asked on which connection.
struct Scripted {
    server: Arc<Server>,
    client: ServerClient,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Scripted {
    async fn new(says: &[Said]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spec = ServerSpec { url: url.clone(), health: None, slow_start: None };
        let server = Arc::new(Server::new(spec, url.parse().unwrap()));
        let asked: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (told, says) = (asked.clone(), says.to_vec());
        tokio::spawn(async move {
            let mut says = says.into_iter();
            let mut connections = 0;
            while says.len() > 0 {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections += 1;
                while let Some(request) = read_request(&mut stream).await {
                    told.lock().unwrap().push((connections, request));
                    let Some((text, closes)) = says.next() else { return };
                    // In two parts, so that heads and chunks come in pieces.
                    let (first, second) = text.as_bytes().split_at(text.len() / 2);
                    stream.write_all(first).await.unwrap();
                    tokio::task::yield_now().await;
                    stream.write_all(second).await.unwrap();
                    if closes {
                        break;
                    }
                }
            }
        });
        Self { server, client: ServerClient::new(false).unwrap(), asked }
    }

    async fn ask(&self, method: &Method, mut outgoing: Outgoing) -> Result<Reply, Failure> {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("a.example"))]);
        let question = Question { method, target: "/x?y=1", headers: &headers, wants_tunnel: false };
        self.client.ask(&self.server, question, &mut outgoing).await
    }

    /// Status, content and trailers of what it answers; or why there is none.
    async fn get(&self, method: &Method) -> Result<(u16, String, HeaderMap), String> {
        let reply = self.ask(method, Outgoing::Held(Bytes::new())).await.map_err(|error| error.to_string())?;
        let Reply::Content(answer) = reply else { return Err("a tunnel".to_owned()) };
        let status = answer.status().as_u16();
        let all = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        let trailers = all.trailers().cloned().unwrap_or_default();
        Ok((status, String::from_utf8(all.to_bytes().to_vec()).unwrap(), trailers))
    }

    fn asked(&self) -> Vec<(usize, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request with its body as it came; none where the client has left.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let text = loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(str::parse);
            let is_chunked = head.contains("transfer-encoding: chunked");
            if (!is_chunked && body.len() >= length.map_or(0, Result::unwrap)) || body.ends_with("0\r\n\r\n") {
                break text;
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    };
    Some(text)
}

#[tokio::test]
async fn answers_end_where_their_framing_says_and_their_connections_are_used_again() {
    for (method, said, expected, stays) in [
        ("GET", ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false), (200, "hello"), true),
        ("GET", ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", false), (200, "hello"), true),
        ("GET", ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false), (200, ""), true),
        ("HEAD", ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false), (200, ""), true),
        ("HEAD", ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false), (200, ""), true),
        ("GET", ("HTTP/1.1 204 No Content\r\n\r\n", false), (204, ""), true),
        ("GET", ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false), (304, ""), true),
        (
            "GET",
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                false,
            ),
            (200, "ok"),
            true,
        ),
        (
            "GET",
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;a=\"b\"\r\nlo\r\n0\r\n\r\n", false),
            (200, "hello"),
            true,
        ),
        ("GET", ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", true), (200, "ok"), false),
        ("GET", ("HTTP/1.1 200 OK\r\n\r\nup to the end", true), (200, "up to the end"), false),
        ("GET", ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", true), (200, "ok"), false),
        ("GET", ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", false), (200, "ok"), true),
        // What nobody asked for is no answer to the next request.
        (
            "GET",
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", true),
            (200, "ok"),
            false,
        ),
    ] {
        let scripted = Scripted::new(&[said, ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext", false)]).await;
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, content, _) = scripted.get(&method).await.unwrap_or_else(|error| panic!("{said:?}: {error}"));
        assert_eq!((status, content.as_str()), expected, "{said:?}");
        let (_, next, _) = scripted.get(&Method::GET).await.unwrap();
        assert_eq!(next, "next", "{said:?}");
        let connections: Vec<usize> = scripted.asked().iter().map(|(connection, _)| *connection).collect();
        assert_eq!(connections, if stays { [1, 1] } else { [1, 2] }, "{said:?}");
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_no_answer() {
    for (said, why) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "two lengths"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello", "two lengths"),
        ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", "its length is none"),
        ("HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nhello", "its length is none"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello", "its length is none"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "in two ways"),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "in two ways"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "nobody asked for"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "nobody asked",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello", "nobody asked for"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", "the length of a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\nx\n0\n\n", "the length of a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx\r\n", "the length of a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1 1\r\nx\r\n", "the length of a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n", "the length of a chunk"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxyz", "does not end where it should"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nno field\r\n\r\n", "the fields behind it"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "cut short"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut short"),
        ("HTTP/1.1 200 OK\r\nno field\r\n\r\n", "none of HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", "none of HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n", "none of HTTP/1.1"),
        ("HTTP/2 200 OK\r\n\r\n", "none of HTTP/1.1"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "none of HTTP/1.1"),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", "nobody asked for that"),
        ("", "asking the server"),
        ("HTTP/1.1 200 OK\r\ncontent-len", "asking the server"),
    ] {
        let scripted = Scripted::new(&[(said, true)]).await;
        let error = scripted.get(&Method::GET).await.expect_err(said);
        assert!(error.contains(why), "{said:?}: {error}");
        assert!(scripted.server.idle.take().is_none(), "{said:?}");
    }
}

#[tokio::test]
async fn heads_without_an_end_are_not_read_to_it() {
    let long: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 17)).into_boxed_str());
    let many: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101)).into_boxed_str());
    let interim: &'static str = Box::leak("HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000).into_boxed_str());
    for (said, why) in [(long, "too long"), (many, "too many fields"), (interim, "no end to interim answers")] {
        let error = Scripted::new(&[(said, false)]).await.get(&Method::GET).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn trailers_come_behind_the_content() {
    let said = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\nx-more: 8\r\n\r\n";
    let scripted = Scripted::new(&[(said, false), (said, false)]).await;
    for _ in 0..2 {
        let (_, content, trailers) = scripted.get(&Method::GET).await.unwrap();
        assert_eq!(
            (content.as_str(), &trailers["x-sum"], &trailers["x-more"]),
            ("ok", &"7".parse().unwrap(), &"8".parse().unwrap())
        );
    }
    assert_eq!(scripted.asked()[1].0, 1);
}

#[tokio::test]
async fn requests_are_framed_by_what_their_body_is() {
    fn passing(pieces: &[&'static str]) -> Outgoing {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        Outgoing::Passing(Some(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()))
    }
    let ok: Said = ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false);
    let long: &'static str = Box::leak("z".repeat(100_000).into_boxed_str());
    for (method, outgoing, framing, body) in [
        (Method::GET, Outgoing::Held(Bytes::new()), "", String::new()),
        (Method::POST, Outgoing::Held(Bytes::new()), "content-length: 0\r\n", String::new()),
        (Method::POST, Outgoing::Held(Bytes::from_static(b"held")), "content-length: 4\r\n", "held".to_owned()),
        (
            Method::PUT,
            Outgoing::Held(Bytes::from_static(long.as_bytes())),
            "content-length: 100000\r\n",
            long.to_owned(),
        ),
        (
            Method::POST,
            passing(&["one", "", "two"]),
            "transfer-encoding: chunked\r\n",
            "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n".to_owned(),
        ),
        (Method::POST, passing(&[long]), "transfer-encoding: chunked\r\n", format!("186a0\r\n{long}\r\n0\r\n\r\n")),
        (Method::POST, passing(&[]), "transfer-encoding: chunked\r\n", "0\r\n\r\n".to_owned()),
    ] {
        let scripted = Scripted::new(&[ok]).await;
        scripted.ask(&method, outgoing).await.unwrap();
        let expected = format!("{method} /x?y=1 HTTP/1.1\r\nhost: a.example\r\n{framing}\r\n{body}");
        assert_eq!(scripted.asked(), [(1, expected)]);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nobodys_answer() {
    let scripted = Scripted::new(&[("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false)]).await;
    let frames = [Ok(Frame::data(Bytes::from_static(b"half"))), Err(BoxError::from("it left"))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let failure = scripted.ask(&Method::POST, Outgoing::Passing(Some(body))).await.err().unwrap();
    assert!(matches!(&failure, Failure::Body(error) if error.to_string() == "it left"), "{failure}");
    assert!(scripted.server.idle.take().is_none());
}

#[tokio::test]
async fn of_a_body_that_is_none_from_its_first_byte_nothing_reaches_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (mut connection, mut server) = (Connection::new(client.unwrap()), accepted.unwrap().0);
    // As hyper has it: what came with the head is there when it was asked for once.
    let mut is_asked = false;
    let frames = futures_util::stream::poll_fn(move |_| {
        if std::mem::replace(&mut is_asked, true) {
            return Poll::Ready(Some(Err(BoxError::from("a chunk size with a sign"))));
        }
        Poll::Pending
    });
    let body = Source::Passing(StreamBody::new(frames).boxed_unsync());
    let mut upload = Upload::new(BytesMut::from("POST / HTTP/1.1\r\n\r\n"), Length::Chunked, body);
    let sent = poll_fn(|context| upload.poll(&mut connection, context)).await;
    assert!(matches!(sent, Err(Failure::Body(_))));
    drop(connection);
    assert_eq!(server.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_may_answer_before_it_has_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let spec = ServerSpec { url: base.to_string(), health: None, slow_start: None };
    let server = Arc::new(Server::new(spec, base));
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").await.unwrap();
        stream
    });
    let (_never, pieces) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, BoxError>>(1);
    let pieces = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
    let mut outgoing = Outgoing::Passing(Some(StreamBody::new(Box::pin(pieces)).boxed_unsync()));
    let headers = HeaderMap::new();
    let question = Question { method: &Method::POST, target: "/", headers: &headers, wants_tunnel: false };
    let client = ServerClient::new(false).unwrap();
    let Reply::Content(answer) = client.ask(&server, question, &mut outgoing).await.unwrap() else { panic!() };
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "big");
    assert!(server.idle.take().is_none(), "the rest of the body would be taken for a request");
    drop(answering.await.unwrap());
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_costs_nobody_an_answer() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    // Closed while nobody looks: noticed, whatever the method.
    for method in [Method::GET, Method::POST] {
        let scripted = Scripted::new(&[(ok, true), (ok, true)]).await;
        for _ in 0..2 {
            assert_eq!(scripted.get(&method).await.unwrap().1, "ok");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // Closed at the request: asked again where that changes nothing, and nowhere else.
    for (method, is_answered) in [(Method::GET, true), (Method::POST, false)] {
        let scripted = Scripted::new(&[(ok, false), ("", true), (ok, false)]).await;
        scripted.get(&method).await.unwrap();
        assert_eq!(scripted.get(&method).await.is_ok(), is_answered, "{method}");
        let connections: Vec<usize> = scripted.asked().iter().map(|(connection, _)| *connection).collect();
        assert_eq!(connections, if is_answered { vec![1, 1, 2] } else { vec![1, 1] });
    }
}

#[tokio::test]
async fn nothing_is_read_before_it_is_wanted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (mut connection, mut server) = (Connection::new(client.unwrap()), accepted.unwrap().0);
    server.write_all(&vec![b'x'; 100_000]).await.unwrap();
    poll_fn(|context| connection.poll_more(context, 1_000)).await.unwrap();
    assert!(connection.came.len() <= 1_000 && !connection.came.is_empty());
    connection.rest();
    assert!(!connection.is_quiet(), "something is there that nobody asked for");
    assert_eq!(connection.came.capacity(), 0);
}

/// What comes of bytes that come in pieces: content, how many bytes behind the body are left, and why it broke off.
fn decode(mut decoder: Decoder, bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<usize>, Option<String>) {
    let (mut came, mut content, mut at) = (BytesMut::new(), Vec::new(), 0);
    let mut cuts = cuts.iter().cycle();
    loop {
        match decoder.take(&mut came) {
            Ok(Step::Content(piece)) => content.extend_from_slice(&piece),
            Ok(Step::Trailers(_)) => {}
            Ok(Step::End) => return (content, Some(came.len() + bytes.len() - at), None),
            Err(failure) => return (content, None, Some(failure.to_string())),
            Ok(Step::More) if at == bytes.len() => {
                return (content, None, decoder.close().err().map(|failure| failure.to_string()));
            }
            Ok(Step::More) => {
                let count = cuts.next().map_or(1, |cut| *cut).min(bytes.len() - at);
                came.extend_from_slice(&bytes[at..at + count]);
                at += count;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn content_in_chunks_is_the_content_however_it_comes(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        extension in "(;[a-z]{1,5}(=[a-z]{0,5})?)?", behind in "[a-z]{0,9}", trailer in "(x-[a-z]{1,5}: [a-z]{0,5}\r\n)?",
        cuts in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let mut bytes = Vec::new();
        for chunk in &chunks {
            bytes.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("0{extension}\r\n{trailer}\r\n{behind}").as_bytes());
        let (content, left, failure) = decode(Decoder::ChunkLine, &bytes, &cuts);
        prop_assert_eq!((content, left, failure), (chunks.concat(), Some(behind.len()), None));
        // Without its last byte it has no end.
        let end = bytes.len() - behind.len() - 1;
        let (_, left, failure) = decode(Decoder::ChunkLine, &bytes[..end], &cuts);
        prop_assert!(left.is_none() && failure.is_some());
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_come(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "([0-3a]{1,3}(;[a-z]?)?[\r]?\n[a-c]{0,4}(\r\n)?){0,5}(0\r\n)?([a-c]: [a-c]\r\n)?(\r\n)?".prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec(1_usize..9, 1..6), length in 0_u64..100,
    ) {
        for decoder in [Decoder::ChunkLine, Decoder::Length(length), Decoder::UntilClose] {
            let (whole, in_pieces) = (decode(decoder, &bytes, &[usize::MAX]), decode(decoder, &bytes, &cuts));
            prop_assert_eq!(&whole, &in_pieces);
            prop_assert!(whole.0.len() <= bytes.len());
        }
    }

    #[test]
    fn heads_of_any_bytes_are_read_or_refused(
        head in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "HTTP/1\\.[01] [1-6][0-9]{1,3} ?[a-z]{0,4}\r\n([a-z-]{1,16}: ?[ -~]{0,12}\r?\n){0,4}\r\n[a-z]{0,4}".prop_map(String::into_bytes),
            "HTTP/1\\.[01] 200 OK\r\n((content-length|transfer-encoding|connection): (chunked|close|[0-9]{1,3}|[a-z, ]{0,9})\r\n){0,4}\r\n".prop_map(String::into_bytes),
        ],
        is_head in any::<bool>(),
    ) {
        let method = if is_head { Method::HEAD } else { Method::GET };
        let mut came = BytesMut::from(&head[..]);
        let Ok(Some(mut answered)) = Answered::take(&mut came) else { return Ok(()) };
        prop_assert!(head.ends_with(&came));
        let Ok((decoder, _)) = Decoder::new(&method, answered.status, answered.version, &mut answered.headers) else {
            return Ok(());
        };
        prop_assert!(answered.headers.get_all(CONTENT_LENGTH).iter().count() <= 1);
        if let (Some(length), Decoder::Length(left)) = (answered.headers.get(CONTENT_LENGTH), decoder) {
            let has_none = is_head || matches!(answered.status.as_u16(), 100..200 | 204 | 304);
            prop_assert!(has_none || length.to_str().unwrap() == left.to_string());
        }
        prop_assert!(answered.version == Version::HTTP_11 || decoder != Decoder::ChunkLine);
    }
}

#[tokio::test]
async fn a_connection_lies_with_its_server_as_long_as_it_is_quiet() {
    let scripted = Scripted::new(&[("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false)]).await;
    scripted.get(&Method::GET).await.unwrap();
    scripted.server.idle.let_go();
    let kept = scripted.server.idle.take().expect("it is quiet");
    assert!(scripted.server.idle.take().is_none());
    scripted.server.idle.keep(kept);
    assert_eq!(scripted.get(&Method::GET).now_or_never(), None, "it is asked again, and its script is over");
    assert!(scripted.server.idle.take().is_none());
}
