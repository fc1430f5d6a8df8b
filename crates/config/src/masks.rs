//! The text of a file as it may be shown: secrets masked, and put back where a mask was left standing.

use std::ops::Range;

use crate::{
    decode::secret_nodes,
    problem::{ConfigErrors, Problem},
    source::{Source, secret_range},
    tree::{self, Data, Node},
};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A text with its secrets in it again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unmasked {
    /// The text. A mask still stands where the secret is missing.
    pub text: String,
    /// Paths of masks that stand where the current text has no secret: those have to be entered anew.
    pub missing: Vec<String>,
}

/// The text of a file as it may be shown: secrets are `"***"`, in comments too where they look like one. `file_name` is only
/// used in messages.
///
/// # Errors
/// What keeps the values from being told apart: a text that is not YAML, or has a key twice. Such a text is not shown.
pub fn mask(text: &str, file_name: &str) -> Result<String, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = |problems| {
        let source = Source::new(text);
        ConfigErrors::new(file_name, problems, 0, |problem| source.illustrate(problem))
    };
    let root = read(text).map_err(refused)?;
    let pieces = pieces(text, root.as_ref());
    let shown = replaced(text, pieces.iter().map(|piece| (piece.range.clone(), piece.mask().to_owned())).collect());
    let masked = read(&shown).ok().flatten();
    let is_masked = |path: &str| pieces.iter().any(|piece| piece.path.as_deref() == Some(path));
    if !same(root.as_ref(), masked.as_ref(), &is_masked) {
        let problem = Problem::new(None, "its secrets cannot be told apart from the rest, so it is not shown");
        return Err(refused(vec![problem.hint("write each secret in one line, without an anchor")]));
    }
    Ok(shown)
}

/// Puts the secrets of `current` back where `text` has a mask at their path.
///
/// Inside of lists, whose items have no names, that is only done for an item that was left as it was.
pub fn unmask(text: &str, current: &str) -> Unmasked {
    let current = current.strip_prefix('\u{feff}').unwrap_or(current);
    let kept = || Unmasked { text: text.to_owned(), missing: Vec::new() };
    // What cannot be read is told by `parse`.
    let (Ok(Some(root)), Ok(before)) = (read(text), read(current)) else { return kept() };
    let pieces = pieces(current, before.as_ref());
    let lines = Lines::new(text);
    let (mut missing, mut changes) = (Vec::new(), Vec::new());
    for node in root.all() {
        if !matches!(&node.data, Data::Scalar { text, .. } if text == MASK) {
            continue;
        }
        let secret = pieces.iter().find(|piece| piece.path.as_deref() == Some(node.path.as_str()));
        match secret.filter(|_| is_same_item(&node.path, &root, before.as_ref(), &pieces)) {
            Some(secret) => changes.push((lines.range(node), secret.written(current))),
            None => missing.push(node.path.clone()),
        }
    }
    let mut comments: Vec<&Piece> = pieces.iter().filter(|piece| piece.path.is_none()).collect();
    for (line, range) in comment_ranges(text, Some(&root)) {
        if !text[range.clone()].ends_with(MASK) {
            continue;
        }
        let before_mask = &text[line.start..range.end - MASK.len()];
        let is_of_line = |piece: &&Piece| current[..piece.range.start].ends_with(before_mask);
        if let Some(at) = comments.iter().position(is_of_line) {
            let secret = comments.remove(at);
            changes.push((range.end - MASK.len()..range.end, current[secret.range.clone()].to_owned()));
        }
    }
    Unmasked { text: replaced(text, changes), missing }
}

/// A part of a text that is not shown.
struct Piece {
    range: Range<usize>,
    /// The way to the value; `None` in a comment.
    path: Option<String>,
    /// The value.
    value: String,
}

impl Piece {
    fn mask(&self) -> &'static str {
        if self.path.is_some() { "\"***\"" } else { MASK }
    }

    /// As it stands in a text; of several lines, as a quoted text in one, which is right wherever it stands.
    fn written(&self, current: &str) -> String {
        let written = &current[self.range.clone()];
        if written.contains(['\n', '\r']) { serde_json::json!(self.value).to_string() } else { written.to_owned() }
    }
}

fn read(text: &str) -> Result<Option<Node>, Vec<Problem>> {
    let mut problems = Vec::new();
    match tree::read(text, &mut problems) {
        Err(problem) => problems.push(*problem),
        Ok(root) if problems.is_empty() => return Ok(root),
        Ok(_) => {}
    }
    Err(problems)
}

