//! Certificates by ACME (RFC 8555): ordered, renewed in time, and kept.
//!
//! [`Renewing`] looks after any number of sites, each by itself: [`schedule`] says when something is to be done, [`authority`] does it
//! with the authority, [`vault`] keeps keys and certificates as files, and a [`Book`] keeps the rest. Whoever shows certificates
//! reads the [`Vault`]'s files, whoever answers connections asks [`Challenges`].

mod authority;
mod challenges;
mod renewing;
mod schedule;
mod vault;

pub use authority::{AcmeSettings, Authority, Challenge, Examined};
pub use challenges::Challenges;
pub(crate) use challenges::{ACME_TLS, is_look};
pub use renewing::{AcmeSite, Book, Renewal, Renewing, TellRenewal};
pub use schedule::{Memory, Window};
pub use vault::Vault;
