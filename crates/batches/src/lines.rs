//! A file of JSON lines, read with bounds: each line a request, told apart by its `custom_id`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Bytes of one line.
pub(crate) const LINE_BYTES_MAX: usize = 4 << 20;
/// Characters of a `custom_id`.
const CUSTOM_ID_CHARS_MAX: usize = 256;
/// Mistakes that are told of one file.
const ERRORS_MAX: usize = 100;
/// Parts that a file is worked on in.
const PARTS_MAX: u64 = 200;

/// What is wrong with a line, as OpenAI's API tells it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LineError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// Counted from 1.
    pub(crate) line: Option<u64>,
}

impl LineError {
    fn new(code: &str, message: impl Into<String>, param: Option<&str>) -> Self {
        Self { code: code.to_owned(), message: message.into(), param: param.map(str::to_owned), line: None }
    }
}

/// A request of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// The line's number, counted from 1.
    pub(crate) line: u64,
    pub(crate) custom_id: String,
    pub(crate) model: String,
    /// The request's body, as it stands in the file.
    pub(crate) body: String,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scan {
    pub(crate) items: u64,
    /// `offset:first line:last line` of each part.
    pub(crate) parts: Vec<String>,
    pub(crate) errors: Vec<LineError>,
}

/// Reads a file whole, a line at a time, and says all that is wrong with it.
pub(crate) fn scan(path: &Path, endpoint: &str, lines_max: u64) -> io::Result<Scan> {
    let mut scan = Scan::default();
    // Where each request stands: an offset and a line number.
    let mut places: Vec<(u64, u64)> = Vec::new();
    let mut seen = HashSet::new();
    let mut lines = Lines::open(path, 0, 1)?;
    while let Some(line) = lines.next()? {
        if line.is_blank() {
            continue;
        }
        if places.len() as u64 >= lines_max {
            let message = format!("the file has more than {lines_max} requests, the most that a batch may have");
            scan.errors.push(LineError::new("too_many_lines", message, None));
            break;
        }
        places.push((line.offset, line.number));
        let checked = line.item(endpoint).and_then(|item| {
            if seen.insert(item.custom_id.clone()) {
                return Ok(());
            }
            let message = format!("the custom_id '{}' stands in an earlier line too", item.custom_id);
            Err(LineError::new("duplicate_custom_id", message, Some("custom_id")))
        });
        if let Err(error) = checked {
            scan.errors.push(LineError { line: Some(line.number), ..error });
            if scan.errors.len() >= ERRORS_MAX {
                break;
            }
        }
    }
    if places.is_empty() && scan.errors.is_empty() {
        scan.errors.push(LineError::new("empty_file", "the file has no request in it", None));
    }
    scan.items = places.len() as u64;
    let each = scan.items.div_ceil(PARTS_MAX).max(1) as usize;
    for part in places.chunks(each) {
        let ((offset, first), (_, last)) = (part[0], part[part.len() - 1]);
        scan.parts.push(format!("{offset}:{first}:{last}"));
    }
    Ok(scan)
}

/// The requests of one part of a file that was found good.
pub(crate) fn part(path: &Path, endpoint: &str, part: &str) -> io::Result<Vec<Item>> {
    let numbers: Vec<u64> = part.split(':').filter_map(|number| number.parse().ok()).collect();
    let [offset, first, last] = numbers[..] else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no part of a file"));
    };
    let mut items = Vec::new();
    let mut lines = Lines::open(path, offset, first)?;
    while let Some(line) = lines.next()? {
        if line.number > last {
            break;
        }
        if !line.is_blank() {
            let item = line.item(endpoint);
            items.push(item.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.message))?);
        }
    }
    Ok(items)
}

/// The line number and `custom_id` of each request of a file that was found good.
pub(crate) fn names(path: &Path, endpoint: &str) -> io::Result<Vec<(u64, String)>> {
    let mut names = Vec::new();
    let mut lines = Lines::open(path, 0, 1)?;
    while let Some(line) = lines.next()? {
        if let Ok(item) = line.item(endpoint) {
            names.push((item.line, item.custom_id));
        }
    }
    Ok(names)
}

/// One line.
struct Line {
    number: u64,
    offset: u64,
    /// `None` where it is too long to be kept.
    text: Option<Vec<u8>>,
}

