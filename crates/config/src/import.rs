//! Older files, turned into a `tollhouse.yaml`: what was taken, what was changed, and what could not be taken, line by line.
//!
//! Three kinds are known, told apart by their keys: a hand-made gateway's `config.yaml`, that of a chat page, and LiteLLM's.
//! Every value of a file gets a [`Note`]. What is taken is first tried with our own reader, whose words are the reason where
//! a value cannot be taken.

mod chat_page;
mod draft;
mod gateway;
mod litellm;
mod values;

use std::{net::SocketAddr, path::Path};

use crate::{
    effective::scalar,
    load::{self, parse},
    problem::{ConfigErrors, Problem},
    tree::{self, Data, Entry, Node},
};
use draft::{Draft, ServerKey};

/// Looks up a variable of the environment.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where Ollama listens when nobody says otherwise.
const OLLAMA: &str = "http://127.0.0.1:11434";
/// How many older files are taken at once.
const FILES_MAX: usize = 16;

/// An older file.
#[derive(Clone, Debug)]
pub struct Old {
    /// Its name, for messages.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

impl Old {
    /// Reads an older file, which may be as large as our own.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = load::read_text(path, false)?;
        Ok(Self { name, text })
    }
}

/// What became of older files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The new configuration file. It is valid, and no secret is in it.
    pub text: String,
    /// What became of every value, in the order of the files and their lines.
    pub notes: Vec<Note>,
    /// Whether a file said where to listen.
    pub has_listen: bool,
    /// Whether a file named a model server; else Ollama is asked at its usual place.
    pub has_server: bool,
    /// Whether a file had a key that goes on to work.
    pub has_keys: bool,
    /// Variables that the new file takes keys of model servers from.
    pub variables: Vec<String>,
}

/// What became of one value. No secret is repeated here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// The file as it was named.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// The way to the value, as `access.keys[0].id`.
    pub key: String,
    /// Whether it was taken.
    pub fate: Fate,
    /// What it is now, or why it could not be taken.
    pub text: String,
}

/// What was read elsewhere of a file that is no YAML, for the same new configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Part {
    /// The file as it was named.
    pub file: String,
    /// What became of its values.
    pub notes: Vec<Note>,
    /// Model servers that it names.
    pub servers: Vec<PartServer>,
    /// Whole sections as YAML, such as `edge`; none of those that the other files make.
    pub sections: String,
}

/// A model server that another program asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartServer {
    /// What it speaks, as `upstreams.*.kind`.
    pub kind: &'static str,
    /// Its address.
    pub url: String,
    /// Whether it asks for a key, which is not copied: the new file names a variable for it.
    pub has_key: bool,
    /// Names of models, with the tokens that each works on at once as far as that is known.
    pub models: Vec<(String, Option<u32>)>,
}

/// Whether a value was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It means the same here.
    Taken,
    /// It was taken in another form.
    Changed,
    /// It has no place here, or is not understood.
    NotTaken,
}

impl Fate {
    /// As it is told.
    pub fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Changed => "changed",
            Self::NotTaken => "not taken",
        }
    }
}

/// Turns older files into one new configuration. `listen` is where to listen when no file says it; `env` looks up variables: a
/// key that a file takes from the environment is kept as its hash. Errors are those of files that are not YAML or of no known
/// kind, all at once.
pub fn import(files: &[Old], listen: SocketAddr, env: Env<'_>) -> Result<Imported, Vec<ConfigErrors>> {
    import_with(files, Vec::new(), listen, env)
}

/// The same, with what was read elsewhere; a part whose server is not understood is told of as not taken.
pub fn import_with(
    files: &[Old],
    parts: Vec<Part>,
    listen: SocketAddr,
    env: Env<'_>,
) -> Result<Imported, Vec<ConfigErrors>> {
    let (roots, errors): (Vec<_>, Vec<_>) = files.iter().take(FILES_MAX + 1).map(read).partition(Result::is_ok);
    let mut errors: Vec<ConfigErrors> = errors.into_iter().filter_map(Result::err).collect();
    if let Some(one_more) = files.get(FILES_MAX) {
        let problem = Problem::new(None, "there are too many files").expected(format!("at most {FILES_MAX}"));
        errors.push(ConfigErrors::new(&one_more.name, vec![problem], 0, |_| {}));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut desk = Desk { draft: Draft::default(), notes: Vec::new(), env, listen, files, file: 0 };
    let mut roots: Vec<(usize, (Kind, Node))> = roots.into_iter().filter_map(Result::ok).enumerate().collect();
    // A chat page's file means something else where the gateway that it asked is there too.
    roots.sort_by_key(|(number, (kind, _))| (*kind, *number));
    for (number, (kind, root)) in &roots {
        desk.file = *number;
        match kind {
            Kind::Gateway => gateway::take(&mut desk, root),
            Kind::LiteLlm => litellm::take(&mut desk, root),
            Kind::ChatPage => chat_page::take(&mut desk, root),
        }
    }
    for (number, part) in parts.into_iter().enumerate() {
        desk.take_part(files.len() + number, part);
    }
    desk.finish()
}

/// Which program a file was written for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Gateway,
    LiteLlm,
    ChatPage,
}

