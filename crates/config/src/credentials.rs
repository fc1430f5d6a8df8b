//! Which files of systemd's `LoadCredential=` a configuration names: the unit has to hand them to the house.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::tree::{self, Data};

/// Where systemd says in which folder they are (systemd.exec(5), "Credentials").
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Where one is taken from whose place is not written beside the variable.
const FOLDER: &str = "/etc/tollhouse";
/// Longest name that systemd takes: that of a file.
const NAME_BYTES_MAX: usize = 255;

/// A file that root alone may read, and that systemd hands to the house.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// Its name below `$CREDENTIALS_DIRECTORY`.
    pub name: String,
    /// Where systemd takes it from; the house itself looks there when systemd has not started it.
    pub from: PathBuf,
}

/// The credentials that the text of a configuration names in its values: `${CREDENTIALS_DIRECTORY:-FOLDER}/NAME`, behind `file:`
/// where it is a secret. Each once, by name; none of a text that cannot be read.
pub fn credentials(text: &str) -> Vec<Credential> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Ok(Some(root)) = tree::read(text, &mut Vec::new()) else { return Vec::new() };
    let mut found = BTreeMap::new();
    for node in root.all() {
        if let Data::Scalar { text, .. } = &node.data
            && let Some(Credential { name, from }) = credential(text)
        {
            found.entry(name).or_insert(from);
        }
    }
    found.into_iter().map(|(name, from)| Credential { name, from }).collect()
}

fn credential(value: &str) -> Option<Credential> {
    let rest = value.strip_prefix("file:").unwrap_or(value).strip_prefix("${")?.strip_prefix(VARIABLE)?;
    let (default, path) = rest.split_once('}')?;
    let folder = match default.strip_prefix(":-") {
        Some(folder) if Path::new(folder).is_absolute() => folder,
        None if default.is_empty() => FOLDER,
        _ => return None,
    };
    let name = path.strip_prefix('/')?;
    // As systemd has it: a name in printable ASCII without `/` and `:`; `%` would have a meaning in the unit.
    let is_good = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%'))
        && !matches!(name, "." | "..");
    is_good.then(|| Credential { name: name.to_owned(), from: Path::new(folder).join(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        credentials(text).iter().map(|found| format!("{}:{}", found.name, found.from.display())).collect()
    }

    #[test]
    fn they_are_found_in_any_value() {
        let text = "
            upstreams:
              a: {kind: openai, url: 'http://a', key: 'file:${CREDENTIALS_DIRECTORY:-/srv/keys}/a'}
              b: {kind: openai, url: 'http://b', key: 'file:${CREDENTIALS_DIRECTORY}/b'}
              again: {kind: openai, url: 'http://b', key: 'file:${CREDENTIALS_DIRECTORY}/b'}
            edge: {sites: {x.test: {tls: {cert: /x.pem, key: '${CREDENTIALS_DIRECTORY:-/etc/ssl/private}/x.key'}}}}
            # not here: file:${CREDENTIALS_DIRECTORY}/comment
        ";
        assert_eq!(told(text), ["a:/srv/keys/a", "b:/etc/tollhouse/b", "x.key:/etc/ssl/private/x.key"]);
    }

    #[test]
    fn what_systemd_would_not_take_is_none() {
        for value in [
            "file:${CREDENTIALS_DIRECTORY}",
            "file:${CREDENTIALS_DIRECTORY}/",
            "file:${CREDENTIALS_DIRECTORY}/a/b",
            "file:${CREDENTIALS_DIRECTORY}/a:b",
            "file:${CREDENTIALS_DIRECTORY}/..",
            "file:${CREDENTIALS_DIRECTORY:-here}/a",
            "file:${CREDENTIALS_DIRECTORY_OF}/a",
            "${OTHER}/a",
        ] {
            assert_eq!(told(&format!("a: '{value}'")), [""; 0], "{value}");
        }
        assert_eq!(told("{"), [""; 0]);
    }
}
