//! Patterns of paths: which directories to look into, and which names in them are meant.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::rotated;
use crate::error::CollectError;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// How deep `**` goes below the directory where it stands.
const DEPTH_MAX: usize = 8;
/// Most directories that the patterns of one source are looked for in.
pub(crate) const DIRECTORIES_MAX: usize = 1024;

/// An absolute path in which `*`, `?` and `[a-z]` stand for characters of one name, and `**` for any directories.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: String,
    /// What needs no looking.
    base: PathBuf,
    /// Directories between the base and the file.
    between: Vec<Part>,
    /// The file's own name.
    name: Glob,
}

/// What a name in a directory is to a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Meant {
    /// It matches.
    Itself,
    /// It is what rotation makes of a name that matches.
    Rotated,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Name(Glob),
    AnyDepth,
}

impl Pattern {
    /// Reads a pattern. It must be absolute, name a file and not climb (`..`).
    pub fn new(text: &str) -> Result<Self, CollectError> {
        let wrong = |why: &'static str| CollectError::Pattern { pattern: text.chars().take(256).collect(), why };
        if text.len() > PATTERN_BYTES_MAX {
            return Err(wrong("it is longer than 4096 bytes"));
        }
        let Some(inner) = text.strip_prefix('/') else {
            return Err(wrong("the path must be absolute"));
        };
        let mut parts: Vec<&str> = inner.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(wrong("`..` is not possible in a pattern"));
        }
        let Some(name) = parts.pop().filter(|name| *name != "**" && !text.ends_with('/')) else {
            return Err(wrong("it must end with the name of a file"));
        };
        let is_plain = |part: &&str| !part.contains(['*', '?', '[']);
        let literal = parts.iter().take_while(|part| is_plain(part)).count();
        let base = parts[..literal].iter().fold(PathBuf::from("/"), |path, part| path.join(part));
        let read = |part: &&str| if *part == "**" { Part::AnyDepth } else { Part::Name(Glob::new(part)) };
        let between = parts[literal..].iter().map(read).collect();
        Ok(Self { text: text.to_owned(), base, between, name: Glob::new(name) })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a file with this absolute path is meant itself, and not only as what rotation made of one.
    pub fn means(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        self.is_for(path) && name.is_some_and(|name| self.name.matches(name))
    }

    /// Whether a file of this name, in one of [`Pattern::directories`], is meant.
    pub(crate) fn meant(&self, name: &str) -> Option<Meant> {
        if self.name.matches(name) {
            return Some(Meant::Itself);
        }
        rotated::originals(name).any(|original| self.name.matches(&original)).then_some(Meant::Rotated)
    }

    /// Whether this path lies in one of [`Pattern::directories`].
    pub(crate) fn is_for(&self, path: &Path) -> bool {
        let Some(Ok(below)) = path.parent().map(|parent| parent.strip_prefix(&self.base)) else { return false };
        let names: Option<Vec<&str>> = below.iter().map(|name| name.to_str()).collect();
        names.is_some_and(|names| lies_in(&names, &self.between))
    }

    /// Adds the directories in which files can be meant, as far as they are there; what cannot be listed goes to `failed`.
    pub(crate) fn directories(&self, found: &mut Vec<PathBuf>, failed: &mut Vec<(PathBuf, io::Error)>) {
        descend(&self.base, &self.between, 0, found, failed);
    }
}

fn descend(dir: &Path, parts: &[Part], depth: usize, found: &mut Vec<PathBuf>, failed: &mut Vec<(PathBuf, io::Error)>) {
    let Some((part, rest)) = parts.split_first() else {
        if found.len() < DIRECTORIES_MAX && !found.iter().any(|known| known == dir) {
            found.push(dir.to_owned());
        }
        return;
    };
    if *part == Part::AnyDepth {
        descend(dir, rest, depth, found, failed);
        if depth == DEPTH_MAX {
            return;
        }
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return failed.push((dir.to_owned(), error)),
    };
    let mut names: Vec<_> =
        entries.filter_map(Result::ok).filter(is_directory).map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let Some(text) = name.to_str() else { continue };
        match part {
            Part::AnyDepth => descend(&dir.join(&name), parts, depth + 1, found, failed),
            Part::Name(glob) if glob.matches(text) => descend(&dir.join(&name), rest, depth, found, failed),
            Part::Name(_) => {}
        }
        if found.len() == DIRECTORIES_MAX {
            return;
        }
    }
}

fn lies_in(names: &[&str], parts: &[Part]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, first) => first.is_none(),
        (Some((Part::AnyDepth, rest)), first) => {
            lies_in(names, rest) || first.is_some_and(|(_, below)| lies_in(below, parts))
        }
        (Some((Part::Name(glob), rest)), Some((name, below))) => glob.matches(name) && lies_in(below, rest),
        (Some((Part::Name(_), _)), None) => false,
    }
}

