//! Listens for Beats and syslog, forgets what comes, and says how much it was: for trying a sender.
//!
//! ```text
//! cargo run -p tollhouse-collect --example listen -- 127.0.0.1:5044
//! ```

use std::io::Error;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tollhouse_collect::net::{ListenOptions, Received, Sockets, listen};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5044".to_owned());
    let tcp = TcpListener::bind(&address).await?;
    let udp = Some(UdpSocket::bind(tcp.local_addr()?).await?);
    println!("listening on {}", tcp.local_addr()?);

    let (to, from) = mpsc::channel(16);
    let listening = listen(Sockets { tcp, udp }, ListenOptions::default(), to, |peer, closed| {
        println!("{peer}: {closed}");
    });
    let forgetting = tokio::spawn(forget_all(from));
    tokio::signal::ctrl_c().await?;
    println!("{:#?}", listening.stop().await);
    forgetting.await.map_err(Error::other)
}

/// Confirms everything. A consumer worth the name does so when the batch is on disk.
async fn forget_all(mut from: mpsc::Receiver<Received>) {
    let mut is_first = true;
    while let Some(received) = from.recv().await {
        if let Some(message) = received.batch.messages().next().filter(|_| is_first) {
            println!(
                "{} from {}: {}",
                received.transport.wire.name(),
                message.peer,
                String::from_utf8_lossy(message.bytes)
            );
            is_first = false;
        }
        received.receipt.confirm();
    }
}
