//! The folder of definitions: read at the start, looked at every second, changed by the console.
//!
//! A file with a mistake leaves the definition of before in force and is told; one that is gone takes its task away, whose runs
//! end as they began.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tollhouse_config::ConfigErrors;
use tollhouse_console::FaultyTask;
use tollhouse_tasks::{DEFINITION_BYTES_MAX, Definition};

/// Most files that are read.
const FILES_MAX: usize = 1_000;
/// How definitions' files end.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// Definitions by the files that they stand in.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    known: Mutex<BTreeMap<PathBuf, File>>,
}

/// A file as it was when it was read.
#[derive(Clone, Debug)]
struct File {
    print: (u64, i64, i64, u64),
    /// What is in force by it, if it ever could be read.
    definition: Option<Definition>,
    error: Option<String>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether another set of definitions is in force now.
    pub(super) is_changed: bool,
    /// Files that are new or changed and cannot be used.
    pub(super) faulty: Vec<FaultyTask>,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::default() }
    }

    /// Reads what has changed. It blocks.
    pub(super) fn look(&self) -> Found {
        let mut found = Found::default();
        let files = self.files();
        let mut known = self.known();
        known.retain(|path, file| {
            let is_there = files.iter().any(|(there, _)| there == path);
            found.is_changed |= !is_there && file.definition.is_some();
            is_there
        });
        for (path, print) in files {
            if known.get(&path).is_some_and(|file| file.print == print) {
                continue;
            }
            let before = known.get(&path).and_then(|file| file.definition.clone());
            let file = match read(&path, &known) {
                Ok(definition) => {
                    found.is_changed |= before.is_none_or(|before| before.version != definition.version);
                    File { print, definition: Some(definition), error: None }
                }
                Err(error) => {
                    found.faulty.push(FaultyTask { file: path.display().to_string(), error: error.clone() });
                    File { print, definition: before, error: Some(error) }
                }
            };
            known.insert(path, file);
        }
        found
    }

    /// What is in force.
    pub(super) fn definitions(&self) -> Vec<Definition> {
        self.known().values().filter_map(|file| file.definition.clone()).collect()
    }

    /// Where a file cannot be used and nothing was in force by it, what is known of it from a house before comes in its place.
    pub(super) fn restore(&self, of: impl Fn(&str) -> Option<Definition>) {
        for (path, file) in self.known().iter_mut().filter(|(_, file)| file.definition.is_none()) {
            file.definition = path.file_stem().and_then(|stem| of(stem.to_str()?));
        }
    }

    /// Names of tasks whose files cannot be used and by which nothing is in force.
    pub(super) fn lost(&self) -> Vec<String> {
        let known = self.known();
        let lost = known.iter().filter(|(_, file)| file.definition.is_none());
        lost.filter_map(|(path, _)| Some(path.file_stem()?.to_str()?.to_owned())).collect()
    }

    /// Files that cannot be used.
    pub(super) fn faulty(&self) -> Vec<FaultyTask> {
        let known = self.known();
        let faulty = known.iter().filter_map(|(path, file)| Some((path, file.error.clone()?)));
        faulty.map(|(path, error)| FaultyTask { file: path.display().to_string(), error }).collect()
    }

    /// The file of a task: the one that it was read from, else the one of its name.
    pub(super) fn path_of(&self, task: &str) -> PathBuf {
        let known = self.known();
        let is_its = |file: &File| file.definition.as_ref().is_some_and(|definition| definition.name == task);
        let found = known.iter().find(|(_, file)| is_its(file)).map(|(path, _)| path.clone());
        found.unwrap_or_else(|| self.dir.join(format!("{task}.yaml")))
    }

    /// The version of the text that stands in a task's file now; none where there is none. It blocks.
    pub(super) fn version_of(&self, task: &str) -> Option<String> {
        let path = self.path_of(task);
        let text = read_text(&path).ok()?;
        // A file that cannot be used has a version all the same: that of which it is another.
        Definition::read(&path.to_string_lossy(), &text).map_or(Some(String::new()), |it| Some(it.version))
    }

    /// Puts a text into a task's file, whole or not at all. It blocks.
    pub(super) fn save(&self, task: &str, text: &str) -> std::io::Result<()> {
        let path = self.path_of(task);
        fs::create_dir_all(&self.dir)?;
        tollhouse_files::replace(&path, text.as_bytes(), 0o640)
    }

    fn files(&self) -> Vec<(PathBuf, (u64, i64, i64, u64))> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known)))
            .filter_map(|path| {
                let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
                Some((path, (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len())))
            })
            .take(FILES_MAX)
            .collect();
        files.sort();
        files
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, File>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path, known: &BTreeMap<PathBuf, File>) -> Result<Definition, String> {
    let text = read_text(path)?;
    let definition =
        Definition::read(&path.to_string_lossy(), &text).map_err(|error: ConfigErrors| error.to_string())?;
    let is_same = |file: &File| file.definition.as_ref().is_some_and(|other| other.name == definition.name);
    match known.iter().find(|(other, file)| other.as_path() != path && is_same(file)) {
        Some((other, _)) => Err(format!("the task {} stands in {} already", definition.name, other.display())),
        None => Ok(definition),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > DEFINITION_BYTES_MAX {
        return Err(format!("it is larger than {DEFINITION_BYTES_MAX} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "steps: [{name: a, wait: {for: 1s}}]\n";

    #[test]
    fn a_bad_file_leaves_the_old_definition_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("tasks"));
        assert!(!folder.look().is_changed, "no folder is no task");
        folder.save("one", TASK).unwrap();
        assert!(folder.look().is_changed);
        assert!(!folder.look().is_changed);
        let version = folder.version_of("one");
        fs::write(folder.path_of("one"), "steps: [{name: a, wat: {}}]\n").unwrap();
        let found = folder.look();
        assert!(!found.is_changed && found.faulty.len() == 1 && folder.faulty().len() == 1, "{found:?}");
        assert_eq!(folder.definitions()[0].version, version.clone().unwrap());
        assert_ne!(folder.version_of("one"), version);
        assert!(folder.look().faulty.is_empty(), "it is told once");
        fs::remove_file(folder.path_of("one")).unwrap();
        assert!(folder.look().is_changed && folder.definitions().is_empty());
    }

    #[test]
    fn two_files_cannot_be_one_task() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        folder.save("a", TASK).unwrap();
        fs::write(dir.path().join("b.yml"), format!("name: a\n{TASK}")).unwrap();
        fs::write(dir.path().join("notes.txt"), "no task").unwrap();
        let found = folder.look();
        assert_eq!((folder.definitions().len(), found.faulty.len()), (1, 1), "{found:?}");
    }
}
