//! Rules about the repository's files that neither the compiler nor clippy knows.
//!
//! 1. Each Rust file opens with a `//!` sentence that says what it is.
//! 2. No file names a directory of somebody's machine or the host of a package registry.
//! 3. No file is larger than [`SIZE_MAX`].
//! 4. Documents name only files that exist: the targets of relative links, and paths in backticks that begin with a
//!    folder of the repository.
//!
//! All findings are told at once, each as `file:line: what is wrong`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

/// Largest file that may be in the repository, in bytes.
const SIZE_MAX: u64 = 1024 * 1024;

/// Leftovers of a machine. Written in two halves, so that this file does not find itself.
const MACHINE: [(&str, &str); 4] = [("/wo", "rk/"), ("/ro", "ot/"), (".py", "env"), ("file:///ho", "me/")];

/// Hosts of package registries: which one is used is the business of each machine's own settings.
const REGISTRIES: [(&str, &str); 9] = [
    ("registry.npm", "js.org"),
    ("registry.yarn", "pkg.com"),
    ("files.python", "hosted.org"),
    ("pypi.", "org/simple"),
    ("proxy.gol", "ang.org"),
    ("static.cr", "ates.io"),
    ("index.cr", "ates.io"),
    ("repo1.ma", "ven.org"),
    ("deb.deb", "ian.org"),
];

/// Runs all rules over the files that git knows or would add.
pub(crate) fn run() -> ExitCode {
    let root = root();
    let files = match listed(&root) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("tidy: listing the repository's files: {error}");
            return ExitCode::from(2);
        }
    };
    let mut findings = Vec::new();
    for name in &files {
        check(&root, name, &files, &mut findings);
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    ExitCode::from(u8::from(!findings.is_empty()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Names of all files, relative to the root; deleted ones that are still in git's index are left out.
fn listed(root: &Path) -> io::Result<BTreeSet<String>> {
    let git = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(git).current_dir(root).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.split('\0').filter(|name| !name.is_empty() && root.join(name).is_file()).map(String::from).collect())
}

/// Applies each rule to one file.
fn check(root: &Path, name: &str, files: &BTreeSet<String>, findings: &mut Vec<String>) {
    let bytes = match fs::read(root.join(name)) {
        Ok(bytes) => bytes,
        Err(error) => return findings.push(format!("{name}: reading it: {error}")),
    };
    if bytes.len() as u64 > SIZE_MAX {
        findings.push(format!("{name}: {} bytes, more than {SIZE_MAX}", bytes.len()));
    }
    // Pictures, fonts and the like have no lines to look at.
    let Ok(text) = String::from_utf8(bytes) else { return };
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());

    if extension == Some("rs") && !text.starts_with("//! ") {
        findings.push(format!("{name}:1: begins with no `//!` sentence that says what the file is"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        // Cargo writes the index into its lock file and cannot leave it out.
        for word in leftovers(line, name != "Cargo.lock") {
            findings.push(format!("{name}:{number}: `{word}` belongs to a machine, not into the repository"));
        }
        if extension == Some("md") {
            let folder = Path::new(name).parent().unwrap_or(Path::new(""));
            for path in named_paths(line).into_iter().filter(|path| !exists(path, folder, files)) {
                findings.push(format!("{name}:{number}: names `{path}`, which is not there"));
            }
        }
    }
}

/// Machine directories and registry hosts in a line.
fn leftovers(line: &str, with_registries: bool) -> Vec<String> {
    let registries: &[(&str, &str)] = if with_registries { &REGISTRIES } else { &[] };
    let words = MACHINE.iter().chain(registries).map(|(head, tail)| format!("{head}{tail}"));
    words.filter(|word| line.contains(word.as_str())).collect()
}

/// A path that a line of Markdown names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// Target of a link, relative to the document.
    Link(String),
    /// In backticks, relative to the root.
    Code(String),
}

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Link(path) | Self::Code(path)) = self;
        formatter.write_str(path)
    }
}

fn named_paths(line: &str) -> Vec<Named> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let links = links
        .filter(|target| !target.contains("://") && !target.starts_with(['#', '/']) && !target.starts_with("mailto:"));
    let links = links.map(|target| Named::Link(target.split(['#', ' ']).next().unwrap_or_default().to_owned()));
    let code = line.split('`').skip(1).step_by(2).filter(|code| looks_like_our_path(code));
    links.chain(code.map(|code| Named::Code(code.trim_end_matches('/').to_owned()))).collect()
}

/// True for `crates/journal/src/lib.rs`, false for a path with a hole (`crates/NAME`, `*.rs`) or of another place.
fn looks_like_our_path(code: &str) -> bool {
    const FOLDERS: [&str; 7] = ["crates/", "ui/", "tests/", "xtask/", "docs/", "bench/", ".ci/"];
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let hole = code.split('/').any(|part| part.len() > 1 && part.chars().all(|letter| letter.is_ascii_uppercase()));
    FOLDERS.iter().any(|folder| code.starts_with(folder)) && code.chars().all(plain) && !hole
}

fn exists(named: &Named, folder: &Path, files: &BTreeSet<String>) -> bool {
    let path = match named {
        Named::Link(path) => resolved(&folder.join(path)),
        Named::Code(path) => path.clone(),
    };
    let inside = format!("{path}/");
    // Dependencies that a package manager puts there are named in documents now and then.
    path.contains("node_modules") || files.iter().any(|file| *file == path || file.starts_with(&inside))
}

/// The path without `.` and `..`.
fn resolved(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> Vec<String> {
        named_paths(line).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_the_paths_that_a_document_names() {
        assert_eq!(
            named("see [the design](docs/DESIGN.md#map) and `crates/journal/`"),
            ["docs/DESIGN.md", "crates/journal"]
        );
        for line in ["[a](https://example.com/x)", "[a](#top)", "`/v1/models`", "`crates/NAME`", "`tests/*.py`"] {
            assert!(named(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_path_is_seen_from_its_document() {
        let files = BTreeSet::from(["docs/LIMITS.md".to_owned(), "ui/package.json".to_owned()]);
        let link = |path: &str| Named::Link(path.to_owned());
        assert!(exists(&link("../ui/package.json"), Path::new("docs"), &files));
        assert!(exists(&link("LIMITS.md"), Path::new("docs"), &files));
        assert!(exists(&Named::Code("ui".to_owned()), Path::new("docs"), &files));
        assert!(!exists(&link("LIMITS.md"), Path::new(""), &files));
    }

    #[test]
    fn finds_leftovers_of_a_machine() {
        let line = ["cp /wo", "rk/x https://registry.npm", "js.org/y"].concat();
        assert_eq!(leftovers(&line, true).len(), 2);
        assert_eq!(leftovers(&line, false).len(), 1);
        assert!(leftovers("the network of works, at its root", true).is_empty());
    }
}
