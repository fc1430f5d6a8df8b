//! Reads tollhouse's one configuration file into plain, usable values, or says everything that is wrong with it at once.
//!
//! - [`find`] tells which file is meant, [`load`] reads it, [`parse`] turns a text into a [`Config`].
//! - [`Config`] has a public field for each key, defaults filled in, units and addresses parsed, cross checks done. A `Config`
//!   that came from here needs no second validation. [`Config::effective_yaml`] prints it back, secrets masked,
//!   and [`Config::changes`] names what another one says differently.
//! - [`ConfigErrors`] holds every [`Problem`] found: where, the line with a caret under the culprit, what was expected and a
//!   hint. A value that is wrong does not keep the ones after it from being checked.
//! - [`Said`] is what a problem says: English words, and a code of [`Saying`] with figures, so that a page can say it in its reader's language.
//! - [`Secret`] is a value that neither `Debug` nor `effective_yaml` nor an error message shows.
//! - [`Config::settings`] says where each value in force comes from. [`mask()`] gives a file's text as it may be shown, and
//!   [`unmask`] puts the secrets back into one that was changed.
//! - [`reading`] reads other files of the house in the same way, such as a task's.
//! - [`credentials()`] names the files that systemd has to hand to the house.
//! - [`schema()`] gives a JSON Schema of the file, for editors.
//! - [`init::first_config`] writes a first file for somebody who has none, [`import()`] one from older files of other programs.
//!
//! Inside, a text goes through `tree` (YAML to nodes with places; bounded in size, depth and alias copies), `decode` (nodes to
//! typed values, collecting problems; `${NAME}` is replaced here, after parsing, so that a value of the environment can
//! never change the structure of the file) and `sections` (which keys there are, and what must fit together).
//!
//! The crate never writes a file, never looks at the network, and reads no other file than the configuration and the
//! secrets that it names with `file:`.
//!
//! ```
//! let config = tollhouse_config::parse("timeouts: {idle: 30s}", "tollhouse.yaml", &|_| None).expect("a valid text");
//! assert_eq!(config.timeouts.idle.as_secs(), 30);
//! assert_eq!(config.listen.address.port(), 18789);
//!
//! let errors = tollhouse_config::parse("timeout: {idle: 30s}", "tollhouse.yaml", &|_| None).expect_err("an unknown key");
//! assert!(errors.to_string().contains("did you mean `timeouts`?"));
//! ```

mod changes;
mod config;
mod credentials;
mod decode;
mod effective;
mod import;
pub mod init;
mod load;
mod masks;
mod origin;
mod problem;
pub mod reading;
mod saying;
mod schema;
mod secret;
mod sections;
mod source;
mod tree;

pub use config::{
    AccessConfig, AcmeChallenge, AcmeConfig, AlertConfig, AlertMeasure, AlertOrigin, AlertSeverity, Auth,
    BalanceConfig, BatchesConfig, Begin, By, CallerLimits, CertificatePlace, CertificateProbe, ChannelConfig,
    ChannelKind, ChatConfig, ClockProbe, Compress, Config, ConsoleConfig, ConsoleRole, Content, ContentMode, Deny,
    DiskProbe, EdgeConfig, ErrorStyle, EscalateConfig, FieldKind, FileRotate, FileSource, GpuProbe, HeadersConfig,
    HttpProbe, HttpSource, JournaldSource, Keep, KeepFiles, KeyConfig, Limits, LineCap, LineFormat, Listen,
    ListenSource, Logging, MemoryProbe, ModelConfig, ModelProbe, OidcConfig, OnAbort, OpenclawApprovals, OtlpConfig,
    Overflow, Priority, ProbesConfig, ProcessProbe, ProgramFault, QualityProbe, Queue, QuietConfig, Rate, ReadyConfig,
    RecordsConfig, RemoteStore, Reopen, ReopenSignal, ReportConfig, ReportKind, RestartPolicy, Rotate, RotateMethod,
    RouteConfig, RouteTarget, SearchConfig, ShapeConfig, Shared, ShipConfig, ShipKind, ShipLogin, SiteConfig,
    SmtpConfig, SmtpTls, SourceConfig, SourceKind, StopSignalConfig, StoreConfig, SuperviseConfig, SyncPolicy,
    SyslogMessage, TaskCommand, TaskStore, TasksConfig, TelemetryConfig, Timeouts, TlsConfig, TlsFiles, UnitConfig,
    UnitManager, UpstreamConfig, UpstreamKind, Vrl, WebhooksConfig,
};
pub use credentials::{Credential, credentials};
pub use import::{Fate, Imported, Note, Old, Part, PartServer, import, import_with};
pub use ipnet::IpNet;
pub use load::{FILE_BYTES_MAX, find, load, parse, parse_alert};
pub use masks::{Unmasked, mask, unmask};
pub use origin::{Origin, Setting};
pub use problem::{ConfigErrors, Place, Problem};
pub use saying::{Said, Saying};
pub use schema::schema;
pub use secret::Secret;
pub use tollhouse_units::Bytes;