/// What is not shown, in the order of the text.
fn pieces(text: &str, root: Option<&Node>) -> Vec<Piece> {
    let lines = Lines::new(text);
    let mut pieces: Vec<Piece> = Vec::new();
    for node in root.into_iter().flat_map(secret_nodes) {
        let Data::Scalar { text: value, plain } = &node.data else { continue };
        let mut range = lines.range(node);
        if !plain && !text[range.clone()].starts_with(['"', '\'']) {
            range.start = block_start(text, range.start);
        }
        // Aliases repeat values.
        if pieces.iter().all(|piece| piece.range != range) {
            pieces.push(Piece { range, path: Some(node.path.clone()), value: value.clone() });
        }
    }
    for (_, range) in comment_ranges(text, root) {
        let comment = &text[range.clone()];
        let from = match secret_range(comment) {
            Some((column, _)) => comment.char_indices().nth(column - 1).map(|(at, _)| at),
            None if comment.contains("://") && comment.contains('@') => comment.find("://").map(|at| at + 3),
            None => None,
        };
        if let Some(from) = from {
            pieces.push(Piece { range: range.start + from..range.end, path: None, value: String::new() });
        }
    }
    pieces.sort_by_key(|piece| piece.range.start);
    pieces
}

/// Where the `|` or `>` of a block scalar stands, whose lines begin at `lines_from`.
fn block_start(text: &str, lines_from: usize) -> usize {
    let before = &text[..lines_from];
    let is_header = |at: &usize| {
        before[at + 1..].chars().all(|c| c.is_ascii_digit() || c.is_ascii_whitespace() || matches!(c, '+' | '-'))
    };
    before.rfind(['|', '>']).filter(is_header).unwrap_or(lines_from)
}

/// Comments, each with the line that it stands in.
fn comment_ranges(text: &str, root: Option<&Node>) -> Vec<(Range<usize>, Range<usize>)> {
    let lines = Lines::new(text);
    let scalars = root.into_iter().flat_map(Node::all).filter(|node| matches!(node.data, Data::Scalar { .. }));
    let values: Vec<Range<usize>> = scalars.map(|node| lines.range(node)).collect();
    let is_value = |at: usize| values.iter().any(|range| range.contains(&at));
    let mut found = Vec::new();
    for line in &lines.ranges {
        let of_line = &text[line.clone()];
        let begins = |(at, _): &(usize, &str)| {
            let is_alone = *at == 0 || of_line[..*at].ends_with([' ', '\t']);
            is_alone && !is_value(line.start + at)
        };
        if let Some((at, _)) = of_line.match_indices('#').find(begins) {
            found.push((line.clone(), line.start + at..line.start + of_line.trim_end().len()));
        }
    }
    found
}

/// Whether a path goes through no list, or through an item that is written as it was but for its masks.
fn is_same_item(path: &str, now: &Node, before: Option<&Node>, pieces: &[Piece]) -> bool {
    let Some(end) = path.rfind(']') else { return true };
    let item = |root: &Node| root.all().into_iter().find(|node| node.path == path[..=end]).cloned();
    let is_masked = |path: &str| pieces.iter().any(|piece| piece.path.as_deref() == Some(path));
    same(before.and_then(item).as_ref(), item(now).as_ref(), &is_masked)
}

/// Whether `after` says what `before` says, with masks in the places that are masked.
fn same(before: Option<&Node>, after: Option<&Node>, is_masked: &dyn Fn(&str) -> bool) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before.is_none() == after.is_none() };
    match (&before.data, &after.data) {
        (Data::Scalar { text: before_text, .. }, Data::Scalar { text: after_text, .. }) => {
            if is_masked(&before.path) {
                after_text == MASK
            } else {
                before_text == after_text
            }
        }
        (Data::List(a), Data::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b), is_masked))
        }
        (Data::Map(a), Data::Map(b)) => {
            let same_entry = |(a, b): (&tree::Entry, &tree::Entry)| {
                a.name == b.name && same(Some(&a.value), Some(&b.value), is_masked)
            };
            a.len() == b.len() && a.iter().zip(b).all(same_entry)
        }
        _ => false,
    }
}

