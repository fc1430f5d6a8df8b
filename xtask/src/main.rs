//! The project's own chores, run as `cargo run -p xtask -- NAME`; see [`USAGE`].

mod licences;
mod package;
mod sbom;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run -p xtask -- NAME

  licences    check what our dependencies are licensed under and where they come from, as deny.toml says
  tidy        check what no compiler checks: file heads, sizes, leftovers of a machine, names in documents";

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names == ["tidy"] {
        return tidy::run();
    }
    if names == ["licences"] {
        return licences::run();
    }
    if names == ["sbom"] {
        return sbom::run();
    }
    if names.first().is_some_and(|name| name == "package") {
        return package::run(&names[1..]);
    }
    eprintln!("{USAGE}\n{}", package::USAGE);
    ExitCode::from(2)
}
