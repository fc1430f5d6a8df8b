//! YAML text to a tree of nodes that know their place and their path.
//!
//! It is built from the parser's events without recursion, so that no file, however odd, can exhaust the stack or the memory:
//! depth, number of nodes and the copies that aliases make are bounded here. A key that comes twice is told and the tree
//! goes on; after an error of syntax there is no tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::{
    problem::{Place, Problem, shown},
    saying::Saying,
    source::Mask,
};

/// How deep lists and mappings may be nested.
const DEPTH_MAX: usize = 32;
/// How many values a file may hold, those included that aliases repeat.
const NODES_MAX: usize = 50_000;

/// A problem after which there is no tree. Boxed, since it is large and rare.
pub(crate) type Fatal = Box<Problem>;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// Where it ends, line and column.
    end: (usize, usize),
    /// The place of the key that it belongs to.
    pub key_place: Option<Place>,
    /// The way to it from the root, as `access.keys[0].id`; empty for the root.
    pub path: String,
    /// What stands there.
    pub data: Data,
}

/// What a node can hold.
#[derive(Clone, Debug)]
pub enum Data {
    /// A single value.
    Scalar {
        /// As it is written, without quotes.
        text: String,
        /// Written without quotes, so that it may be a number, a truth value or null.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// Keys with values.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub name_place: Place,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Nothing is written here: `~`, `null` or an empty place.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if is_null(text))
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            Data::Scalar { .. } | Data::List(_) => None,
        }
    }

    /// A list or mapping with nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.data {
            Data::List(items) => items.is_empty(),
            Data::Map(entries) => entries.is_empty(),
            Data::Scalar { .. } => false,
        }
    }

    /// The nodes right below this one.
    pub(crate) fn children(&self) -> Box<dyn DoubleEndedIterator<Item = &Self> + '_> {
        match &self.data {
            Data::Scalar { .. } => Box::new(std::iter::empty()),
            Data::List(items) => Box::new(items.iter()),
            Data::Map(entries) => Box::new(entries.iter().map(|entry| &entry.value)),
        }
    }

    /// This node and all below it, in the order of the text.
    pub(crate) fn all(&self) -> Vec<&Self> {
        let mut all = Vec::new();
        let mut waiting = vec![self];
        while let Some(node) = waiting.pop() {
            all.push(node);
            waiting.extend(node.children().rev());
        }
        all
    }

    /// The range of the text that the node covers.
    pub(crate) fn mask(&self) -> Mask {
        Mask { from: (self.place.line, self.place.column), to: self.end }
    }
}

/// Whether plain text means nothing (YAML 1.2.2, 10.3.2).
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A path with one more key.
pub(crate) fn join(path: &str, name: &str) -> String {
    let simple = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match (path.is_empty(), simple) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{name:?}"),
        (false, true) => format!("{path}.{name}"),
        (false, false) => format!("{path}.{name:?}"),
    }
}

/// The only document of `text`; `None` when there is none (nothing but comments). Problems that do not keep the tree from being
/// built are added to `problems`.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Result<Option<Node>, Fatal> {
    let mut builder =
        Builder { problems, root: None, frames: Vec::new(), anchors: HashMap::new(), nodes_left: NODES_MAX };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax_problem(&error))?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let problem = Problem::new(Some(place(span)), Saying::SecondDocument {});
                return Err(problem.expected(Saying::OneDocument {}).hint(Saying::NoDocumentLine {}).into());
            }
        }
        builder.event(event, span)?;
    }
    Ok(builder.root)
}

struct Builder<'p> {
    problems: &'p mut Vec<Problem>,
    root: Option<Node>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes_left: usize,
}

/// A list or mapping whose end has not come yet.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key that waits for its value. Only in mappings.
    key: Option<Key>,
    /// Lines of the keys seen so far. Only in mappings.
    seen: HashMap<String, usize>,
}