impl Kind {
    fn of(root: &Node) -> Option<Self> {
        let above: Vec<String> = root.entries()?.iter().map(|entry| plain_name(&entry.name)).collect();
        let has = |wanted: &[&str]| above.iter().any(|name| wanted.contains(&name.as_str()));
        if has(&["modellist", "litellmsettings", "routersettings", "generalsettings"]) {
            return Some(Self::LiteLlm);
        }
        let (is_page, is_gateway) = (chat_page::knows(root), gateway::knows(root));
        match (is_page, is_gateway) {
            (true, true) if has(&gateway::MARKS) => Some(Self::Gateway),
            (true, _) => Some(Self::ChatPage),
            (false, true) => Some(Self::Gateway),
            (false, false) => None,
        }
    }
}

/// A file's kind and tree. Anything odd about it is an error: what is not read cannot be taken.
fn read(file: &Old) -> Result<(Kind, Node), ConfigErrors> {
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let mut problems = Vec::new();
    let root = if text.len() as u64 > load::FILE_BYTES_MAX {
        problems.push(load::too_large(load::FILE_BYTES_MAX));
        None
    } else {
        tree::read(text, &mut problems).unwrap_or_else(|problem| {
            problems.push(*problem);
            None
        })
    };
    if problems.is_empty() {
        if root.as_ref().is_some_and(is_ours) && parse(text, &file.name, &|_| Some("set".to_owned())).is_ok() {
            return Err(ours(file));
        }
        let known = root.and_then(|mut root| {
            hide_keys(&mut root, "", false);
            Some((Kind::of(&root)?, root))
        });
        return known.ok_or_else(|| unknown(file));
    }
    // The lines themselves are not shown: keys stand in such files in the plain, in any place.
    Err(ConfigErrors::new(&file.name, problems, 0, |_| {}))
}

/// Takes keys out of the ways to values, which are told: in a mapping of keys and users, either may stand before the colon.
fn hide_keys(node: &mut Node, path: &str, is_about_keys: bool) {
    const BESIDE_KEYS: [&str; 13] = [
        "key", "apikey", "token", "secret", "value", "sha256", "hash", "keyhash", "name", "id", "label", "user", "role",
    ];
    path.clone_into(&mut node.path);
    match &mut node.data {
        Data::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                hide_keys(item, &format!("{path}[{index}]"), is_about_keys);
            }
        }
        Data::Map(entries) => {
            for Entry { name, value, .. } in entries {
                let plain = plain_name(name);
                let is_secret =
                    (is_about_keys && !BESIDE_KEYS.contains(&plain.as_str())) || values::begins_like_key(name);
                let below = if is_secret { format!("{path}.*") } else { tree::join(path, name) };
                let holds_keys = plain == "users" || crate::source::is_secret_name(plain.trim_end_matches('s'));
                hide_keys(value, &below, is_about_keys || holds_keys);
            }
        }
        Data::Scalar { .. } => {}
    }
}

/// Whether this looks like a file of ours, in which nothing has to be changed.
fn is_ours(root: &Node) -> bool {
    root.entries().unwrap_or_default().iter().any(|entry| matches!(entry.name.as_str(), "upstreams" | "access"))
}

fn ours(file: &Old) -> ConfigErrors {
    let problem = Problem::new(None, "this is a configuration of tollhouse already")
        .hint("`tollhouse check --config FILE` shows what it means");
    ConfigErrors::new(&file.name, vec![problem], 0, |_| {})
}

fn unknown(file: &Old) -> ConfigErrors {
    let problem = Problem::new(None, "this is none of the files that are known here").expected(
        "a gateway's config.yaml (`listen`, `ollama_api`, `rate_limit`, …), a chat page's (`title`, `api_base`, `model`) or \
         LiteLLM's (`model_list`), an nginx site (`server {…}`) or OpenClaw's openclaw.json (by this name)",
    );
    ConfigErrors::new(&file.name, vec![problem], 0, |_| {})
}

/// A key however it is spelt: `Rate_Limit`, `rate-limit` and `rateLimit` are the same.
fn plain_name(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What is worked with while files are read.
struct Desk<'a> {
    draft: Draft,
    /// With the number of the file.
    notes: Vec<(usize, Note)>,
    env: Env<'a>,
    /// Where is listened when no file says it.
    listen: SocketAddr,
    files: &'a [Old],
    file: usize,
}

/// What a value became, or why it was not taken.
type Outcome = Result<(Fate, String), String>;

