//! Checks what our dependencies are licensed under, and where they come from, against `deny.toml`.
//!
//! `cargo deny` does this and more, where it is installed; this needs nothing but cargo. Of `deny.toml` it reads `allow` and
//! `exceptions` under `[licenses]`, each on one line or several.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

use serde_json::Value;

/// How the source of a package begins that comes from a registry, and not from a repository or a folder.
const REGISTRY: &str = "registry+";

pub(crate) fn run() -> ExitCode {
    match problems() {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn problems() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let rules = std::fs::read_to_string("deny.toml")?;
    let rules = rules.split("[licenses]").nth(1).ok_or("deny.toml has no [licenses]")?;
    let rules = rules.split("\n[").next().unwrap_or_default();
    let allowed: BTreeSet<&str> = quoted(between(rules, "\nallow = [", "]")).collect();
    let exceptions: Vec<Vec<&str>> =
        between(rules, "\nexceptions = [", "\n]").lines().map(|line| quoted(line).collect()).collect();

    // Only what is built here: of other systems nothing need be there.
    let told = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let used = |id: &Value| {
        told["resolve"]["nodes"].as_array().is_some_and(|nodes| nodes.iter().any(|node| node["id"] == *id))
    };
    let mut problems = Vec::new();
    for package in told["packages"].as_array().ok_or("cargo metadata names no packages")? {
        let (name, source) = (package["name"].as_str().unwrap_or_default(), &package["source"]);
        if source.is_null() || !used(&package["id"]) {
            continue;
        }
        if !source.as_str().is_some_and(|source| source.starts_with(REGISTRY)) {
            problems.push(format!("{name}: comes from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or_default();
        let of_its_own = exceptions.iter().find(|exception| exception.last() == Some(&name));
        let is_allowed = |one: &str| allowed.contains(one) || of_its_own.is_some_and(|own| own.contains(&one));
        if !holds(licence, &is_allowed) {
            problems.push(format!("{name}: is licensed under `{licence}`, which deny.toml does not let in"));
        }
    }
    Ok(problems)
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split(begin).nth(1).and_then(|rest| rest.split(end).next()).unwrap_or_default()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Whether an SPDX expression holds when `is_allowed` says so of licences; a licence `WITH` an exception is one of its own.
fn holds(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "\u{a0}");
    let words: Vec<String> =
        spaced.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\u{a0}', " WITH ")).collect();
    let mut at = 0;
    let found = any(&words, &mut at, is_allowed);
    found && at == words.len()
}

fn any(words: &[String], at: &mut usize, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut found = all(words, at, is_allowed);
    while words.get(*at).is_some_and(|word| word == "OR") {
        *at += 1;
        found |= all(words, at, is_allowed);
    }
    found
}

fn all(words: &[String], at: &mut usize, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut found = one(words, at, is_allowed);
    while words.get(*at).is_some_and(|word| word == "AND") {
        *at += 1;
        found &= one(words, at, is_allowed);
    }
    found
}

fn one(words: &[String], at: &mut usize, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if word != "(" {
        return is_allowed(word);
    }
    let found = any(words, at, is_allowed);
    *at += 1;
    found
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn expressions_are_read() {
        let is_allowed = |one: &str| ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].contains(&one);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("", false),
            ("GPL-3.0 OR MIT", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH Something", false),
            ("(MIT", false),
        ] {
            assert_eq!(holds(expression, &is_allowed), expected, "{expression}");
        }
    }
}
