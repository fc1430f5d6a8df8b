//! The ways in: find the file, read it, parse the text.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use tollhouse_units::Bytes;

use crate::{
    config::{AlertConfig, Config},
    decode::{Decoder, secrets},
    problem::{ConfigErrors, Place, Problem},
    saying::Saying,
    sections,
    source::Source,
    tree,
};

/// Where the configuration is looked for, in this order.
const DEFAULT_FILES: [&str; 2] = ["./tollhouse.yaml", "/etc/tollhouse/tollhouse.yaml"];
/// Size of a configuration file.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The configuration file that is meant: the explicit one, whether it exists or not, else the first default one that exists.
pub fn find(explicit: Option<&Path>) -> Option<PathBuf> {
    match explicit {
        Some(path) => Some(path.to_owned()),
        None => DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// Reads a configuration file, with the variables of the process's environment.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = read_text(path, true)?;
    // A variable that is not UTF-8 cannot be part of a text; it counts as missing.
    parse(&text, &path.display().to_string(), &|name| std::env::var(name).ok())
}

/// The text of a file of bounded size. Where it is not UTF-8, the line may be shown or not.
pub(crate) fn read_text(path: &Path, shows_line: bool) -> Result<String, ConfigErrors> {
    let file_name = path.display().to_string();
    let one = |problem| ConfigErrors::new(&file_name, vec![problem], 0, |_| {});
    let bytes =
        read_bounded(path).map_err(|error| one(Problem::new(None, format!("cannot read the file: {error}"))))?;
    String::from_utf8(bytes).map_err(|error| one(not_utf8(&error, shows_line)))
}

/// Turns the text of a configuration into a [`Config`]. `file_name` is only used in messages; `env` looks up variables.
/// Nothing else is read but the secret files that the text names with `file:`.
pub fn parse(text: &str, file_name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut source = Source::new(text);
    let (mut config, problems, left_out) = decode(text, &mut source, env);
    if problems.is_empty() {
        // So that what is wrong with a program, which is found out later, can be told as everything else is.
        let shapes = config.shape.iter_mut().filter_map(|shape| shape.vrl.as_mut());
        for program in shapes.chain(config.logging.content.vrl.as_mut()) {
            file_name.clone_into(&mut program.file);
        }
        return Ok(config);
    }
    Err(ConfigErrors::new(file_name, problems, left_out, |problem| source.illustrate(problem)))
}

/// Reads the settings of one alert rule as they would stand under its name in `known`: what is not said there is as it is
/// said here, and names of channels and rules are those of `known`. Variables of the environment are not looked up.
pub fn parse_alert(name: &str, text: &str, known: &Config) -> Result<AlertConfig, ConfigErrors> {
    const FILE: &str = "rule";
    let mut source = Source::new(text);
    let mut problems = Vec::new();
    let mut alerts = known.alerts.clone();
    let mut left_out = 0;
    match tree::read(text, &mut problems) {
        Err(problem) => problems.push(*problem),
        Ok(None) => problems.push(Problem::new(None, Saying::FileEmpty {})),
        Ok(Some(root)) => {
            source.hide(secrets(&root));
            let mut decoder = Decoder::new(&source, &|_| None, problems);
            sections::alerts::alone(&mut decoder, &root, name, &mut alerts, &known.channels);
            (problems, left_out) = decoder.finish();
        }
    }
    match alerts.into_iter().find(|alert| alert.name == name).filter(|_| problems.is_empty()) {
        Some(alert) => Ok(alert),
        None => Err(ConfigErrors::new(FILE, problems, left_out, |problem| source.illustrate(problem))),
    }
}

fn decode<'t>(
    text: &'t str,
    source: &mut Source<'t>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Config, Vec<Problem>, usize) {
    if text.len() as u64 > FILE_BYTES_MAX {
        return (Config::default(), vec![too_large(FILE_BYTES_MAX)], 0);
    }
    let mut problems = Vec::new();
    match tree::read(text, &mut problems) {
        Err(problem) => {
            problems.push(*problem);
            (Config::default(), problems, 0)
        }
        Ok(None) => (Config::default(), problems, 0),
        Ok(Some(root)) if root.is_null() => (Config::default(), problems, 0),
        Ok(Some(root)) => {
            source.hide(secrets(&root));
            let mut decoder = Decoder::new(source, env, problems);
            let config = sections::read(&mut decoder, &root);
            let (problems, left_out) = decoder.finish();
            (config, problems, left_out)
        }
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed, so that `parse` sees that there is more.
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn too_large(bytes_max: u64) -> Problem {
    let size = Bytes(bytes_max).to_string();
    Problem::new(None, Saying::FileTooLarge {}).expected(Saying::AtMostSize { size })
}

fn not_utf8(error: &std::string::FromUtf8Error, shows_line: bool) -> Problem {
    let bytes = error.as_bytes();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return too_large(FILE_BYTES_MAX);
    }
    let good_text = String::from_utf8_lossy(&bytes[..error.utf8_error().valid_up_to()]);
    let line = good_text.matches('\n').count() + 1;
    let column = good_text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let mut problem = Problem::new(Some(Place { line, column, width: 1 }), Saying::FileEncoding {});
    if shows_line {
        Source::new(&String::from_utf8_lossy(bytes)).illustrate(&mut problem);
    }
    problem.hint(Saying::SaveEncoding {})
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::secret::Secret;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn an_explicit_file_is_meant_even_when_it_is_not_there() {
        assert_eq!(find(Some(Path::new("/nowhere/x.yaml"))), Some(PathBuf::from("/nowhere/x.yaml")));
    }

    #[test]
    fn loads_a_file() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "\u{feff}service: gate\r\nlisten: 127.0.0.1:1\r\n").expect("a file");
        let config = load(&path).expect("valid");
        assert_eq!(config.service, "gate");
        assert_eq!(config.listen.address.port(), 1);
    }

    #[test]
    fn a_missing_file_is_told() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        let errors = load(&path).expect_err("no file").to_string();
        assert!(errors.starts_with(&format!("{}: cannot read the file: No such file", path.display())), "{errors}");
    }

    #[test]
    fn a_file_that_is_not_utf8_is_told_with_its_place() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        fs::write(&path, b"service: gate\n# caf\xe9\n").expect("a file");
        let errors = load(&path).expect_err("not UTF-8");
        assert_eq!(errors.problems()[0].place, Some(Place { line: 2, column: 6, width: 1 }));
        assert!(errors.to_string().contains("\n 2 | # caf\u{fffd}\n   |      ^\n"), "{errors}");
    }

    #[test]
    fn a_file_that_is_too_large_is_told() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        for last in [b'#', 0xff] {
            let mut bytes = vec![b'#'; FILE_BYTES_MAX as usize];
            bytes.push(last);
            fs::write(&path, bytes).expect("a file");
            let errors = load(&path).expect_err("too large").to_string();
            assert!(errors.contains("the file is too large\n  = expected at most 1MiB"), "{errors}");
        }
    }

    #[test]
    fn secrets_come_from_files() {
        let folder = folder();
        fs::write(folder.path().join("good"), "sk-1\n").expect("a file");
        fs::write(folder.path().join("empty"), "\n").expect("a file");
        fs::write(folder.path().join("two"), "a b\n").expect("a file");
        let parse_key = |name: &str| {
            let path = folder.path().display().to_string();
            let text = format!("upstreams: {{a: {{kind: openai, url: http://a, key: \"file:${{DIR}}/{name}\"}}}}");
            parse(&text, "a.yaml", &|_| Some(path.clone()))
        };
        let config = parse_key("good").expect("valid");
        assert_eq!(config.upstreams[0].key, Some(Secret::new("sk-1")));
        assert!(!config.effective_yaml().contains("sk-1"));
        for (name, message) in
            [("empty", "it is empty"), ("none", "No such file"), ("", "it is not a file"), ("two", "unusual character")]
        {
            let errors = parse_key(name).expect_err(name).to_string();
            assert!(errors.contains(message), "{name}: {errors}");
        }
    }
}
