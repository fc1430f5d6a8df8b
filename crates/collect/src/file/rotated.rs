//! Names that rotation gives: from `app.log.2.gz` back to `app.log`.
//!
//! A name is evidence, never proof: which file a rotated one is, its inode and its content say.

/// Most older names that are thought of for one name.
const ORIGINALS_MAX: usize = 8;

/// How a file is packed, as its name says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

/// How the file of this name is packed, if it is.
pub(crate) fn packing(name: &str) -> Option<Packing> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "gz" | "gzip" => Some(Packing::Gzip),
        "zst" | "zstd" => Some(Packing::Zstd),
        _ => None,
    }
}

/// The names that a file may have had before it was rotated and packed, the nearest first, without its own.
pub(crate) fn originals(name: &str) -> impl Iterator<Item = String> {
    let unpacked = packing(name).and_then(|_| name.rsplit_once('.')).map(|(name, _)| name);
    let name = unpacked.unwrap_or(name);
    unpacked.map(str::to_owned).into_iter().chain(behind(name)).chain(inside(name))
}

/// The name all rotated forms of a file share: `app.log` for `app.log.2.gz`. Numbers inside a name (`app-1.log`) stay:
/// they may as well tell one program from another.
pub(crate) fn family(name: &str) -> String {
    let unpacked = packing(name).and_then(|_| name.rsplit_once('.')).map_or(name, |(name, _)| name);
    behind(unpacked).pop().unwrap_or_else(|| unpacked.to_owned())
}

/// What stands before a number, a date or a word at the end, the longest first: `app.log.1`, `app.log-2026-01-27_10:00`,
/// `app.log.old`.
fn behind(name: &str) -> Vec<String> {
    if let Some(stem) = ["old", "bak", "prev", "save"].iter().find_map(|word| name.strip_suffix(word)) {
        let stem = stem.strip_suffix(['.', '-']).filter(|stem| !stem.is_empty());
        return stem.map(str::to_owned).into_iter().collect();
    }
    let at = name.rfind(|char: char| !is_stamp(char)).map_or(0, |at| at + char_len(name, at));
    let (stem, stamp) = name.split_at(at);
    if stem.is_empty() {
        return Vec::new();
    }
    // Every place within the stamp where a separator stands before a digit may be where the old name ended.
    let ends = stamp.char_indices().filter(|(at, char)| {
        matches!(char, '.' | '-' | '_') && stamp[at + 1..].starts_with(|next: char| next.is_ascii_digit())
    });
    ends.map(|(at, _)| format!("{stem}{}", &stamp[..at]))
        .take(ORIGINALS_MAX)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect()
}

/// `app.1.log`, `app-2026-01-27.log`, `gateway-2026.01.27-000001.log`
fn inside(name: &str) -> Vec<String> {
    let Some((stem, extension)) = name.rsplit_once('.') else { return Vec::new() };
    if extension.is_empty() || extension.contains(is_stamp) {
        return Vec::new();
    }
    behind(stem).into_iter().map(|stem| format!("{stem}.{extension}")).collect()
}

fn is_stamp(char: char) -> bool {
    char.is_ascii_digit() || matches!(char, '.' | '-' | '_' | ':' | 'T')
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_lead_back() {
        for (name, original) in [
            ("app.log.1", "app.log"),
            ("app.log.12.gz", "app.log"),
            ("app.log.gz", "app.log"),
            ("app.log-20260127", "app.log"),
            ("app.log-20260127.zst", "app.log"),
            ("app.log-2026-01-27-1790000000.gz", "app.log"),
            ("app.log.2026-01-27_10:00:00", "app.log"),
            ("app.log.old", "app.log"),
            ("app.1.log", "app.log"),
            ("openclaw-2026-01-27.1.log", "openclaw-2026-01-27.log"),
            ("openclaw-2026-01-27.log.gz", "openclaw-2026-01-27.log"),
            ("gateway-2026.01.27-000000000001.log.zst", "gateway.log"),
            ("syslog.1", "syslog"),
            ("日志.1", "日志"),
        ] {
            assert!(
                originals(name).any(|found| found == original),
                "{name}: {:?}",
                originals(name).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn other_names_do_not() {
        for name in ["app.log", "app", "1", ".1", "v2", "", "app.log.", "log.tmp", "-1.log"] {
            assert_eq!(originals(name).collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_family_keeps_numbers_inside_the_name() {
        assert_eq!(family("app.log.2.gz"), "app.log");
        assert_eq!(family("app-1.log"), "app-1.log");
        assert_eq!(family("app.log"), "app.log");
    }
}
