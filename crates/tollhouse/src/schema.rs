//! `tollhouse schema`: the configuration's JSON Schema, for editors.

use std::path::Path;

use anyhow::Context;

use crate::cli::SchemaArgs;
use crate::{init, say};

/// Runs the command.
pub(crate) fn schema(args: &SchemaArgs) -> anyhow::Result<()> {
    match &args.out {
        None => say(&text()),
        Some(file) => {
            write(file)?;
            eprintln!("wrote {}", file.display());
            Ok(())
        }
    }
}

/// Writes it into a file.
pub(crate) fn write(file: &Path) -> anyhow::Result<()> {
    init::write_whole(file, &text()).with_context(|| format!("writing {}", file.display()))
}

/// The line by which the YAML language server finds a schema that lies beside the configuration.
pub(crate) fn line(schema: &Path) -> String {
    let name = schema.file_name().unwrap_or_default();
    format!("# yaml-language-server: $schema={}", name.display())
}

fn text() -> String {
    format!("{:#}\n", tollhouse_config::schema())
}