struct Key {
    name: String,
    place: Place,
    /// Whether its value is left out, because the key came before or is no text.
    skip: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let data = Data::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                let node = self.node(span, data)?;
                self.add(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open(span, Data::List(Vec::new()), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open(span, Data::Map(Vec::new()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut frame) = self.frames.pop() else { return Ok(()) };
                frame.node.end = position(span.start);
                self.add(frame.node, frame.anchor)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn refuse_tag(&mut self, has_tag: bool, span: Span) {
        if has_tag {
            let problem = Problem::new(Some(place(span)), Saying::Tag {}).expected(Saying::NoTag {});
            self.problems.push(problem.hint(Saying::QuoteExclamation {}));
        }
    }

    fn open(&mut self, span: Span, data: Data, anchor: usize) -> Result<(), Fatal> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(too_deep(span));
        }
        let node = self.node(span, data)?;
        self.frames.push(Frame { node, anchor, key: None, seen: HashMap::new() });
        Ok(())
    }

    /// A node for the place where the parser is now.
    fn node(&mut self, span: Span, data: Data) -> Result<Node, Fatal> {
        self.spend(1, place(span))?;
        let (path, key_place) = match self.frames.last() {
            None => (String::new(), None),
            Some(Frame { node: Node { data: Data::List(items), path, .. }, .. }) => {
                (format!("{path}[{}]", items.len()), None)
            }
            Some(Frame { node, key: Some(key), .. }) => (join(&node.path, &key.name), Some(key.place)),
            Some(Frame { node, key: None, .. }) => (node.path.clone(), None),
        };
        Ok(Node { place: place(span), end: position(span.end), key_place, path, data })
    }

    fn spend(&mut self, nodes: usize, place: Place) -> Result<(), Fatal> {
        let Some(left) = self.nodes_left.checked_sub(nodes) else {
            let problem = Problem::new(Some(place), Saying::TooManyValues {});
            return Err(problem.expected(Saying::AtMost { most: NODES_MAX as u64 }).into());
        };
        self.nodes_left = left;
        Ok(())
    }

    /// Repeats an anchor's value at the place of the alias.
    fn alias(&mut self, id: usize, span: Span) -> Result<(), Fatal> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Problem::new(Some(place(span)), Saying::AliasInside {}).into());
        };
        let Size { nodes, depth } = size(anchored);
        let data = anchored.data.clone();
        self.spend(nodes, place(span))?;
        if self.frames.len() + depth > DEPTH_MAX + 1 {
            return Err(too_deep(span));
        }
        let node = self.node(span, data)?;
        self.add(node, 0)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        if anchor > 0 {
            self.spend(size(&node).nodes, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        let entries = match &mut frame.node.data {
            Data::List(items) => {
                items.push(node);
                return Ok(());
            }
            Data::Map(entries) => entries,
            Data::Scalar { .. } => return Ok(()),
        };
        match frame.key.take() {
            Some(key) if key.skip => {}
            Some(key) => entries.push(Entry { name: key.name, name_place: key.place, value: node }),
            None => frame.key = Some(take_key(node, &mut frame.seen, self.problems)),
        }
        Ok(())
    }
}

fn take_key(node: Node, seen: &mut HashMap<String, usize>, problems: &mut Vec<Problem>) -> Key {
    let Data::Scalar { text: name, .. } = node.data else {
        let problem = Problem::new(Some(node.place), Saying::KeyNoText {}).expected(Saying::TextAsKey {});
        problems.push(problem.hint(Saying::QuoteBraces {}));
        return Key { name: String::new(), place: node.place, skip: true };
    };
    let first_line = seen.get(&name).copied();
    if let Some(line) = first_line {
        let problem = Problem::new(Some(node.place), Saying::KeyTwice { key: shown(&name) });
        problems.push(problem.expected(Saying::KeyOnce { line }));
    } else {
        seen.insert(name.clone(), node.place.line);
    }
    let skip = first_line.is_some();
    Key { name, place: node.place, skip }
}

fn too_deep(span: Span) -> Fatal {
    Problem::new(Some(place(span)), Saying::TooDeep {}).expected(Saying::AtMostLevels { most: DEPTH_MAX }).into()
}

/// How large a value is.
struct Size {
    nodes: usize,
    /// Levels, the value itself included.
    depth: usize,
}

fn size(node: &Node) -> Size {
    let children: Vec<Size> = match &node.data {
        Data::Scalar { .. } => Vec::new(),
        Data::List(items) => items.iter().map(size).collect(),
        Data::Map(entries) => entries.iter().map(|entry| size(&entry.value)).collect(),
    };
    Size {
        nodes: 1 + children.iter().map(|child| child.nodes).sum::<usize>(),
        depth: 1 + children.iter().map(|child| child.depth).max().unwrap_or(0),
    }
}

/// The parser's words about an error of syntax, with the advice that fits them.
fn syntax_problem(error: &ScanError) -> Fatal {
    let advice = [
        ("tab", Saying::YamlTab {}),
        ("unknown anchor", Saying::YamlStar {}),
        ("anchor", Saying::YamlStarOrAnd {}),
        ("quoted scalar", Saying::YamlQuote {}),
        ("double-quoted", Saying::YamlQuoteOrComma {}),
        ("flow", Saying::YamlFlow {}),
        ("mapping values", Saying::YamlColon {}),
        ("block mapping", Saying::YamlLine {}),
        ("illegal placement", Saying::YamlBracketOrQuote {}),
        ("unexpected character", Saying::YamlCharacter {}),
        ("node content", Saying::YamlValue {}),
        ("simple key", Saying::YamlLine {}),
    ];
    let span = Span::empty(*error.marker());
    // The parser's own bound, which it meets before ours where it looks far ahead for a `:`.
    if error.info() == "recursion limit exceeded" {
        return too_deep(span);
    }
    let problem = Problem::new(Some(place(span)), Saying::Yaml { error: error.info().to_owned() });
    match advice.into_iter().find(|(words, _)| error.info().contains(words)) {
        Some((_, hint)) => problem.hint(hint).into(),
        None => problem.into(),
    }
}

fn place(span: Span) -> Place {
    let (line, column) = position(span.start);
    let width = if span.start.line() == span.end.line() { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    Place { line, column, width: width.max(1) }
}

fn position(marker: saphyr_parser::Marker) -> (usize, usize) {
    (marker.line().max(1), marker.col() + 1)
}
