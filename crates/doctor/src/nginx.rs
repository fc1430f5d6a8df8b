//! Reads of nginx' configuration where requests are passed on to the gate, and with what settings.

use crate::facts::NginxFacts;

/// Words that are read of one file.
const WORDS_MAX: usize = 100_000;

/// Blocks within blocks that are read.
const DEPTH_MAX: usize = 16;

/// A directive with its words, and those in its block.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directive {
    /// Its name and what stands behind it, without quotes.
    pub words: Vec<String>,
    /// What stands in its braces.
    pub block: Vec<Directive>,
    /// Whether it has braces.
    pub has_block: bool,
    /// Line of its first word, counted from 1.
    pub line: usize,
}

impl Directive {
    /// Its first word.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// A word behind its name, counted from 0.
    pub fn argument(&self, at: usize) -> Option<&str> {
        self.words.get(at + 1).map(String::as_str)
    }

    /// The directives of this name in its block.
    pub fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d Directive> {
        self.block.iter().filter(move |inner| inner.name() == name)
    }
}

/// The directives of a file, in a directive without a name; what is not closed ends with the file.
pub fn read(text: &str) -> Directive {
    let words = words(text);
    let mut at = 0;
    Directive { block: block(&words, &mut at, 0), has_block: true, ..Directive::default() }
}

/// Where a file is not whole, by its line, and what is wrong there: nginx would not take it, and what [`read`] makes of it may be less
/// than it says.
pub fn fault(text: &str) -> Option<(usize, &'static str)> {
    let words = words(text);
    if words.len() >= WORDS_MAX {
        return Some((words.last().map_or(1, |word| word.line), "so long a file is not read"));
    }
    let mut open: Vec<usize> = Vec::new();
    // Where a directive began that has not ended.
    let mut began: Option<usize> = None;
    for word in &words {
        if !word.is_mark {
            began = began.or(Some(word.line));
            continue;
        }
        match word.text.as_str() {
            "{" if open.len() >= DEPTH_MAX => return Some((word.line, "so many braces within braces are not read")),
            "{" => open.push(word.line),
            "}" if began.is_some() => return began.map(|line| (line, "no `;` stands behind this")),
            "}" if open.pop().is_none() => return Some((word.line, "this `}` closes nothing")),
            _ => {}
        }
        began = None;
    }
    let unclosed = open.pop().map(|line| (line, "this `{` is not closed"));
    unclosed.or_else(|| began.map(|line| (line, "no `;` stands behind this")))
}

/// The places of a file that pass requests on to this port of this machine.
pub fn places(file: &str, text: &str, port: u16) -> Vec<NginxFacts> {
    let root = read(text);
    let mut found = Vec::new();
    walk(&root, &mut Vec::new(), port, file, &mut found);
    found
}

/// Whether a `proxy_pass` goes to this port, by itself or through an `upstream` of the same file.
fn walk<'d>(
    directive: &'d Directive,
    above: &mut Vec<&'d Directive>,
    port: u16,
    file: &str,
    found: &mut Vec<NginxFacts>,
) {
    above.push(directive);
    let to = directive.all("proxy_pass").next().and_then(|pass| pass.argument(0));
    if to.is_some_and(|to| ends_at(to, port) || through_group(above, to, port)) {
        found.push(place(above, file));
    }
    for inner in &directive.block {
        if !inner.block.is_empty() {
            walk(inner, above, port, file, found);
        }
    }
    above.pop();
}

fn ends_at(url: &str, port: u16) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let here = ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host.starts_with(name));
    here && host.rsplit_once(':').is_some_and(|(_, own)| own.parse() == Ok(port))
}

fn through_group(above: &[&Directive], url: &str, port: u16) -> bool {
    let name = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let groups = above.iter().flat_map(|level| level.all("upstream")).filter(|group| group.argument(0) == Some(name));
    groups.flat_map(|group| group.all("server")).any(|member| member.argument(0).is_some_and(|to| ends_at(to, port)))
}

/// The settings that hold at the innermost of these blocks.
fn place(above: &[&Directive], file: &str) -> NginxFacts {
    let nearest = |name: &str| {
        let inner = above.iter().rev().find_map(|level| level.block.iter().rfind(|inner| inner.name() == name))?;
        Some(inner.words[1..].to_vec())
    };
    let headers = above.iter().rev().find_map(|level| {
        let own: Vec<String> =
            level.all("proxy_set_header").filter_map(|inner| inner.argument(0).map(str::to_lowercase)).collect();
        (!own.is_empty()).then_some(own)
    });
    NginxFacts {
        file: file.to_owned(),
        read_timeout_s: nearest("proxy_read_timeout").and_then(|words| seconds(words.first()?)),
        buffers: nearest("proxy_buffering").is_none_or(|words| words.first().is_none_or(|word| word != "off")),
        forwards_address: headers.is_some_and(|names| {
            names.iter().any(|name| name == "x-forwarded-for" || name == "forwarded" || name == "x-real-ip")
        }),
        protocols: nearest("ssl_protocols").unwrap_or_default(),
    }
}

