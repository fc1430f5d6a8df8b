//! The command line: its words, their meanings, examples.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::advise::AdviseArgs;
use crate::backup::BackupArgs;
use crate::bench::BenchArgs;
use crate::dead::DeadArgs;
use crate::doctor::DoctorArgs;
use crate::index::IndexArgs;
use crate::journal::JournalArgs;
use crate::source::Source;
use crate::task::TaskArgs;
use crate::users::UserArgs;

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
  tollhouse user create ann --role viewer   make a user who signs in to the console by name and password
  tollhouse search 'tag:slow_request'  search the records
  tollhouse why REQUEST_ID             what happened to one request, and why it took so long
  tollhouse doctor                     what is wrong with this installation, and how it is mended
  tollhouse journal verify --index     whether every record is there, and in the index once
  tollhouse probe                      whether programs, models, disks and certificates are well
  tollhouse bench --users 200          whether 200 users at once hear the first token in time")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything the configuration names
    Up(UpArgs),
    /// Write a first configuration from what is found here, or from older files
    Init(InitArgs),
    /// Validate the configuration; print it with all defaults (secrets masked)
    Check(ConfigArgs),
    /// Print the JSON Schema of the configuration, with which editors check and complete it
    Schema(SchemaArgs),
    /// Make, list, rotate and revoke keys
    Key(KeyArgs),
    /// Make, list and remove users of the console; set their roles and passwords
    User(UserArgs),
    /// Print the tokenised address that opens the console
    Token(TokenArgs),
    /// Print the newest records, and with --follow those that come
    Logs(LogsArgs),
    /// Search the records
    Search(SearchArgs),
    /// Tell the whole story of one request, and a verdict in plain words
    Why(WhyArgs),
    /// Find what is wrong with this installation, and how it is mended
    Doctor(DoctorArgs),
    /// Say what the records advise: shorter prompts, a larger context, another card, or no change
    Advise(AdviseArgs),
    /// Load a running installation as so many users would, and say whether it is fast enough
    Bench(BenchArgs),
    /// Show or erase prompts and answers, where they are kept (`logging.content`)
    Content(ContentArgs),
    /// Recount the journal, write records out, and take old log files in
    Journal(JournalArgs),
    /// List the day indices, make them again from the journal, or take them away
    Index(IndexArgs),
    /// List and replay what could not be shaped or delivered
    Dead(DeadArgs),
    /// Write files for the programs around the house, by its configuration
    Export(ExportArgs),
    /// Tell how far each cluster has been brought the records, and whether it has them all
    Ship(ShipArgs),
    /// List the processes under supervision
    Ps(PsArgs),
    /// Start a process under supervision
    #[command(after_help = ORDER_EXAMPLES)]
    Start(OrderArgs),
    /// Stop a process under supervision, until it is started again
    #[command(after_help = ORDER_EXAMPLES)]
    Stop(OrderArgs),
    /// Restart a process under supervision; requests that run on it may end before, and others wait
    #[command(after_help = ORDER_EXAMPLES)]
    Restart(OrderArgs),
    /// Let a process run again that is paused and waits for a human
    #[command(after_help = ORDER_EXAMPLES)]
    Confirm(OrderArgs),
    /// Run the health checks once: programs, models, disks, certificates, cards
    Probe(ProbeArgs),
    /// Tell how the alert rules stand; try channels, silence rules, try rules on stored records
    Alert(AlertArgs),
    /// Print manual pages
    Man(ManArgs),
    /// Print what a shell completes
    Completions(CompletionsArgs),
    /// Run durable tasks, look at them, and answer what they ask
    Task(TaskArgs),
    /// Copy the state and the runs of tasks, try such a copy, and put it back
    Backup(BackupArgs),
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
  tollhouse up --demo        # no model server needed: a built-in talker answers

A change of the file, SIGHUP and the console put another configuration in force, all or nothing: requests under way are
not disturbed, and a file with a mistake leaves the running one in force.")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer with the built-in talker instead of the configured model servers
    #[arg(long)]
    demo: bool,
}

