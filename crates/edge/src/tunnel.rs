//! A WebSocket between a client and a server: bytes both ways, until one side ends or both say nothing for too long.

use std::io;
use std::time::Duration;

use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tollhouse_web::{Answer, RequestId};

use crate::balance::Running;
use crate::client::Connection;
use crate::visit::Open;

/// Bytes held for each direction.
const BUFFER_BYTES: usize = 16 * 1024;

/// A server has agreed to a tunnel.
pub(crate) struct Upgrade {
    pub(crate) answer: Answer,
    pub(crate) client: OnUpgrade,
    pub(crate) server: Connection,
    pub(crate) idle: Duration,
    pub(crate) running: Running,
}

impl Upgrade {
    /// Answers the client, and begins to copy when it has the answer. The tunnel ends with the client's connection, which is
    /// counted and bounded as any other.
    pub(crate) fn begin(self, mut open: Open, id: &RequestId) -> Answer {
        let Self { mut answer, client, server, idle, running } = self;
        open.answered(StatusCode::SWITCHING_PROTOCOLS);
        answer.headers_mut().insert("x-request-id", id.header_value());
        tokio::spawn(async move {
            let _running = running;
            match client.await {
                Ok(client) => {
                    let (sent, ended) = join(TokioIo::new(client), server, idle).await;
                    open.sent(sent);
                    if let Err(error) = ended
                        && error.kind() == io::ErrorKind::TimedOut
                    {
                        open.fail(format!("nothing was said for {idle:?}"));
                    }
                }
                Err(error) => open.fail(format!("the tunnel did not come about: {error}")),
            }
        });
        answer
    }
}

/// Copies both ways until both have ended, and gives the bytes that went to the client.
async fn join<C, S>(client: C, server: S, idle: Duration) -> (u64, io::Result<()>)
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (client_read, client_write) = tokio::io::split(client);
    let (server_read, server_write) = tokio::io::split(server);
    let (mut sent, mut received) = (0, 0);
    let ended = tokio::try_join!(
        copy(client_read, server_write, idle, &mut received),
        copy(server_read, client_write, idle, &mut sent)
    );
    (sent, ended.map(|_| ()))
}

/// Copies one way to its end, and says so to the other side.
async fn copy<R, W>(mut from: R, mut to: W, idle: Duration, bytes: &mut u64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = timeout(idle, from.read(&mut buffer)).await??;
        if read == 0 {
            return to.shutdown().await;
        }
        timeout(idle, to.write_all(&buffer[..read])).await??;
        timeout(idle, to.flush()).await??;
        *bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_ways_until_the_end_or_silence() {
        let (mut client, ours) = tokio::io::duplex(64);
        let (theirs, mut server) = tokio::io::duplex(64);
        let joined = tokio::spawn(join(ours, theirs, Duration::from_secs(60)));
        client.write_all(b"question").await.unwrap();
        let mut buffer = [0; 8];
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"question");
        server.write_all(b"answer").await.unwrap();
        client.read_exact(&mut buffer[..6]).await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0, "the end of one side is told to the other");
        drop(client);
        let (sent, _) = joined.await.unwrap();
        assert_eq!(sent, 6);

        let (_client, ours) = tokio::io::duplex(64);
        let (theirs, _server) = tokio::io::duplex(64);
        let (_, ended) = join(ours, theirs, Duration::from_secs(60)).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
