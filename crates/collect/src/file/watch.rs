//! Looks at directories: which names are there, and what the file system says about each.
//!
//! A directory is listed again when its modification time changed, when that change is so young that the clock of the
//! file system could hide another one, and now and then in any case. In between only the files are asked for their size.
//! A look at ten files costs eleven system calls; that, four times a second, is why there is no `inotify` here: it would
//! need the same code again for what it cannot see (network file systems, overflown queues, directories that come later).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, mem};

use super::content::stat_of;
use super::known::Seen;
use super::pattern::{Meant, Pattern};
use super::rotated::packing;

/// A directory is listed at least this often.
const LIST_EVERY: Duration = Duration::from_secs(10);
/// Directories that patterns name by `*` are looked for this often.
const EXPAND_EVERY: Duration = Duration::from_secs(2);
/// A change younger than this may have been followed by another one with the same time.
const YOUNG: Duration = Duration::from_millis(100);
/// A rotated file that did not change for this long is asked less often.
const COLD_AFTER: Duration = Duration::from_secs(60);
/// How often it is asked.
const COLD_EVERY: Duration = Duration::from_secs(5);
/// Most names of one directory that are looked at.
const NAMES_MAX: usize = 10_000;

/// What stands in the way, by path.
pub(crate) type Troubles = BTreeMap<PathBuf, String>;

/// The directories of a source.
pub(crate) struct Watch {
    patterns: Vec<Pattern>,
    directories: BTreeMap<PathBuf, Directory>,
    /// Why directories could not be looked for.
    unexpanded: Troubles,
    expand_at: Duration,
}

/// A look.
#[derive(Default)]
pub(crate) struct Look {
    /// Names that are meant themselves stand before those that rotation made.
    pub(crate) seen: Vec<Seen>,
    pub(crate) troubles: Troubles,
}

#[derive(Default)]
struct Directory {
    modified: Option<SystemTime>,
    list_at: Duration,
    is_listed: bool,
    names: BTreeMap<PathBuf, Name>,
}

struct Name {
    meant: Meant,
    seen: Option<Seen>,
    same_since: Duration,
    ask_at: Duration,
}

impl Watch {
    pub(crate) fn new(patterns: Vec<Pattern>) -> Self {
        Self { patterns, directories: BTreeMap::new(), unexpanded: Troubles::new(), expand_at: Duration::ZERO }
    }

    /// Looks. With `is_forced` every directory is listed and every file asked.
    pub(crate) fn look(&mut self, now: Duration, is_forced: bool) -> Look {
        if is_forced || now >= self.expand_at {
            self.expand();
            self.expand_at = now + EXPAND_EVERY;
        }
        let mut look = Look { seen: Vec::new(), troubles: self.unexpanded.clone() };
        for (path, directory) in &mut self.directories {
            if let Err(error) = directory.list(path, &self.patterns, now, is_forced) {
                look.troubles.insert(path.clone(), reason(&error));
            }
            if directory.names.len() == NAMES_MAX {
                look.troubles.insert(path.clone(), format!("only its first {NAMES_MAX} files are looked at"));
            }
            directory.ask(now, &mut look);
        }
        look.seen.sort_by_key(|seen| seen.meant == Meant::Rotated);
        look
    }

    /// Whether the directory of this path could be listed: only then what is not seen is gone.
    pub(crate) fn is_listed(&self, path: &Path) -> bool {
        // Where nothing could be looked for, nothing is known; a directory that is no longer named by a pattern's `*` is gone.
        let parent = path.parent().unwrap_or(path);
        self.directories.get(parent).map_or(self.unexpanded.is_empty(), |directory| directory.is_listed)
    }

    fn expand(&mut self) {
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for pattern in &self.patterns {
            pattern.directories(&mut found, &mut failed);
        }
        self.unexpanded = failed.into_iter().map(|(path, error)| (path, reason(&error))).collect();
        let mut old = mem::take(&mut self.directories);
        self.directories =
            found.into_iter().map(|path| (path.clone(), old.remove(&path).unwrap_or_default())).collect();
    }
}

impl Directory {
    fn list(&mut self, path: &Path, patterns: &[Pattern], now: Duration, is_forced: bool) -> io::Result<()> {
        let listed = self.try_list(path, patterns, now, is_forced);
        if listed.is_err() {
            // What was there may be there again; nothing is said about it meanwhile.
            *self = Self::default();
        }
        listed
    }

