//! One address that is listened on, and how it gives way to another without turning anybody away.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollhouse_config::Config;

use crate::house::{self, Current};
use crate::wiring;

/// A bound socket that is not served yet.
pub(crate) struct Bound {
    socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Binds the address that the configuration names.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Self> {
        let wanted = config.listen.address;
        let listener = TcpListener::bind(wanted).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::AddrInUse => "; is a tollhouse or OpenClaw running there? `listen` chooses another port",
                ErrorKind::PermissionDenied => {
                    "; ports below 1024 need the right to bind them: choose another in `listen`"
                }
                ErrorKind::AddrNotAvailable => "; this machine does not have that address: see `listen`",
                _ => "",
            };
            anyhow::Error::new(error).context(format!("listening on {wanted}{hint}"))
        })?;
        let address = listener.local_addr().context("asking for the address listened on")?;
        let socket = listener.into_std().context("taking the socket listened on")?;
        Ok(Self { socket, address })
    }

    /// Serves the house in force on it.
    pub(crate) fn serve(self, config: &Config, current: Current) -> anyhow::Result<Listening> {
        let Self { socket, address } = self;
        let served = socket.try_clone().context("sharing the socket listened on")?;
        let listener = TcpListener::from_std(served).context("listening")?;
        let (stop, stopped) = watch::channel(false);
        let options = wiring::serve_options(config);
        let server = tollhouse_web::serve(listener, options, stopped, move |request, peer| {
            house::answer(current.get(), request, peer)
        });
        Ok(Listening { socket, address, stop, server: tokio::spawn(server) })
    }
}

/// An address that is served.
pub(crate) struct Listening {
    /// Kept so that it can be served anew with other bounds: who waits in its backlog waits for the new server.
    socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Listening {
    /// The same socket, to be served anew.
    pub(crate) fn again(&self) -> anyhow::Result<Bound> {
        let socket = self.socket.try_clone().context("sharing the socket listened on")?;
        Ok(Bound { socket, address: self.address })
    }

    /// Takes no more connections, and returns when running requests have ended or their time to do so has passed.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        drop(self.socket);
        if let Err(error) = self.server.await {
            tracing::error!(error = %error, address = %self.address, "serving");
        }
    }
}

/// Whether the two have to be served differently: another address, other trust or other bounds.
pub(crate) fn differs(before: &Config, after: &Config) -> bool {
    let bounds = |config: &Config| {
        let limits = config.limits;
        (config.listen, limits.head, limits.per_address, config.timeouts.drain, config.access.trusted_proxies.clone())
    };
    bounds(before) != bounds(after)
}
