//! Nodes to typed values: what is wrong is noted with its place, and reading goes on.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde_json::{Map, Number, Value};
use tollhouse_units::{Bytes, parse_duration};

use crate::{
    problem::{PROBLEMS_MAX, Place, Problem, named, shown},
    saying::{Said, Saying},
    schema::{Form, Seen},
    secret::Secret,
    source::{Mask, Source, is_secret_name, reference_len},
    tree::{Data, Entry, Node, is_null, join},
};

/// Largest number where nothing else bounds it; it fits everywhere.
const COUNT_MAX: u64 = u32::MAX as u64;
/// Largest number of tokens; it is exact as a floating-point number too, which is what scripts inside of Redis count with.
const TOKENS_MAX: u64 = 1_000_000_000_000_000;
/// Most days of anything.
const DAYS_MAX: u64 = 36_500;
/// Longest duration, so that it can be added to every point in time.
const DURATION_MAX: Duration = Duration::from_secs(DAYS_MAX * 24 * 60 * 60);
/// Size of a file that holds a secret.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Looks up a variable of the environment.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads values and collects what is wrong with them.
pub struct Decoder<'a> {
    source: &'a Source<'a>,
    /// Where `${NAME}` is looked up; without it, it stands for itself.
    env: Option<Env<'a>>,
    problems: Vec<Problem>,
    left_out: usize,
    /// What was asked of each value, for whoever wants to know.
    seen: Option<Seen>,
}

/// A scalar after `${NAME}` was replaced.
pub struct Text {
    /// What is written, without quotes.
    pub value: String,
    /// Whether it may be read as a number or a truth value: written without quotes, or from the environment (where the quotes
    /// only protect the braces of `${NAME}`).
    typed: bool,
}

