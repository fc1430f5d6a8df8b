//! `tollhouse journal export`: records as lines of JSON, as a table, or by columns.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};
use tollhouse_config::Config;
use tollhouse_journal::{JournalError, Line, Reader};
use tollhouse_query::date::parse_date;
use tollhouse_query::lucene::{self, LuceneOptions};
use tollhouse_query::{Query, matches_at, validate};
use tollhouse_shape::{Shaper, catalogue};

use super::args::{ExportArgs, ExportFormat};
use super::columns::Columns;
use super::csv;
use super::progress::{Done, Progress, grouped};
use crate::up;

/// Lines read at once.
const BATCH_LINES: usize = 1_000;
/// How far a line's own time may lie behind the time it was written, as the index has it.
const FUTURE_MS: i64 = 24 * 3_600 * 1_000;
/// Columns of a table when none are named.
const COLUMNS: [&str; 18] = [
    "@timestamp",
    "seq",
    "kind",
    "level",
    "msg",
    "source",
    "request_id",
    "user_id",
    "key_id",
    "client_ip",
    "method",
    "path",
    "model_name",
    "http_status",
    "input_tokens",
    "output_tokens",
    "duration_ms",
    "error",
];

pub(super) fn export(config: &Config, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let wanted = Wanted::new(args, now_ms)?;
    let shaper = up::shaper(config)?;
    let file = config.journal_file();
    let opened = match wanted.from_ms {
        Some(from_ms) => Reader::open_since(&file, from_ms.saturating_sub(FUTURE_MS)),
        None => Reader::open(&file, None),
    };
    let mut reader = opened.with_context(|| format!("opening the journal {}", file.display()))?;
    let is_file = args.output.as_os_str() != "-";
    let out: Out = if is_file { Box::new(create(&args.output, args.force)?) } else { Box::new(io::stdout()) };
    let mut sheet = Sheet::new(args, out).with_context(|| format!("writing {}", args.output.display()))?;
    let progress = is_file.then(|| Progress::new(None));

    let counts = write_all(&mut reader, &wanted, &shaper, &mut sheet, progress)?;
    sheet.end().with_context(|| format!("writing {}", args.output.display()))?;
    let Counts { read, written, damaged } = counts;
    eprintln!("{} of {} records exported", grouped(written), grouped(read));
    if damaged == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} parts of the journal are damaged and were left out: tollhouse journal verify", grouped(damaged));
    Ok(ExitCode::FAILURE)
}

#[derive(Debug, Default)]
struct Counts {
    read: u64,
    written: u64,
    damaged: u64,
}

fn write_all(
    reader: &mut Reader,
    wanted: &Wanted,
    shaper: &Shaper,
    sheet: &mut Sheet,
    mut progress: Option<Progress>,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut lines: Vec<Line> = Vec::new();
    loop {
        lines.clear();
        let is_end = match reader.next_batch(BATCH_LINES, &mut lines) {
            Ok(read) => read == 0,
            Err(error @ JournalError::Damaged { .. }) => {
                eprintln!("tollhouse: {error}");
                counts.damaged += 1;
                false
            }
            Err(error) => return Err(error).context("reading the journal"),
        };
        for line in &lines {
            counts.read += 1;
            // Which also says whether it is a record at all.
            let Ok(record) = serde_json::from_slice::<&serde_json::value::RawValue>(&line.bytes) else {
                counts.damaged += 1;
                continue;
            };
            if wanted.is_all()
                && let Some(lines) = sheet.as_they_stand()
            {
                lines.verbatim(record.get()).context("writing")?;
                counts.written += 1;
                continue;
            }
            let Ok(document) = shaper.document(&line.bytes) else {
                counts.damaged += 1;
                continue;
            };
            if wanted.has(&document.source, document.timestamp_ms) {
                sheet.put(record.get(), &document.source).context("writing")?;
                counts.written += 1;
            }
        }
        if let Some(progress) = &mut progress {
            progress.step(Done { bytes: 0, lines: counts.read, name: "" });
        }
        if is_end {
            progress.iter_mut().for_each(Progress::clear);
            return Ok(counts);
        }
    }
}

/// Which records are exported.
struct Wanted {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    query: Option<Query>,
    /// What `now` means.
    now_ms: i64,
}

impl Wanted {
    fn new(args: &ExportArgs, now_ms: i64) -> anyhow::Result<Self> {
        let time = |name: &str, text: &Option<String>, round_up: bool| {
            let Some(text) = text else { return Ok(None) };
            let value = Value::from(text.as_str());
            parse_date(&value, round_up, now_ms, None)
                .map(Some)
                .map_err(|error| anyhow!("reading {name} {text}: {error}"))
        };
        let read = |text: &str| {
            let query = lucene::parse(text, &LuceneOptions::default())?;
            validate(&query, catalogue(), now_ms)?;
            Ok(query)
        };
        let query = args.query.as_deref().map(read).transpose();
        let query = query.map_err(|error: tollhouse_query::ParseError| anyhow!("reading --query: {error}"))?;
        Ok(Self { from_ms: time("--from", &args.from, false)?, to_ms: time("--to", &args.to, true)?, query, now_ms })
    }