/// nginx' times: a number of seconds, or with a unit.
pub fn seconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    Some(match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => number,
    })
}

/// A word, or a mark that ends or nests directives; in quotes a mark is a word.
struct Word {
    text: String,
    is_mark: bool,
    line: usize,
}

impl Word {
    fn is_mark(&self, mark: &str) -> bool {
        self.is_mark && self.text == mark
    }
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    let mut end = |word: &mut String, is_mark: bool, line: usize| {
        if !word.is_empty() {
            words.push(Word { text: std::mem::take(word), is_mark, line });
        }
        words.len() < WORDS_MAX
    };
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' if word.is_empty() => {
                let begins = line;
                while let Some(inner) = chars.next_if(|inner| *inner != c) {
                    line += usize::from(inner == '\n');
                    // A quote with a backslash before it ends nothing.
                    match inner {
                        '\\' if chars.peek() == Some(&c) => word.extend(chars.next()),
                        inner => word.push(inner),
                    }
                }
                chars.next();
                end(&mut word, false, begins);
            }
            c if c.is_whitespace() => {
                if !end(&mut word, false, line) {
                    break;
                }
                line += usize::from(c == '\n');
            }
            // A variable with its name in braces.
            '{' if word.ends_with('$') => {
                word.push(c);
                word.extend(std::iter::from_fn(|| chars.next_if(|inner| !inner.is_whitespace() && *inner != '}')));
            }
            '}' if word.contains("${") && !word.ends_with('}') => word.push(c),
            ';' | '{' | '}' => {
                end(&mut word, false, line);
                word.push(c);
                end(&mut word, true, line);
            }
            c => word.push(c),
        }
    }
    end(&mut word, false, line);
    words
}

fn block(words: &[Word], at: &mut usize, depth: usize) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut current = Directive::default();
    while let Some(word) = words.get(*at) {
        *at += 1;
        if word.is_mark(";") {
            directives.push(std::mem::take(&mut current));
        } else if word.is_mark("{") && depth < DEPTH_MAX {
            current.block = block(words, at, depth + 1);
            current.has_block = true;
            directives.push(std::mem::take(&mut current));
        } else if word.is_mark("}") {
            break;
        } else {
            if current.words.is_empty() {
                current.line = word.line;
            }
            current.words.push(word.text.clone());
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_variables_and_lines_are_read() {
        let text = "a 'x;y' \"say \\\"no\\\"\";\n# c {\nif ($a = \"}\") {\n  return 301 https://${host}$uri;\n}";
        let root = read(text);
        let [first, second] = &root.block[..] else { panic!("{root:?}") };
        assert_eq!((first.words.join("|").as_str(), first.line), ("a|x;y|say \"no\"", 1));
        assert_eq!((second.name(), second.line, second.has_block), ("if", 3, true));
        assert_eq!(
            (second.block[0].words.join("|").as_str(), second.block[0].line),
            ("return|301|https://${host}$uri", 4)
        );
    }

    #[test]
    fn settings_hold_downwards() {
        let text = r"
            http {
              proxy_read_timeout 5m; # for all
              upstream house { server 127.0.0.1:18789; keepalive 8; }
              server {
                ssl_protocols TLSv1 TLSv1.2;
                location /v1/ { proxy_pass http://house; proxy_buffering off; proxy_set_header X-Forwarded-For $remote_addr; }
                location / { proxy_pass http://127.0.0.1:18789/; proxy_read_timeout 30; }
                location /other { proxy_pass http://127.0.0.1:8080; }
              }
            }";
        let place = |timeout, buffers, forwards| NginxFacts {
            file: "f".to_owned(),
            read_timeout_s: Some(timeout),
            buffers,
            forwards_address: forwards,
            protocols: vec!["TLSv1".to_owned(), "TLSv1.2".to_owned()],
        };
        assert_eq!(places("f", text, 18789), [place(300.0, false, true), place(30.0, true, false)]);
        assert_eq!(places("f", text, 1), []);
        assert_eq!(places("f", "server { \"unfinished", 1), []);
    }
}
