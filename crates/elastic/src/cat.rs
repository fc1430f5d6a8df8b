//! `_cat/indices`: the table of indices as Elasticsearch draws it.

use std::cmp::Ordering;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tollhouse_query::Pattern;
use tollhouse_store::{IndexInfo, Store};

use crate::asked::{Asked, Params};
use crate::error::ElasticError;
use crate::info::uuid;
use crate::media::Wanted;
use crate::search::{blocking, indices_of};

/// A column: name, short names, whether it is shown unless others are asked for, whether numbers are set to the right.
struct Column {
    name: &'static str,
    short: &'static [&'static str],
    is_default: bool,
    is_right: bool,
}

const fn column(name: &'static str, short: &'static [&'static str], is_default: bool, is_right: bool) -> Column {
    Column { name, short, is_default, is_right }
}

const COLUMNS: [Column; 13] = [
    column("health", &["h"], true, false),
    column("status", &["s"], true, false),
    column("index", &["i", "idx"], true, false),
    column("uuid", &["id"], true, false),
    column("pri", &["p", "shards.primary", "shardsPrimary"], true, true),
    column("rep", &["r", "shards.replica", "shardsReplica"], true, true),
    column("docs.count", &["dc", "docsCount"], true, true),
    column("docs.deleted", &["dd", "docsDeleted"], true, true),
    column("creation.date", &["cd"], false, true),
    column("creation.date.string", &["cds"], false, true),
    column("store.size", &["ss", "storeSize"], true, true),
    column("pri.store.size", &[], true, true),
    column("dataset.size", &[], false, true),
];

/// A cell: what is shown and what it is sorted by.
struct Cell {
    text: String,
    number: Option<u64>,
}

/// Answers `GET /_cat/indices`.
pub(crate) async fn indices(store: &Store, indices: &str, asked: &Asked) -> Response {
    let is_json = match asked.params.get("format") {
        Some("json") => true,
        Some("text" | "txt") => false,
        None => matches!(asked.wanted, Wanted::Json | Wanted::Compatible(_)),
        Some(other) => {
            let error =
                ElasticError::Parameter(format!("[format] of [{other}] is not supported, only [json] and [text]"));
            return asked.answer::<Value>(Err(error));
        }
    };
    let table = async {
        let table = Table::new(&asked.params)?;
        let names = store.resolve(&indices_of(store, indices, &asked.params)?)?;
        let store = store.clone();
        let infos = blocking(move || Ok(store.indices())).await?;
        let rows: Vec<Vec<Cell>> =
            infos.iter().filter(|info| names.contains(&info.name)).map(|info| row(info, table.bytes)).collect();
        Ok((table, rows))
    };
    match table.await {
        Ok((table, rows)) if is_json => asked.answer(Ok(table.json(rows))),
        Ok((table, rows)) => asked.answer_text(Ok(table.text(rows))),
        Err(error) => asked.answer::<Value>(Err(error)),
    }
}

/// Which columns in which order, and which rows first.
struct Table {
    columns: Vec<usize>,
    sort: Vec<(usize, bool)>,
    has_head: bool,
    bytes: Bytes,
}

impl Table {
    fn new(params: &Params) -> Result<Self, ElasticError> {
        params.only(&[
            "v",
            "h",
            "s",
            "bytes",
            "time",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
            "local",
            "master_timeout",
        ])?;
        let mut columns = Vec::new();
        match params.get("h") {
            // Names that no column has are passed over, as in Elasticsearch.
            Some(names) => {
                for name in names.split(',') {
                    let found = (0..COLUMNS.len()).filter(|place| COLUMNS[*place].is_called(name));
                    columns.extend(found.filter(|place| !columns.contains(place)).collect::<Vec<_>>());
                }
            }
            None => columns.extend((0..COLUMNS.len()).filter(|place| COLUMNS[*place].is_default)),
        }
        let mut sort = Vec::new();
        for key in params.get("s").into_iter().flat_map(|keys| keys.split(',')) {
            let (name, descending) = match key.rsplit_once(':') {
                Some((name, "desc")) => (name, true),
                Some((name, "asc")) => (name, false),
                _ => (key, false),
            };
            let place = COLUMNS.iter().position(|column| column.name == name || column.short.contains(&name));
            let place =
                place.ok_or_else(|| ElasticError::Parameter(format!("Unable to sort by unknown sort key `{name}`")))?;
            sort.push((place, descending));
        }
        Ok(Self { columns, sort, has_head: params.flag("v"), bytes: Bytes::read(params)? })
    }

    fn sorted(&self, mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
        rows.sort_by(|a, b| {
            for (place, descending) in &self.sort {
                let (a, b) = (&a[*place], &b[*place]);
                let order = match (a.number, b.number) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => a.text.cmp(&b.text),
                };
                let order = if *descending { order.reverse() } else { order };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        });
        rows
    }

    fn json(&self, rows: Vec<Vec<Cell>>) -> Value {
        let object = |row: Vec<Cell>| {
            let cells =
                self.columns.iter().map(|place| (COLUMNS[*place].name.to_owned(), row[*place].text.clone().into()));
            Value::Object(cells.collect::<Map<_, _>>())
        };
        self.sorted(rows).into_iter().map(object).collect()
    }

    fn text(&self, rows: Vec<Vec<Cell>>) -> String {
        let rows = self.sorted(rows);
        let mut lines: Vec<Vec<&str>> = Vec::with_capacity(rows.len() + 1);
        if self.has_head {
            lines.push(self.columns.iter().map(|place| COLUMNS[*place].name).collect());
        }
        lines.extend(rows.iter().map(|row| self.columns.iter().map(|place| row[*place].text.as_str()).collect()));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            for (place, cell) in line.iter().enumerate() {
                let is_last = place + 1 == line.len();
                let padding = " ".repeat(widths[place] - cell.chars().count());
                if COLUMNS[self.columns[place]].is_right {
                    text.push_str(&padding);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    // Nothing follows that it would have to stand before.
                    text.push_str(if is_last { "" } else { &padding });
                }
                text.push_str(if is_last { "\n" } else { " " });
            }
        }
        text
    }
}

