//! Who listens where on this machine, by /proc/net.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDInfo, FDTarget, all_processes};

/// Lines of a table that are read.
const SOCKETS_MAX: usize = 10_000;
/// Programs whose sockets are looked at.
const PROCESSES_MAX: usize = 10_000;

/// A program that holds a socket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// A socket that takes connections.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    /// Whose it is, where that may be known.
    pub(super) holder: Option<Holder>,
}

impl Listening {
    /// Whether other machines reach it.
    pub(super) fn is_open(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Whether whoever connects to this address comes here.
    pub(super) fn takes(&self, address: SocketAddr) -> bool {
        let own = self.address.ip().to_canonical();
        self.address.port() == address.port() && (own.is_unspecified() || own == address.ip().to_canonical())
    }

    /// Its program for people.
    pub(super) fn holder_text(&self) -> Option<String> {
        self.holder.as_ref().map(|holder| format!("{}, pid {}", holder.name, holder.pid))
    }
}

/// All sockets of TCP that take connections. Reads files, so it blocks.
pub(super) fn listening() -> Vec<Listening> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let sockets = tables.into_iter().flatten().flat_map(|table| table.into_iter().take(SOCKETS_MAX));
    let takes_connections = sockets.filter(|socket| socket.state == TcpState::Listen);
    let holders = holders();
    let listening =
        |socket: TcpNetEntry| Listening { address: socket.local_address, holder: holders.get(&socket.inode).cloned() };
    takes_connections.map(listening).collect()
}

/// Programs by the inodes of their sockets: those of other users may not be seen.
fn holders() -> BTreeMap<u64, Holder> {
    let mut holders = BTreeMap::new();
    for process in all_processes().into_iter().flatten().flatten().take(PROCESSES_MAX) {
        let inodes: Vec<u64> = process.fd().into_iter().flatten().flatten().filter_map(|file| inode(&file)).collect();
        if inodes.is_empty() {
            continue;
        }
        let Ok(pid) = u32::try_from(process.pid()) else { continue };
        let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
        holders.extend(inodes.into_iter().map(|inode| (inode, Holder { pid, name: name.clone() })));
    }
    holders
}

fn inode(file: &FDInfo) -> Option<u64> {
    match file.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_of_ours_are_found_and_connections_are_none() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(host) else {
                assert_eq!(host, "[::1]:0", "only IPv6 may be missing");
                continue;
            };
            let address = socket.local_addr().unwrap();
            let client = TcpStream::connect(address).unwrap();
            let all = listening();
            let found: Vec<_> = all.iter().filter(|found| found.takes(address)).collect();
            assert_eq!(found.len(), 1, "the accepted one has the same address, and takes nothing");
            assert!(!found[0].is_open() && found[0].address == address);
            assert_eq!(found[0].holder.as_ref().unwrap().pid, std::process::id());
            assert!(all.iter().all(|found| found.address != client.local_addr().unwrap()));
        }
    }
}
