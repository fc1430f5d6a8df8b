//! Connections that nobody uses, kept for the next request to the same server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::Authority;
use tokio::time::{Instant, sleep};

use super::connection::Io;

/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// Most unused connections kept per server.
const KEPT_MAX: usize = 256;
/// How often connections are looked for that are unused for too long, or that the server has closed.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Connections that nobody uses, by server.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Of each server, the one used last at the end. None without any.
    by_server: HashMap<Authority, Vec<(Io, Instant)>>,
    /// Whether the task runs that sweeps.
    is_swept: bool,
}

impl Pool {
    /// The connection to this server that was used last, as far as there is one that can still be used.
    pub(crate) fn take(&self, server: &Authority) -> Option<Io> {
        let mut kept = self.kept();
        let connections = kept.by_server.get_mut(server)?;
        let usable = loop {
            let Some((mut io, since)) = connections.pop() else { break None };
            if since.elapsed() < IDLE_MAX && io.is_quiet() {
                break Some(io);
            }
        };
        if connections.is_empty() {
            kept.by_server.remove(server);
        }
        usable
    }

    /// Keeps a connection for later, or closes it when enough are kept.
    pub(crate) fn keep(self: &Arc<Self>, server: Authority, io: Io) {
        let mut kept = self.kept();
        let connections = kept.by_server.entry(server).or_default();
        if connections.len() == KEPT_MAX {
            // The one that has been unused for longest will be closed soonest anyway.
            connections.remove(0);
        }
        connections.push((io, Instant::now()));
        if !std::mem::replace(&mut kept.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what is no longer of use; false when nothing is left.
    fn sweep(&self) -> bool {
        let mut kept = self.kept();
        kept.by_server.retain(|_, connections| {
            connections.retain_mut(|(io, since)| since.elapsed() < IDLE_MAX && io.is_quiet());
            !connections.is_empty()
        });
        kept.is_swept = !kept.by_server.is_empty();
        kept.is_swept
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while there are unused connections, and somebody who may use them.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP_EVERY).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn none_that_its_server_has_closed_is_taken_however_many_there_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server: Authority = address.to_string().parse().expect("an authority");
        let pool = Arc::new(Pool::default());
        for _ in 0..KEPT_MAX {
            let stream = TcpStream::connect(address).await.expect("connects");
            drop(listener.accept().await.expect("accepts"));
            stream.readable().await.expect("heard of the end");
            pool.keep(server.clone(), Io::Plain(stream));
        }
        assert!(pool.take(&server).is_none());
        assert!(pool.kept().by_server.is_empty());
    }
}
