//! The new configuration while it grows. Every value is tried with our own reader before it is taken.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use tollhouse_units::hex;

use super::{Fate, Note, Old, Outcome, one_line};
use crate::{
    decode::resolve,
    effective::{key as yaml_key, scalar},
    load::parse,
};

/// Why the address of a Redis server is not copied.
pub(super) const REDIS_PASSWORD: &str =
    "it has a password, which is not copied: write shared: {redis: \"${REDIS_URL}\"} and set that variable";

/// The sections with fixed keys, in the order in which they are written.
const SECTIONS: [&str; 7] = ["access", "limits", "timeouts", "queue", "shared", "logging", "chat"];
/// The keys above them.
const TOP: [&str; 5] = ["service", "data_dir", "listen", "public_url", "hosts"];

#[derive(Default)]
pub(super) struct Draft {
    /// Our key, such as `limits.prompt_chars`, and its value as YAML.
    values: Vec<(&'static str, String)>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) models: Vec<Model>,
    keys: Vec<Key>,
    /// What is added to every record, as YAML.
    fields: Vec<(String, String)>,
    /// Files that were read elsewhere, with sections made of them.
    parts: Vec<(String, String)>,
}

/// A model server.
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) key: Option<ServerKey>,
    pub(super) parallel: Option<u64>,
}

/// With what we come to a model server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ServerKey {
    /// It stands in this variable.
    Variable(String),
    /// It stood in the file as it is. It is not written: the new file names a variable for it.
    Literal(String),
}

/// A model by the name that its servers know.
pub(super) struct Model {
    pub(super) name: String,
    /// Names of upstreams, all equal.
    pub(super) upstreams: Vec<String>,
    pub(super) aliases: Vec<String>,
    pub(super) fallback: Vec<String>,
    /// Further keys with their values as YAML.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Defaults of requests, as YAML.
    pub(super) options: Vec<(String, String)>,
}

struct Key {
    id: String,
    sha256: String,
    role: Option<&'static str>,
    user: Option<String>,
    models: Vec<String>,
}

