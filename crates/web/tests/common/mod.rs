//! A house of one room: it reads each request to its end, keeps what it saw, and answers with the body.

#![expect(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod frames;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tollhouse_web::{Answer, Dropped, Listening, Peer, Proxied, ServeOptions, Server, end_on_error, json, text};

/// Requests that came whole: what an upstream would have seen.
pub type Served = Arc<Mutex<Vec<String>>>;

pub struct House {
    pub address: SocketAddr,
    pub served: Served,
    pub listening: Listening,
}

impl House {
    pub async fn start(options: ServeOptions) -> Self {
        Self::start_as(options, Proxied::No).await
    }

    pub async fn start_as(options: ServeOptions, proxied: Proxied) -> Self {
        let served = Served::default();
        let server = Server::new(options, {
            let served = served.clone();
            move |request, peer| answer(request, peer, served.clone())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, served, listening: server.listen(listener, proxied) }
    }

    /// `METHOD target body` of each request that came whole.
    pub fn served(&self) -> Vec<String> {
        self.served.lock().unwrap().clone()
    }
}

async fn answer(request: Request<Incoming>, peer: Peer, served: Served) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    let note = |body: &[u8]| {
        let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(body));
        served.lock().unwrap().push(line);
    };
    match head.uri.path() {
        // Answers before the body has come.
        "/early" => return Ok(text(StatusCode::UNAUTHORIZED, "no key\n")),
        "/dropped" => return Err(Dropped),
        "/peer" => return Ok(text(StatusCode::OK, peer.0.to_string())),
        "/never" => {
            note(b"");
            let _gone = Gone(served.clone());
            std::future::pending::<()>().await;
        }
        "/large" => return Ok(text(StatusCode::OK, "x".repeat(64 * 1024 * 1024))),
        "/pieces" => {
            let piece = bytes::Bytes::from(vec![b'x'; 1024]);
            let pieces = (0..1024).map(move |_| Ok::<_, std::io::Error>(http_body::Frame::data(piece.clone())));
            let pieces = futures_util::stream::iter(pieces);
            return Ok(http::Response::new(end_on_error(http_body_util::StreamBody::new(pieces))));
        }
        "/slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        _ => {}
    }
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            note(&body);
            Ok(text(StatusCode::OK, String::from_utf8_lossy(&body).into_owned()))
        }
        // A handler that takes a broken body for a bad upstream: the guard's reason has to win.
        Err(_) => Ok(json(StatusCode::BAD_GATEWAY, "{}")),
    }
}

/// Notes that a request was cancelled.
struct Gone(Served);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("gone".to_owned());
    }
}

/// Waits until `met`; panics when that takes too long.
pub async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + tollhouse_testkit::PATIENCE;
    while !met() {
        assert!(tokio::time::Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
