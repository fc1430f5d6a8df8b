//! Brings all records to others: documents to a real Elasticsearch or OpenSearch, log records to whatever speaks
//! OpenTelemetry's protocol, messages to a syslog server.
//!
//! - [`Settings`] say where to, as whom, and what has to be trusted; [`Destination`] is such a place ready to be asked.
//! - [`Courier`] is the task of one destination. It follows the journal from a [`Cursor`] on: there is no second copy, and
//!   what waits for a cluster that is down is the journal itself. It sends batches of `create` lines, looks at each
//!   document's own result, and moves the cursor when each is there or was refused.
//! - A document's id is made of its record's number and hash, so that one sent twice is there once, whoever was killed when.
//! - A document that does not fit (a mapping conflict) becomes a record of kind `dead_letter` with the reason. What the
//!   journal does not have any more becomes a record of kind `gap`. A change of the destination's state becomes one, too.
//! - [`Client`] asks a cluster anything, for whoever else has something to ask there.
//! - OpenTelemetry's receivers acknowledge requests: at least once, with an id in each record by which twins are known. Syslog
//!   acknowledges nothing: the cursor moves when the system has taken a batch, and the last batch is written again on a new
//!   connection.
//! - [`Status`] tells the lag; [`compare`] says which records of the journal the cluster has, has not, or has twice.
//!
//! Documents and day indices are those of our own index (`<service>-YYYY.MM.dd`, in lower case), and an index template gives
//! their fields the same types.
//!
//! It never holds up anything but itself: the journal does not wait for it, and it reads only what is synced. It never
//! changes or deletes what is in the cluster.
//!
//! ```no_run
//! use tollhouse_ship::{Book, Courier, Destination, Kind, Settings};
//!
//! # async fn example(journal: tollhouse_journal::Journal) -> Result<(), Box<dyn std::error::Error>> {
//! let destination = Destination::new(Settings {
//!     name: "es".into(),
//!     kind: Kind::Elasticsearch,
//!     urls: vec!["http://127.0.0.1:9200".into()],
//!     login: None,
//!     ca: None,
//!     template: true,
//!     buffer_bytes: 4 << 30,
//! })?;
//! let book = Book {
//!     journal,
//!     journal_file: "tollhouse-data/journal/gateway.log".into(),
//!     shaper: tollhouse_shape::Shaper::new(&[])?,
//!     service: "clawdbot-qwen3".into(),
//!     cursors: "tollhouse-data/ship".into(),
//!     holds: tollhouse_journal::Holds::default(), // those that the journal was opened with
//! };
//! let courier = Courier::start(destination, book, None);
//! println!("{} records wait", courier.status().behind);
//! courier.stop().await;
//! # Ok(()) }
//! ```

mod board;
mod bulk;
mod client;
mod compare;
mod courier;
mod cursor;
mod destination;
mod error;
mod gather;
mod otlp;
mod settings;
mod syslog;
mod teller;
mod template;
mod trouble;

#[cfg(test)]
mod tests;

pub use board::{Sight, Status};
pub use client::{Answer, Body, Client};
pub use compare::{Comparison, compare};
pub use courier::{Book, Courier};
pub use cursor::Cursor;
pub use destination::Destination;
pub use error::ShipError;
pub use settings::{Kind, Login, Settings, SyslogMessage};
pub use trouble::{State, Trouble};