/// The keys of one mapping, while they are read.
pub struct Section<'n> {
    path: &'n str,
    place: Place,
    entries: &'n [Entry],
    known: Vec<&'static str>,
    required: Vec<&'static str>,
    /// Unknown keys are no problem.
    is_open: bool,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(source: &'a Source<'a>, env: Env<'a>, problems: Vec<Problem>) -> Self {
        Self { source, env: Some(env), problems, left_out: 0, seen: None }
    }

    /// One for texts in which `${NAME}` means nothing.
    pub(crate) fn without_variables(source: &'a Source<'a>, problems: Vec<Problem>) -> Self {
        Self { source, env: None, problems, left_out: 0, seen: None }
    }

    /// From now on notes what is asked of each value.
    pub(crate) fn note_forms(&mut self) {
        self.seen = Some(Seen::default());
    }

    /// What was asked of each value since [`Self::note_forms`].
    pub(crate) fn take_forms(&mut self) -> Seen {
        self.seen.take().unwrap_or_default()
    }

    fn note(&mut self, node: &Node, form: impl FnOnce() -> Form) {
        if let Some(seen) = &mut self.seen {
            seen.entry(node.path.clone()).or_default().push(form());
        }
    }

    /// The problems found, and the number of those that were not kept.
    pub(crate) fn finish(self) -> (Vec<Problem>, usize) {
        (self.problems, self.left_out)
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Notes that a value is not what it should be.
    pub fn wrong(&mut self, node: &Node, what: impl Into<Said>, expected: impl Into<Said>) {
        self.problem(Problem::of(Some(node.place), &node.path, what).expected(expected));
    }

    /// Like [`Self::wrong`], with advice.
    pub fn wrong_hint(&mut self, node: &Node, what: impl Into<Said>, expected: impl Into<Said>, hint: impl Into<Said>) {
        self.problem(Problem::of(Some(node.place), &node.path, what).expected(expected).hint(hint));
    }

    // Mappings

    /// Reads a mapping with fixed keys; a key that `read` did not ask for is a problem.
    pub fn section(&mut self, node: &Node, read: impl FnOnce(&mut Self, &mut Section<'_>)) {
        let Some(entries) = self.map(node, "keys with values") else { return };
        let place = node.key_place.unwrap_or(node.place);
        let mut section =
            Section { path: &node.path, place, entries, known: Vec::new(), required: Vec::new(), is_open: false };
        read(self, &mut section);
        self.note(node, || Form::Section { known: section.known.clone(), required: section.required.clone() });
        section.refuse_unknown(self);
    }

    /// The entries of a mapping whose keys are names given by the user.
    pub fn entries<'n>(&mut self, node: &'n Node, expected: impl Into<Said>) -> Option<&'n [Entry]> {
        let expected = expected.into();
        self.note(node, || Form::Names(expected.words().to_owned()));
        self.map(node, expected)
    }

    fn map<'n>(&mut self, node: &'n Node, expected: impl Into<Said>) -> Option<&'n [Entry]> {
        if let Data::Map(entries) = &node.data {
            return Some(entries);
        }
        self.wrong(node, found(node), expected);
        None
    }

    /// Reads each value of a list. A value that is wrong is left out and noted.
    pub fn list<T>(
        &mut self,
        node: &Node,
        expected: impl Into<Said>,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let expected = expected.into();
        self.note(node, || Form::List(expected.words().to_owned()));
        let Data::List(items) = &node.data else {
            let hint = match &node.data {
                Data::Scalar { .. } => Saying::UseBrackets {},
                _ => Saying::UseDashes {},
            };
            self.wrong_hint(node, found(node), expected, hint);
            return None;
        };
        Some(items.iter().filter_map(|item| read(self, item)).collect())
    }

    // Scalars

    /// Any text, number or truth value as text; never empty.
    pub fn text(&mut self, node: &Node, expected: impl Into<Said>) -> Option<Text> {
        let expected = expected.into();
        self.note(node, || Form::Text(expected.words().to_owned()));
        self.scalar(node, expected)
    }

    /// Whether exactly this word stands here, which means something of its own.
    pub fn is_word(&mut self, node: &Node, word: &'static str) -> bool {
        self.note(node, || Form::Beside(word));
        matches!(&node.data, Data::Scalar { text, .. } if text == word)
    }

    fn scalar(&mut self, node: &Node, expected: impl Into<Said>) -> Option<Text> {
        let Data::Scalar { text, plain } = &node.data else {
            self.wrong(node, found(node), expected);
            return None;
        };
        let (value, replaced) = self.substitute(node, text)?;
        if value.trim().is_empty() || (*plain && !replaced && is_null(&value)) {
            self.wrong(node, Saying::NoValue {}, expected);
            return None;
        }
        Some(Text { value, typed: *plain || replaced })
    }

    /// A text that `parse` understands.
    pub fn parsed<T, E: Into<Said>>(
        &mut self,
        node: &Node,
        expected: impl Into<Said>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let expected = expected.into();
        self.note(node, || Form::Text(expected.words().to_owned()));
        self.understood(node, expected, parse)
    }

    fn understood<T, E: Into<Said>>(
        &mut self,
        node: &Node,
        expected: impl Into<Said>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let expected = expected.into();
        let text = self.scalar(node, expected.clone())?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(node, error, expected);
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, node: &Node, words: &[(&'static str, T)]) -> Option<T> {
        let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
        Some(words[self.one_of(node, &names)?].1)
    }

    /// The index of the one of these words that is written here.
    pub fn one_of(&mut self, node: &Node, words: &[&'static str]) -> Option<usize> {
        self.note(node, || Form::Words(words.to_vec()));
        self.among(node, words)
    }

    /// The index of the one of these names, which the file itself gives, that is written here.
    pub fn name_of(&mut self, node: &Node, names: &[&str]) -> Option<usize> {
        self.note(node, || Form::Text("a name that stands elsewhere in the file".to_owned()));
        self.among(node, names)
    }

    fn among(&mut self, node: &Node, names: &[&str]) -> Option<usize> {
        let expected = Said::from(Saying::OneOf { names: names.join(", ") });
        let text = self.scalar(node, expected.clone())?;
        let found = names.iter().position(|name| *name == text.value);
        if found.is_none() {
            self.unknown(node, &text.value, names, expected, None);
        }
        found
    }

    /// Notes that a name is none of those that are known, with the one that was probably meant, or else with `hint`.
    pub fn unknown(&mut self, node: &Node, name: &str, known: &[&str], expected: impl Into<Said>, hint: Option<Said>) {
        let what = Saying::NotKnown { text: shown(name) };
        let mut problem = Problem::of(Some(node.place), &node.path, what).expected(expected);
        problem.hint = nearest(name, known).map(meant).or(hint);
        self.problem(problem);
    }

    /// A truth value.
    pub fn bool(&mut self, node: &Node) -> Option<bool> {
        self.note(node, || Form::Bool);
        let text = self.scalar(node, Saying::Truth {})?;
        match text.value.as_str() {
            "true" | "True" | "TRUE" if text.typed => Some(true),
            "false" | "False" | "FALSE" if text.typed => Some(false),
            _ => {
                self.wrong(node, Saying::NotTruth { text: shown(&text.value) }, Saying::Truth {});
                None
            }
        }
    }

    /// A whole number from 1 to `max`.
    pub fn count(&mut self, node: &Node, max: u64) -> Option<u64> {
        let expected = || match max {
            COUNT_MAX | TOKENS_MAX => Saying::Whole {},
            _ => Saying::WholeTo { most: max },
        };
        self.note(node, || Form::Count { max });
        let text = self.scalar(node, expected())?;
        if !text.typed {
            self.wrong_hint(node, Saying::Quoted {}, expected(), Saying::NoQuotes {});
            return None;
        }
        match text.value.parse::<u64>() {
            Ok(0) => self.wrong(node, Saying::TooSmall { number: 0 }, expected()),
            Ok(number) if number > max => {
                self.wrong(node, Saying::TooLarge { number }, Saying::WholeTo { most: max });
            }
            Ok(number) => return Some(number),
            Err(_) => self.wrong(node, Saying::NotWhole { text: shown(&text.value) }, expected()),
        }
        None
    }

    /// [`Self::count`] for counts in memory.
    pub fn size(&mut self, node: &Node) -> Option<usize> {
        self.count(node, COUNT_MAX).map(|number| number as usize)
    }

    /// [`Self::count`] for 32 bits.
    pub fn count_u32(&mut self, node: &Node) -> Option<u32> {
        self.count(node, COUNT_MAX).map(|number| number as u32)
    }

    /// A number of days: a century is more than any calendar's arithmetic needs.
    pub fn days(&mut self, node: &Node) -> Option<u32> {
        self.count(node, DAYS_MAX).map(|number| number as u32)
    }

    /// A number of tokens, at least 1.
    pub(crate) fn tokens(&mut self, node: &Node) -> Option<u64> {
        self.count(node, TOKENS_MAX)
    }

    /// A duration longer than zero.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.note(node, || Form::Duration);
        let duration = self.understood(node, Saying::ATime {}, parse_duration)?;
        if duration.is_zero() {
            self.wrong(node, Saying::ZeroTime {}, Saying::ATime {});
            return None;
        }
        if duration > DURATION_MAX {
            let most = tollhouse_units::format_duration(DURATION_MAX);
            self.wrong(node, Saying::TimeLong {}, Saying::AtMostTime { most });
            return None;
        }
        Some(duration)
    }

    /// A size larger than zero.
    pub(crate) fn bytes(&mut self, node: &Node) -> Option<Bytes> {
        self.note(node, || Form::Bytes);
        let bytes = self.understood(node, Saying::ASize {}, Bytes::from_str)?;
        if bytes == Bytes(0) {
            self.wrong(node, Saying::ZeroSize {}, Saying::ASize {});
            return None;
        }
        Some(bytes)
    }

    pub(crate) fn path(&mut self, node: &Node) -> Option<PathBuf> {
        let expected = "a path";
        let text = self.text(node, expected)?;
        if text.value.starts_with("~/") || text.value == "~" {
            self.wrong_hint(node, Saying::HomeOfShell {}, expected, Saying::WriteHome {});
            return None;
        }
        Some(PathBuf::from(text.value))
    }

    /// A secret: as it is written, or from the file that `file:/path` names. An empty text is no secret
    /// and no problem either, since that is what `${NAME:-}` makes of a variable that does not exist.
    pub(crate) fn secret(&mut self, node: &Node) -> Option<Secret> {
        let expected = "a text, \"${NAME}\" or file:/path";
        self.note(node, || Form::Text(expected.to_owned()));
        let Data::Scalar { text, .. } = &node.data else {
            self.wrong(node, found(node), expected);
            return None;
        };
        let (value, _) = self.substitute(node, text)?;
        let value = match value.strip_prefix("file:") {
            None => value,
            Some(path) => match read_secret(Path::new(path)) {
                Ok(value) => value,
                Err(error) => {
                    self.wrong(node, Saying::SecretFile { path: shown(path), error }, expected);
                    return None;
                }
            },
        };
        if value.is_empty() {
            return None;
        }
        // It is sent in a header, where anything else would be cut, refused or taken for a second header.
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.wrong(node, Saying::SecretOdd {}, expected);
            return None;
        }
        Some(Secret::new(value))
    }

    /// Any data, as JSON.
    pub fn json(&mut self, node: &Node) -> Option<Value> {
        self.note(node, || Form::Anything);
        match &node.data {
            Data::Scalar { text, plain } => {
                let (value, _) = self.substitute(node, text)?;
                if !plain {
                    return Some(Value::String(value));
                }
                let resolved = resolve(&value);
                if resolved.is_none() {
                    self.wrong(node, Saying::NoJson { text: shown(&value) }, Saying::Finite {});
                }
                resolved
            }
            // Each item is read even when one is wrong, so that all problems are told.
            Data::List(items) => {
                let values: Vec<Option<Value>> = items.iter().map(|item| self.json(item)).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Data::Map(entries) => self.json_entries(entries).map(Value::Object),
        }
    }

    /// A mapping of any data, as a JSON object.
    pub fn json_map(&mut self, node: &Node) -> Option<Map<String, Value>> {
        self.note(node, || Form::AnyNames);
        let entries = self.map(node, "keys with values")?;
        self.json_entries(entries)
    }

    fn json_entries(&mut self, entries: &[Entry]) -> Option<Map<String, Value>> {
        let values: Vec<Option<(String, Value)>> =
            entries.iter().map(|entry| Some((entry.name.clone(), self.json(&entry.value)?))).collect();
        values.into_iter().collect()
    }

    // Environment

    /// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. Tells whether anything was replaced. What comes from the
    /// environment is not looked at again.
    fn substitute(&mut self, node: &Node, text: &str) -> Option<(String, bool)> {
        let Some(env) = self.env else { return Some((text.to_owned(), false)) };
        let mut value = String::new();
        let mut replaced = false;
        let mut complete = true;
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            let after = &rest[at + 2..];
            if let Some(before) = before.strip_suffix('$') {
                value.push_str(before);
                value.push_str("${");
                rest = after;
                continue;
            }
            value.push_str(before);
            let Some(end) = after.find('}') else {
                self.env_problem(node, "${", Saying::VariableOpen {});
                return None;
            };
            let inside = &after[..end];
            rest = &after[end + 1..];
            replaced = true;
            match self.variable(env, node, inside) {
                Some(found) => value.push_str(&found),
                None => complete = false,
            }
        }
        value.push_str(rest);
        complete.then_some((value, replaced))
    }

    fn variable(&mut self, env: Env<'_>, node: &Node, inside: &str) -> Option<String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let what = Saying::VariableName { name: shown(name) };
            self.env_problem(node, &format!("${{{inside}}}"), what);
            return None;
        }
        match (env(name), default) {
            (Some(value), None) => Some(value),
            // As in a shell: an empty variable is like none.
            (Some(value), Some(_)) if !value.is_empty() => Some(value),
            (_, Some(default)) => Some(default.to_owned()),
            (None, None) => {
                let place = self.place_in(node, &format!("${{{inside}}}"));
                let what = Saying::VariableMissing { name: name.to_owned() };
                let hint = Saying::VariableDefault { name: name.to_owned() };
                self.problem(Problem::of(Some(place), &node.path, what).hint(hint));
                None
            }
        }
    }

    fn env_problem(&mut self, node: &Node, culprit: &str, what: Saying) {
        let problem = Problem::of(Some(self.place_in(node, culprit)), &node.path, what);
        self.problem(problem.expected(Saying::VariableForm {}).hint(Saying::VariableDollar {}));
    }

    /// The place of a part of a scalar; that of the scalar where the part is not written in its first line.
    fn place_in(&self, node: &Node, part: &str) -> Place {
        self.source.find(node.place, part).unwrap_or(node.place)
    }
}

