//! The command line: its words, their meanings, examples.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tollhouse_config::{Config, UpstreamConfig, UpstreamKind};

/// Version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The house at the gate of your model: nobody passes unchecked, every token is counted.
#[derive(Debug, Parser)]
#[command(name = "tollhouse", version = VERSION, max_term_width = 100, after_help = "\
Examples:
  tollhouse init                       write tollhouse.yaml from what is found here
  tollhouse up                         run the gateway, the book and the console
  tollhouse key create --name team-a   make a key; it is shown once
  tollhouse token                      print the address that opens the console
  tollhouse search 'tag:slow_request'  search the records")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything the configuration names
    Up(UpArgs),
    /// Write a first configuration from what is found here
    Init(InitArgs),
    /// Validate the configuration; print it with all defaults (secrets masked)
    Check(ConfigArgs),
    /// Make, list and revoke keys
    Key(KeyArgs),
    /// Print the tokenised address that opens the console
    Token(TokenArgs),
    /// Search the records
    Search(SearchArgs),
    /// Print the version
    Version,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file [default: ./tollhouse.yaml, then /etc/tollhouse/tollhouse.yaml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse up
  tollhouse up --config /etc/tollhouse/tollhouse.yaml
  tollhouse up --demo        # no model server needed: a built-in talker answers")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer with the built-in talker instead of the configured model servers
    #[arg(long)]
    demo: bool,
}

impl UpArgs {
    /// The configuration to run with.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let mut config = self.config.load()?;
        if self.demo {
            config.models.clear();
            config.upstreams = vec![UpstreamConfig {
                name: "demo".into(),
                kind: UpstreamKind::Demo,
                url: String::new(),
                key: None,
                parallel: None,
            }];
        }
        Ok(config)
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse init
  tollhouse init --config /etc/tollhouse/tollhouse.yaml")]
pub(crate) struct InitArgs {
    /// File to write [default: ./tollhouse.yaml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; it is shown once and cannot be read back
    #[command(after_help = "\
Examples:
  tollhouse key create --name team-a
  tollhouse key create --name openclaw --requests 300/60s --prompt-chars 200000
  tollhouse key create --name grafana --role logs:read --expires 90d --json")]
    Create(CreateArgs),
    /// List all keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a key; in force within a second
    Revoke {
        /// The key's public id
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// A name for people
    #[arg(long, value_parser = crate::keys::parse_name)]
    pub(crate) name: String,
    /// Whom its requests are counted for
    #[arg(long, value_parser = crate::keys::parse_name)]
    pub(crate) user: Option<String>,
    /// user: call models; logs:read: read the records at /es; admin: both
    #[arg(long, default_value = "user", value_parser = ["user", "logs:read", "admin"])]
    pub(crate) role: String,
    /// Models it may call, * stands for any characters [default: all]
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', value_parser = crate::keys::parse_name)]
    pub(crate) models: Vec<String>,
    /// Its own rate limit, such as 30/60s
    #[arg(long, value_name = "N/TIME", value_parser = crate::keys::parse_rate)]
    pub(crate) requests: Option<(u32, u64)>,
    /// Its own limit on the characters of a prompt
    #[arg(long, value_name = "N")]
    pub(crate) prompt_chars: Option<usize>,
    /// When it ends, from now: 24h, 90d
    #[arg(long, value_name = "TIME", value_parser = crate::keys::parse_lifetime)]
    pub(crate) expires: Option<std::time::Duration>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// How long the address opens the console
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::keys::parse_lifetime)]
    pub(crate) expires: std::time::Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse search 'tag:slow_request'
  tollhouse search 'http_status:[400 TO 599] AND user:alice' --size 50
  tollhouse search --dsl query.json --json")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What to look for, in Lucene syntax
    #[arg(default_value = "*")]
    pub(crate) query: String,
    /// A file with an Elasticsearch search body instead of a query (- reads standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    pub(crate) dsl: Option<PathBuf>,
    /// How many records
    #[arg(long, default_value_t = 20)]
    pub(crate) size: usize,
    /// Which day indices
    #[arg(long, default_value = "*")]
    pub(crate) index: String,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
