//! Tells people: mail, webhooks, chat robots.
//!
//! - [`Message`] is what is told: which rule, how bad, what was found, where to look and what to do.
//! - [`Settings`] say which way it takes, [`Channel`] is such a way, ready: whatever can be wrong with settings has been told
//!   when there is one.
//! - [`Channel::send`] tells it once. [`Delivered`] says that the other side took it, [`Trouble`] why it did not and
//!   whether trying again can help. When and how often is tried again is for the caller to decide, who also keeps what waits.
//!
//! Each way has a file of its own below `channel/` with the same shape: what it has to know, the request for a message, and what an
//! answer means. Requests are made by pure functions, so that what goes over the wire is compared byte by byte.
//!
//! It never connects to an address that only this machine or its cloud may have (link-local, metadata services), whatever name
//! leads there; never follows a redirect; and never shows a secret: a URL is told without its path, and what an answer
//! repeats of a secret is masked.
//!
//! ```no_run
//! use tollhouse_notify::{Channel, Message, Settings, Url};
//!
//! # async fn example() -> Result<(), tollhouse_notify::NotifyError> {
//! let settings = Settings::Slack { url: Url::parse("https://hooks.slack.com/services/T0/B0/x")? };
//! let channel = Channel::new("team", settings)?;
//! match channel.send(&Message::test("team", "gate")).await {
//!     Ok(delivered) => println!("taken; refused for {:?}", delivered.refused),
//!     Err(trouble) => println!("{} (again: {})", trouble.text, trouble.is_retryable),
//! }
//! # Ok(()) }
//! ```

mod channel;
mod chart;
mod error;
mod http;
mod message;
mod settings;
mod template;
mod text;

pub use channel::Channel;
pub use chart::{CHART_POINTS_MAX, Chart};
pub use error::{Delivered, NotifyError, Trouble};
pub use message::{Figure, Message, Phase, Severity, Table, Told};
pub use settings::{Encryption, Login, Settings, SmtpServer, Url};
pub use template::Template;
