//! Prompts and answers, for those who want them kept: apart from the journal, sealed by user, erasable.
//!
//! [`Contents`] takes what a request said and what was answered ([`Talk`]) from the gateway without making it wait. A task
//! of its own makes a [`Transcript`] of it, lets its texts pass the program of whoever keeps it ([`Sieve`]), takes out what must
//! not be kept ([`Redactor`], when the mode is [`Mode::Redacted`]), compresses it, seals it with the key of its owner, and appends
//! it to a journal of its own with a retention of its own. [`find`] opens one again.
//!
//! # How it is erased
//!
//! Everybody whose content is kept has a random key in the state store, and every transcript is sealed with its owner's
//! key (AES-256-GCM; the request's id is authenticated with it). Erasing a user deletes the key: from that moment nothing
//! that was kept of them can be read, in closed and compressed files too, while the files and their chain stay whole.
//! Copies of the state store that were made before hold the key still, as any backup would hold the text.
//!
//! What this crate never does: let a request wait or fail because of it, write text that is not sealed, or keep anything of a text
//! on which the program failed.

mod asked;
mod contents;
mod error;
mod redact;
mod seal;
mod sieve;

pub use asked::{Said, Transcript};
pub use contents::{Contents, Mode, Options, Owner, Stats, Talk, find};
pub use error::ContentError;
pub use redact::Redactor;
pub use sieve::{Piece, Sieve, Withheld};
