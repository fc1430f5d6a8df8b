//! Configurations as files: what is wrong with those in `cases/`, and what those in `valid/` mean.
//!
//! Beside each `NAME.yaml` lies what tollhouse says about it: `NAME.txt` with the errors, or the effective configuration. Run
//! with `UPDATE_CASES=1` to write these anew, and look at the difference as at a change of the interface.

use std::{fs, path::Path};

use tollhouse_config::{ConfigErrors, parse};

/// The environment of all cases.
fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("18800".to_owned()),
        "BODY" => Some("64MiB".to_owned()),
        "API_KEY" => Some("sk-from-the-environment".to_owned()),
        "BROKEN_KEY" => Some("two words".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// Compares what `tell` says about each file of a folder with the text beside it.
fn check(folder: &str, tell: fn(&str, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 2, "no cases in {}", folder.display());
    let mut failed = Vec::new();
    for path in names {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a readable case");
        let told = tell(&text, &name);
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(&beside, &told).expect("a writable case");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if told != expected {
            failed.push(format!("--- {name}: expected\n{expected}\n--- {name}: told\n{told}"));
        }
    }
    assert!(failed.is_empty(), "{} cases differ\n{}", failed.len(), failed.join("\n"));
}

fn told(text: &str, name: &str) -> Result<String, ConfigErrors> {
    parse(text, name, &env).map(|config| config.effective_yaml())
}

#[test]
fn everything_that_is_wrong_is_told() {
    check("cases", |text, name| match told(text, name) {
        Err(errors) => format!("{errors}\n"),
        Ok(effective) => format!("no errors:\n{effective}"),
    });
}

#[test]
fn what_is_right_is_understood() {
    check("valid", |text, name| match told(text, name) {
        Err(errors) => format!("{errors}\n"),
        Ok(effective) => {
            assert_eq!(told(&effective, name), Ok(effective.clone()), "{name}: the effective text is read differently");
            effective
        }
    });
}
