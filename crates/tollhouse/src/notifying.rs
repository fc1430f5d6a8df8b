//! Tells whoever started the house how it is, as systemd understands it (sd_notify(3), sd_watchdog_enabled(3)).

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Told where `NOTIFY_SOCKET` names a socket; nobody where it does not.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    /// How often a sign of life is expected, at the least twice as often as it is missed.
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Notifier {
    /// Looks at the environment. A socket that cannot be reached is no reason not to start.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match connect(&name) {
            Ok(socket) => Self { socket: Some(socket), every: watchdog(), last: None },
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "whoever started this house cannot be told how it is");
                Self::default()
            }
        }
    }

    /// It answers.
    pub(crate) fn ready(&self) {
        self.say("READY=1\nSTATUS=answering");
    }

    /// It takes no more requests and lets the last ones end.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=letting running requests end");
    }

    /// It is alive: said as often as is asked for, by whoever calls this more often.
    pub(crate) fn alive(&mut self) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| last.elapsed() >= every) {
            self.last = Some(Instant::now());
            self.say("WATCHDOG=1");
        }
    }

    fn say(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::debug!(error = %error, "telling how the house is");
        }
    }
}

fn connect(name: &OsString) -> anyhow::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    let address = address.with_context(|| format!("reading NOTIFY_SOCKET ({})", name.display()))?;
    let socket = UnixDatagram::unbound().context("making a socket")?;
    socket.connect_addr(&address).with_context(|| format!("connecting to {}", name.display()))?;
    socket.set_nonblocking(true).context("preparing the socket")?;
    Ok(socket)
}

/// Half of the time after which silence counts as death, where that is meant for this process.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let time = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0)?;
    Some(Duration::from_micros(time / 2))
}
