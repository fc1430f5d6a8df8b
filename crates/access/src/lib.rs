//! Who may pass: keys, roles, addresses.
//!
//! [`Keyring`] finds the [`Key`] behind a secret; it is replaced as a whole when keys change, and a key that is gone or
//! revoked tells every stream that still runs under it ([`Key::revoked`]). [`AddressList`] decides on client addresses, and
//! [`client_address`] finds the client behind trusted proxies. How much a key may use is said in its rules, which
//! `limits` counts.
//!
//! What this crate never does: read a configuration file, a database or a body, or answer a client.
//!
//! ```
//! use std::sync::Arc;
//! use tollhouse_access::{Key, Keyring, sha256};
//! let keyring = Keyring::new([(sha256("s3cret"), Arc::new(Key::new("prod", "user")))], [], Arc::new(sha256));
//! assert_eq!(keyring.find("s3cret", 0).unwrap().id, "prod");
//! assert!(keyring.find("wrong", 0).is_none());
//! ```

mod address;
mod credential;
mod key;
mod keyring;

pub use address::{AddressList, bucket, client_address};
pub use credential::{Credential, credential, secret_in_query};
pub use key::{Key, OtherSecret, Priority, Role};
pub use keyring::{Digest, Keyring, sha256};
