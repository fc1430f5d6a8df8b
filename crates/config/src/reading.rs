//! Reads another YAML file of the house as the configuration is read: all that is wrong at once, each with its place.
//!
//! In such a file `${NAME}` stands for itself: what it means must not depend on the environment that it is read in.

use crate::{decode::secrets, load::too_large, source::Source, tree};

pub use crate::{
    decode::{Decoder, Section, Text, nearest},
    problem::{ConfigErrors, Place, Problem, shown},
    saying::{Said, Saying},
    tree::{Data, Entry, Node},
};

/// Reads a text of at most `bytes_max` bytes. `file` is only used in messages. What `read` returns counts when it noted no
/// problem.
pub fn read<T>(
    file: &str,
    text: &str,
    bytes_max: u64,
    read: impl FnOnce(&mut Decoder<'_>, &Node) -> Option<T>,
) -> Result<T, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut source = Source::new(text);
    let alone = |problem| ConfigErrors::new(file, vec![problem], 0, |_| {});
    if text.len() as u64 > bytes_max {
        return Err(alone(too_large(bytes_max)));
    }
    let mut problems = Vec::new();
    let root = match tree::read(text, &mut problems) {
        Ok(Some(root)) => root,
        Ok(None) => return Err(alone(Problem::new(None, Saying::FileEmpty {}))),
        Err(problem) => {
            problems.push(*problem);
            return Err(ConfigErrors::new(file, problems, 0, |problem| source.illustrate(problem)));
        }
    };
    source.hide(secrets(&root));
    let mut decoder = Decoder::without_variables(&source, problems);
    let value = read(&mut decoder, &root);
    let (mut problems, left_out) = decoder.finish();
    match value {
        Some(value) if problems.is_empty() => return Ok(value),
        None if problems.is_empty() => problems.push(Problem::new(Some(root.place), "this cannot be read")),
        _ => {}
    }
    Err(ConfigErrors::new(file, problems, left_out, |problem| source.illustrate(problem)))
}
