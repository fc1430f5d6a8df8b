//! A way to a Postgres server that a test cuts: what is on it stands still, and neither end hears of that, as when a network or a machine
//! is gone.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::{SOCKET, Server, url_of};

/// A way to a server. What goes over it when this is dropped is cut for ever.
pub(crate) struct Wire {
    folder: tempfile::TempDir,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    Open,
    Cut,
    /// Something happens at the commit of the next transaction that has this text among its arguments.
    At(String, Then),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// All is cut, and the server does not get the commit.
    Cut,
    /// The server commits; the connection is closed before its answer has come.
    Deaf,
}

/// What the state of the whole way makes of one connection.
struct Connection {
    state: watch::Sender<State>,
    /// Its transaction is the one at whose commit something happens.
    is_meant: AtomicBool,
    is_deaf: AtomicBool,
}

impl Wire {
    pub(crate) fn to(server: &Server) -> Self {
        let folder = tempfile::Builder::new().prefix("wire").tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let (state, _) = watch::channel(State::Open);
        tokio::spawn(serve(listener, server.socket(), state.clone()));
        Self { folder, state }
    }

    /// The URL of a server's database over this way.
    pub(crate) fn url(&self, url: &str) -> String {
        url_of(self.folder.path(), url.rsplit('/').next().unwrap())
    }

    /// Cuts it.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Cuts it right before the commit of the next transaction that has this text among its arguments.
    pub(crate) fn cut_at_commit_of(&self, text: &str) {
        self.state.send_replace(State::At(text.to_owned(), Then::Cut));
    }

    /// Waits until it is cut.
    pub(crate) async fn until_cut(&self) {
        self.state.subscribe().wait_for(|state| *state == State::Cut).await.unwrap();
    }

    /// Lets everything on, and loses the answer to the commit of the next transaction that has this text among its arguments.
    pub(crate) fn lose_commit_of(&self, text: &str) {
        self.state.send_replace(State::At(text.to_owned(), Then::Deaf));
    }

    /// Waits until that answer is lost.
    pub(crate) async fn until_lost(&self) {
        self.state.subscribe().wait_for(|state| *state == State::Open).await.unwrap();
    }

    /// Lets everything on that stands.
    pub(crate) fn heal(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn serve(listener: UnixListener, server: PathBuf, state: watch::Sender<State>) {
    while let Ok((worker, _)) = listener.accept().await {
        let (server, state) = (server.clone(), state.clone());
        tokio::spawn(async move {
            let mut open = state.subscribe();
            let Ok(_) = open.wait_for(|state| *state != State::Cut).await else { return };
            let Ok(server) = UnixStream::connect(server).await else { return };
            let connection = Connection { state, is_meant: AtomicBool::new(false), is_deaf: AtomicBool::new(false) };
            let ((from_worker, to_worker), (from_server, to_server)) = (worker.into_split(), server.into_split());
            // Whichever ends first takes the other with it.
            tokio::select! {
                () = pump(from_worker, to_server, &connection, Connection::sees) => {}
                () = pump(from_server, to_worker, &connection, Connection::hears) => {}
            }
        });
    }
}

/// Passes on what comes, while the way is open and `may` says so.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    connection: &Connection,
    may: fn(&Connection, &[u8]) -> bool,
) {
    let mut open = connection.state.subscribe();
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let may_pass = may(connection, &piece[..length]);
        let is_open = open.wait_for(|state| *state != State::Cut).await.is_ok();
        if !may_pass || !is_open || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

impl Connection {
    /// Something goes to the server.
    fn sees(&self, piece: &[u8]) -> bool {
        let has = |text: &str| piece.windows(text.len()).any(|window| window == text.as_bytes());
        if has("BEGIN") {
            self.is_meant.store(false, Ordering::SeqCst);
        }
        let State::At(text, then) = self.state.borrow().clone() else { return true };
        if has(&text) {
            self.is_meant.store(true, Ordering::SeqCst);
        }
        if has("COMMIT") && self.is_meant.load(Ordering::SeqCst) {
            match then {
                Then::Cut => _ = self.state.send_replace(State::Cut),
                Then::Deaf => self.is_deaf.store(true, Ordering::SeqCst),
            }
        }
        true
    }

    /// Something comes from the server.
    fn hears(&self, _: &[u8]) -> bool {
        let is_deaf = self.is_deaf.load(Ordering::SeqCst);
        if is_deaf {
            self.state.send_replace(State::Open);
        }
        !is_deaf
    }
}
