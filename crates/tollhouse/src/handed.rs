//! Sockets that whoever started the house already listens on (sd_listen_fds(3)).
//!
//! They stay open over a restart of the house, so that whoever connects meanwhile waits instead of being refused. The house keeps them:
//! a change of the configuration may go away from an address and come back to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

use anyhow::Context;
use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_setfd};

/// More are not looked at.
const SOCKETS_MAX: usize = 64;

/// The socket of this address, if it was handed over.
pub(crate) fn socket(wanted: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    static HANDED: OnceLock<Vec<(SocketAddr, TcpListener)>> = OnceLock::new();
    if HANDED.get().is_none() {
        let taken = take().context("taking the sockets that were handed over (LISTEN_FDS)")?;
        // Whoever was first has the same ones.
        let _: Result<(), _> = HANDED.set(taken);
    }
    let handed = HANDED.get().map_or(&[][..], Vec::as_slice);
    let Some((_, socket)) = handed.iter().find(|(address, _)| is_for(*address, wanted)) else { return Ok(None) };
    let socket = socket.try_clone().context("sharing a socket that was handed over")?;
    socket.set_nonblocking(true).context("preparing a socket that was handed over")?;
    Ok(Some(socket))
}

/// Those that TCP is listened on with. What else is handed over is left alone.
fn take() -> anyhow::Result<Vec<(SocketAddr, TcpListener)>> {
    let mut handed = ListenFd::from_env();
    let mut taken = Vec::new();
    for number in 0..handed.len().min(SOCKETS_MAX) {
        let Ok(Some(listener)) = handed.take_tcp_listener(number) else { continue };
        // They came over an exec, and shall not go over the next: what the house starts listens on nothing of its.
        fcntl_setfd(&listener, FdFlags::CLOEXEC).context("keeping a socket from the programs that are started")?;
        taken.push((listener.local_addr().context("asking a socket for its address")?, listener));
    }
    Ok(taken)
}

/// Whether a socket of this address takes what is sent to the wanted one: the same, or all addresses of both families.
fn is_for(address: SocketAddr, wanted: SocketAddr) -> bool {
    let is_all = address.is_ipv6() && address.ip().is_unspecified() && wanted.ip().is_unspecified();
    address == wanted || (is_all && address.port() == wanted.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_decides_which_is_meant() {
        for (address, wanted, expected) in [
            ("127.0.0.1:443", "127.0.0.1:443", true),
            ("[::]:443", "0.0.0.0:443", true),
            ("[::]:443", "127.0.0.1:443", false),
            ("0.0.0.0:443", "127.0.0.1:443", false),
            ("[::]:443", "0.0.0.0:80", false),
        ] {
            assert_eq!(is_for(address.parse().unwrap(), wanted.parse().unwrap()), expected, "{address} {wanted}");
        }
    }
}