    fn try_list(&mut self, path: &Path, patterns: &[Pattern], now: Duration, is_forced: bool) -> io::Result<()> {
        let modified = fs::metadata(path)?.modified()?;
        if !is_forced && self.modified == Some(modified) && now < self.list_at {
            return Ok(());
        }
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // A name may be meant by one pattern itself and be a rotated one to another.
            let meant =
                patterns.iter().filter(|pattern| pattern.is_for(&path)).filter_map(|pattern| pattern.meant(name));
            let Some(meant) = meant.min_by_key(|meant| *meant == Meant::Rotated) else { continue };
            let name = self.names.remove(&path).filter(|old| old.meant == meant && !is_forced);
            names.insert(path, name.unwrap_or(Name { meant, seen: None, same_since: now, ask_at: now }));
            if names.len() == NAMES_MAX {
                break;
            }
        }
        // A name may lead to another file now.
        for name in names.values_mut() {
            name.ask_at = now;
        }
        self.names = names;
        self.is_listed = true;
        self.modified = (age >= YOUNG).then_some(modified);
        self.list_at = now + LIST_EVERY;
        Ok(())
    }

    fn ask(&mut self, now: Duration, look: &mut Look) {
        for (path, name) in &mut self.names {
            if now >= name.ask_at {
                let seen = match fs::metadata(path) {
                    Ok(meta) if meta.is_file() => {
                        let packing = path.file_name().and_then(|name| packing(name.to_str()?));
                        Some(Seen { path: path.clone(), meant: name.meant, packing, stat: stat_of(&meta) })
                    }
                    Ok(meta) => {
                        if !meta.is_dir() && name.meant == Meant::Itself {
                            look.troubles.insert(path.clone(), "it is not a regular file".into());
                        }
                        None
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => {
                        look.troubles.insert(path.clone(), reason(&error));
                        None
                    }
                };
                if seen != name.seen {
                    name.same_since = now;
                    name.seen = seen;
                }
                let is_cold =
                    name.meant == Meant::Rotated && name.seen.is_some() && now >= name.same_since + COLD_AFTER;
                name.ask_at = if is_cold { now + COLD_EVERY } else { now };
            }
            look.seen.extend(name.seen.clone());
        }
    }
}

/// An error in words, without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(look: &Look) -> Vec<(String, Meant)> {
        let name = |seen: &Seen| (seen.path.file_name().unwrap().to_str().unwrap().to_owned(), seen.meant);
        look.seen.iter().map(name).collect()
    }

    #[test]
    fn names_that_rotation_made_are_seen_too() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["app.log", "app.log.1", "app.log.2.gz", "other.log", "app.log.swp", "app.conf"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let mut watch = Watch::new(vec![Pattern::new(&format!("{}/app.log", dir.path().display())).unwrap()]);
        let wanted = [
            ("app.log".to_owned(), Meant::Itself),
            ("app.log.1".to_owned(), Meant::Rotated),
            ("app.log.2.gz".to_owned(), Meant::Rotated),
        ];
        assert_eq!(names(&watch.look(Duration::ZERO, false)), wanted);
        fs::remove_file(dir.path().join("app.log.1")).unwrap();
        assert_eq!(names(&watch.look(Duration::ZERO, false)).len(), 2);
    }

    #[test]
    fn a_missing_directory_is_told_and_nothing_is_gone_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("later");
        let mut watch = Watch::new(vec![Pattern::new(&format!("{}/*.log", below.display())).unwrap()]);
        let look = watch.look(Duration::ZERO, false);
        assert_eq!(look.troubles.get(&below).map(String::as_str), Some("it does not exist"));
        assert!(!watch.is_listed(&below.join("a.log")));
        fs::create_dir(&below).unwrap();
        fs::write(below.join("a.log"), "x").unwrap();
        let look = watch.look(Duration::ZERO, false);
        assert!(look.troubles.is_empty());
        assert_eq!(names(&look).len(), 1);
        assert!(watch.is_listed(&below.join("b.log")));
    }

    #[test]
    fn what_is_no_regular_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("a.log");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::create_dir(dir.path().join("b.log")).unwrap();
        let mut watch = Watch::new(vec![Pattern::new(&format!("{}/*.log", dir.path().display())).unwrap()]);
        let look = watch.look(Duration::ZERO, false);
        assert!(look.seen.is_empty());
        assert_eq!(look.troubles.keys().collect::<Vec<_>>(), [&socket]);
    }
}