/// A directory itself, no link to one: links can lead in circles.
fn is_directory(entry: &fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// A pattern for one name.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Glob(Vec<Token>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Char(char),
    One,
    Many,
    Of { not: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut tokens = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            match chars[at] {
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '?' => tokens.push(Token::One),
                '[' => match class(&chars[at..]) {
                    Some((token, length)) => {
                        tokens.push(token);
                        at += length - 1;
                    }
                    // Without its end it means itself.
                    None => tokens.push(Token::Char('[')),
                },
                other => tokens.push(Token::Char(other)),
            }
            at += 1;
        }
        Self(tokens)
    }

    /// Linear but for the last `*`, to which it goes back: time is at most name × pattern.
    fn matches(&self, name: &str) -> bool {
        // As in a shell, a name that begins with a dot must be asked for with it.
        if name.starts_with('.') && self.0.first() != Some(&Token::Char('.')) {
            return false;
        }
        let chars: Vec<char> = name.chars().collect();
        let (mut at, mut token, mut star) = (0, 0, None);
        loop {
            if let Some(Token::Many) = self.0.get(token) {
                star = Some((at, token));
                token += 1;
                continue;
            }
            match (chars.get(at), self.0.get(token)) {
                (None, None) => return true,
                (Some(char), Some(wanted)) if wanted.takes(*char) => (at, token) = (at + 1, token + 1),
                _ => {
                    let Some((from, many)) = star.filter(|(from, _)| *from < chars.len()) else { return false };
                    star = Some((from + 1, many));
                    (at, token) = (from + 1, many + 1);
                }
            }
        }
    }
}

impl Token {
    fn takes(&self, char: char) -> bool {
        match self {
            Self::Char(own) => *own == char,
            Self::One => true,
            Self::Many => false,
            Self::Of { not, ranges } => ranges.iter().any(|(first, last)| (*first..=*last).contains(&char)) != *not,
        }
    }
}

/// `[…]` at the beginning, and how many characters it takes.
fn class(chars: &[char]) -> Option<(Token, usize)> {
    let not = matches!(chars.get(1), Some('!' | '^'));
    let start = if not { 2 } else { 1 };
    // A `]` directly at the start means itself.
    let end = start + 1 + chars.get(start + 1..)?.iter().position(|char| *char == ']')?;
    let inner = &chars[start..end];
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < inner.len() {
        let is_range = inner.get(at + 1) == Some(&'-') && at + 2 < inner.len();
        ranges.push((inner[at], inner[if is_range { at + 2 } else { at }]));
        at += if is_range { 3 } else { 1 };
    }
    Some((Token::Of { not, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (glob, name, wanted) in [
            ("access.log", "access.log", true),
            ("access.log", "access_log", false),
            ("*.log", "a.log", true),
            ("*.log", ".log", false),
            ("*.log", "a.log.1", false),
            ("openclaw-*.log", "openclaw-2026-01-27.log", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyyz", false),
            ("app-?.log", "app-1.log", true),
            ("app-?.log", "app-11.log", false),
            ("app-[0-9].log", "app-7.log", true),
            ("app-[!0-9].log", "app-7.log", false),
            ("app-[]x].log", "app-].log", true),
            ("app-[", "app-[", true),
            ("日志-*.log", "日志-1.log", true),
            ("*", "", true),
        ] {
            assert_eq!(Glob::new(glob).matches(name), wanted, "{glob} {name}");
        }
    }

    #[test]
    fn what_is_no_absolute_file_name_is_refused() {
        for text in ["app.log", "", "/", "/var/log/", "/var/../etc/x", "/var/**", "~/x.log"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
        let is_for = |pattern, path| Pattern::new(pattern).unwrap().is_for(Path::new(path));
        assert!(is_for("/var/log/*/app.log", "/var/log/a/app.log"));
        assert!(!is_for("/var/log/*/app.log", "/var/log/a/b/app.log"));
        assert!(is_for("/var/log/**/app.log", "/var/log/a/b/app.log") && is_for("/a.log", "/a.log"));
        let means = |pattern, path| Pattern::new(pattern).unwrap().means(Path::new(path));
        assert!(means("/var/**/*.log", "/var/log/app.log") && !means("/var/log/app.log", "/var/log/app.log.1"));
        assert!(!means("/var/*.log", "/var/log/app.log"));
    }

    #[test]
    fn directories_are_found_at_their_depth() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/x", "b/x/y", ".hidden/x"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let found = |below: &str| {
            let (mut found, mut failed) = (Vec::new(), Vec::new());
            let pattern = format!("{}/{below}", dir.path().display());
            Pattern::new(&pattern).unwrap().directories(&mut found, &mut failed);
            assert!(failed.is_empty());
            let below = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
            found.iter().map(below).collect::<Vec<_>>()
        };
        assert_eq!(found("*/x/a.log"), ["a/x", "b/x"]);
        assert_eq!(found("a.log"), [""]);
        assert_eq!(found("b/**/a.log"), ["b", "b/x", "b/x/y"]);
    }

    proptest! {
        #[test]
        fn any_pattern_and_name_come_to_an_end(glob in "[a*?\\[\\]!-]{0,40}", name in "[ab\\]-]{0,60}") {
            let _ = Glob::new(&glob).matches(&name);
            prop_assert!(Glob::new("*").matches(&name));
        }
    }
}
