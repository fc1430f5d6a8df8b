//! For a logrotate: the files of other programs that are collected, rotated as the tutorial says.

use std::fmt::Write as _;

use tollhouse_config::{Config, FileSource, LineFormat, SourceKind};

/// How a program is brought to go on in a new file.
enum Way {
    /// It is told to.
    Told(&'static str),
    /// Its file is copied and emptied: it goes on in the same one.
    Copied,
    /// It does all of that itself.
    Itself,
    /// The house does.
    House,
}

/// A file for `/etc/logrotate.d`: a block for each source of files.
pub(super) fn rules(config: &Config) -> String {
    let mut text = format!(
        "\
# Logs of other programs, rotated for tollhouse. Written by `tollhouse export logrotate`.
#   try:           logrotate --debug THIS
#   put in force:  as /etc/logrotate.d/tollhouse, owned by root, mode 0644
# Lines are collected across a rotation whatever its way is. The journal ({}) is not
# named here: the house rotates it itself, by `logging.rotate` and `logging.keep`.
",
        config.journal_file().display()
    );
    let mut seen: Vec<&str> = Vec::new();
    for source in &config.sources {
        let SourceKind::File(file) = &source.kind else { continue };
        // logrotate refuses a file that is named twice.
        let paths: Vec<&str> = file.paths.iter().map(String::as_str).filter(|path| !seen.contains(path)).collect();
        seen.extend(&paths);
        if !paths.is_empty() {
            text += &block(&source.name, &paths, &way(file));
        }
    }
    if seen.is_empty() {
        text.push_str("\n# No source of files is configured (`sources`).\n");
    }
    text
}

fn way(file: &FileSource) -> Way {
    match file.format {
        _ if file.rotate.is_some() => Way::House,
        LineFormat::Nginx => Way::Told("[ ! -f /run/nginx.pid ] || kill -USR1 \"$(cat /run/nginx.pid)\""),
        LineFormat::Openclaw | LineFormat::Clawdbot => Way::Itself,
        _ => Way::Copied,
    }
}

fn block(name: &str, paths: &[&str], way: &Way) -> String {
    let mut text = format!("\n# sources.{name}\n");
    if matches!(way, Way::Itself) {
        let _ = writeln!(text, "# {}: OpenClaw rotates by itself (`logging.maxFileBytes`).", paths.join(" "));
        return text;
    }
    if matches!(way, Way::House) {
        let _ = writeln!(text, "# {}: the house rotates it itself (`rotate`).", paths.join(" "));
        return text;
    }
    for path in paths {
        let _ = writeln!(text, "{}", quoted(path));
    }
    text.push_str("{\n    daily\n    rotate 30\n    maxsize 256M\n    missingok\n    notifempty\n");
    text.push_str("    compress\n    delaycompress\n");
    match way {
        Way::Told(command) => {
            let _ = write!(text, "    create\n    sharedscripts\n    postrotate\n        {command}\n    endscript\n");
        }
        Way::Copied | Way::Itself | Way::House => text.push_str(
            "    # What is written between the copy and the emptying is lost. Where the program can be told to open its file\n    \
             # anew, replace this by `create` and a `postrotate` that tells it.\n    copytruncate\n",
        ),
    }
    text.push_str("}\n");
    text
}

/// A path as logrotate reads it; `**` is known to the collector alone, and means folders of one level here.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace("**", "*").replace('\\', "\\\\").replace('"', "\\\""))
}
