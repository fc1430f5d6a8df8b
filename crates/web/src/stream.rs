//! The bytes of a connection: as they are, or through TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, ServerConnection};
use tokio_rustls::server::TlsStream;

use crate::guard::Transport;

/// Bytes that TLS holds for a client that does not read, as long as nobody says otherwise: one record, of half the size that it
/// could have.
const UNSENT_BYTES_MAX: usize = 8 * 1024;

/// An extension of each request that came through TLS, if the client said for which name it spoke it (RFC 6066, section 3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerName(pub Arc<str>);

/// A client's connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Goes on in TLS, once the handshake has come to its end.
    pub(crate) async fn encrypted(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        match self {
            Self::Plain(stream) => {
                let bounded = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(UNSENT_BYTES_MAX));
                let stream = TlsAcceptor::from(config).accept_with(stream, bounded).await?;
                Ok(Self::Tls(Box::new(stream)))
            }
            encrypted @ Self::Tls(_) => Ok(encrypted),
        }
    }

    /// The name that the client asked for when TLS began.
    pub(crate) fn server_name(&self) -> Option<ServerName> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.server_name().map(|name| ServerName(name.into())),
        }
    }

    /// The protocol that was agreed on when TLS began, if one was (RFC 7301).
    pub(crate) fn agreed(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    /// Waits until there is something to read, where that takes no buffer.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.readable().await,
            // What the system has may be no byte of the client's.
            Self::Tls(_) => Ok(()),
        }
    }

    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

impl Transport for Stream {
    fn has_ended(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.has_ended(),
            Self::Tls(stream) => stream.get_ref().0.has_ended(),
        }
    }

    fn break_off(&mut self) {
        self.socket().break_off();
    }

    fn hold_at_most(&mut self, bytes: usize) {
        if let Self::Tls(stream) = self {
            stream.get_mut().1.set_buffer_limit(Some(bytes));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