impl Column {
    fn is_called(&self, name: &str) -> bool {
        self.name == name
            || self.short.contains(&name)
            || (name.contains('*') && Pattern::new(name).is_match(self.name))
    }
}

/// The cells of an index, in the order of [`COLUMNS`].
fn row(info: &IndexInfo, bytes: Bytes) -> Vec<Cell> {
    let text = |text: &str| Cell { text: text.to_owned(), number: None };
    let number = |number: u64| Cell { text: number.to_string(), number: Some(number) };
    let size = || Cell { text: bytes.show(info.bytes), number: Some(info.bytes) };
    let created = Timestamp::from_millisecond(info.created_ms).unwrap_or_default();
    vec![
        text("green"),
        text("open"),
        text(&info.name),
        text(&uuid(&info.name)),
        number(1),
        number(0),
        number(info.docs),
        number(0),
        number(info.created_ms.unsigned_abs()),
        text(&format!("{created:.3}")),
        size(),
        size(),
        size(),
    ]
}

/// How sizes are shown: in the unit that fits, or in one unit without its name.
#[derive(Clone, Copy)]
enum Bytes {
    Fitting,
    In(u64),
}

impl Bytes {
    fn read(params: &Params) -> Result<Self, ElasticError> {
        Ok(Self::In(match params.get("bytes") {
            None => return Ok(Self::Fitting),
            Some("b") => 1,
            Some("k" | "kb") => 1 << 10,
            Some("m" | "mb") => 1 << 20,
            Some("g" | "gb") => 1 << 30,
            Some("t" | "tb") => 1 << 40,
            Some(other) => {
                return Err(ElasticError::Parameter(format!("Failed to parse setting [bytes] with value [{other}]")));
            }
        }))
    }

    fn show(self, bytes: u64) -> String {
        let (unit, name) = match self {
            Self::In(unit) => return (bytes / unit).to_string(),
            Self::Fitting => match bytes {
                0..=0x3ff => return format!("{bytes}b"),
                0x400..=0xf_ffff => (1_u64 << 10, "kb"),
                0x10_0000..=0x3fff_ffff => (1 << 20, "mb"),
                0x4000_0000..=0xff_ffff_ffff => (1 << 30, "gb"),
                _ => (1 << 40, "tb"),
            },
        };
        // One digit, cut and not rounded, and none when it is 0.
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        match tenths % 10 {
            0 => format!("{}{name}", tenths / 10),
            tenth => format!("{}.{tenth}{name}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0b"),
            (225, "225b"),
            (1_024, "1kb"),
            (5_100, "4.9kb"),
            (1_048_575, "1023.9kb"),
            (1_048_576, "1mb"),
            (3 << 30, "3gb"),
            (u64::MAX, "16777215.9tb"),
        ] {
            assert_eq!(Bytes::Fitting.show(bytes), expected);
        }
        assert_eq!(Bytes::In(1 << 10).show(5_100), "4");
    }
}
