//! Sockets that whoever started the house already listens on (sd_listen_fds(3)).
//!
//! They stay open over a restart of the house, so that whoever connects meanwhile waits instead of being refused. The house keeps its
//! own copies: a change of the configuration may go away from an address and come back to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

use anyhow::Context;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The number of the first one.
const FIRST: i32 = 3;
/// More are not looked at.
const SOCKETS_MAX: i32 = 64;

/// The socket of this address, if it was handed over.
pub(crate) fn socket(wanted: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    static HANDED: OnceLock<Vec<(SocketAddr, TcpListener)>> = OnceLock::new();
    if HANDED.get().is_none() {
        let count = count(|name| std::env::var(name).ok(), std::process::id());
        let taken = take(count).context("taking the sockets that were handed over (LISTEN_FDS)")?;
        // Whoever was first has the same ones.
        let _: Result<(), _> = HANDED.set(taken);
    }
    let handed = HANDED.get().map_or(&[][..], Vec::as_slice);
    let Some((_, socket)) = handed.iter().find(|(address, _)| is_for(*address, wanted)) else { return Ok(None) };
    let socket = socket.try_clone().context("sharing a socket that was handed over")?;
    socket.set_nonblocking(true).context("preparing a socket that was handed over")?;
    Ok(Some(socket))
}

/// How many there are for this process.
fn count(variable: impl Fn(&str) -> Option<String>, pid: u32) -> i32 {
    let number = |name: &str| variable(name)?.trim().parse::<u32>().ok();
    if number("LISTEN_PID") != Some(pid) {
        return 0;
    }
    number("LISTEN_FDS").and_then(|count| i32::try_from(count).ok()).unwrap_or(0).min(SOCKETS_MAX)
}

/// Copies of those that TCP is listened on with. What else is handed over is left alone.
fn take(count: i32) -> anyhow::Result<Vec<(SocketAddr, TcpListener)>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let own = pidfd_open(getpid(), PidfdFlags::empty()).context("opening this process")?;
    let mut taken = Vec::new();
    for number in FIRST..FIRST + count {
        let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty());
        let socket =
            socket.with_context(|| format!("copying number {number}; a unit needs SystemCallFilter=pidfd_getfd"))?;
        let listener = TcpListener::from(socket);
        if let Ok(address) = listener.local_addr() {
            taken.push((address, listener));
        }
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
    fn sockets_are_ours_only_where_they_are_meant_for_this_process() {
        for (pid, fds, expected) in [
            (Some("7"), Some("2"), 2),
            (Some("8"), Some("2"), 0),
            (None, Some("2"), 0),
            (Some("7"), None, 0),
            (Some("7"), Some("-1"), 0),
            (Some("7"), Some("9999"), SOCKETS_MAX),
        ] {
            let variable = |name: &str| if name == "LISTEN_PID" { pid } else { fds }.map(str::to_owned);
            assert_eq!(count(variable, 7), expected, "{pid:?} {fds:?}");
        }
    }

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
