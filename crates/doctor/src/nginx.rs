//! Reads of nginx' configuration where requests are passed on to the gate, and with what settings.

use crate::facts::NginxFacts;

/// Words that are read of one file.
const WORDS_MAX: usize = 100_000;

/// A directive with its words, and those in its block.
#[derive(Debug, Default)]
struct Directive {
    words: Vec<String>,
    block: Vec<Directive>,
}

/// The places of a file that pass requests on to this port of this machine.
pub fn places(file: &str, text: &str, port: u16) -> Vec<NginxFacts> {
    let words = words(text);
    let mut at = 0;
    let root = Directive { words: Vec::new(), block: block(&words, &mut at, 0) };
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
    let is_pass = |inner: &&Directive| inner.words.first().is_some_and(|word| word == "proxy_pass");
    let to = directive.block.iter().find(is_pass).and_then(|pass| pass.words.get(1));
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
    let is_group = |inner: &&Directive| {
        inner.words.first().is_some_and(|word| word == "upstream") && inner.words.get(1).is_some_and(|own| own == name)
    };
    let members = above.iter().flat_map(|level| &level.block).filter(is_group).flat_map(|group| &group.block);
    members
        .filter(|member| member.words.first().is_some_and(|word| word == "server"))
        .any(|member| member.words.get(1).is_some_and(|to| ends_at(to, port)))
}

/// The settings that hold at the innermost of these blocks.
fn place(above: &[&Directive], file: &str) -> NginxFacts {
    let nearest = |name: &str| {
        let is_it = |inner: &&Directive| inner.words.first().is_some_and(|word| word == name);
        let inner = above.iter().rev().find_map(|level| level.block.iter().rfind(is_it))?;
        Some(inner.words[1..].to_vec())
    };
    let headers = above.iter().rev().find_map(|level| {
        let own: Vec<String> = level
            .block
            .iter()
            .filter(|inner| inner.words.first().is_some_and(|word| word == "proxy_set_header"))
            .filter_map(|inner| inner.words.get(1).map(|name| name.to_lowercase()))
            .collect();
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
fn seconds(text: &str) -> Option<f64> {
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

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
        words.len() < WORDS_MAX
    };
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' if word.is_empty() => {
                while let Some(inner) = chars.next_if(|inner| *inner != c) {
                    word.push(inner);
                }
                chars.next();
                end(&mut word);
            }
            c if c.is_whitespace() => {
                if !end(&mut word) {
                    break;
                }
            }
            ';' | '{' | '}' => {
                end(&mut word);
                word.push(c);
                end(&mut word);
            }
            c => word.push(c),
        }
    }
    end(&mut word);
    words
}

fn block(words: &[String], at: &mut usize, depth: usize) -> Vec<Directive> {
    const DEPTH_MAX: usize = 16;
    let mut directives = Vec::new();
    let mut current = Directive::default();
    while let Some(word) = words.get(*at) {
        *at += 1;
        match word.as_str() {
            ";" => directives.push(std::mem::take(&mut current)),
            "{" if depth < DEPTH_MAX => {
                current.block = block(words, at, depth + 1);
                directives.push(std::mem::take(&mut current));
            }
            "}" => break,
            _ => current.words.push(word.clone()),
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::*;

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
