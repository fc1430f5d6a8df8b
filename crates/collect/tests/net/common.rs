//! A listener and its consumer, and how to wait for them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tollhouse_collect::net::{Counts, ListenOptions, Listening, Received, Sockets, Wire, listen};
use tollhouse_testkit::PATIENCE;

/// A message that was kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) text: String,
    pub(crate) wire: Wire,
    pub(crate) left_out_bytes: u64,
}

/// What was kept, in order.
pub(crate) type Journal = Arc<Mutex<Vec<Kept>>>;

/// Why connections were closed: names and texts.
pub(crate) type Told = Arc<Mutex<Vec<(&'static str, String)>>>;

/// A listener on free ports of the loopback address.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) listening: Listening,
    pub(crate) told: Told,
}

impl Collector {
    /// Listens; batches that wait for the consumer are at most `waiting_max`.
    pub(crate) async fn start(options: ListenOptions, waiting_max: usize) -> (Self, mpsc::Receiver<Received>) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = Some(UdpSocket::bind(address).await.unwrap());
        let (to, from) = mpsc::channel(waiting_max);
        let told = Told::default();
        let tell = {
            let told = told.clone();
            move |_: SocketAddr, closed: &tollhouse_collect::net::Closed| {
                told.lock().unwrap().push((closed.name(), closed.to_string()));
            }
        };
        (Self { address, listening: listen(Sockets { tcp, udp }, options, to, tell), told }, from)
    }

    /// Listens, and keeps everything at once.
    pub(crate) async fn keeping(options: ListenOptions) -> (Self, Journal, JoinHandle<()>) {
        let (collector, from) = Self::start(options, 16).await;
        let journal = Journal::default();
        let keeper = tokio::spawn(keep_all(from, journal.clone()));
        (collector, journal, keeper)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own and waits until it is closed on both sides.
    pub(crate) async fn say(&self, bytes: &[u8]) {
        let mut stream = self.connect().await;
        // An error is a connection that was closed before it was read to its end, which may be what is tested.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        read_to_end(&mut stream).await;
    }

    /// Waits until the numbers are so.
    pub(crate) async fn until(&self, are_so: impl Fn(&Counts) -> bool) -> Counts {
        let waiting = async {
            while !are_so(&self.listening.counts()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(PATIENCE, waiting).await;
        let counts = self.listening.counts();
        assert!(in_time.is_ok(), "{counts:?}");
        counts
    }
}

/// What the other side still says before it closes or resets.
pub(crate) async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_end(stream, &mut bytes)).await.expect("the end in time");
    bytes
}

/// Puts a batch into the journal.
pub(crate) fn keep(received: &Received, journal: &Journal) {
    let wire = received.transport.wire;
    let kept = received.batch.messages().map(|message| Kept {
        text: String::from_utf8_lossy(message.bytes).into_owned(),
        wire,
        left_out_bytes: message.left_out_bytes,
    });
    journal.lock().unwrap().extend(kept);
}

/// Keeps each batch and confirms it.
pub(crate) async fn keep_all(mut from: mpsc::Receiver<Received>, journal: Journal) {
    while let Some(received) = from.recv().await {
        keep(&received, &journal);
        received.receipt.confirm();
    }
}

/// The texts of all messages.
pub(crate) fn texts(journal: &Journal) -> Vec<String> {
    journal.lock().unwrap().iter().map(|kept| kept.text.clone()).collect()
}

/// A sum that is the same for the same lines in the same order.
pub(crate) fn checksum<T: AsRef<[u8]>>(lines: impl IntoIterator<Item = T>) -> (u64, u32) {
    let mut sum = crc32fast::Hasher::new();
    let mut count = 0;
    for line in lines {
        sum.update(line.as_ref());
        sum.update(b"\n");
        count += 1;
    }
    (count, sum.finalize())
}
