//! One TCP connection, from its first byte to its end: what is spoken, TLS, and the farewell.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tollhouse_units::hex;

use super::answering::{Answering, Owing};
use super::closed::Closed;
use super::reading::{READ_BYTES, Reading};
use super::received::{Transport, Wire};
use super::shared::Shared;
use super::sniff::{Sniffed, Speech, TLS_FIRST_BYTE, sniff};

/// How long a connection that has said nothing may still say something when its listener stops: its first message may be on
/// the way.
const LAST_WORD: Duration = Duration::from_millis(500);
/// How long a sender of Beats may take to notice that its connection is ended. Until then what it sends is read and thrown
/// away: unread bytes would make the system reset the connection, and the last acknowledgement would be lost.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// When the listener was told to stop, if it was.
pub(super) type Stop = watch::Receiver<Option<Instant>>;

/// Waits until the listener is told to stop.
pub(super) async fn stopped(stop: &mut Stop) {
    // An error is a listener that is gone, and its connections are about to be.
    let _: Result<_, watch::error::RecvError> = stop.wait_for(Option::is_some).await;
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared, mut stop: Stop) -> Result<(), Closed> {
    let options = &shared.options;
    let deadline = Instant::now() + options.first_bytes_timeout;
    let mut first = [0];
    let Some(peeked) = before(deadline, &mut stop, stream.peek(&mut first)).await else {
        return silent(shared, &stop);
    };
    if peeked.map_err(Closed::Cut)? == 0 {
        return Ok(());
    }
    let mut caller = Caller { peer, is_encrypted: false, certificate_sha256: None, deadline };
    match &options.tls {
        None => converse(stream, caller, shared, stop).await,
        Some(_) if first != [TLS_FIRST_BYTE] => Err(Closed::Unencrypted),
        Some(config) => {
            let handshake = TlsAcceptor::from(config.clone()).accept(stream);
            let stream = match timeout(options.handshake_timeout, handshake).await {
                Ok(stream) => stream.map_err(Closed::Handshake)?,
                Err(late) => return Err(Closed::Handshake(io::Error::from(late))),
            };
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            caller.is_encrypted = true;
            caller.certificate_sha256 = certificates.first().map(|certificate| hex(&Sha256::digest(certificate)));
            converse(stream, caller, shared, stop).await
        }
    }
}

/// Who is at the other end.
#[derive(Debug)]
struct Caller {
    peer: SocketAddr,
    is_encrypted: bool,
    certificate_sha256: Option<String>,
    /// Until when it must have said its first bytes.
    deadline: Instant,
}

/// Finds out what is spoken, and lets reading and answering run beside each other.
async fn converse<S>(stream: S, caller: Caller, shared: &Shared, mut stop: Stop) -> Result<(), Closed>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let first = before(caller.deadline, &mut stop, first_words(&mut reader, &mut bytes)).await;
    let speech = match first {
        None => return silent(shared, &stop),
        Some(Ok(Some(speech))) => speech,
        // It went without a word, as those do that only look whether somebody is there.
        Some(Ok(None)) => return Ok(()),
        Some(Err(closed)) => return Err(closed),
    };
    let wire = if speech == Speech::Lumberjack { Wire::Beats } else { Wire::SyslogTcp };
    let Caller { peer, is_encrypted, certificate_sha256, .. } = caller;
    let transport = Arc::new(Transport { wire, is_encrypted, certificate_sha256 });

    let owing = Owing::default();
    // One batch more is with whoever waits for its answer, and one with whoever waits for room.
    let (owed, owes) = mpsc::channel(shared.options.unconfirmed_max.saturating_sub(1).max(1));
    let reading = Reading::new(&mut reader, bytes, speech, peer, transport, shared, owed, &owing);
    let answering = Answering::new(&mut writer, wire, shared, &owing);
    let ended = exchange(reading.run(stop.clone()), answering.run(owes, stop)).await;
    if wire == Wire::Beats && !matches!(ended, Err(Closed::Cut(_) | Closed::Unacknowledged(_))) {
        say_goodbye(reader, writer).await;
    }
    ended
}

/// Runs both to their end. Answering ends when reading has ended and all is answered; if it ends earlier, it has failed.
async fn exchange(
    reading: impl Future<Output = Result<(), Closed>>,
    answering: impl Future<Output = Result<(), Closed>>,
) -> Result<(), Closed> {
    let mut answering = pin!(answering);
    let read = tokio::select! {
        answered = &mut answering => return answered,
        read = reading => read,
    };
    let answered = answering.await;
    read.and(answered)
}

/// Reads until it is known what is spoken; nothing when the sender goes before.
async fn first_words(reader: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<Option<Speech>, Closed> {
    loop {
        match sniff(bytes) {
            Sniffed::Known(speech) => return Ok(Some(speech)),
            Sniffed::Unknown(what) => return Err(Closed::Unknown(what)),
            Sniffed::Nothing => {}
        }
        if reader.read_buf(bytes).await.map_err(Closed::Cut)? == 0 {
            return Ok(None);
        }
    }
}

/// What comes before the deadline; when the listener stops, there is little time left.
async fn before<F: Future>(deadline: Instant, stop: &mut Stop, first: F) -> Option<F::Output> {
    let over = async {
        if timeout_at(deadline, stopped(stop)).await.is_ok() {
            sleep_until(deadline.min(Instant::now() + LAST_WORD)).await;
        }
    };
    tokio::select! {
        first = first => Some(first),
        () = over => None,
    }
}

/// How a connection ends that has not said what it wants.
fn silent(shared: &Shared, stop: &Stop) -> Result<(), Closed> {
    if stop.borrow().is_some() { Ok(()) } else { Err(Closed::Silent(shared.options.first_bytes_timeout)) }
}

async fn say_goodbye<S: AsyncRead + AsyncWrite>(mut reader: ReadHalf<S>, mut writer: WriteHalf<S>) {
    let end = async {
        writer.shutdown().await?;
        let mut waste = vec![0; READ_BYTES];
        while reader.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    };
    // Neither a sender that does not go nor one that goes rudely is of interest any more.
    let _: Result<io::Result<()>, _> = timeout(CLOSE_WITHIN, end).await;
}