impl Draft {
    /// Takes a value; the reason where it cannot be taken.
    pub(super) fn put(&mut self, key: &'static str, yaml: &str) -> Result<(), String> {
        if let Some(old) = self.get(key) {
            return if old == yaml { Ok(()) } else { Err(format!("`{key}` was taken from another line already")) };
        }
        // Of a rate, either number is without meaning alone.
        let inner = match key.split_once('.') {
            None => format!("{key}: {yaml}"),
            Some(("access", "rate_limit.tokens")) => format!("access: {{rate_limit: {{tokens: {yaml}, per: 1m}}}}"),
            Some((section, rest)) => match rest.split_once('.') {
                None => format!("{section}: {{{rest}: {yaml}}}"),
                Some((middle, rest)) => format!("{section}: {{{middle}: {{{rest}: {yaml}}}}}"),
            },
        };
        try_out(&inner)?;
        self.values.push((key, yaml.to_owned()));
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, yaml)| yaml.as_str())
    }

    pub(super) fn take_back(&mut self, key: &str) {
        self.values.retain(|(name, _)| *name != key);
    }

    pub(super) fn replace(&mut self, key: &'static str, yaml: &str) {
        self.values.retain(|(name, _)| *name != key);
        self.values.push((key, yaml.to_owned()));
    }

    /// The name of the model server with this kind and URL, which is added where there is none yet.
    pub(super) fn upstream(&mut self, kind: &'static str, url: &str, key: Option<ServerKey>) -> Result<String, String> {
        let same = |up: &&Upstream| up.kind == kind && up.url == url && (key.is_none() || up.key == key);
        if let Some(upstream) = self.upstreams.iter().find(same) {
            return Ok(upstream.name.clone());
        }
        let mut upstream = Upstream { name: "a".to_owned(), kind, url: url.to_owned(), key, parallel: None };
        try_out(&format!("upstreams: {{a: {}}}", upstream.yaml()))?;
        let taken = |name: &str| self.upstreams.iter().any(|up| up.name == name);
        upstream.name = unique(if kind == "ollama" { "local" } else { kind }, taken);
        let name = upstream.name.clone();
        self.upstreams.push(upstream);
        Ok(name)
    }

    /// The model of this name, added where there is none yet.
    pub(super) fn model(&mut self, name: &str) -> Result<&mut Model, String> {
        if let Some(at) = self.models.iter().position(|model| model.name == name) {
            return Ok(&mut self.models[at]);
        }
        if let Some(of) = self.models.iter().find(|model| model.aliases.iter().any(|alias| alias == name)) {
            return Err(format!("`{name}` is another name of `{}` already", of.name));
        }
        try_out(&format!("models: {{{}: {{}}}}", yaml_key(name)))?;
        self.models.push(Model {
            name: name.to_owned(),
            upstreams: Vec::new(),
            aliases: Vec::new(),
            fallback: Vec::new(),
            settings: Vec::new(),
            options: Vec::new(),
        });
        let last = self.models.len() - 1;
        Ok(&mut self.models[last])
    }

    /// The model that clients ask for by this name.
    pub(super) fn known_as(&self, public: &str) -> Option<&Model> {
        let is_it = |model: &&Model| model.name == public || model.aliases.iter().any(|alias| alias == public);
        self.models.iter().find(is_it)
    }

    /// Takes a key of a client as its hash, and gives its id, which is that of the same key where there is one.
    pub(super) fn key(
        &mut self,
        wish: &str,
        secret: &str,
        user: Option<&str>,
        role: Option<&'static str>,
    ) -> Result<String, String> {
        let sha256 = hash_of(secret)?;
        if let Some(key) = self.keys.iter().find(|key| key.sha256 == sha256) {
            let is_same = key.role == role;
            return is_same.then(|| key.id.clone()).ok_or_else(|| format!("it is the key `{}` already", key.id));
        }
        let name: String =
            wish.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        let name: String = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(60).collect();
        let id = unique(if name.is_empty() { "key" } else { &name }, |id| self.keys.iter().any(|key| key.id == id));
        let user = user.map(str::to_owned);
        self.keys.push(Key { id: id.clone(), sha256, role, user, models: Vec::new() });
        Ok(id)
    }

    /// Adds a field to every record.
    pub(super) fn field(&mut self, name: &str, text: &str, plain: bool) -> Outcome {
        let is_typed =
            plain && matches!(resolve(text), Some(serde_json::Value::Number(_) | serde_json::Value::Bool(_)));
        let yaml = if is_typed { text.to_owned() } else { scalar(text) };
        let entry = format!("{}: {yaml}", yaml_key(name));
        try_out(&format!("logging: {{fields: {{{entry}}}}}"))?;
        match self.fields.iter().find(|(known, _)| known == name) {
            Some((_, old)) if *old != yaml => return Err("another line has this field already".to_owned()),
            Some(_) => {}
            None => self.fields.push((name.to_owned(), yaml)),
        }
        Ok((Fate::Taken, format!("logging.fields: {{{entry}}}")))
    }

    /// Adds sections that were made elsewhere of this file.
    pub(super) fn part(&mut self, file: String, sections: String) {
        self.parts.push((file, sections));
    }

    /// The variables that the new file takes values from.
    pub(super) fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = self.upstreams.iter().filter_map(Upstream::variable).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Every key may use these models, and no others.
    pub(super) fn allow_models(&mut self, models: &[String]) {
        for key in &mut self.keys {
            key.models = models.to_vec();
        }
    }

    /// The whole file.
    pub(super) fn write(&self, files: &[Old], notes: &[Note]) -> String {
        let mut out = String::new();
        self.write_to(&mut out, files, notes).expect("a String takes every text");
        out
    }

    fn write_to(&self, out: &mut String, files: &[Old], notes: &[Note]) -> std::fmt::Result {
        let of_parts = self.parts.iter().map(|(file, _)| file);
        let names: Vec<String> =
            files.iter().map(|file| &file.name).chain(of_parts).map(|name| one_line(name)).collect();
        writeln!(out, "# tollhouse: who may ask your models, what they asked, and how it went.")?;
        writeln!(out, "# Written by `tollhouse init` from {}.", names.join(", "))?;
        writeln!(out, "# What is not written here has a default; `tollhouse check` shows them all.\n")?;
        for name in TOP {
            if let Some(yaml) = self.get(name) {
                writeln!(out, "{name}: {yaml}")?;
            }
        }
        if !self.upstreams.is_empty() {
            writeln!(out, "upstreams:")?;
        }
        for upstream in &self.upstreams {
            writeln!(out, "  {}: {}", yaml_key(&upstream.name), upstream.yaml())?;
        }
        if !self.models.is_empty() {
            writeln!(out, "models:")?;
        }
        for model in &self.models {
            writeln!(out, "  {}: {}", yaml_key(&model.name), model.yaml())?;
        }
        for section in SECTIONS {
            self.write_section(out, section)?;
        }
        self.parts.iter().try_for_each(|(_, sections)| write!(out, "{sections}"))?;
        let left: Vec<&Note> = notes.iter().filter(|note| note.fate == Fate::NotTaken).collect();
        if !left.is_empty() {
            writeln!(out, "\n# Not taken:")?;
        }
        for note in left {
            let Note { file, line, key, text, .. } = note;
            writeln!(out, "#   {}", one_line(&format!("{file}:{line} {key}: {text}")))?;
        }
        Ok(())
    }

    fn write_section(&self, out: &mut String, section: &str) -> std::fmt::Result {
        let of_section = |key: &'static str| key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
        let values: Vec<(&str, &str)> =
            self.values.iter().filter_map(|(key, yaml)| Some((of_section(key)?, yaml.as_str()))).collect();
        let has_keys = section == "access" && !self.keys.is_empty();
        let has_fields = section == "logging" && !self.fields.is_empty();
        if values.is_empty() && !has_keys && !has_fields {
            return Ok(());
        }
        writeln!(out, "{section}:")?;
        for (key, yaml) in values.iter().filter(|(key, _)| !key.contains('.')) {
            writeln!(out, "  {key}: {yaml}")?;
        }
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (key, yaml) in &values {
            let Some((group, key)) = key.split_once('.') else { continue };
            let entry = format!("{key}: {yaml}");
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, entries)) => entries.push(entry),
                None => groups.push((group, vec![entry])),
            }
        }
        for (group, entries) in groups {
            writeln!(out, "  {group}: {{{}}}", entries.join(", "))?;
        }
        if has_fields {
            let fields: Vec<String> =
                self.fields.iter().map(|(name, yaml)| format!("{}: {yaml}", yaml_key(name))).collect();
            writeln!(out, "  fields: {{{}}}", fields.join(", "))?;
        }
        if has_keys {
            writeln!(out, "  keys:")?;
            self.keys.iter().try_for_each(|key| writeln!(out, "    - {}", key.yaml()))?;
        }
        Ok(())
    }
}

