//! The socket by which a process says that it is ready, as systemd has it (`sd_notify(3)`).
//!
//! It is one of Linux's abstract sockets: it is in no folder, so that processes of other users reach it too, and gone with the
//! house. Any process of this machine could say that another one is ready; it could do no more.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::Path;

use tokio::net::UnixDatagram;

/// Largest message that is read; readiness stands in the first bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Notify {
    address: String,
    socket: UnixDatagram,
}

impl Notify {
    /// Must be called within the runtime.
    pub(crate) fn open(place: &Path, name: &str) -> io::Result<Self> {
        let hash = place
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(5381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(*byte));
        let abstract_name = format!("tollhouse/{}/{hash:x}/{name}", std::process::id());
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name)?)?;
        socket.set_nonblocking(true)?;
        Ok(Self { address: format!("@{abstract_name}"), socket: UnixDatagram::from_std(socket)? })
    }

    /// What stands in the variable `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it says so.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        let mut message = [0; MESSAGE_BYTES_MAX];
        loop {
            let length = self.socket.recv(&mut message).await?;
            if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
    }
}
