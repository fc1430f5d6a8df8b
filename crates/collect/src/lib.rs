//! Collects what other programs say: files that grow and rotate, and what comes over the network.

mod error;
pub mod file;
pub mod formats;
pub mod http;
pub mod net;

pub use error::CollectError;