impl<'n> Section<'n> {
    /// The value of a key; `None` when it is absent or null, which both mean the default.
    pub fn get(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        (!entry.value.is_null()).then_some(&entry.value)
    }

    /// Puts the value of a key into `target` when it is there and right.
    pub fn set<'d, T>(
        &mut self,
        decoder: &mut Decoder<'d>,
        name: &'static str,
        target: &mut T,
        read: impl FnOnce(&mut Decoder<'d>, &Node) -> Option<T>,
    ) {
        if let Some(value) = self.get(name).and_then(|node| read(decoder, node)) {
            *target = value;
        }
    }

    /// Like [`Self::set`] for a value that may be absent.
    pub fn set_some<'d, T>(
        &mut self,
        decoder: &mut Decoder<'d>,
        name: &'static str,
        target: &mut Option<T>,
        read: impl FnOnce(&mut Decoder<'d>, &Node) -> Option<T>,
    ) {
        self.set(decoder, name, target, |decoder, node| read(decoder, node).map(Some));
    }

    /// Reads the mapping under a key, when it is there.
    pub fn section<'d>(
        &mut self,
        decoder: &mut Decoder<'d>,
        name: &'static str,
        read: impl FnOnce(&mut Decoder<'d>, &mut Section<'_>),
    ) {
        if let Some(node) = self.get(name) {
            decoder.section(node, read);
        }
    }

    /// The value of a key that must be there.
    pub fn require<'d, T>(
        &mut self,
        decoder: &mut Decoder<'d>,
        name: &'static str,
        expected: impl Into<Said>,
        read: impl FnOnce(&mut Decoder<'d>, &Node) -> Option<T>,
    ) -> Option<T> {
        self.required.push(name);
        if let Some(node) = self.get(name) {
            return read(decoder, node);
        }
        self.missing(decoder, name, expected);
        None
    }

    /// Notes that a key is missing.
    pub fn missing(&self, decoder: &mut Decoder<'_>, name: &str, expected: impl Into<Said>) {
        let problem = Problem::of(Some(self.place), self.path, Saying::KeyMissing { key: name.to_owned() });
        decoder.problem(problem.expected(Said::key_with(name, &expected.into())));
    }

    /// Lets keys be that nobody asks for: what is wrong is told already, and which keys there are depends on it.
    pub fn allow_all(&mut self) {
        self.is_open = true;
    }

    fn refuse_unknown(self, decoder: &mut Decoder<'_>) {
        if self.is_open {
            return;
        }
        let known: BTreeSet<&str> = self.known.iter().copied().collect();
        for entry in self.entries.iter().filter(|entry| !known.contains(entry.name.as_str())) {
            let path = join(self.path, &entry.name);
            let mut problem = Problem::new(Some(entry.name_place), Saying::KeyUnknown { key: named(&path) })
                .expected(Saying::OneOf { names: self.known.join(", ") });
            problem.hint = nearest(&entry.name, &self.known).map(meant);
            decoder.problem(problem);
        }
    }
}