/// The text with some ranges, which do not overlap, replaced.
fn replaced(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, with) in changes {
        out.push_str(&text[at..range.start]);
        out.push_str(&with);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Where the lines of a text stand, without their ends.
struct Lines<'t> {
    text: &'t str,
    ranges: Vec<Range<usize>>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let (mut ranges, mut start) = (Vec::new(), 0);
        // As YAML does: at LF, CR and CR LF.
        for (at, end) in text.match_indices(['\n', '\r']) {
            let is_second_half = end == "\n" && text[..at].ends_with('\r');
            if !is_second_half {
                ranges.push(start..at);
            }
            start = at + 1;
        }
        ranges.push(start..text.len());
        Self { text, ranges }
    }

    /// What a node covers, without the blanks behind it.
    fn range(&self, node: &Node) -> Range<usize> {
        let mask = node.mask();
        let (from, to) = (self.offset(mask.from), self.offset(mask.to));
        let covered = self.text.get(from..to).unwrap_or_default().trim_end();
        from..from + covered.len()
    }

    fn offset(&self, (line, column): (usize, usize)) -> usize {
        let Some(range) = self.ranges.get(line - 1) else { return self.text.len() };
        let inside = self.text[range.clone()].char_indices().nth(column - 1).map(|(at, _)| at);
        inside.map_or(range.end, |at| range.start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# the office; old key: sk-old
service: gate # no password: here? yes
upstreams:
  a: {kind: openai, url: http://a, key: sk-1}   # 名
  b: {kind: openai, url: 'http://b', key: \"sk-2\"}
  c: {kind: openai, url: http://c, key: '${C_KEY}'}
  d:
    kind: openai
    url: http://d
    key: |
      sk-4
shared: {redis: 'redis://:pw@h'}
channels: {ops: {kind: slack, url: https://hooks.example/T0/B0}}
supervise:
  one: {command: [sleep, '9'], env: {TOKEN: t0, PLAIN: p0}}
";

    #[test]
    fn a_text_is_masked_and_comes_back_as_it_was() {
        let shown = mask(FILE, "a.yaml").unwrap();
        for secret in ["sk-", "pw", "hooks", "t0", "p0"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("key: '${C_KEY}'") && shown.contains("# 名"), "{shown}");
        let back = unmask(&shown, FILE);
        assert!(back.missing.is_empty());
        assert_eq!(back.text, FILE.replace("|\n      sk-4", "\"sk-4\\n\""), "one of several lines comes back in one");
    }

    #[test]
    fn a_secret_stays_with_its_path() {
        let shown = mask(FILE, "a.yaml").unwrap();
        let moved = shown.replace("  a: {kind", "  z: {kind");
        let Unmasked { text, missing } = unmask(&moved, FILE);
        assert_eq!(missing, ["upstreams.z.key"]);
        assert!(!text.contains("sk-1") && text.contains("sk-2"));
        let new = shown.replace("url: http://a, key: \"***\"", "url: http://a, key: sk-new");
        assert!(unmask(&new, FILE).text.contains("key: sk-new"));
        let longer = format!("x: 1\n{shown}");
        assert_eq!(unmask(&longer, FILE).text.matches("sk-").count(), 4, "lines may move");
    }

    #[test]
    fn items_of_lists_keep_theirs_only_as_they_were() {
        let file = "a:\n- {name: x, password: one}\n- {name: y, password: two}\n";
        let shown = mask(file, "a.yaml").unwrap();
        assert_eq!(unmask(&shown, file).text, file);
        let turned = "a:\n- {name: y, password: \"***\"}\n- {name: x, password: \"***\"}\n";
        assert_eq!(unmask(turned, file).missing, ["a[0].password", "a[1].password"]);
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_shown() {
        for text in ["key: sk-1\nkey: sk-2\n", "a: [", "key: &k sk-1\nname: *k\n"] {
            let errors = mask(text, "a.yaml").unwrap_err().to_string();
            assert!(!errors.contains("sk-"), "{errors}");
        }
        let anchored = "key: &k sk-1\ntoken: *k\n";
        assert_eq!(unmask(&mask(anchored, "a").unwrap(), anchored).text, anchored);
    }

    proptest::proptest! {
        #[test]
        fn any_text_that_is_shown_comes_back(text in "(key: [a-z*'\"#é ]{0,8}\n|a: [a-z#: ]{0,6}\n| {0,3}#[a-z:* ]{0,12}\n|\r\n){0,4}") {
            if let Ok(shown) = mask(&text, "a") {
                let back = unmask(&shown, &text);
                let now = read(&back.text).unwrap();
                proptest::prop_assert!(same(read(&text).unwrap().as_ref(), now.as_ref(), &|_| false), "{shown}");
            }
        }
    }
}