impl UpArgs {
    /// Where the configuration to run with comes from.
    pub(crate) fn source(&self) -> Source {
        Source { path: tollhouse_config::find(self.config.config.as_deref()), demo: self.demo }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse schema --out tollhouse.schema.json

Editors with the YAML language server (VS Code, Neovim, Helix, JetBrains' plugin, …) take it by a first line of the configuration, which
`tollhouse init` writes:
  # yaml-language-server: $schema=tollhouse.schema.json")]
pub(crate) struct SchemaArgs {
    /// Write it into this file, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse init
  tollhouse init --config /etc/tollhouse/tollhouse.yaml
  tollhouse init --from config.yaml                       # a gateway's, a chat page's or LiteLLM's
  tollhouse init --from /etc/nginx/sites-enabled/ai.conf   # its sites become `edge`
  tollhouse init --from ~/.openclaw/openclaw.json         # its model servers, and what to change there
  tollhouse init --from gateway.yaml --from chat.yaml     # one configuration from both
  tollhouse init --from config.yaml --json | jq '.notes[] | select(.fate == \"not taken\")'

With --from, every value of the older files is told: taken, changed, or not taken and why. Clients' keys work on; only
their hashes are written.")]
pub(crate) struct InitArgs {
    /// File to write [default: ./tollhouse.yaml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Take an older file: a gateway's config.yaml, a chat page's, LiteLLM's, an nginx site, OpenClaw's openclaw.json; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what became of every value as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse man | man -l -
  tollhouse man key | man -l -
  sudo tollhouse man --out /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The command whose page is printed [default: that of the program]
    pub(crate) command: Option<String>,
    /// Write all pages into this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse completions bash > ~/.local/share/bash-completion/completions/tollhouse
  tollhouse completions zsh > ~/.zfunc/_tollhouse
  tollhouse completions fish > ~/.config/fish/completions/tollhouse.fish")]
pub(crate) struct CompletionsArgs {
    /// bash, zsh or fish
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct ContentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: ContentCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// Show what was asked and answered in one request
    #[command(after_help = "\
Examples:
  tollhouse content show req_8f3k2m9x0c7v5b1n4q6w2e8r
  tollhouse content show REQUEST_ID --json | jq -r .answer.text")]
    Show {
        /// Id of the request, as its record and its answer's X-Request-Id have it
        request_id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Erase all that was kept of a user, or of a key whose requests named no user; it cannot be taken back
    #[command(after_help = "\
Examples:
  tollhouse content erase --user alice --yes
  tollhouse content erase --key 3kX9aQ0bZr --yes

The key that their texts are sealed with is deleted, so that they cannot be read in any file any more; files, batches and answers that
come later are removed, those under way too. The journal gets a record of it. Copies that were made before hold it still.")]
    Erase {
        /// The user, as records name them (user_id)
        #[arg(long, conflicts_with = "key", required_unless_present = "key")]
        user: Option<String>,
        /// Public id of the key
        #[arg(long, value_name = "ID")]
        key: Option<String>,
        /// Do it; without this, only say what would be done
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: ExportCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Rules for nft: only the networks of `access.allow` reach the ports, and nobody the model servers on this machine
    #[command(after_help = "\
Examples:
  tollhouse export nftables
  tollhouse export nftables > tollhouse.nft && sudo nft --check --file tollhouse.nft
  tollhouse export nftables | sudo nft --file -      # in force at once; SSH and all else is left alone")]
    Nftables,
    /// For a Prometheus: the scrape job, recording rules and alerts, objectives with their burn rates among them
    #[command(after_help = "\
Examples:
  tollhouse key create --name prometheus --role metrics:read
  tollhouse export prometheus --out /etc/prometheus --key-file /etc/prometheus/tollhouse.key
  tollhouse export prometheus > tollhouse-rules.yml && promtool check rules tollhouse-rules.yml
  tollhouse export prometheus --scrape > tollhouse.yml
  tollhouse export prometheus --availability 0.999 --ttft 0.9 > tollhouse-rules.yml

An alert fires when failures eat the budget of 30 days too fast, by a long and a short window, and only where there were enough
requests to say so: it stays sane at 50 requests a day.")]
    Prometheus(PrometheusArgs),
    /// For a Grafana: a dashboard, and data sources on a Prometheus and on the Elasticsearch API of the house
    #[command(after_help = "\
Examples:
  tollhouse export grafana --out /etc/grafana/provisioning
  tollhouse export grafana > tollhouse.json           # the dashboard alone, to import by hand
  tollhouse key create --name grafana --role logs:read    # the key that its data source needs")]
    Grafana {
        /// Write the dashboard and the files that provision it into this folder
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// For a Kibana (8.8 or later): the views of the tutorial and saved searches, to import under Saved Objects
    #[command(after_help = "\
Examples:
  tollhouse export kibana > tollhouse.ndjson
  curl -H 'kbn-xsrf: true' -F file=@tollhouse.ndjson 'http://127.0.0.1:5601/api/saved_objects/_import?overwrite=true'

Kibana asks a real Elasticsearch: `ship` or `store` of the configuration brings the records there.")]
    Kibana,
    /// For a logrotate: the files of other programs that are collected (`sources`), daily, 30 kept, compressed
    #[command(after_help = "\
Examples:
  tollhouse export logrotate > tollhouse.logrotate && logrotate --debug tollhouse.logrotate
  tollhouse export logrotate | sudo tee /etc/logrotate.d/tollhouse

The journal of the house is not among them: it rotates by itself.")]
    Logrotate,
    /// For an Nginx in front of the house: a site that passes streams and WebSockets on as they come, and paths as they are
    #[command(after_help = "\
Examples:
  tollhouse export nginx | sudo tee /etc/nginx/conf.d/tollhouse.conf && sudo nginx -t && sudo nginx -s reload

Its names are `hosts` and that of `public_url`. Without an nginx, `edge` does the same (docs/edge.md).")]
    Nginx,
    /// For an Ollama under systemd: a drop-in that lets only this machine reach it
    #[command(after_help = "\
Examples:
  sudo mkdir -p /etc/systemd/system/ollama.service.d
  tollhouse export ollama | sudo tee /etc/systemd/system/ollama.service.d/tollhouse.conf
  sudo systemctl daemon-reload && sudo systemctl restart ollama")]
    Ollama,
    /// For a Logstash: a pipeline that gives the journal's lines real types, and the tutorial's tags and efficiency
    #[command(after_help = "\
Examples:
  tollhouse export logstash > tollhouse.conf && logstash --config.test_and_exit --path.config tollhouse.conf
  tollhouse export logstash --file '/var/log/clawdbot/*.log' --elasticsearch http://10.0.0.5:9200

Neither is needed for the house's own index; `ship` of the configuration brings the same documents to a cluster.")]
    Logstash(LogstashArgs),
    /// For an rsyslog: files followed there, forwarded to the house's port for lines, or into an Elasticsearch API
    #[command(after_help = "\
Examples:
  tollhouse export rsyslog | sudo tee /etc/rsyslog.d/30-tollhouse.conf && sudo rsyslogd -N1
  tollhouse export rsyslog --file '/var/log/app/*.log' --host 10.0.0.5     # for another machine
  tollhouse export rsyslog --elasticsearch                                 # into the house's own /es, by _bulk
  tollhouse export rsyslog --elasticsearch http://10.0.0.7:9200 --user logs

The port is that of the first of `sources` with `type: listen`, with TLS where that has it.")]
    Rsyslog(RsyslogArgs),
    /// For systemd: a unit that starts the house and lets it touch only what the configuration needs
    #[command(after_help = "\
Examples:
  tollhouse export systemd --config /etc/tollhouse/tollhouse.yaml > tollhouse.service
  systemd-analyze verify tollhouse.service && systemd-analyze security --offline=true tollhouse.service
  sudo cp tollhouse.service /etc/systemd/system/ && sudo systemctl daemon-reload && sudo systemctl enable --now tollhouse

A house that supervises others needs more than one that does not: they have its rights.

With the socket unit nobody is refused while the house restarts, and ports below 1024 need no right of their own:
  tollhouse export systemd --socket > tollhouse.socket
  sudo cp tollhouse.socket /etc/systemd/system/ && sudo systemctl daemon-reload && sudo systemctl enable --now tollhouse.socket")]
    Systemd(SystemdArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SystemdArgs {
    /// Write tollhouse.service and tollhouse.socket into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// The unit of the sockets, which stay open over a restart
    #[arg(long)]
    pub(crate) socket: bool,
    /// Where the configuration will lie [default: where it lies now]
    #[arg(long, value_name = "FILE")]
    pub(crate) installed: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogstashArgs {
    /// Files that it reads, with * for any characters [default: the journal]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<String>,
    /// The cluster that it writes to [default: http://127.0.0.1:9200]
    #[arg(long, value_name = "URL")]
    pub(crate) elasticsearch: Option<String>,
}

/// Stands for the address of the house's own API.
pub(crate) const OWN_API: &str = "own";

#[derive(Debug, Args)]
pub(crate) struct RsyslogArgs {
    /// Files that it follows, with * for any characters [default: /var/log/clawdbot/*.log]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<String>,
    /// How that machine reaches the house [default: where the source listens]
    #[arg(long, value_name = "HOST", conflicts_with = "elasticsearch")]
    pub(crate) host: Option<String>,
    /// File of the authority of the port's certificate [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "elasticsearch")]
    pub(crate) ca: Option<String>,
    /// Write documents by _bulk instead [default: to the house's own API]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = OWN_API)]
    pub(crate) elasticsearch: Option<String>,
    /// The cluster's user
    #[arg(long, value_name = "NAME", requires = "elasticsearch")]
    pub(crate) user: Option<String>,
    /// File on that machine that has the key or password alone, without an end of line [default: /etc/rsyslog.d/tollhouse.key]
    #[arg(long, value_name = "FILE", requires = "elasticsearch")]
    pub(crate) key_file: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PrometheusArgs {
    /// Write tollhouse.yml (the scrape job) and tollhouse-rules.yml into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Print the scrape job; without this and --out, the rules are printed
    #[arg(long, conflicts_with = "out")]
    pub(crate) scrape: bool,
    /// File on Prometheus' machine that has the key alone [default: /etc/prometheus/tollhouse.key]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Share of requests that must not fail
    #[arg(long, value_name = "SHARE", default_value_t = 0.995, value_parser = share)]
    pub(crate) availability: f64,
    /// Share of requests whose first token must come within 2 s
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = share)]
    pub(crate) ttft: f64,
    /// Share of answers that must be written at 10 tokens a second or more
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = share)]
    pub(crate) speed: f64,
    /// Share of answers that must have 0.05 tokens or more for each token of the prompt
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    pub(crate) efficiency: f64,
}

/// A share below the whole: whoever allows no failure at all has no budget that could burn.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|error| error.to_string())?;
    if share > 0.0 && share < 1.0 { Ok(share) } else { Err("a number between 0 and 1, such as 0.995".to_owned()) }
}

/// Of the commands that give an order about a process.
const ORDER_EXAMPLES: &str = "\
Examples:
  tollhouse ps                    # how they are, and why
  tollhouse restart ollama        # users wait, and get no error
  tollhouse stop openclaw
  tollhouse start openclaw
  tollhouse confirm ollama        # after it was paused: it may run again

Exit status: 0 followed, 1 refused or no house runs, 78 the configuration is wrong. Who gave the order is recorded.";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse ps
  tollhouse ps --json | jq -r '.[] | select(.state == \"paused\") | .name'

States: stopped, waiting (for what it needs), starting, ready, draining, stopping, backoff (started again in a while),
paused (waits for tollhouse confirm), failed. Exit status: 0, or 1 when no house runs.")]
pub(crate) struct PsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The process, as it is called under `supervise`
    pub(crate) name: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
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
  tollhouse key create --name batch --tokens 100000/60s --concurrent 4 --budget 2000000/day --priority low
  tollhouse key create --name office --allow 10.0.0.0/16,192.168.1.7 --models 'qwen3:*'
  tollhouse key create --name grafana --role logs:read --expires 90d --json
  tollhouse key create --name prometheus --role metrics:read
  tollhouse key create --name team-a --role logs:read --indices 'team-a-*'")]
    Create(Box<CreateArgs>),
    /// List all keys, without their secrets
    #[command(after_help = "\
Examples:
  tollhouse key list
  tollhouse key list --json | jq '.[] | select(.state == \"in force\") | .id'")]
    List {
        /// Print JSON (keys of the configuration file stand there)
        #[arg(long)]
        json: bool,
    },
    /// End a key; in force within a second
    #[command(after_help = "\
Examples:
  tollhouse key revoke 3kX9aQ0bZr")]
    Revoke {
        /// The key's public id
        id: String,
    },
    /// Give a key a new secret; the old one stays valid for a while
    #[command(after_help = "\
Examples:
  tollhouse key rotate 3kX9aQ0bZr                  # change the clients over within a day
  tollhouse key rotate 3kX9aQ0bZr --overlap 0s     # the old secret ends at once")]
    Rotate {
        /// The key's public id
        id: String,
        /// How long the old secret stays valid
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = crate::keys::parse_overlap)]
        overlap: std::time::Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// A name for people
    #[arg(long)]
    pub(crate) name: String,
    /// Whom its requests are counted for
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// user: call models; logs:read: read the records at /es; logs:write: write documents there (`_bulk`); metrics:read: read /metrics; admin: all of it, and manage model servers
    #[arg(long, default_value = "user", value_parser = ["user", "logs:read", "logs:write", "metrics:read", "admin"])]
    pub(crate) role: String,
    /// Models it may call, * stands for any characters [default: all]
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Indices it may use with the role logs:read or logs:write, * stands for any characters [default: all]
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) indices: Vec<String>,
    /// Its own rate limit, such as 30/60s
    #[arg(long, value_name = "N/TIME", value_parser = crate::keys::parse_rate)]
    pub(crate) requests: Option<crate::keys::PerTime>,
    /// Its own token limit, prompts and answers together, such as 100000/60s
    #[arg(long, value_name = "N/TIME", value_parser = crate::keys::parse_rate)]
    pub(crate) tokens: Option<crate::keys::PerTime>,
    /// How many of its requests may run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrent: Option<u32>,
    /// Tokens for a calendar day or month (UTC), such as 2000000/day; once for each
    #[arg(long, value_name = "N/PERIOD", value_delimiter = ',', value_parser = crate::keys::parse_budget)]
    pub(crate) budget: Vec<(u64, crate::keys::Period)>,
    /// Its own limit on the characters of a prompt
    #[arg(long, value_name = "N")]
    pub(crate) prompt_chars: Option<usize>,
    /// Whose turn it is when a model server is busy
    #[arg(long, default_value = "normal", value_parser = ["low", "normal", "high"])]
    pub(crate) priority: String,
    /// Its share of a busy model server against other keys, from 1 to 100
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) weight: u32,
    /// Addresses and networks from which it may be used [default: everywhere]
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', value_parser = crate::keys::parse_network)]
    pub(crate) allow: Vec<tollhouse_config::IpNet>,
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
Exit status: 0 all is well, 1 a program is not, 2 a model does not answer, 3 a disk is full, 4 answers are worse than before,
5 something else. Of several, the lowest: a program that is down explains the rest.

Examples:
  tollhouse probe
  tollhouse probe --quality                # the tests of answers, too; takes minutes
  tollhouse probe --json | jq -r '.results[] | select(.status != \"ok\") | .found'
  tollhouse probe --quality --new-baseline # after a change that is meant, such as another model")]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Also ask the quality tests (`probes.quality`)
    #[arg(long)]
    pub(crate) quality: bool,
    /// Forget what answers were like: the next runs make a new baseline
    #[arg(long)]
    pub(crate) new_baseline: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlertArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: AlertCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// All rules: calm, pending, firing or off, the last value of each group, and when it was told last
    #[command(after_help = "\
Examples:
  tollhouse alert list
  tollhouse alert list --json | jq '.[] | select(.state == \"firing\") | .name'")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a message that only shows that a channel works; exit status 0 when it was taken
    #[command(after_help = "\
Examples:
  tollhouse alert test ops")]
    Test {
        /// Name of the channel in the configuration
        channel: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell nothing of a rule for a while; it is watched on, and told afterwards if it is still so
    #[command(after_help = "\
Examples:
  tollhouse alert silence slow-model --for 2h
  tollhouse alert silence slow-model --for 0s     # tell it again")]
    Silence {
        /// Name of the rule
        rule: String,
        /// For how long from now
        #[arg(long = "for", value_name = "TIME", value_parser = crate::keys::parse_overlap)]
        time: std::time::Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that somebody looks after an incident: nobody else is told of it
    #[command(after_help = "\
Examples:
  tollhouse alert list                                    # names those that are open
  tollhouse alert acknowledge slow-model.19bfd3a1c20")]
    Acknowledge {
        /// The incident's id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What a rule would have told, from the records that are stored
    #[command(after_help = "\
Examples:
  tollhouse alert backtest slow-model --days 30
  tollhouse alert backtest slow-model --json | jq .messages

A changed rule can be tried before the house runs with it: write it to another file and name that with --config.")]
    Backtest {
        /// Name of the rule
        rule: String,
        /// How many days back
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ShipArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: ShipCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShipCommand {
    /// How far each destination has come, what waits, and what it said last that was no success
    #[command(after_help = "\
Examples:
  tollhouse ship status
  tollhouse ship status --json | jq '.[] | {name, state, behind}'")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare the journal with a cluster, record by record; exit status 0 when each that was shipped is there once
    #[command(after_help = "\
Examples:
  tollhouse ship verify es
  tollhouse ship verify es --json | jq .missing_seqs")]
    Verify {
        /// Name of the destination in the configuration
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse logs -f                                   # what happens now
  tollhouse logs 'kind:log AND level:error' --lines 100
  tollhouse logs -f 'http_status:>=500' --json | jq .model_name")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Which records, in Lucene syntax
    #[arg(default_value = "*")]
    pub(crate) query: String,
    /// Go on with what comes, until it is interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many records to begin with
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub(crate) lines: u16,
    /// Print each record as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse search 'tag:slow_request'
  tollhouse search 'http_status:[400 TO 599] AND user:alice' --size 50
  tollhouse search --dsl query.json --json
  tollhouse search report errors --days 1             # who was refused or failed, as the daily mail tells it")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: Option<SearchCommand>,
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

#[derive(Debug, Subcommand)]
pub(crate) enum SearchCommand {
    /// Tables over the records of the last days
    #[command(after_help = "\
Examples:
  tollhouse search report errors                      # 401, 429 and 5xx by client, of the last day
  tollhouse search report slow --days 7 --top 20
  tollhouse search report tokens --json | jq '.tables[0].rows'")]
    Report {
        /// errors, slow, tokens or top
        #[arg(value_enum)]
        report: ReportName,
        /// Of how many days until now
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Rows of each table
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        top: u16,
        /// Print JSON
        #[arg(long = "json")]
        as_json: bool,
    },
}

/// What a report tells.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ReportName {
    /// 401, 429 and 5xx by client
    Errors,
    /// The slowest requests, and models by how long they take
    Slow,
    /// Tokens by user and model
    Tokens,
    /// Requests by user, client and model
    Top,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse why req_3f9c… # the id stands in the answer's header x-request-id
  tollhouse why req_3f9c… --json | jq .verdict

The cause words are listed in docs/causes.md.")]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The request's id
    pub(crate) request_id: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