    fn is_all(&self) -> bool {
        self.from_ms.is_none() && self.to_ms.is_none() && self.query.is_none()
    }

    fn has(&self, document: &Map<String, Value>, timestamp_ms: i64) -> bool {
        self.from_ms.is_none_or(|from| timestamp_ms >= from)
            && self.to_ms.is_none_or(|to| timestamp_ms <= to)
            && self.query.as_ref().is_none_or(|query| matches_at(query, document, catalogue(), self.now_ms))
    }
}

/// Where it is written to.
type Out = Box<dyn Write + Send>;

/// What is being written.
enum Sheet {
    Lines(Lines),
    Columns(Box<Columns<Out>>),
}

impl Sheet {
    fn new(args: &ExportArgs, out: Out) -> anyhow::Result<Self> {
        Ok(match args.format {
            ExportFormat::Parquet => Self::Columns(Box::new(Columns::new(out, &args.fields)?)),
            ExportFormat::Csv | ExportFormat::Ndjson => Self::Lines(Lines::new(args, out)),
        })
    }

    /// Where lines stand as they stand in the journal, if they do.
    fn as_they_stand(&mut self) -> Option<&mut Lines> {
        match self {
            Self::Lines(lines) if lines.fields.is_empty() => Some(lines),
            Self::Lines(_) | Self::Columns(_) => None,
        }
    }

    fn put(&mut self, line: &str, document: &Map<String, Value>) -> anyhow::Result<()> {
        match self {
            Self::Lines(lines) => Ok(lines.put(line, document)?),
            Self::Columns(columns) => Ok(columns.put(document)?),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Lines(lines) => Ok(lines.end()?),
            Self::Columns(columns) => Ok(columns.end()?),
        }
    }
}

/// Lines of JSON, or rows of a table.
struct Lines {
    out: BufWriter<Out>,
    format: ExportFormat,
    /// As they were asked for; none for lines as they stand in the journal.
    fields: Vec<String>,
    is_begun: bool,
}

impl Lines {
    fn new(args: &ExportArgs, out: Out) -> Self {
        let mut fields = args.fields.clone();
        if fields.is_empty() && args.format == ExportFormat::Csv {
            fields = COLUMNS.map(str::to_owned).to_vec();
        }
        Self { out: BufWriter::new(out), format: args.format, fields, is_begun: false }
    }

    fn verbatim(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    fn put(&mut self, line: &str, document: &Map<String, Value>) -> io::Result<()> {
        if self.fields.is_empty() {
            return self.verbatim(line);
        }
        if self.format == ExportFormat::Csv {
            self.begin()?;
            return csv::values(&mut self.out, self.fields.iter().map(|name| value_of(document, name)));
        }
        let object: Map<String, Value> =
            self.fields.iter().filter_map(|name| Some((name.clone(), value_of(document, name)?.clone()))).collect();
        serde_json::to_writer(&mut self.out, &object)?;
        self.out.write_all(b"\n")
    }

    /// A table has its headings even when it has nothing else.
    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_begun, true) || self.format != ExportFormat::Csv {
            return Ok(());
        }
        csv::header(&mut self.out, &self.fields)
    }

    fn end(mut self) -> io::Result<()> {
        self.begin()?;
        self.out.flush()
    }
}

/// The value of a field by its name or alias; dots lead into objects.
pub(super) fn value_of<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let name = catalogue().canonical(name);
    document.get(name).or_else(|| {
        let (object, rest) = name.split_once('.')?;
        value_of(document.get(object)?.as_object()?, rest)
    })
}

fn create(path: &Path, force: bool) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(path).map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let hint = if is_there { " (--force replaces it)" } else { "" };
        anyhow!("creating {}: {error}{hint}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_by_name_alias_and_path() {
        let document = json!({"http_status": 200, "host": {"name": "web1", "a.b": 1}, "x.y": 2});
        let document = document.as_object().unwrap();
        for (name, expected) in [
            ("http_status", Some(json!(200))),
            ("status", Some(json!(200))),
            ("host.name", Some(json!("web1"))),
            ("host.a.b", Some(json!(1))),
            ("x.y", Some(json!(2))),
            ("host.name.x", None),
            ("nothing", None),
        ] {
            assert_eq!(value_of(document, name), expected.as_ref(), "{name}");
        }
    }
}