fn meant(name: &str) -> Said {
    Saying::DidYouMean { name: name.to_owned() }.into()
}

/// The known name that was probably meant: by edit distance, or because one is a part of the other.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: String = name.to_lowercase().chars().take(64).collect();
    let by_distance =
        known.iter().map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), *known)).min()?;
    let close_enough = (name.chars().count().max(by_distance.1.len()) / 3).max(1);
    if by_distance.0 <= close_enough {
        return Some(by_distance.1);
    }
    let is_part = |known: &str| name.split(['_', '-', '.']).any(|part| part == known);
    known.iter().copied().find(|known| is_part(known))
}

/// A plain scalar by YAML's core schema (1.2.2, 10.3.2); `None` for the numbers that JSON does not have.
pub(crate) fn resolve(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ if is_null(text) => return Some(Value::Null),
        _ => {}
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let prefixed = |prefix: &str, radix| {
        text.strip_prefix(prefix)
            .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))
            .and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = unsigned.parse().ok().or_else(|| prefixed("0x", 16)).or_else(|| prefixed("0o", 8)) {
        let number: u64 = number;
        return Some(Value::from(number));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::from(number));
    }
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(magnitude, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    // Rust reads `inf` and `nan` as numbers too; in YAML they are words.
    let is_number = magnitude.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && magnitude.chars().any(|c| c.is_ascii_digit())
        && !magnitude.contains(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')));
    match text.parse::<f64>() {
        Ok(number) if is_number => Number::from_f64(number).map(Value::Number),
        _ => Some(Value::String(text.to_owned())),
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    if !path.is_absolute() {
        return Err("the path must begin with `/`".to_owned());
    }
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    // A pipe or a device could keep us waiting for ever.
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!("it is larger than {}", Bytes(SECRET_FILE_BYTES_MAX)));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}

/// Where the values are that look secret, so that no line is shown with them.
pub(crate) fn secrets(root: &Node) -> Vec<Mask> {
    secret_nodes(root).into_iter().map(Node::mask).collect()
}

/// The values that look secret.
pub(crate) fn secret_nodes(root: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    add_secrets(root, false, &mut found);
    found
}

/// Whether a value is secret for where it stands: whoever knows the address of a channel can write there, and the
/// environment of a process is where its secrets belong.
fn is_secret_place(path: &str) -> bool {
    let mut keys = path.split('.');
    let (section, last) = (keys.next(), keys.next_back());
    match section {
        Some("channels") => last == Some("url"),
        Some("supervise" | "tasks") => keys.any(|key| key == "env"),
        _ => false,
    }
}

fn add_secrets<'n>(node: &'n Node, secret: bool, found: &mut Vec<&'n Node>) {
    match &node.data {
        Data::Scalar { text, .. } => {
            let is_reference = reference_len(text) == Some(text.len());
            let has_password = text.contains("://") && text.contains('@');
            let secret = secret || is_secret_place(&node.path);
            if (secret && !text.is_empty() && !is_reference) || has_password {
                found.push(node);
            }
        }
        Data::List(items) => items.iter().for_each(|item| add_secrets(item, secret, found)),
        Data::Map(entries) => {
            for entry in entries {
                // Somebody may have put the key itself where its hash belongs.
                let is_wrong_hash = entry.name == "sha256" && !is_sha256(&entry.value);
                // `tokens` is a number of those that models count.
                let secret = entry.name != "tokens" && is_secret_name(entry.name.trim_end_matches('s'));
                add_secrets(&entry.value, secret || is_wrong_hash, found);
            }
        }
    }
}

