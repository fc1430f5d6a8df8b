//! What a source needs before it begins: its sockets and its TLS, its patterns. All that can fail is here.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::spawn_blocking;
use tollhouse_collect::net::{ListenOptions, Sockets};
use tollhouse_config::{Config, HttpSource, ListenSource, SourceConfig, SourceKind};
use tollhouse_web::ServeOptions;

use crate::collecting::reading::Way;
use crate::collecting::shaping::Shapes;
use crate::collecting::{Running, journald};
use crate::source::Print;
use crate::{supervising, wiring};

/// The sources of a configuration, ready to begin: from here on nothing fails.
pub(crate) struct Prepared {
    pub(super) wanted: Vec<Wanted>,
    /// What becomes of their lines.
    pub(super) shapes: Shapes,
}

/// What becomes of one source of the configuration.
pub(super) enum Wanted {
    /// The running one of this name goes on.
    Same(String),
    /// It begins.
    New(Box<Ready>),
}

/// All that a source begins with.
pub(super) enum Ready {
    Listen(SourceConfig, Box<ReadyListener>),
    Http(SourceConfig, Box<ReadyHttp>),
    Read(SourceConfig, Way),
}

/// All that a source that listens begins with.
pub(super) struct ReadyListener {
    pub(super) listen: ListenSource,
    pub(super) files: Files,
    pub(super) bound: Bound,
    pub(super) sockets: Sockets,
    pub(super) options: ListenOptions,
}

/// All that a source that takes requests of HTTP begins with.
pub(super) struct ReadyHttp {
    pub(super) http: HttpSource,
    pub(super) files: Files,
    pub(super) bound: Bound,
    pub(super) listener: TcpListener,
    pub(super) options: ServeOptions,
}

impl Prepared {
    /// Binds what this configuration wants, when nothing runs yet.
    pub(crate) async fn first(config: &Config) -> anyhow::Result<Self> {
        Self::new(config, &[]).await
    }

    pub(super) async fn new(config: &Config, running: &[Running]) -> anyhow::Result<Self> {
        let shapes = Shapes::compile(config)?;
        let sources = config.all_sources();
        let mut wanted = Vec::with_capacity(sources.len());
        for source in &sources {
            // Before they are read: what comes in between is noticed at the next reload.
            let files = Files::of(source).await;
            let is_same =
                |running: &Running| running.config == *source && running.files().is_none_or(|before| *before == files);
            if running.iter().any(is_same) {
                wanted.push(Wanted::Same(source.name.clone()));
                continue;
            }
            let ready = Ready::new(source, files, config, running).await;
            wanted.push(Wanted::New(Box::new(ready.with_context(|| format!("preparing source {}", source.name))?)));
        }
        Ok(Self { wanted, shapes })
    }
}

impl Ready {
    async fn new(source: &SourceConfig, files: Files, all: &Config, running: &[Running]) -> anyhow::Result<Self> {
        let config = source.clone();
        let way = match &source.kind {
            SourceKind::Listen(listen) => {
                let ready = ReadyListener::new(listen.clone(), files, all.sources.len(), running).await?;
                return Ok(Self::Listen(config, Box::new(ready)));
            }
            SourceKind::Http(http) => {
                let ready = ReadyHttp::new(http.clone(), files, all, running).await?;
                return Ok(Self::Http(config, Box::new(ready)));
            }
            SourceKind::File(file) => Way::Files { options: wiring::file_options(file)?, source: file.clone() },
            SourceKind::Journald(source) => {
                journald::check().await?;
                Way::Journald(source.clone())
            }
            SourceKind::Stdin(format) => Way::Stdin(*format),
            SourceKind::Process(format) => {
                let place = supervising::place(all)?;
                Way::Process { format: *format, pipe: tollhouse_upkeep::pipe_path(&place, &source.name) }
            }
        };
        Ok(Self::Read(config, way))
    }
}

impl ReadyListener {
    async fn new(listen: ListenSource, files: Files, sources: usize, running: &[Running]) -> anyhow::Result<Self> {
        let ListenSource { address, udp, .. } = listen;
        let bound = Bound::of(address, udp, running).await?;
        let of_files = listen.clone();
        let options = spawn_blocking(move || wiring::listen_options(&of_files, sources)).await??;
        Ok(Self { listen, files, sockets: bound.sockets()?, bound, options })
    }
}

impl ReadyHttp {
    async fn new(http: HttpSource, files: Files, all: &Config, running: &[Running]) -> anyhow::Result<Self> {
        let bound = Bound::of(http.address, false, running).await?;
        let (of_files, sources) = (http.clone(), all.sources.len());
        let base = wiring::serve_options(all);
        let options = spawn_blocking(move || wiring::http_options(&of_files, sources, &base)).await??;
        let listener = bound.sockets()?.tcp;
        Ok(Self { http, files, bound, listener, options })
    }
}

/// Bound sockets. Whoever listens has copies of them, so that another one can go on at the same address.
pub(super) struct Bound {
    tcp: std::net::TcpListener,
    udp: Option<std::net::UdpSocket>,
    pub(super) address: SocketAddr,
}

impl Bound {
    /// The sockets of whoever has them already, else new ones.
    async fn of(address: SocketAddr, udp: bool, running: &[Running]) -> anyhow::Result<Self> {
        match running.iter().filter_map(Running::bound).find(|bound| bound.address == address) {
            Some(bound) => bound.share(udp).await,
            None => Self::new(address, udp).await,
        }
    }

    async fn new(address: SocketAddr, udp: bool) -> anyhow::Result<Self> {
        let tcp = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let tcp = tcp.into_std().context("taking the socket listened on")?;
        let address = tcp.local_addr().context("asking for the address listened on")?;
        let udp = if udp { Some(bind_udp(address).await?) } else { None };
        Ok(Self { tcp, udp, address })
    }

    /// The same sockets once more; with one for UDP or without.
    async fn share(&self, udp: bool) -> anyhow::Result<Self> {
        let tcp = self.tcp.try_clone().context("sharing the socket listened on")?;
        let udp = match &self.udp {
            Some(shared) if udp => Some(shared.try_clone().context("sharing the socket listened on")?),
            None if udp => Some(bind_udp(self.address).await?),
            _ => None,
        };
        Ok(Self { tcp, udp, address: self.address })
    }

    /// Copies to listen on.
    fn sockets(&self) -> anyhow::Result<Sockets> {
        let tcp = TcpListener::from_std(self.tcp.try_clone()?).context("listening")?;
        let udp = match &self.udp {
            Some(udp) => Some(UdpSocket::from_std(udp.try_clone()?).context("listening")?),
            None => None,
        };
        Ok(Sockets { tcp, udp })
    }
}

async fn bind_udp(address: SocketAddr) -> anyhow::Result<std::net::UdpSocket> {
    let socket = UdpSocket::bind(address).await.with_context(|| format!("listening on {address} (UDP)"))?;
    socket.into_std().context("taking the socket listened on")
}

/// The files of a source's TLS, by what tells one content from another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Files(Vec<Option<Print>>);

impl Files {
    pub(super) async fn of(source: &SourceConfig) -> Self {
        let tls = match &source.kind {
            SourceKind::Listen(ListenSource { tls, .. }) | SourceKind::Http(HttpSource { tls, .. }) => tls.as_ref(),
            SourceKind::File(_) | SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => None,
        };
        let Some(tls) = tls else { return Self::default() };
        let mut prints = Vec::new();
        for path in [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten() {
            prints.push(Print::of(path).await);
        }
        Self(prints)
    }
}
