//! JSON5 as people write settings in it: comments, trailing commas, names without quotes, single quotes.
//!
//! Only what such files use is read; numbers are those of JSON, besides a leading `+` and a bare dot.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Levels of nesting that are read.
const DEPTH_MAX: usize = 64;

/// Reads a text; the error says where it stopped.
pub fn parse(text: &str) -> Result<Value, String> {
    parse_with_lines(text).map(|(value, _)| value)
}

/// The lines of names, counted from 1, by the way to them: `gateway.port`; those in lists are not among them.
pub type Lines = HashMap<String, usize>;

/// The same, with the line of each name.
pub fn parse_with_lines(text: &str) -> Result<(Value, Lines), String> {
    let mut reader = Reader { text, at: 0, way: Vec::new(), lists: 0, lines: Lines::new() };
    let value = reader.value(0)?;
    reader.space()?;
    if reader.at < text.len() { Err(reader.wrong("the end")) } else { Ok((value, reader.lines)) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Names on the way to where it reads.
    way: Vec<String>,
    /// Lists around where it reads.
    lists: usize,
    lines: Lines,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn wrong(&self, expected: &str) -> String {
        format!("line {}: expected {expected}", self.line())
    }

    fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    /// Passes over space and comments.
    fn space(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
            self.at += blank;
            let rest = self.rest();
            let passed = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map(|end| end + 2).ok_or_else(|| self.wrong("the end of a comment"))?
            } else if blank == 0 || !rest.starts_with('/') {
                return Ok(());
            } else {
                return Err(self.wrong("a comment"));
            };
            self.at += passed;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("less nesting"));
        }
        self.space()?;
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"' | '\'') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err(self.wrong("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.take();
        let mut object = Map::new();
        loop {
            self.space()?;
            let name = match self.peek() {
                Some('}') => {
                    self.take();
                    return Ok(Value::Object(object));
                }
                Some('"' | '\'') => self.string()?,
                _ => self.name()?,
            };
            self.space()?;
            if self.take() != Some(':') {
                return Err(self.wrong("`:`"));
            }
            self.way.push(name.clone());
            if self.lists == 0 {
                self.lines.insert(self.way.join("."), self.line());
            }
            object.insert(name, self.value(depth + 1)?);
            self.way.pop();
            self.comma('}')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.take();
        let mut items = Vec::new();
        self.lists += 1;
        loop {
            self.space()?;
            if self.peek() == Some(']') {
                self.take();
                self.lists -= 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.comma(']')?;
        }
    }

    /// A comma, or what ends the list.
    fn comma(&mut self, end: char) -> Result<(), String> {
        self.space()?;
        match self.peek() {
            Some(',') => {
                self.take();
                Ok(())
            }
            Some(c) if c == end => Ok(()),
            _ => Err(self.wrong(&format!("`,` or `{end}`"))),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || c == '-')).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        if name.is_empty() { Err(self.wrong("a name")) } else { Ok(name) }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(self.wrong("the end of a text")),
                c if c == quote => return Ok(text),
                Some('\\') => self.escape(&mut text)?,
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), String> {
        let c = match self.take().ok_or_else(|| self.wrong("the end of a text"))? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '0' => '\0',
            // A line that goes on.
            '\n' => return Ok(()),
            'u' => {
                let digits = self.rest().get(..4).ok_or_else(|| self.wrong("four digits"))?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| self.wrong("four digits"))?;
                self.at += 4;
                // Halves of pairs stand for nothing here: settings are names, addresses and keys.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        };
        text.push(c);
        Ok(())
    }

    fn word(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || ",]}:/".contains(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => {
                let number = word.trim_start_matches('+');
                let number = if number.starts_with('.') { format!("0{number}") } else { number.to_owned() };
                serde_json::from_str(number.trim_end_matches('.')).map_err(|_| self.wrong("a value"))?
            }
        };
        self.at += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, value) in [
            ("{}", json!({})),
            (
                "// settings\n{gateway: {port: 18789,}, 'a': [1, 2.5, +3, .5,], /* x */ b: \"y\\u0041\\n\"}",
                json!({"gateway": {"port": 18789}, "a": [1, 2.5, 3, 0.5], "b": "yA\n"}),
            ),
            (" [true, null, false] // end", json!([true, null, false])),
            ("{\"url\": \"http://127.0.0.1:1/v1\"}", json!({"url": "http://127.0.0.1:1/v1"})),
            ("{a:1/*c*/,b:2}", json!({"a": 1, "b": 2})),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
        for (text, error) in [
            ("{a: 1", "line 1: expected `,` or `}`"),
            ("{\n a 1}", "line 2: expected `:`"),
            ("{a: }", "line 1: expected a value"),
            ("\"x", "line 1: expected the end of a text"),
            ("{} x", "line 1: expected the end"),
            ("/* x", "line 1: expected the end of a comment"),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
        assert!(parse(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn names_have_their_lines() {
        let (_, lines) = parse_with_lines("{\n a: {b: 1,\n  'c': [{d: 1}, {d: 2}],\n  e: 2}}").unwrap();
        let line = |way: &str| lines.get(way).copied();
        assert_eq!((line("a"), line("a.b"), line("a.c"), line("a.e")), (Some(2), Some(2), Some(3), Some(4)));
        assert_eq!(line("a.c.d"), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,200}") {
            let _: Result<Value, String> = parse(&text);
        }

        #[test]
        fn json_is_a_part_of_it(texts in proptest::collection::vec("[^\\\\\u{0}-\u{1f}]{0,20}", 0..5), number in -1e9..1e9f64) {
            let value = json!({"texts": texts, "number": number, "deep": [{"a": [null, true]}]});
            prop_assert_eq!(parse(&value.to_string()), Ok(value));
        }
    }
}
