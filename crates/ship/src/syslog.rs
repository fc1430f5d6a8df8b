//! A syslog server: a connection that is kept, and what was written to it last.
//!
//! Syslog has no acknowledgements. What the system has taken of a connection may be lost with the server: so the last batch
//! is kept, and written again before the next one when the connection is found to be gone. A server may then have
//! records twice; what was taken before that batch and lost, nobody can know. Over UDP nothing is known at all.

mod line;
mod message;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tollhouse_outbound::Trust;

use crate::bulk::{Fate, Item, Refusal};
use crate::courier::blocking;
use crate::destination::Sent;
use crate::error::ShipError;
use crate::settings::Settings;
use crate::syslog::line::{Address, Line};
use crate::syslog::message::{Writer, framed};
use crate::trouble::{State, Trouble};

/// Longest message in a datagram, in bytes; a longer one becomes a dead letter.
const DATAGRAM_BYTES_MAX: usize = 65_000;
/// How long the system may take to take a batch.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// What stands in a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyslogMessage {
    /// The whole document, as JSON.
    Json,
    /// The record's text; its fields are structured data.
    Fields,
}

/// A syslog server.
#[derive(Debug)]
pub(crate) struct Syslog {
    urls: Vec<String>,
    addresses: Vec<Address>,
    /// Which of them is written to.
    turn: AtomicUsize,
    tls: Arc<ClientConfig>,
    writer: Writer,
    open: Mutex<Open>,
}

/// The connection, and what is on it.
#[derive(Debug, Default)]
struct Open {
    line: Option<Line>,
    /// The batch that was written last, as long as it is not known what became of it.
    unconfirmed: Vec<Vec<u8>>,
}

impl Syslog {
    /// Reads files of certificates and the name of this machine, so it blocks.
    pub(crate) fn new(settings: &Settings, message: SyslogMessage) -> Result<Self, ShipError> {
        let addresses =
            settings.urls.iter().map(|url| Address::read(url).ok_or_else(|| ShipError::Address(url.clone())));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        let is_encrypted = addresses.iter().any(Address::is_encrypted);
        Ok(Self {
            urls: settings.urls.clone(),
            addresses,
            turn: AtomicUsize::new(0),
            tls: Arc::new(Trust::of(settings.ca.as_deref(), is_encrypted).tls()?),
            writer: Writer::new(message),
            open: Mutex::default(),
        })
    }

    fn place(&self) -> usize {
        self.turn.load(Ordering::Relaxed) % self.addresses.len()
    }

    /// The server that is written to now.
    pub(crate) fn url(&self) -> &str {
        &self.urls[self.place()]
    }

    /// From now on the next server is written to.
    pub(crate) fn turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Connects, where there is something to connect to.
    pub(crate) async fn greet(&self) -> Result<(), Trouble> {
        let mut open = self.open.lock().await;
        self.connected(&mut open).await
    }

    /// Writes records, and gives them back with what came of it.
    pub(crate) async fn send(&self, items: Vec<Item>) -> (Vec<Item>, Result<Sent, Trouble>) {
        let (writer, is_datagram) = (self.writer.clone(), self.addresses[self.place()].is_datagram());
        let (items, messages) = blocking(move || {
            let messages: Vec<Vec<u8>> = items.iter().map(|item| writer.message(item)).collect();
            (items, messages)
        })
        .await;
        let result = if is_datagram { self.send_datagrams(messages).await } else { self.write(messages).await };
        (items, result)
    }

    async fn write(&self, messages: Vec<Vec<u8>>) -> Result<Sent, Trouble> {
        let count = messages.len();
        let mut open = self.open.lock().await;
        self.connected(&mut open).await?;
        let batch: Vec<Vec<u8>> = messages.into_iter().map(framed).collect();
        self.put(&mut open, &batch).await?;
        open.unconfirmed = batch;
        Ok(Sent::Fates(vec![Fate::Delivered; count]))
    }

    async fn send_datagrams(&self, messages: Vec<Vec<u8>>) -> Result<Sent, Trouble> {
        let mut open = self.open.lock().await;
        self.connected(&mut open).await?;
        let too_long = |message: &Vec<u8>| message.len() > DATAGRAM_BYTES_MAX;
        let fates = messages.iter().map(|message| {
            if too_long(message) {
                let reason = format!("a message of {} bytes does not fit into a datagram", message.len());
                Fate::Refused(Refusal { status: 413, kind: "too_large".to_owned(), reason })
            } else {
                Fate::Delivered
            }
        });
        let fates = fates.collect();
        let fitting: Vec<Vec<u8>> = messages.into_iter().filter(|message| !too_long(message)).collect();
        self.put(&mut open, &fitting).await?;
        Ok(Sent::Fates(fates))
    }

    /// The connection as it is, or a new one, on which the last batch goes first.
    async fn connected(&self, open: &mut Open) -> Result<(), Trouble> {
        if open.line.as_ref().is_some_and(|line| !line.has_ended()) {
            return Ok(());
        }
        let line = Line::connect(&self.addresses[self.place()], self.tls.clone()).await;
        open.line = Some(line.map_err(|error| self.unreachable(&error))?);
        let unconfirmed = std::mem::take(&mut open.unconfirmed);
        let written = self.put(open, &unconfirmed).await;
        open.unconfirmed = unconfirmed;
        written
    }

    /// Writes pieces until the system has them; otherwise the connection is given up.
    async fn put(&self, open: &mut Open, pieces: &[Vec<u8>]) -> Result<(), Trouble> {
        let Some(line) = &mut open.line else { return Ok(()) };
        let written = match timeout(WRITE_TIME_MAX, line.write(pieces)).await {
            Ok(written) => written,
            Err(late) => Err(late.into()),
        };
        written.map_err(|error| {
            open.line = None;
            self.unreachable(&error)
        })
    }

    fn unreachable(&self, error: &std::io::Error) -> Trouble {
        Trouble::new(State::Unreachable, format!("{}: {error}", self.url()))
    }

    /// Closes the connection in order, so that the server reads all that was written.
    pub(crate) async fn end(&self) {
        if let Some(line) = self.open.lock().await.line.take() {
            line.end().await;
        }
    }
}
