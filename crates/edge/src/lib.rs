//! The edge: host names with certificates of their own, and what stands behind their paths.
//!
//! An [`Edge`] is made of [`SiteSpec`]s. [`Edge::find`] says which [`Route`] a request is for, by the name it was sent to (which
//! must be the one that TLS was spoken for, RFC 9110, section 7.4) and the longest path; the house answers what is for itself
//! ([`Route::part`]), and [`Edge::serve`] the rest: files of a directory, another address, or servers, among which
//! one is chosen, which get the visitor's address in headers that nobody else can set, and whose answers and WebSockets are
//! passed on piece by piece. [`Route::dress`] gives an answer the headers of its site. [`Edge::plain`] answers those who come
//! without encryption. Of each request that is not the house's own, a [`Visit`] is told when it has ended.
//!
//! [`Certificates`] hold what TLS shows: by the name that a client asks for, exchanged while connections come ([`Certificates::show`]).
//!
//! Where a site has no certificate of its own, [`Renewing`] orders it by ACME and renews it in time.
//!
//! What this crate never does: keep a body as a whole that is longer than 64 KiB, believe a forwarding header, list a directory, send a
//! request again that a server may have begun to work on (other than GET, HEAD and OPTIONS), or change a path.

mod acme;
mod balance;
mod certificates;
mod client;
mod disk;
mod edge;
mod error;
mod files;
mod forward;
mod fresh;
mod headers;
mod health;
mod kept;
mod plain;
mod spec;
mod tunnel;
mod visit;

pub use acme::{
    AcmeSettings, AcmeSite, Authority, Book, Challenge, Challenges, Examined, Memory, Renewal, Renewing, TellRenewal,
    Vault, Window,
};
pub use certificates::{Certificate, Certificates, Tls};
pub use edge::{Edge, Lost, Part, Route};
pub use error::EdgeError;
pub use health::{Health, TellHealth};
pub use kept::Kept;
pub use plain::carries_key;
pub use spec::{Balance, Headers, HealthSpec, Records, RouteSpec, SiteSpec, To};
pub use visit::{Tell, Visit, Visitor};
