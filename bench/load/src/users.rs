//! The users: each has a connection of its own, and notes when the first token came and whether the end did.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use crate::serve::find;
use crate::{HEAD_MAX, Target};

/// How many streams are opened before the next ones are.
const OPENED_AT_ONCE: u32 = 100;

/// Lets so many users ask for so long, and prints what they saw.
pub(crate) async fn users(target: &Target, users: u32, time: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    let spread = time.min(Duration::from_secs(1)) / users.max(1);
    let seen = LocalSet::new()
        .run_until(async {
            let mut all = JoinSet::new();
            for number in 0..users {
                // Not all in the same moment: users of the real world are not either.
                all.spawn_local(one(target.clone(), spread * number, end));
            }
            all.join_all().await
        })
        .await;
    let (mut firsts, mut errors) = (Vec::new(), 0);
    for user in seen {
        firsts.extend(user.firsts_ms);
        errors += user.errors;
    }
    firsts.sort_by(f64::total_cmp);
    let at = |share: f64| firsts.get(((firsts.len() as f64 - 1.0) * share).round() as usize).copied();
    println!("{}", json!({"streams": firsts.len(), "errors": errors, "ttft_p50_ms": at(0.5), "ttft_p99_ms": at(0.99)}));
    Ok(())
}

#[derive(Default)]
struct Seen {
    firsts_ms: Vec<f64>,
    errors: u32,
}

async fn one(target: Target, wait: Duration, end: Instant) -> Seen {
    sleep(wait).await;
    let (request, mut seen) = (target.request(), Seen::default());
    let mut connection = None;
    while Instant::now() < end {
        if let Ok(first) = stream(&target, &mut connection, &request).await {
            seen.firsts_ms.push(first.as_secs_f64() * 1000.0);
        } else {
            seen.errors += 1;
            connection = None;
        }
    }
    seen
}

/// One stream, read to its end; gives how long its first event took.
async fn stream(target: &Target, kept: &mut Option<TcpStream>, request: &[u8]) -> anyhow::Result<Duration> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => connect(target.port).await?,
    };
    let asked = Instant::now();
    connection.write_all(request).await?;
    let (mut buffer, mut first) = (Vec::with_capacity(4096), None);
    loop {
        if connection.read_buf(&mut buffer).await? == 0 {
            bail!("the stream was cut");
        }
        if first.is_none() && find(&buffer, b"data: ").is_some() {
            if !buffer.starts_with(b"HTTP/1.1 200") {
                bail!("refused: {}", String::from_utf8_lossy(&buffer));
            }
            first = Some(asked.elapsed());
        }
        if buffer.ends_with(b"\r\n0\r\n\r\n") {
            break;
        }
        // What was read is only needed as far as an end could begin in it.
        if first.is_some() {
            buffer.drain(..buffer.len().saturating_sub(8));
        } else if buffer.len() > HEAD_MAX {
            bail!("no event in {HEAD_MAX} bytes");
        }
    }
    *kept = Some(connection);
    first.context("a stream without an event")
}

async fn connect(port: u16) -> std::io::Result<TcpStream> {
    let connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

/// Opens the streams, says so, and holds them until standard input ends.
pub(crate) async fn hold(target: &Target, count: u32) -> anyhow::Result<()> {
    let request = target.request();
    let mut held = Vec::with_capacity(count as usize);
    for begin in (0..count).step_by(OPENED_AT_ONCE as usize) {
        let mut opening = JoinSet::new();
        for _ in begin..count.min(begin + OPENED_AT_ONCE) {
            let (port, request) = (target.port, request.clone());
            opening.spawn(async move {
                let mut connection = connect(port).await?;
                connection.write_all(&request).await?;
                let mut buffer = Vec::with_capacity(1024);
                while find(&buffer, b"data: ").is_none() {
                    if connection.read_buf(&mut buffer).await? == 0 || buffer.len() > HEAD_MAX {
                        bail!("no stream: {}", String::from_utf8_lossy(&buffer));
                    }
                }
                Ok(connection)
            });
        }
        while let Some(connection) = opening.join_next().await {
            held.push(connection??);
        }
    }
    println!("ready");
    // Read on, so that nobody upstream has to wait for us.
    let reading: Vec<_> = held.into_iter().map(|connection| tokio::spawn(discard(connection))).collect();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    drop(reading);
    Ok(())
}

async fn discard(mut connection: TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(connection.read(&mut buffer).await, Ok(length) if length > 0) {}
}
