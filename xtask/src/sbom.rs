//! What the program is made of, as CycloneDX 1.6: every package that is built into it, with its licence, sum and origin.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

type Failed = Box<dyn std::error::Error>;

pub(crate) fn run() -> ExitCode {
    let told = Command::new("cargo").args(["pkgid", "-p", "tollhouse"]).output();
    let version = told.ok().and_then(|told| String::from_utf8(told.stdout).ok());
    let version = version.as_deref().and_then(|id| id.trim().rsplit(['#', '@']).next()).unwrap_or("0.0.0").to_owned();
    match text(&version) {
        Ok(text) => {
            // Whoever has read enough may go.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sbom: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The document; the same sources give the same text.
pub(crate) fn text(version: &str) -> Result<String, Failed> {
    let target = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
    let told = Command::new("cargo").args(["metadata", "--format-version=1", "--locked", &target]).output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let sums = sums(&std::fs::read_to_string("Cargo.lock")?);
    let parts = parts(&told)?;
    let packages = told["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let mut of_id: BTreeMap<&str, &Value> = BTreeMap::new();
    of_id.extend(packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))));
    let mut components: Vec<Value> = Vec::new();
    let mut root = Value::Null;
    for package in parts.keys().filter_map(|id| of_id.get(id.as_str())) {
        let component = component(package, &sums);
        if package["name"] == "tollhouse" {
            root = component;
        } else {
            components.push(component);
        }
    }
    components.sort_by_key(|component| component["bom-ref"].as_str().map(str::to_owned));
    let name_of = |id: &String| of_id.get(id.as_str()).map(|package| reference(package));
    let mut edges: Vec<Value> = Vec::new();
    for (id, below) in &parts {
        let mut names: Vec<String> = below.iter().filter_map(name_of).collect();
        names.sort();
        edges.push(json!({"ref": name_of(id), "dependsOn": names}));
    }
    edges.sort_by_key(|edge| edge["ref"].as_str().map(str::to_owned));
    root["version"] = version.into();
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": edges,
    });
    Ok(format!("{document:#}\n"))
}

/// Ids of the packages that are built into the program, each with those that it is built of itself; what is only needed to build or
/// test is left out.
fn parts(told: &Value) -> Result<BTreeMap<String, BTreeSet<String>>, Failed> {
    let nodes = told["resolve"]["nodes"].as_array().ok_or("cargo metadata resolves nothing")?;
    let by_id: BTreeMap<&str, &Value> = nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let is_root = |package: &&Value| package["name"] == "tollhouse";
    let root =
        told["packages"].as_array().and_then(|all| all.iter().find(is_root)).ok_or("there is no package tollhouse")?;
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut ask = vec![root["id"].as_str().unwrap_or_default().to_owned()];
    while let Some(id) = ask.pop() {
        if found.contains_key(&id) {
            continue;
        }
        let below = by_id.get(id.as_str()).and_then(|node| node["deps"].as_array());
        let below: BTreeSet<String> =
            below.into_iter().flatten().filter(|edge| is_built_in(edge)).filter_map(id_of).collect();
        ask.extend(below.iter().cloned());
        found.insert(id, below);
    }
    Ok(found)
}

fn id_of(edge: &Value) -> Option<String> {
    edge["pkg"].as_str().map(str::to_owned)
}

/// Whether an edge is one of the program itself; its kind is null then, and `build` or `dev` otherwise.
fn is_built_in(edge: &Value) -> bool {
    edge["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

/// Sums of the sources, by name and version, as Cargo.lock has them.
fn sums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find(|line| line.starts_with(&format!("{key} = ")))?;
        line.split('"').nth(1).map(str::to_owned)
    };
    let of_block = |block: &str| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?));
    lock.split("[[package]]").filter_map(of_block).collect()
}

fn reference(package: &Value) -> String {
    let (name, version) = (package["name"].as_str(), package["version"].as_str());
    format!("pkg:cargo/{}@{}", name.unwrap_or_default(), version.unwrap_or_default())
}

fn component(package: &Value, sums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let is_program = package["name"] == "tollhouse";
    let mut component = json!({
        "type": if is_program { "application" } else { "library" },
        "bom-ref": reference(package),
        "name": text("name"),
        "version": text("version"),
        "purl": reference(package),
    });
    let licence = text("license").replace('/', " OR ");
    if !licence.is_empty() {
        component["licenses"] = json!([{"expression": licence}]);
    }
    if let Some(sum) = sums.get(&(text("name"), text("version"))) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    if let Some(address) = package["repository"].as_str() {
        component["externalReferences"] = json!([{"type": "vcs", "url": address}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_built_in_is_a_part() {
        let edge = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let told = json!({
            "packages": [{"id": "t", "name": "tollhouse"}],
            "resolve": {"nodes": [
                {"id": "t", "deps": [edge("a", Value::Null), edge("b", "build".into()), edge("d", "dev".into())]},
                {"id": "a", "deps": [edge("t", Value::Null), edge("c", Value::Null)]},
            ]},
        });
        let found = parts(&told).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "c", "t"]);
    }

    #[test]
    fn sums_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0\"\nchecksum = \"ff\"\n\n[[package]]\nname = \"own\"\nversion = \"0\"\n";
        assert_eq!(sums(lock), [(("a".to_owned(), "1.0".to_owned()), "ff".to_owned())].into());
    }
}
