//! Syslog over UDP (RFC 5426): one datagram, one message.
//!
//! Nobody can be asked to wait, so that the socket is always read, and what the consumer has no time for waits here up to a
//! bound. Beyond it datagrams are dropped and counted. Linux counts those that it has dropped before; its number is ours too.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

use super::batch::{Bounds, Sheaf};
use super::closed::Closed;
use super::connection::{Stop, stopped};
use super::received::{Transport, Wire};
use super::shared::Shared;

/// Longest datagram that there can be.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// What the system is asked to hold for us; it may give less.
const SOCKET_BYTES: usize = 4 << 20;
/// Datagrams read before others have their turn.
const TURN_DATAGRAMS: usize = 256;
/// Turns at the end: as many datagrams as wait at most, and some.
const LAST_TURNS: usize = 256;
/// A socket that has had nothing for so long is empty.
const LAST_WORD: Duration = Duration::from_millis(50);
/// How long the loop rests after the system has reported an error, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the system is asked how many it has dropped.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Receives until the listener stops, and then hands over what has come.
pub(super) async fn receive(socket: UdpSocket, shared: Arc<Shared>, mut stop: Stop) {
    let _: rustix::io::Result<()> = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
    let mut inbox = Inbox::new(&shared);
    let mut asking = interval(ASK_EVERY);
    while stop.borrow().is_none() {
        tokio::select! {
            readable = socket.readable() => match readable {
                Ok(()) => inbox.read(&socket).await,
                Err(_) => sleep(PAUSE).await,
            },
            over = inbox.hand_over() => if over.is_err() { return },
            _ = asking.tick() => count_dropped(&socket, &shared).await,
            () = stopped(&mut stop) => {}
        }
    }
    // What the system holds has come in time. It is bounded, but more may come meanwhile.
    for _ in 0..LAST_TURNS {
        if timeout(LAST_WORD, socket.readable()).await.is_err() {
            break;
        }
        inbox.read(&socket).await;
    }
    count_dropped(&socket, &shared).await;
    let end = Instant::now() + shared.options.drain;
    while !inbox.is_done() {
        if !matches!(timeout_at(end, inbox.hand_over()).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Datagrams that wait for the consumer, while it has one batch at most.
struct Inbox<'a> {
    shared: &'a Shared,
    transport: Arc<Transport>,
    sheaf: Sheaf,
    datagram: Vec<u8>,
    unconfirmed: Option<oneshot::Receiver<Result<(), String>>>,
}

impl<'a> Inbox<'a> {
    fn new(shared: &'a Shared) -> Self {
        let bounds = Bounds {
            message_bytes_max: shared.options.syslog_bytes_max,
            messages_max: shared.options.datagrams_max,
            bytes_max: shared.options.datagram_bytes_max,
        };
        let transport = Transport { wire: Wire::SyslogUdp, is_encrypted: false, certificate_sha256: None };
        Self {
            shared,
            transport: Arc::new(transport),
            sheaf: Sheaf::new(bounds, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            datagram: vec![0; DATAGRAM_BYTES_MAX],
            unconfirmed: None,
        }
    }

    /// Reads what is there.
    async fn read(&mut self, socket: &UdpSocket) {
        for _ in 0..TURN_DATAGRAMS {
            match socket.try_recv_from(&mut self.datagram) {
                Ok((_, peer)) if !self.shared.options.admits(peer.ip()) => self.shared.tell(peer, &Closed::NotAllowed),
                Ok(_) if self.sheaf.is_full() => self.shared.counters.dropped.add(1),
                Ok((length, peer)) => {
                    self.sheaf.add(&self.datagram[..length], peer);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => return sleep(PAUSE).await,
            }
        }
    }

    /// Waits until the batch before is answered; or, if there is none, hands over the next one when there is room. May be
    /// dropped at any point without losing anything.
    async fn hand_over(&mut self) -> Result<(), Closed> {
        if let Some(unconfirmed) = &mut self.unconfirmed {
            // What was refused is counted by its receipt, and there is nobody to tell.
            let _: Result<_, oneshot::error::RecvError> = unconfirmed.await;
            self.unconfirmed = None;
            return Ok(());
        }
        if self.sheaf.is_empty() {
            return std::future::pending().await;
        }
        let place = self.shared.place().await?;
        let (waiting, answer) = oneshot::channel();
        self.shared.fill(place, self.sheaf.take(), &self.transport, waiting);
        self.unconfirmed = Some(answer);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.sheaf.is_empty() && self.unconfirmed.is_none()
    }
}

/// Takes over how many datagrams the system has dropped, where it says so.
async fn count_dropped(socket: &UdpSocket, shared: &Shared) {
    let Ok(socket) = rustix::fs::fstat(socket) else { return };
    for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        if let Ok(table) = tokio::fs::read_to_string(table).await
            && let Some(dropped) = dropped(&table, socket.st_ino)
        {
            shared.counters.dropped_by_system.set(dropped);
        }
    }
}

/// The last column of a socket's line in Linux's table: "drops", while the tenth is "inode".
fn dropped(table: &str, inode: u64) -> Option<u64> {
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line.len() == 13 && line[9].parse() == Ok(inode))?;
    line[12].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_how_many_it_has_dropped() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  442: 0100007F:13B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 40577 2 0000000000000000 7
 1442: 0100007F:63B4 00000000:0000 07 00000000:00034000 00:00000000 00000000     0        0 57740 2 0000000000000000 42
";
        assert_eq!([40_577, 57_740, 1].map(|inode| dropped(table, inode)), [Some(7), Some(42), None]);
    }
}
