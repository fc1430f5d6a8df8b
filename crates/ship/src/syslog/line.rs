//! A connection to a syslog server: TCP, TLS or UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, Interest};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tollhouse_outbound::encrypted;

/// How long connecting may take, a TLS handshake included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a server may take to read what was written, when the connection is closed in order.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
/// Datagrams that are sent without a rest: what the other side's buffer has room for.
const DATAGRAMS_AT_ONCE: usize = 64;
const DATAGRAM_REST: Duration = Duration::from_millis(1);
/// Bytes written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Where a server is, and over what it is spoken to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    way: Way,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Tcp,
    Tls,
    Udp,
}

impl Address {
    /// Reads `tcp://host:port` and its like.
    pub(super) fn read(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let way = match uri.scheme_str()? {
            "tcp" => Way::Tcp,
            "tls" => Way::Tls,
            "udp" => Way::Udp,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { way, host, port: uri.port_u16()? })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.way == Way::Tls
    }

    pub(super) fn is_datagram(&self) -> bool {
        self.way == Way::Udp
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Line {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Udp(UdpSocket),
}

impl Line {
    pub(super) async fn connect(address: &Address, tls: Arc<ClientConfig>) -> io::Result<Self> {
        match timeout(CONNECT_TIME_MAX, Self::try_connect(address, tls)).await {
            Ok(line) => line,
            Err(late) => Err(late.into()),
        }
    }

    async fn try_connect(address: &Address, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let at = (address.host.as_str(), address.port);
        if address.way == Way::Udp {
            let to = lookup_host(at).await?.next().ok_or(io::ErrorKind::NotFound)?;
            let from: SocketAddr =
                if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(from).await?;
            socket.connect(to).await?;
            return Ok(Self::Udp(socket));
        }
        let stream = TcpStream::connect(at).await?;
        if address.way == Way::Tcp {
            return Ok(Self::Tcp(stream));
        }
        Ok(Self::Tls(Box::new(encrypted(stream, &address.host, tls).await?)))
    }

    /// Whether the other side has closed it, as far as the system knows.
    pub(super) fn has_ended(&self) -> bool {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Udp(_) => return false,
        };
        // Only looks: nothing is waited for.
        let mut waiting = std::task::Context::from_waker(std::task::Waker::noop());
        let ready = std::pin::pin!(stream.ready(Interest::READABLE));
        matches!(ready.poll(&mut waiting), std::task::Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Returns when the system has taken all of it.
    pub(super) async fn write(&mut self, pieces: &[Vec<u8>]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => write_all(stream, pieces).await,
            Self::Tls(stream) => write_all(stream, pieces).await,
            Self::Udp(socket) => {
                for several in pieces.chunks(DATAGRAMS_AT_ONCE) {
                    for piece in several {
                        socket.send(piece).await?;
                    }
                    sleep(DATAGRAM_REST).await;
                }
                Ok(())
            }
        }
    }

    /// Ends our side, and waits until the other side has read it and ends its own.
    pub(super) async fn end(self) {
        let closing = async {
            let mut waste = [0; 1_024];
            match self {
                Self::Tcp(mut stream) => {
                    stream.shutdown().await?;
                    while stream.read(&mut waste).await? > 0 {}
                }
                Self::Tls(mut stream) => {
                    stream.shutdown().await?;
                    while stream.read(&mut waste).await? > 0 {}
                }
                Self::Udp(_) => {}
            }
            io::Result::Ok(())
        };
        // Whoever does not close in time has what the system has sent.
        let _: Result<io::Result<()>, _> = timeout(CLOSE_TIME_MAX, closing).await;
    }
}

async fn write_all<S: tokio::io::AsyncWrite + Unpin>(stream: &mut S, pieces: &[Vec<u8>]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(PIECE_BYTES, stream);
    for piece in pieces {
        out.write_all(piece).await?;
    }
    out.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_their_way() {
        for (url, expected) in [
            ("tcp://127.0.0.1:514", Some((Way::Tcp, "127.0.0.1", 514))),
            ("tls://logs.example.com:6514", Some((Way::Tls, "logs.example.com", 6514))),
            ("udp://[::1]:514", Some((Way::Udp, "::1", 514))),
            ("tcp://127.0.0.1", None),
            ("http://127.0.0.1:1", None),
            ("", None),
        ] {
            let read = Address::read(url);
            let read = read.as_ref().map(|address| (address.way, address.host.as_str(), address.port));
            assert_eq!(read, expected, "{url}");
        }
    }
}
