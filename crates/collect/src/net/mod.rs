//! What other programs send: Beats and syslog on one TCP port, told apart by their first bytes, and syslog over UDP.
//!
//! [`listen`] takes bound sockets and a bounded channel. What comes is put into a [`Batch`] of raw [`Message`]s and handed over
//! as [`Received`], with a [`Receipt`] that the consumer must answer: [`Receipt::confirm`] when all of it is on disk,
//! [`Receipt::refuse`] when it will not be. [`Listening::counts`] tells numbers; the reasons for closed connections
//! ([`Closed`]) go to a function.
//!
//! # What is promised
//!
//! - **Beats: at least once.** An event is acknowledged after the consumer's word and never before. What was not acknowledged when a
//!   connection ends is sent again by the sender: then it may be here twice. Lumberjack has no ids. Filebeat's events have one
//!   all the same, in their fields: `agent.id`, `log.file.device_id` and `log.file.inode` (or `log.file.fingerprint`, or
//!   `log.file.path`), and `log.offset` together name a line of a file; whoever must not have it twice compares them.
//! - **Syslog over TCP: what was read is handed over once.** The protocol has no acknowledgements: what a sender has written and we
//!   have not read when one of the two dies is lost, and nobody can know. We close only in an orderly way when we can: the
//!   sending side first, then reading goes on until the sender has closed its own.
//! - **Syslog over UDP: nothing**, but what is dropped is counted, by us and by the system.
//! - A slow consumer is waited for: connections are not read meanwhile, and Beats are told every 10 s that we are alive.
//! - A message that is too long is cut, marked and counted. It is never refused: Beats would send it again for ever.
//!
//! [`server_tls`] makes TLS of files. What this never does: parse a message ([`formats`](crate::formats) do), drop one
//! silently, or hold more than the bounds of [`ListenOptions`] say.

mod answering;
mod batch;
mod closed;
mod connection;
mod counts;
mod datagrams;
mod framing;
mod listen;
mod lumberjack;
mod options;
mod pace;
mod reading;
mod received;
mod shared;
mod sniff;
mod tls;

#[cfg(test)]
mod fuzz;

pub use batch::{Batch, Message};
pub use closed::Closed;
pub use counts::Counts;
pub use listen::{Listening, Sockets, listen};
pub use lumberjack::Broken;
pub use options::ListenOptions;
pub use received::{Receipt, Received, Transport, Wire};
pub use tls::{TlsError, server_tls};
