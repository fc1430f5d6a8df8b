//! What the command line says of the journal.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tollhouse_collect::formats::Format;

use crate::cli::ConfigArgs;

#[derive(Debug, Args)]
pub(crate) struct JournalArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(super) command: JournalCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Recount the journal: is every record there, and does each line continue the one before?
    Verify(VerifyArgs),
    /// Write records out, as they stand in the journal or as a table
    Export(ExportArgs),
    /// Take old log files into the journal
    Import(ImportArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse journal verify
  tollhouse journal verify --index                 # and does each record have exactly one document?
  tollhouse journal verify --index --json | jq .index.missing
  tollhouse journal verify --against es            # does the cluster `ship.es` have each record once?

Everything that is kept is read, also while the house runs. A line that was changed, removed or put in breaks the chain
of hashes at that place; who can write the files could make a new chain, so keep a hash elsewhere if that matters.
A line that is no record at all is told with the record before it, and is a fault. A half line at the very end is told, too,
but is none: a crash leaves one, and the next start moves it away, into a file beside the journal that ends in .torn.
Records that the house could not keep (a full disk) are told by its own `gap` records; that is no fault of the files.
With --index, while the house runs, the records of the last moments are not judged: they may be on their way.

Exit status: 0 all is well, 1 something is wrong or could not be read.")]
pub(super) struct VerifyArgs {
    /// Compare the journal with the index: records without a document, or with several
    #[arg(long)]
    pub(super) index: bool,
    /// Compare the journal with a cluster that is shipped to: what it has not, or more than once
    #[arg(long, value_name = "DESTINATION")]
    pub(super) against: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse journal export > records.ndjson
  tollhouse journal export --from now-24h --query 'kind:request AND http_status:>=500'
  tollhouse journal export --format csv --from 2026-01-01 --to 2026-01-31 --output january.csv
  tollhouse journal export --format parquet --query kind:request --output requests.parquet
  tollhouse journal export --fields @timestamp,user,model,output_tokens --query kind:request | jq -s length

Without --fields, NDJSON is each line as it stands in the journal, byte for byte. With --fields, and in tables, the names and
values are those of the index: `tollhouse search` shows them. In Parquet each declared field is a column of its type, and the
column `other_fields` has the rest as JSON. Times are RFC 3339, dates, or date math such as now-1h, in
UTC; --from and --to are both included, and a date for --to means all of that day. A collected line counts by its own time.
In CSV, a text that a spreadsheet could take for a formula gets an apostrophe in front.

Exit status: 0 done, 1 failed, or a part of the journal is damaged (what could be read is written all the same).")]
pub(super) struct ExportArgs {
    /// The form
    #[arg(long, value_enum, default_value = "ndjson")]
    pub(super) format: ExportFormat,
    /// Only records of this time or later
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Only records of this time or earlier
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// Only records that fulfil this, in Lucene syntax
    #[arg(long, value_name = "QUERY")]
    pub(super) query: Option<String>,
    /// Only these fields, in this order [default for CSV: those of a request; for Parquet: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) fields: Vec<String>,
    /// Where to write; a file that is there already is not touched without --force
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum ExportFormat {
    /// One JSON object a line
    Ndjson,
    /// A table for spreadsheets (RFC 4180)
    Csv,
    /// A table by columns with types, for analysis (Apache Parquet, zstd)
    Parquet,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse journal import /var/log/nginx/access.log*
  tollhouse journal import --format openclaw --source openclaw /tmp/openclaw/openclaw-*.log
  tollhouse journal import old/app-2026-01-*.log.zst

Plain files and files packed by gzip or zstd are taken, whatever their names say. Each line becomes a record of kind `log`
with its own time, so that it is found in the index of its day. The house must be stopped meanwhile; it indexes the
records at its next start. Lines older than `store.keep.days` stay in the journal, but are not indexed.

A file is known by its content. One that was imported before is refused; --again imports it once more, which doubles its
lines. An import that was interrupted, also by kill -9 or a full disk, goes on where it stopped when the same file is
given again; no line is lost or doubled. This is known as long as the journal keeps these records.

Exit status: 0 all files are in, 1 at least one is not.")]
pub(super) struct ImportArgs {
    /// Log files
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// How the lines are written [default: found out by the first lines of each file]
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub(super) format: Option<Format>,
    /// The records' `source`
    #[arg(long, value_name = "NAME", default_value = "import")]
    pub(super) source: String,
    /// Import files again that were imported before
    #[arg(long)]
    pub(super) again: bool,
}

fn parse_format(word: &str) -> Result<Format, String> {
    Format::ALL.into_iter().find(|format| format.as_str() == word).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}
