//! Runs golden cases.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Runs each case in a folder of `tests/cases/`; what is found under a name must be what the file has there.
pub(crate) fn check(folder: &str, run: fn(&Value) -> Vec<(&'static str, Value)>) {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&root).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable case");
        let mut case: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (field, found) in run(&case) {
            if case[field] != found {
                if !update {
                    let want = &case[field];
                    writeln!(failures, "{} {field}:\n  want {want}\n  find {found}", file.display()).expect("memory");
                }
                case[field] = found;
            }
        }
        if update {
            fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&case).expect("JSON")))
                .expect("written case");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
