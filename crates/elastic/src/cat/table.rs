//! A table: which columns in which order, which rows first, as text or as JSON.

use std::cmp::Ordering;

use axum::response::Response;
use serde_json::{Map, Value};
use tollhouse_query::Pattern;

use super::bytes::Bytes;
use crate::asked::{Asked, Params};
use crate::error::ElasticError;
use crate::media::Wanted;

/// A column: name, short names, what it is, whether it is shown unless others are asked for, whether it is set to the
/// right.
pub(super) struct Column {
    name: &'static str,
    short: &'static [&'static str],
    what: &'static str,
    is_default: bool,
    is_right: bool,
}

impl Column {
    /// A column of texts.
    pub(super) const fn text(name: &'static str, short: &'static [&'static str], what: &'static str) -> Self {
        Self { name, short, what, is_default: true, is_right: false }
    }

    /// A column of numbers.
    pub(super) const fn number(name: &'static str, short: &'static [&'static str], what: &'static str) -> Self {
        Self { name, short, what, is_default: true, is_right: true }
    }

    /// The same, shown only when it is asked for.
    pub(super) const fn hidden(self) -> Self {
        Self { is_default: false, ..self }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name
            || self.short.contains(&name)
            || (name.contains('*') && Pattern::new(name).is_match(self.name))
    }
}

/// A cell: what is shown and what it is sorted by.
pub(super) struct Cell {
    text: String,
    number: Option<u64>,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), number: None }
    }

    pub(super) fn number(number: u64) -> Self {
        Self { text: number.to_string(), number: Some(number) }
    }

    pub(super) fn size(bytes: u64, shown: Bytes) -> Self {
        Self { text: shown.show(bytes), number: Some(bytes) }
    }
}

/// What of a table is wanted.
pub(super) struct Table {
    all: &'static [Column],
    /// With the names by which they were asked for.
    columns: Vec<(usize, String)>,
    sort: Vec<(usize, bool)>,
    has_head: bool,
    pub(super) bytes: Bytes,
}

impl Table {
    /// Reads what is wanted; `own` are the parameters of this table alone.
    pub(super) fn new(all: &'static [Column], params: &Params, own: &[&str]) -> Result<Self, ElasticError> {
        let common = ["v", "h", "s", "bytes", "time", "help", "local", "master_timeout"];
        params.only(&[&common, own].concat())?;
        let mut columns: Vec<(usize, String)> = Vec::new();
        if let Some(names) = params.get("h") {
            // Names that no column has are passed over, as in Elasticsearch.
            for name in names.split(',') {
                let found = (0..all.len()).filter(|place| all[*place].is_called(name));
                let found: Vec<usize> = found.filter(|place| !columns.iter().any(|(had, _)| had == place)).collect();
                let shown = |place: usize| if name.contains('*') { all[place].name } else { name };
                columns.extend(found.into_iter().map(|place| (place, shown(place).to_owned())));
            }
        } else {
            let shown = (0..all.len()).filter(|place| all[*place].is_default);
            columns.extend(shown.map(|place| (place, all[place].name.to_owned())));
        }
        let mut sort = Vec::new();
        for key in params.get("s").into_iter().flat_map(|keys| keys.split(',')) {
            let (name, descending) = match key.rsplit_once(':') {
                Some((name, "desc")) => (name, true),
                Some((name, "asc")) => (name, false),
                _ => (key, false),
            };
            let place = all.iter().position(|column| column.name == name || column.short.contains(&name));
            let place =
                place.ok_or_else(|| ElasticError::Parameter(format!("Unable to sort by unknown sort key `{name}`")))?;
            sort.push((place, descending));
        }
        Ok(Self { all, columns, sort, has_head: params.flag("v"), bytes: Bytes::read(params)? })
    }

    /// Without the columns of these names, unless they were asked for.
    pub(super) fn without(mut self, names: &[&str], params: &Params) -> Self {
        if params.get("h").is_none() {
            self.columns.retain(|(place, _)| !names.contains(&self.all[*place].name));
        }
        self
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
            let cells = self.columns.iter().map(|(place, shown)| (shown.clone(), row[*place].text.clone().into()));
            Value::Object(cells.collect::<Map<_, _>>())
        };
        self.sorted(rows).into_iter().map(object).collect()
    }

    fn text(&self, rows: Vec<Vec<Cell>>) -> String {
        let rows = self.sorted(rows);
        let mut lines: Vec<Vec<&str>> = Vec::with_capacity(rows.len() + 1);
        if self.has_head {
            lines.push(self.columns.iter().map(|(_, shown)| shown.as_str()).collect());
        }
        lines.extend(rows.iter().map(|row| self.columns.iter().map(|(place, _)| row[*place].text.as_str()).collect()));
        let is_right: Vec<bool> = self.columns.iter().map(|(place, _)| self.all[*place].is_right).collect();
        aligned(&lines, &is_right, " ")
    }

    /// `help`: which columns there are.
    fn help(&self) -> String {
        let short: Vec<String> = self.all.iter().map(|column| column.short.join(",")).collect();
        let lines: Vec<Vec<&str>> = self
            .all
            .iter()
            .zip(&short)
            .map(|(column, short)| vec![column.name, if short.is_empty() { "-" } else { short }, column.what])
            .collect();
        aligned(&lines, &[false; 3], " | ")
    }
}

/// Answers a table in the form that is wanted.
pub(super) fn answer(asked: &Asked, found: Result<(Table, Vec<Vec<Cell>>), ElasticError>) -> Response {
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
    match found {
        Ok((table, _)) if asked.params.flag("help") => asked.answer_text(Ok(table.help())),
        Ok((table, rows)) if is_json => asked.answer(Ok(table.json(rows))),
        Ok((table, rows)) => asked.answer_text(Ok(table.text(rows))),
        Err(error) => asked.answer::<Value>(Err(error)),
    }
}

/// Lines of cells, each column as wide as its widest cell.
fn aligned(lines: &[Vec<&str>], is_right: &[bool], between: &str) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..is_right.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (place, cell) in line.iter().enumerate() {
            let is_last = place + 1 == line.len();
            let padding = " ".repeat(widths[place] - cell.chars().count());
            if is_right[place] {
                text.push_str(&padding);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                // Nothing follows that it would have to stand before.
                text.push_str(if is_last { "" } else { &padding });
            }
            text.push_str(if is_last { "\n" } else { between });
        }
    }
    text
}
