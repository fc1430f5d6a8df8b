//! Which fields a document may have, of what kind, and under which other names they are asked for.

use rustc_hash::FxHashMap;

use crate::error::ParseError;

/// What values a field holds; decides how it is indexed, compared and sorted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// An exact string.
    Keyword,
    /// Words of a text.
    Text,
    /// A whole number.
    Long,
    /// A number with a fraction.
    Double,
    /// True or false.
    Boolean,
    /// A moment, in milliseconds since 1970 UTC.
    Date,
}

/// The declared fields and their aliases.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    // Looked up for each document that is held against a query.
    kinds: FxHashMap<String, FieldKind>,
    aliases: FxHashMap<String, String>,
}

impl Fields {
    /// Declares a field.
    pub fn declare(&mut self, name: &str, kind: FieldKind) {
        self.kinds.insert(name.to_owned(), kind);
    }

    /// Lets `alias` stand for the declared field `name` in queries.
    pub fn alias(&mut self, alias: &str, name: &str) {
        self.aliases.insert(alias.to_owned(), name.to_owned());
    }

    /// The declared name behind a name or alias; a name that is neither is returned as it is. A `.keyword` ending, as
    /// Elasticsearch's default mapping makes, is taken off when the field itself is declared.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        if let Some(target) = self.aliases.get(name) {
            return target;
        }
        match name.strip_suffix(".keyword") {
            Some(base) if !self.kinds.contains_key(name) => self.canonical(base),
            _ => name,
        }
    }

    /// The kind of a declared field or alias.
    pub fn kind(&self, name: &str) -> Option<FieldKind> {
        self.kinds.get(self.canonical(name)).copied()
    }

    /// All declared fields in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldKind)> {
        let mut all: Vec<(&str, FieldKind)> = self.kinds.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter()
    }

    /// All aliases as (alias, name), in their order.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut all: Vec<(&str, &str)> =
            self.aliases.iter().map(|(alias, name)| (alias.as_str(), name.as_str())).collect();
        all.sort_unstable();
        all.into_iter()
    }
}

/// Refuses the fields about documents that Elasticsearch has and we do not: as an ordinary name they would silently
/// match nothing.
pub(crate) fn check_name(name: &str) -> Result<(), ParseError> {
    const UNSUPPORTED: [&str; 8] =
        ["_index", "_type", "_routing", "_ignored", "_size", "_tier", "_field_names", "_source"];
    if name.is_empty() {
        return Err(ParseError::illegal("a field name is empty"));
    }
    if UNSUPPORTED.contains(&name) {
        return Err(ParseError::shard(format!("the field [{name}] cannot be searched here")));
    }
    Ok(())
}
