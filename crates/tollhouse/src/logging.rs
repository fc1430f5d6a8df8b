//! The program's own remarks, on standard error; what happens to requests is in the journal.

use std::io::IsTerminal;

use tollhouse_config::Config;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{
    Formatter,
    format::{DefaultFields, Format},
};
use tracing_subscriber::reload::Handle;

/// Where remarks go.
type Writer = fn() -> std::io::Stderr;
/// Changes the filter of what is running.
type Filter = Handle<EnvFilter, Formatter<DefaultFields, Format, Writer>>;

/// Sets how much is said.
pub(crate) struct Logging {
    filter: Filter,
}

impl Logging {
    /// Begins to speak at the configured level.
    pub(crate) fn start(config: &Config) -> Self {
        let writer: Writer = std::io::stderr;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(config))
            .with_writer(writer)
            .with_ansi(std::io::stderr().is_terminal())
            // It would be told on standard error, too, and panic: on a full disk, say, where that is a file.
            .log_internal_errors(false)
            .with_filter_reloading();
        let filter = subscriber.reload_handle();
        if let Err(error) = subscriber.try_init() {
            eprintln!("tollhouse: starting its own log: {error}");
        }
        Self { filter }
    }

    /// Speaks at another level from now on.
    pub(crate) fn set_level(&self, config: &Config) {
        if let Err(error) = self.filter.reload(filter(config)) {
            tracing::error!(error = %error, "changing the level of the program's own log");
        }
    }
}

/// Other people's crates are only heard when something is wrong.
fn filter(config: &Config) -> EnvFilter {
    let own = format!("warn,tollhouse={level}", level = config.logging.level);
    EnvFilter::try_new(own).unwrap_or_else(|_| EnvFilter::new("warn"))
}