impl Line {
    fn is_blank(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.trim_ascii().is_empty())
    }

    fn item(&self, endpoint: &str) -> Result<Item, LineError> {
        #[derive(Deserialize)]
        struct Request<'a> {
            custom_id: String,
            method: String,
            url: String,
            #[serde(borrow)]
            body: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Body {
            model: String,
            #[serde(default)]
            stream: Value,
            #[serde(default)]
            background: Value,
        }
        let Some(text) = &self.text else {
            let message = format!("the line has more than {LINE_BYTES_MAX} bytes");
            return Err(LineError::new("line_too_long", message, None));
        };
        let text = if self.number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        let request: Request<'_> = serde_json::from_slice(text).map_err(|error| {
            LineError::new("invalid_json_line", format!("the line is no such request: {error}"), None)
        })?;
        let chars = request.custom_id.chars().count();
        if chars == 0 || chars > CUSTOM_ID_CHARS_MAX {
            let message = format!("custom_id has to have 1 to {CUSTOM_ID_CHARS_MAX} characters, this one has {chars}");
            return Err(LineError::new("invalid_custom_id", message, Some("custom_id")));
        }
        if request.method != "POST" {
            return Err(LineError::new("invalid_method", "method has to be POST", Some("method")));
        }
        if request.url != endpoint {
            let message = format!("url has to be the batch's endpoint, {endpoint}");
            return Err(LineError::new("invalid_url", message, Some("url")));
        }
        let body: Body = serde_json::from_str(request.body.get())
            .map_err(|error| LineError::new("invalid_body", format!("body: {error}"), Some("body")))?;
        for (name, value) in [("stream", &body.stream), ("background", &body.background)] {
            if !matches!(value, Value::Null | Value::Bool(false)) {
                let message = format!("{name} has no meaning in a batch: leave it out");
                return Err(LineError::new("invalid_body", message, Some(name)));
            }
        }
        Ok(Item {
            line: self.number,
            custom_id: request.custom_id,
            model: body.model,
            body: request.body.get().to_owned(),
        })
    }
}

/// The lines of a file, from a place on.
struct Lines {
    reader: BufReader<File>,
    offset: u64,
    number: u64,
}

impl Lines {
    fn open(path: &Path, offset: u64, number: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, file), offset, number })
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let (offset, number) = (self.offset, self.number);
        let mut text = Some(Vec::new());
        loop {
            let piece = self.reader.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(piece.len(), |end| end + 1);
            if let Some(kept) = &mut text {
                kept.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
                if kept.len() > LINE_BYTES_MAX {
                    text = None;
                }
            }
            self.reader.consume(taken);
            self.offset += taken as u64;
            if end.is_some() {
                break;
            }
        }
        if self.offset == offset {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(Line { number, offset, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";

    fn line(id: &str) -> String {
        format!(r#"{{"custom_id":"{id}","method":"POST","url":"{CHAT}","body":{{"model":"m","messages":[]}}}}"#)
    }

    fn scanned(text: &str) -> Scan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, text).unwrap();
        scan(&path, CHAT, 1000).unwrap()
    }

    fn codes(text: &str) -> Vec<(String, Option<u64>)> {
        scanned(text).errors.into_iter().map(|error| (error.code, error.line)).collect()
    }

    #[test]
    fn a_file_is_read_in_parts_that_hold_each_request_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let text: Vec<String> = (0..901).map(|number| line(&format!("n{number}"))).collect();
        // Blank lines, another end of line, none at the end.
        std::fs::write(&path, format!("\u{feff}{}", text.join("\r\n\n"))).unwrap();
        let scan = scan(&path, CHAT, 1000).unwrap();
        assert_eq!((scan.items, scan.errors.len()), (901, 0), "{:?}", scan.errors.first());
        assert!(scan.parts.len() as u64 <= PARTS_MAX);
        let items: Vec<Item> = scan.parts.iter().flat_map(|at| part(&path, CHAT, at).unwrap()).collect();
        assert_eq!(items.len(), 901);
        assert!(
            items
                .iter()
                .enumerate()
                .all(|(at, item)| item.custom_id == format!("n{at}") && item.line == 2 * at as u64 + 1)
        );
        assert_eq!(names(&path, CHAT).unwrap().len(), 901);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let good = line("a");
        let of = |code: &str, line| vec![(code.to_owned(), Some(line))];
        assert_eq!(codes(&format!("{good}\n{good}\n")), of("duplicate_custom_id", 2));
        assert_eq!(codes(&format!("\n{}", good.replace("POST", "GET"))), of("invalid_method", 2));
        assert_eq!(codes(&good.replace(CHAT, "/v1/embeddings")), of("invalid_url", 1));
        assert_eq!(codes(&good.replace("\"a\"", "\"\"")), of("invalid_custom_id", 1));
        assert_eq!(codes(&good.replace("\"a\"", "7")), of("invalid_json_line", 1));
        assert_eq!(codes(&good.replace("\"m\"", "null")), of("invalid_body", 1));
        assert_eq!(codes(&good.replace("\"m\"", "\"m\",\"stream\":true")), of("invalid_body", 1));
        assert_eq!(codes("{\"custom_id\":"), of("invalid_json_line", 1));
        assert_eq!(codes(&"[".repeat(100_000)), of("invalid_json_line", 1));
        assert_eq!(codes("\u{0}\u{1}"), of("invalid_json_line", 1));
        assert_eq!(codes(""), [("empty_file".to_owned(), None)]);
        assert_eq!(codes(&"x\n".repeat(5000)).len(), ERRORS_MAX);
        assert_eq!(codes(&" ".repeat(LINE_BYTES_MAX + 1)), of("line_too_long", 1));
        let many: Vec<String> = (0..1001).map(|number| line(&format!("n{number}"))).collect();
        assert_eq!(codes(&many.join("\n")), [("too_many_lines".to_owned(), None)]);
    }
}
