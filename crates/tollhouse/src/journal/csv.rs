//! Tables as RFC 4180 has them, safe to open in a spreadsheet.
//!
//! A text that a spreadsheet would take for a formula could fetch and send data (OWASP, "CSV Injection"): such a cell gets
//! an apostrophe in front, with which spreadsheets show it as a text. A number of JSON is no text and stays one.

use std::io::{self, Write};

use serde_json::Value;

/// Characters with which a formula begins; the last four are those that spreadsheets read like the first four.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Writes a row of names as they are.
pub(super) fn header(out: &mut impl Write, names: &[String]) -> io::Result<()> {
    row(out, names.iter().map(|name| name.as_str().to_owned()))
}

/// Writes a row of values; what is not there is an empty cell, and what is no single value is JSON.
pub(super) fn values<'a>(out: &mut impl Write, values: impl Iterator<Item = Option<&'a Value>>) -> io::Result<()> {
    row(out, values.map(|value| value.map_or_else(String::new, cell)))
}

fn row(out: &mut impl Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::Number(number) => return number.to_string(),
        Value::String(text) => text.clone(),
        // Tags and the like: readable where they are only texts.
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(cells: &[Value]) -> String {
        let mut out = Vec::new();
        values(&mut out, cells.iter().map(Some)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells() {
        for (value, cell) in [
            (json!("plain"), "plain"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"x\""), "\"say \"\"x\"\"\""),
            (json!("two\nlines"), "\"two\nlines\""),
            (json!("=1+1"), "'=1+1"),
            (json!("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            (json!("+1"), "'+1"),
            (json!("-1"), "'-1"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("\tx"), "'\tx"),
            (json!("\rx"), "\"'\rx\""),
            (json!("＝1"), "'＝1"),
            (json!(-1.5), "-1.5"),
            (json!(7), "7"),
            (json!(true), "true"),
            (json!(null), ""),
            (json!(["a", "b"]), "a b"),
            (json!(["=a"]), "'=a"),
            (json!({"x": 1}), "\"{\"\"x\"\":1}\""),
        ] {
            assert_eq!(written(&[value]), format!("{cell}\r\n"));
        }
        assert_eq!(written(&[json!(1), json!(null), json!("x")]), "1,,x\r\n");
    }

    /// Reads rows as RFC 4180 has them.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let mut chars = text.chars().peekable();
        let mut is_quoted = false;
        while let Some(c) = chars.next() {
            match (c, is_quoted) {
                ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
                ('"', _) => is_quoted = !is_quoted,
                (',', false) => row.push(std::mem::take(&mut cell)),
                ('\r', false) if chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                _ => cell.push(c),
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_begins_no_formula(cells in prop::collection::vec("[=+@a\",\r\n\t-]{0,6}|.{0,8}", 1..5)) {
            let values: Vec<Value> = cells.iter().map(|cell| json!(cell)).collect();
            let text = written(&values);
            let rows = read(&text);
            prop_assert_eq!(rows.len(), 1);
            for (found, cell) in rows[0].iter().zip(&cells) {
                prop_assert!(!found.starts_with(FORMULA));
                prop_assert_eq!(found.strip_prefix('\'').filter(|_| cell.starts_with(FORMULA)).unwrap_or(found), cell);
            }
        }
    }
}