impl Upstream {
    fn yaml(&self) -> String {
        let mut yaml = format!("{{kind: {}, url: {}", self.kind, scalar(&self.url));
        let key = self.variable().map(|name| format!("\"${{{name}:-}}\""));
        for (name, value) in [("key", key), ("parallel", self.parallel.map(|n| n.to_string()))] {
            if let Some(value) = value {
                write!(yaml, ", {name}: {value}").expect("a String takes every text");
            }
        }
        yaml + "}"
    }

    /// The variable with its key.
    pub(super) fn variable(&self) -> Option<String> {
        self.key.as_ref().map(|key| match key {
            ServerKey::Variable(name) => name.clone(),
            ServerKey::Literal(_) => format!("{}_KEY", self.name.to_ascii_uppercase().replace('-', "_")),
        })
    }
}

impl Model {
    /// Whether this setting is valid here, or why not.
    pub(super) fn set(&mut self, key: &'static str, yaml: &str) -> Result<(), String> {
        match self.settings.iter().find(|(name, _)| *name == key) {
            Some((_, old)) if old == yaml => Ok(()),
            Some((_, old)) => Err(format!("`{key}` of {} was taken from another line already: {old}", self.name)),
            None => {
                try_out(&format!("models: {{a: {{{key}: {yaml}}}}}"))?;
                self.settings.push((key, yaml.to_owned()));
                Ok(())
            }
        }
    }

    fn yaml(&self) -> String {
        let mut parts = Vec::new();
        match &self.upstreams[..] {
            [] => {}
            [one] => parts.push(format!("upstreams: [{}]", scalar(one))),
            equal => parts.push(format!("upstreams: [{}]", list(equal))),
        }
        for (name, texts) in [("aliases", &self.aliases), ("fallback", &self.fallback)] {
            if !texts.is_empty() {
                parts.push(format!("{name}: {}", list(texts)));
            }
        }
        parts.extend(self.settings.iter().map(|(name, yaml)| format!("{name}: {yaml}")));
        if !self.options.is_empty() {
            let options: Vec<String> =
                self.options.iter().map(|(name, yaml)| format!("{}: {yaml}", yaml_key(name))).collect();
            parts.push(format!("options: {{{}}}", options.join(", ")));
        }
        format!("{{{}}}", parts.join(", "))
    }
}

impl Key {
    fn yaml(&self) -> String {
        let mut yaml = format!("{{id: {}, sha256: {}", scalar(&self.id), scalar(&self.sha256));
        let role = self.role.map(str::to_owned);
        let user = self.user.as_deref().map(scalar);
        let models = (!self.models.is_empty()).then(|| list(&self.models));
        for (name, value) in [("user", user), ("role", role), ("models", models)] {
            if let Some(value) = value {
                write!(yaml, ", {name}: {value}").expect("a String takes every text");
            }
        }
        yaml + "}"
    }
}

/// A list as YAML.
pub(super) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| scalar(text)).collect::<Vec<_>>().join(", "))
}

/// What our own reader says against a text.
pub(super) fn try_out(text: &str) -> Result<(), String> {
    match parse(text, "", &|_| Some("set".to_owned())) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let problem = &errors.problems()[0];
            let expected =
                problem.expected.as_ref().map_or_else(String::new, |text| format!("; expected {}", text.words()));
            // Which key is meant is known where this is told.
            Err(format!("{}{expected}", problem.what.words()))
        }
    }
}

/// The SHA-256 of a key, which may be given as that already.
fn hash_of(secret: &str) -> Result<String, String> {
    if let Some(hash) = secret.strip_prefix("sha256:") {
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_hash { Ok(hash.to_ascii_lowercase()) } else { Err("this is not a SHA-256".to_owned()) };
    }
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a key that is empty or has an unusual character cannot stand in a header".to_owned());
    }
    Ok(hex(&Sha256::digest(secret.as_bytes())))
}

/// The name, or it with the first number behind it that is free.
fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    // No file has as many entries.
    (2..=usize::MAX).map(|number| format!("{name}-{number}")).find(|name| !is_taken(name)).unwrap_or_default()
}
