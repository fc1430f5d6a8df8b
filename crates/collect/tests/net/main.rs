//! The listener from outside: real sockets, senders byte for byte, a consumer that keeps, waits, refuses or stops.

mod beats;
mod common;
mod datagrams;
mod limits;
mod rsyslog;
mod stop;
mod syslog;
mod tls;