fn is_sha256(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar { text, .. } if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What a node is, for messages about its kind.
fn found(node: &Node) -> Saying {
    match &node.data {
        Data::List(_) => Saying::StandsList {},
        Data::Map(_) => Saying::StandsMapping {},
        Data::Scalar { .. } if node.is_null() => Saying::StandsNothing {},
        Data::Scalar { .. } => Saying::StandsValue {},
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("yes", json!("yes")),
            ("7", json!(7)),
            ("+7", json!(7)),
            ("-7", json!(-7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0x1f", json!(31)),
            ("0x+1", json!("0x+1")),
            ("0o17", json!(15)),
            ("0.7", json!(0.7)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("inf", json!("inf")),
            ("nan", json!("nan")),
            ("1.2.3", json!("1.2.3")),
            ("2026-01-27", json!("2026-01-27")),
            (".", json!(".")),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), Some(value), "{text}");
        }
        assert_eq!(resolve(".inf"), None);
        assert_eq!(resolve("-.INF"), None);
        assert_eq!(resolve(".nan"), None);
        assert_eq!(resolve("1e999"), None);
    }

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let known = ["url", "kind", "key", "rate_limit"];
        let cases = [
            ("rate_limits", Some("rate_limit")),
            ("ratelimit", Some("rate_limit")),
            ("api_key", Some("key")),
            ("KEY", Some("key")),
            ("uri", Some("url")),
            ("parallel", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }
}
