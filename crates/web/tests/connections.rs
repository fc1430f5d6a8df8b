//! Connections: how long each step may take, how many there may be, and how they end (attack catalogue, parts B and C).
//!
//! Where the clock is paused it jumps to the next deadline as soon as nobody has anything to do.

mod common;

use std::time::Duration;

use common::{House, until};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollhouse_testkit::{RawClient, Unanswered, exchange};
use tollhouse_web::{Answer, Dropped, Peer, Proxied, ServeOptions, Server, full, text};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

async fn house() -> House {
    House::start(ServeOptions::default()).await
}

/// The end of a connection on which no answer came.
async fn end(client: &mut RawClient) -> Unanswered {
    let (answers, end) = client.answers().await;
    assert_eq!(answers, []);
    end
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_half_a_word_is_let_go() {
    let house = house().await;
    let began = tokio::time::Instant::now();
    for said in ["", "P", "PRI * HTTP/2.0\r\n"] {
        let mut client = RawClient::connect(house.address).await;
        client.send(said).await;
        // With bytes of the client's own unread the close is a reset.
        assert!(matches!(end(&mut client).await, Unanswered::Closed | Unanswered::Reset), "{said:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_in_is_answered_408_ten_seconds_after_the_connection() {
    let house = house().await;
    for drip in ["GET / HTTP/1.1\r\nHost: a\r\nX: long", "GET /"] {
        let began = tokio::time::Instant::now();
        let mut client = RawClient::connect(house.address).await;
        client.drip(drip, 1, Duration::from_millis(50)).await;
        let (answers, end) = client.answers().await;
        assert_eq!((answers.len(), answers[0].status, end), (1, 408, Unanswered::Closed));
        assert!((10..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
    // The same for a second head on the connection, from its own first byte.
    let mut client = RawClient::connect(house.address).await;
    client.send(GET).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    for rest in [Duration::ZERO, Duration::from_secs(20)] {
        tokio::time::sleep(rest).await;
        client.send(GET).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    let began = tokio::time::Instant::now();
    client.drip(&GET[..10], 1, Duration::from_millis(100)).await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    assert!((10..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_rests_is_woken_and_at_last_closed() {
    let house = house().await;
    let mut client = RawClient::connect(house.address).await;
    for _ in 0..5 {
        client.send(GET).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    tokio::time::sleep(Duration::from_secs(46)).await;
    assert_eq!(end(&mut client).await, Unanswered::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_answered_408_and_a_slow_one_is_waited_for() {
    let house = house().await;
    for (fields, body) in [("Content-Length: 100000", "hello"), ("Transfer-Encoding: chunked", "5\r\nhel")] {
        let mut client = RawClient::connect(house.address).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")).await;
        let (answers, end) = client.answers().await;
        assert_eq!((answers.len(), answers[0].status, end), (1, 408, Unanswered::Closed), "{fields}");
    }
    let mut client = RawClient::connect(house.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 61440\r\n\r\n").await;
    // 60 s at the slowest pace.
    client.drip(vec![b'x'; 61440], 5120, Duration::from_secs(5)).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(house.served().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut_off() {
    let house = House::start(ServeOptions { write_timeout: Duration::from_secs(5), ..ServeOptions::default() }).await;
    let mut client = RawClient::connect(house.address).await;
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    // What the system had taken can be read; the rest is gone.
    match client.answer().await {
        Ok(answer) => assert!(!answer.complete && answer.body.len() < 64 * 1024 * 1024),
        Err(end) => assert_eq!(end, Unanswered::Reset),
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_more_slowly_than_the_slowest_pace_is_cut_off() {
    const PART: u64 = 2 * 1024 * 1024;
    // So long that what the system holds back and gives on in lumps does not matter.
    let write_timeout = Duration::from_hours(1);
    let house = House::start(ServeOptions { write_timeout, ..ServeOptions::default() }).await;
    for (pause, passes) in [(1_500, true), (2_500, false)] {
        let mut client = TcpStream::connect(house.address).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut taken = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match tokio::io::copy(&mut (&mut client).take(PART), &mut tokio::io::sink()).await {
                Ok(PART) => taken += PART,
                Ok(rest) => {
                    taken += rest;
                    break;
                }
                Err(_) => break,
            }
        }
        assert_eq!(taken > 64 * 1024 * 1024, passes, "{pause} s: {taken}");
    }
}

#[tokio::test]
async fn an_early_answer_is_not_lost_to_the_body_behind_it() {
    let house = house().await;
    for bytes in [100, 10_000, 48_000] {
        let mut client = RawClient::connect(house.address).await;
        client.send(format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (401, Some("close")), "{bytes}");
        client.send(vec![b'x'; bytes]).await;
        assert_eq!(end(&mut client).await, Unanswered::Closed, "{bytes}");
    }
    // A body that is there already does not cost the connection.
    let mut client = RawClient::connect(house.address).await;
    for _ in 0..3 {
        client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
        assert_eq!(client.answer().await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_also_when_it_has_sent_ahead() {
    let house = house().await;
    let much = GET.repeat(70 * 1024 / GET.len());
    for ahead in ["", GET, "GET /half", "rubbish\r\n\r\n", &much] {
        let mut client = RawClient::connect(house.address).await;
        client.send(format!("GET /never HTTP/1.1\r\nHost: a\r\n\r\n{ahead}")).await;
        until("the request", || house.served().len() == 1).await;
        client.send(ahead).await;
        drop(client);
        until("its end", || house.served().len() == 2).await;
        assert_eq!(house.served()[1], "gone");
        house.served.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_dropped_request_gets_no_byte() {
    let house = house().await;
    let (answers, end) = exchange(house.address, "GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answers.len(), end), (0, Unanswered::Closed));
}

#[tokio::test]
async fn an_address_holds_so_many_connections() {
    let house = House::start(ServeOptions { per_address_max: 3, ..ServeOptions::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = RawClient::connect(house.address).await;
        client.send(GET).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        held.push(client);
    }
    let mut fourth = RawClient::connect(house.address).await;
    assert!(matches!(end(&mut fourth).await, Unanswered::Closed | Unanswered::Reset));
    drop(held.pop());
    loop {
        // The place is free once the server has noticed.
        let mut again = RawClient::connect(house.address).await;
        again.send(GET).await;
        if again.answer().await.is_ok() {
            break;
        }
    }
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let house = House::start(ServeOptions { per_address_max: 1, trusted, ..ServeOptions::default() }).await;
    let (_first, mut second) = (RawClient::connect(house.address).await, RawClient::connect(house.address).await);
    second.send(GET).await;
    assert_eq!(second.answer().await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_says_whose_a_connection_is() {
    let trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let options = ServeOptions { per_address_max: 1, trusted, ..ServeOptions::default() };
    let house = House::start_as(options, Proxied::Yes).await;
    let ask = "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let version2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x12\x34\x01\xbb";
    for (header, peer) in [
        (&b"PROXY TCP4 192.0.2.9 192.0.2.2 56324 443\r\n"[..], Some("192.0.2.9:56324")),
        (b"PROXY TCP6 2001:db8::9 ::1 5 443\r\n", Some("[2001:db8::9]:5")),
        (version2, Some("192.0.2.7:4660")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", None),
    ] {
        for piece in [1, 1000] {
            let mut client = RawClient::connect(house.address).await;
            client.drip([header, ask.as_bytes()].concat(), piece, Duration::ZERO).await;
            let own = client.local_address().to_string();
            assert_eq!(client.answer().await.unwrap().text(), peer.unwrap_or(&own));
            assert_eq!(end(&mut client).await, Unanswered::Closed);
        }
    }
    // Cut, missing, or followed by what is no request.
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.9",
        b"GET / HTTP/1.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"PROXY x\r\n",
    ] {
        let mut client = RawClient::connect(house.address).await;
        client.send(header).await;
        assert!(matches!(end(&mut client).await, Unanswered::Closed | Unanswered::Reset), "{header:?}");
    }
    // The one place of an address is the client's, not the proxy's.
    let header = "PROXY TCP4 192.0.2.9 192.0.2.2 56324 443\r\n";
    let mut first = RawClient::connect(house.address).await;
    first.send(format!("{header}{GET}")).await;
    assert_eq!(first.answer().await.unwrap().status, 200);
    let mut second = RawClient::connect(house.address).await;
    second.send(format!("{header}{GET}")).await;
    assert!(matches!(end(&mut second).await, Unanswered::Closed | Unanswered::Reset));
    let mut other = RawClient::connect(house.address).await;
    other.send(format!("PROXY TCP4 192.0.2.8 192.0.2.2 56324 443\r\n{GET}")).await;
    assert_eq!(other.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_proxy_header_is_believed_of_nobody_else_and_nowhere_else() {
    let header = format!("PROXY TCP4 192.0.2.9 192.0.2.2 56324 443\r\n{GET}");
    let house = House::start_as(ServeOptions::default(), Proxied::Yes).await;
    let mut client = RawClient::connect(house.address).await;
    client.send(&header).await;
    assert!(matches!(end(&mut client).await, Unanswered::Closed | Unanswered::Reset));
    let house = House::start(ServeOptions::default()).await;
    let (answers, _) = exchange(house.address, &header).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [400]);
}

#[tokio::test]
async fn one_listener_ends_while_another_goes_on() {
    let server = Server::new(ServeOptions::default(), |request: Request<Incoming>, _| async move {
        if request.uri().path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Ok(text(StatusCode::OK, "done"))
    });
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (first_at, second_at) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    let (first, _second) = (server.listen(first, Proxied::No), server.listen(second, Proxied::No));
    let mut idle = RawClient::connect(first_at).await;
    idle.send(GET).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut silent = RawClient::connect(first_at).await;
    let mut elsewhere = RawClient::connect(second_at).await;
    let mut busy = RawClient::connect(first_at).await;
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The stop comes while `busy` waits for its answer.
    let (stopped, answer) = tokio::join!(first.stop(), busy.answer());
    assert_eq!(((), answer.unwrap().text()), (stopped, "done".to_owned()));
    for client in [&mut idle, &mut silent, &mut busy] {
        assert_eq!(end(client).await, Unanswered::Closed);
    }
    assert!(tokio::net::TcpStream::connect(first_at).await.is_err());
    elsewhere.send(GET).await;
    assert_eq!(elsewhere.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn refusals_are_told() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = |_request, _peer| async { Ok(text(StatusCode::OK, "done")) };
    let server = Server::with_refusals_told(ServeOptions::default(), handler, {
        let told = told.clone();
        move |peer, refusal| told.lock().unwrap().push((peer, refusal.status().as_u16()))
    });
    let _listening = server.listen(listener, Proxied::No);
    let mut client = RawClient::connect(address).await;
    client.send(format!("{GET}TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(client.answers().await.0.len(), 2);
    assert_eq!(*told.lock().unwrap(), [(Peer(client.local_address()), 405)]);
}

/// Echoes on a connection that was given to another protocol.
async fn tunnel(mut request: Request<Incoming>, _peer: Peer) -> Result<Answer, Dropped> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            stream.write_all(&bytes[..count]).await.unwrap();
        }
    });
    let answer = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
    Ok(answer.body(full("")).unwrap())
}

#[tokio::test]
async fn behind_101_the_bytes_are_another_protocols() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _listening = Server::new(ServeOptions::default(), tunnel).listen(listener, Proxied::No);
    let mut client = RawClient::connect(address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n\u{0}early").await;
    assert_eq!(client.head().await.unwrap().status, 101);
    client.until("\u{0}early").await;
    client.send("\u{1} GET / HTTP/9.9\n\n").await;
    client.until("\u{1} GET / HTTP/9.9\n\n").await;
}