impl Desk<'_> {
    fn finish(mut self) -> Result<Imported, Vec<ConfigErrors>> {
        let has_listen = self.draft.get("listen").is_some();
        if !has_listen {
            self.draft.replace("listen", &scalar(&self.listen.to_string()));
        }
        let has_server = !self.draft.upstreams.is_empty();
        if !has_server && let Err(reason) = self.draft.upstream("ollama", OLLAMA, None) {
            unreachable!("{OLLAMA} is a URL: {reason}");
        }
        self.notes.sort_by_key(|(file, note)| (*file, note.line));
        let notes: Vec<Note> = self.notes.into_iter().map(|(_, note)| note).collect();
        let text = self.draft.write(self.files, &notes);
        // A variable that is not set here may be where the house runs.
        parse(&text, "the new configuration", &|_| Some("set".to_owned())).map_err(|errors| vec![errors])?;
        let (has_keys, variables) = (self.draft.has_keys(), self.draft.variables());
        Ok(Imported { text, notes, has_listen, has_server, has_keys, variables })
    }

    fn note(&mut self, node: &Node, fate: Fate, text: impl Into<String>) {
        let file = self.files[self.file].name.clone();
        // Where a value is empty, the parser is in the next line already.
        let line = node.key_place.unwrap_or(node.place).line;
        let key = if node.path.is_empty() { "the file".to_owned() } else { one_line(&node.path) };
        let note = Note { file, line, key, fate, text: one_line(&text.into()) };
        self.notes.push((self.file, note));
    }

    fn tell(&mut self, node: &Node, outcome: Outcome) {
        match outcome {
            Ok((fate, text)) => self.note(node, fate, text),
            Err(reason) => self.note(node, Fate::NotTaken, reason),
        }
    }

    /// Takes what was read elsewhere.
    fn take_part(&mut self, number: usize, part: Part) {
        let Part { file, notes, servers, sections } = part;
        self.notes.extend(notes.into_iter().map(|note| (number, note)));
        for server in servers {
            if let Err(reason) = self.take_server(&server) {
                let key = one_line(&server.url);
                let note = Note { file: file.clone(), line: 1, key, fate: Fate::NotTaken, text: one_line(&reason) };
                self.notes.push((number, note));
            }
        }
        self.draft.part(file, sections);
    }

    fn take_server(&mut self, server: &PartServer) -> Result<(), String> {
        let key = server.has_key.then(|| ServerKey::Literal(String::new()));
        let name = self.draft.upstream(server.kind, &server.url, key)?;
        for (model, context) in &server.models {
            let model = self.draft.model(model)?;
            if !model.upstreams.contains(&name) {
                model.upstreams.push(name.clone());
            }
            if let Some(context) = context {
                model.set("context", &context.to_string())?;
            }
        }
        Ok(())
    }

    /// Says something else of a value than before.
    fn say(&mut self, at: usize, fate: Fate, text: &str) {
        if let Some((_, note)) = self.notes.get_mut(at) {
            (note.fate, note.text) = (fate, one_line(text));
        }
    }

    /// It turned out that a value cannot be taken.
    fn unsay(&mut self, at: usize, reason: &str) {
        self.say(at, Fate::NotTaken, reason);
    }

    /// None of what stands here can be taken: one note for each value.
    fn refuse(&mut self, node: &Node, reason: &str) {
        match &node.data {
            Data::List(items) if !items.is_empty() => items.iter().for_each(|item| self.refuse(item, reason)),
            Data::Map(entries) if !entries.is_empty() => {
                for entry in entries {
                    self.refuse(&entry.value, reason);
                }
            }
            _ => self.note(node, Fate::NotTaken, reason),
        }
    }

    /// Takes a value under this key of ours, as it is.
    fn put(&mut self, key: &'static str, yaml: &str) -> Outcome {
        self.draft.put(key, yaml)?;
        Ok((Fate::Taken, format!("{key}: {yaml}")))
    }

    /// The same of a value that does not stand so in the file.
    fn put_changed(&mut self, key: &'static str, yaml: &str, why: &str) -> Outcome {
        self.draft.put(key, yaml)?;
        Ok((Fate::Changed, format!("{key}: {yaml} ({why})")))
    }

    /// Takes a key of a client, which works on: only its hash is written.
    fn client_key(&mut self, id: &str, text: &str, user: Option<&str>, role: Option<&'static str>) -> Outcome {
        let secret = self.value_of(text).ok_or_else(|| {
            let name = values::variable(text).unwrap_or_default();
            format!(
                "the key stands in the variable {name}, which is not set here; `tollhouse key create` makes a new one"
            )
        })?;
        let id = self.draft.key(id, &secret, user, role)?;
        let role = role.map_or_else(String::new, |role| format!(", role: {role}"));
        Ok((
            Fate::Changed,
            format!("access.keys: {{id: {id}{role}, sha256: …}} (the key works on; only its hash is kept)"),
        ))
    }

    /// A value as it is meant: a variable is replaced by what the environment says, else by its default.
    fn value_of(&self, text: &str) -> Option<String> {
        let Some(name) = values::variable(text) else { return Some(text.to_owned()) };
        let set = (self.env)(name).filter(|value| !value.is_empty());
        set.or_else(|| values::default_of(text).filter(|default| !default.is_empty()).map(str::to_owned))
    }
}

/// Without what a terminal would obey instead of showing it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if crate::problem::is_unsafe_to_show(c) { ' ' } else { c }).collect()
}

/// The text of a value that is no list, no mapping and not empty.
fn scalar_of(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Scalar { text, .. } if !node.is_null() => Some(text.trim()),
        _ => None,
    }
}
