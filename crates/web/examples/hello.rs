//! A listener for measurements: `/` is answered at once, `/stream` never ends, `/rss` tells the memory in use, in KiB.
//!
//! `cargo run -p tollhouse-web --example hello`, then any load generator.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tollhouse_web::{Answer, ServeOptions, serve, text};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (_stop, stopped) = watch::channel(false);
    serve(listener, ServeOptions::default(), stopped, |request, _peer| async move {
        Ok(match request.uri().path() {
            "/rss" => text(StatusCode::OK, resident_kib()),
            "/stream" => endless(),
            _ => text(StatusCode::OK, "hello\n"),
        })
    })
    .await;
    Ok(())
}

fn endless() -> Answer {
    let first = futures_util::stream::once(async { Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"tick\n"))) });
    let stream = futures_util::StreamExt::chain(first, futures_util::stream::pending());
    Response::new(StreamBody::new(stream).boxed_unsync())
}

fn resident_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}
