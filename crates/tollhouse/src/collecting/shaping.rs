//! What becomes of a line between its reading and its record: the cap on its pattern, the programs and the kinds of its source.
//!
//! ```text
//! entry ──cap──▶ ──programs, in the order of the file──▶ ──kinds──▶ record of kind `log`
//!         │          │ abort or an error                            record of kind `dead_letter`, with the reason, the line as it
//!         │          │                                              came, and what was read of it
//!         └──────────┴ left out: counted, and told in a record of kind `process`
//! ```
//!
//! A program sees the line's own fields, `msg`, `level`, `time` and `parse_error`, and besides them `source` and what is known of where
//! the line comes from. What it makes of the latter becomes a field of the line (`own_source`): the record's own are written
//! after it, so that no program can change where a line came from, and how far was read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tollhouse_collect::formats::{Entry, Format, Verbatim};
use tollhouse_config::{Config, LineCap, OnAbort, ProgramFault, ShapeConfig, SourceKind, Vrl};
use tollhouse_journal::{Level, Record};
use tollhouse_remap::{Fault, Program, Stopped};
use tollhouse_shape::{Cap, Kinds, LeftOut};

use crate::collecting::came::Came;
use crate::collecting::lines;
use crate::wiring;

/// Kind of the record of a line that could not be shaped.
pub(crate) const DEAD_LETTER: &str = "dead_letter";
/// How often lines are told that were left out on purpose.
const TELL_DROPPED_EVERY: Duration = Duration::from_secs(10);

/// The `shape` of a configuration, compiled.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    shapes: Vec<Shape>,
    /// By name of the source: the format that its lines have; absent where they show it.
    formats: BTreeMap<String, Format>,
}

#[derive(Debug)]
struct Shape {
    config: ShapeConfig,
    program: Option<Arc<Program>>,
}

/// What holds for one source.
#[derive(Debug, Default)]
pub(crate) struct SourceShape {
    programs: Vec<Named>,
    kinds: Kinds,
    cap: Option<LineCap>,
}

#[derive(Debug)]
struct Named {
    name: String,
    program: Arc<Program>,
    on_abort: OnAbort,
}

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Shaped {
    /// It is as its programs left it. What of it did not fit its kind.
    Line(Box<Entry>, Option<String>),
    /// A program said that it is not wanted.
    Dropped,
    /// A program failed.
    Dead(Death),
}

/// Why a line is a dead letter.
#[derive(Debug)]
pub(crate) struct Death {
    reason: String,
    program: String,
    /// The line as it was before the first program.
    event: Map<String, Value>,
}

impl Shapes {
    /// Compiles all programs, and tells all that is wrong with them at once.
    pub(crate) fn compile(config: &Config) -> anyhow::Result<Self> {
        let (mut shapes, mut faults) = (Vec::new(), Vec::new());
        for shape in &config.shape {
            let compiled = shape.vrl.as_ref().map(|vrl| (vrl, Program::compile(&vrl.text)));
            let program = match compiled {
                Some((vrl, Err(found))) => {
                    faults.extend(found.0.into_iter().map(|fault| (vrl, told(fault))));
                    None
                }
                Some((_, Ok(program))) => Some(Arc::new(program)),
                None => None,
            };
            shapes.push(Shape { config: shape.clone(), program });
        }
        if let Some(errors) = Vrl::errors(faults) {
            return Err(errors.into());
        }
        for shape in &config.shape {
            wiring::kinds(&shape.fields)?;
        }
        Ok(Self { shapes, formats: formats_of(config) })
    }

    /// The format that a source is configured with; none where its lines show it.
    pub(super) fn format_of(&self, source: &str) -> Option<Format> {
        self.formats.get(source).copied()
    }

    /// What holds for a source: all programs, the last of several kinds of a field, the last cap.
    pub(crate) fn of(&self, source: &str) -> SourceShape {
        let mut of_source = SourceShape::default();
        let mut fields = Vec::new();
        for Shape { config, program } in self.shapes.iter().filter(|shape| shape.config.is_about(source)) {
            if let Some((vrl, program)) = config.vrl.as_ref().zip(program.clone()) {
                of_source.programs.push(Named { name: vrl.name().to_owned(), program, on_abort: config.on_abort });
            }
            fields.extend(config.fields.iter().cloned());
            of_source.cap = config.cap.or(of_source.cap);
        }
        // They were checked one by one.
        of_source.kinds = wiring::kinds(&fields).unwrap_or_default();
        of_source
    }
}

fn formats_of(config: &Config) -> BTreeMap<String, Format> {
    let format = |kind: &SourceKind| match kind {
        SourceKind::File(source) => wiring::line_format(source.format),
        SourceKind::Http(source) => wiring::line_format(source.format),
        SourceKind::Journald(source) => wiring::line_format(source.format),
        SourceKind::Stdin(format) | SourceKind::Process(format) => wiring::line_format(*format),
        SourceKind::Listen(_) => None,
    };
    config.all_sources().into_iter().filter_map(|source| Some((source.name, format(&source.kind)?))).collect()
}

/// A fault of a program as the configuration tells it.
pub(crate) fn told(fault: Fault) -> ProgramFault {
    let Fault { message, line, column, width, text, hint } = fault;
    ProgramFault { message, line, column, width, text, hint }
}

impl SourceShape {
    /// Whether anything of it looks at the fields of a line.
    fn looks_at_fields(&self) -> bool {
        !(self.programs.is_empty() && self.kinds.is_empty())
    }

    /// What becomes of a line. `given` is what programs may read besides, and not change.
    pub(crate) fn shape(&self, mut entry: Entry, given: &[(&str, &str)]) -> Shaped {
        if !self.programs.is_empty() {
            let event = entry.event();
            match self.run(event.clone(), given) {
                Ok(Some(shaped)) => {
                    let (is_cut, has_bytes) = (entry.is_cut, entry.has_bytes);
                    entry = shaped;
                    entry.is_cut |= is_cut;
                    entry.has_bytes = has_bytes;
                }
                Ok(None) => return Shaped::Dropped,
                Err((reason, program)) => return Shaped::Dead(Death { reason, program: program.to_owned(), event }),
            }
        }
        let problems = self.kinds.bring(&mut entry.fields);
        Shaped::Line(Box::new(entry), problems)
    }

    /// The line after all programs, nothing when it is not wanted, or why there is none and by which program.
    fn run(&self, mut event: Map<String, Value>, given: &[(&str, &str)]) -> Result<Option<Entry>, (String, &str)> {
        for Named { name, program, on_abort } in &self.programs {
            for (known, value) in given {
                event.insert((*known).to_owned(), (*value).into());
            }
            event = match program.run(event) {
                Ok(event) => event,
                Err(Stopped::Aborted(_)) if *on_abort == OnAbort::Drop => return Ok(None),
                Err(stopped) => return Err((stopped.to_string(), name.as_str())),
            };
            for (known, value) in given {
                if event.get(*known).is_some_and(|left| left == value) {
                    event.shift_remove(*known);
                }
            }
        }
        let last = self.programs.last().map_or("", |program| program.name.as_str());
        Entry::of_event(event).map(Some).map_err(|error| (error.to_string(), last))
    }
}

impl Death {
    /// Why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// The record of the line. `beside` adds what is known of how it came.
    fn record(
        self,
        caller: &'static str,
        source: &str,
        came: Option<&Came<'_>>,
        beside: impl FnOnce(Record) -> Record,
    ) -> Record {
        let Self { reason, program, event } = self;
        let record = Record::new(DEAD_LETTER, Level::Error, "a line could not be shaped")
            .caller(caller)
            .field("source", source)
            .field("reason", reason)
            .field("program", program);
        let record = beside(record).field("event", event);
        match came {
            Some(came) => came.keep(record),
            None => record,
        }
    }
}

/// The shaping of one source at work.
#[derive(Debug)]
pub(crate) struct Shaping {
    source: String,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    from: watch::Receiver<Arc<Shapes>>,
    shape: Arc<SourceShape>,
    cap: Option<Cap>,
    /// Of a cap that is not in force any more.
    left_out: Option<LeftOut>,
    dropped: u64,
    dropped_first: Option<Instant>,
    counts: Counts,
}

/// Lines since the source began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// They became records of kind `log`.
    pub(crate) lines: u64,
    /// A program failed on them.
    pub(crate) dead_letters: u64,
    /// A program dropped them.
    pub(crate) dropped: u64,
    /// There were too many of their pattern.
    pub(crate) suppressed: u64,
}

impl Shaping {
    /// Shapes the lines of this source as the configuration in force says at each moment.
    pub(super) fn new(source: &str, mut from: watch::Receiver<Arc<Shapes>>) -> Self {
        let shape = Arc::new(from.borrow_and_update().of(source));
        let cap = shape.cap.map(|LineCap { lines, per }| Cap::new(lines, per));
        let (left_out, dropped, dropped_first, counts) = (None, 0, None, Counts::default());
        let state = State { from, shape, cap, left_out, dropped, dropped_first, counts };
        Self { source: source.to_owned(), began: Instant::now(), state: Mutex::new(state) }
    }

    /// The name of the source.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The record of a line; nothing when it is left out. `came` is the line as it was before it was read, where there is one; `given` is
    /// what programs may read besides the line, `beside` adds what is known of how it came.
    pub(super) fn record(
        &self,
        caller: &'static str,
        entry: Entry,
        came: Option<&Came<'_>>,
        given: &[(&str, &str)],
        beside: impl FnOnce(Record) -> Record,
    ) -> Option<Record> {
        let shape = self.admit(&entry.text)?;
        self.shaped(&shape, caller, entry, came, given, beside)
    }

    /// Whether fields of lines go into their records as they stand: then [`Shaping::record_of_verbatim`] costs less.
    pub(super) fn takes_verbatim(&self) -> bool {
        !self.renewed().shape.looks_at_fields()
    }

    /// As [`Shaping::record`], for a line of which only that was read which a record needs.
    pub(super) fn record_of_verbatim(
        &self,
        caller: &'static str,
        line: Verbatim<'_>,
        came: Option<&Came<'_>>,
        given: &[(&str, &str)],
        beside: impl FnOnce(Record) -> Record,
    ) -> Option<Record> {
        let shape = self.admit(&line.text)?;
        if shape.looks_at_fields() {
            // It does since a moment ago.
            return self.shaped(&shape, caller, line.into(), came, given, beside);
        }
        self.state().counts.lines += 1;
        Some(lines::record_of_verbatim(caller, &self.source, line, beside))
    }

    /// The record of a line that is not one too many.
    fn shaped(
        &self,
        shape: &SourceShape,
        caller: &'static str,
        entry: Entry,
        came: Option<&Came<'_>>,
        given: &[(&str, &str)],
        beside: impl FnOnce(Record) -> Record,
    ) -> Option<Record> {
        let (is_cut, has_bytes) = (entry.is_cut, entry.has_bytes);
        let known: Vec<(&str, &str)> =
            [("source", self.source.as_str())].into_iter().chain(given.iter().copied()).collect();
        match shape.shape(entry, &known) {
            Shaped::Line(entry, problems) => {
                self.state().counts.lines += 1;
                let record = lines::record(caller, &self.source, *entry, beside);
                Some(match problems {
                    Some(problems) => record.field("ingest_error", problems),
                    None => record,
                })
            }
            Shaped::Dropped => {
                let mut state = self.state();
                (state.dropped, state.counts.dropped) = (state.dropped + 1, state.counts.dropped + 1);
                state.dropped_first.get_or_insert_with(Instant::now);
                None
            }
            Shaped::Dead(death) => {
                self.state().counts.dead_letters += 1;
                Some(death.record(caller, &self.source, came, |record| {
                    let record = beside(record);
                    let record = if is_cut { record.field("cut", true) } else { record };
                    if has_bytes { record.field("utf8", false) } else { record }
                }))
            }
        }
    }

    /// What holds for a line, unless it is one too many of its pattern.
    fn admit(&self, text: &str) -> Option<Arc<SourceShape>> {
        let mut state = self.renewed();
        let State { cap, shape, counts, .. } = &mut *state;
        if let Some(cap) = cap
            && !cap.take(text, self.began.elapsed(), Timestamp::now().as_millisecond())
        {
            counts.suppressed += 1;
            return None;
        }
        Some(shape.clone())
    }

    /// When there is something to tell; see [`Shaping::left_out`].
    pub(super) fn due(&self) -> Option<Instant> {
        let state = self.state();
        let capped = match (&state.left_out, &state.cap) {
            (Some(_), _) => Some(self.began),
            (None, Some(cap)) => cap.due().map(|due| self.began + due),
            (None, None) => None,
        };
        let dropped = state.dropped_first.map(|first| first + TELL_DROPPED_EVERY);
        capped.into_iter().chain(dropped).min()
    }

    /// The record of what was left out in times that are over; with `all`, of all that was not told yet. Who appends it adds how
    /// far was read with those lines.
    pub(super) fn left_out(&self, caller: &'static str, all: bool) -> Option<Record> {
        let mut state = self.state();
        let dropped_is_due = state.dropped_first.is_some_and(|first| all || first.elapsed() >= TELL_DROPPED_EVERY);
        let at = self.began.elapsed();
        let capped = match &mut state.cap {
            Some(cap) if all => cap.finish(),
            Some(cap) => cap.left_out(at),
            None => None,
        };
        let LeftOut { lines, patterns, other_patterns } = match (capped, state.left_out.take()) {
            (Some(mut now), Some(before)) => {
                now.lines += before.lines;
                now.other_patterns += before.other_patterns + before.patterns.len() as u64;
                now
            }
            (now, before) => now.or(before).unwrap_or_default(),
        };
        if lines == 0 && !dropped_is_due {
            return None;
        }
        state.dropped_first = None;
        let dropped = std::mem::take(&mut state.dropped);
        let mut record = Record::new("process", Level::Warn, "lines were left out").caller(caller);
        record = record.field("source", &self.source);
        if lines > 0 {
            let patterns: Vec<Value> = patterns
                .iter()
                .map(|told| {
                    json!({"pattern": told.pattern, "count": told.lines, "first": time(told.first_ms), "last": time(told.last_ms)})
                })
                .collect();
            record = record.field("suppressed", lines).field("patterns", patterns);
            if other_patterns > 0 {
                record = record.field("other_patterns", other_patterns);
            }
        }
        Some(if dropped > 0 { record.field("dropped", dropped) } else { record })
    }

    /// What became of its lines until now.
    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Adds how many lines have no record of kind `log`, where there are such.
    pub(super) fn with_counts(&self, record: Record) -> Record {
        let Counts { dead_letters, dropped, suppressed, .. } = self.counts();
        [("dead_letters", dead_letters), ("dropped_lines", dropped), ("suppressed", suppressed)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .fold(record, |record, (name, count)| record.field(name, count))
    }

    /// The state by the configuration that is in force.
    fn renewed(&self) -> std::sync::MutexGuard<'_, State> {
        let mut state = self.state();
        if state.from.has_changed().unwrap_or_default() {
            state.renew(&self.source);
        }
        state
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nobody panics while it is held; and if so, counts are still counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn renew(&mut self, source: &str) {
        self.shape = Arc::new(self.from.borrow_and_update().of(source));
        let wanted = self.shape.cap;
        let stays = match (&self.cap, wanted) {
            (Some(cap), Some(LineCap { lines, per })) => cap.is(lines, per),
            (None, None) => true,
            _ => false,
        };
        if !stays {
            let before = self.cap.as_mut().and_then(Cap::finish);
            self.left_out = self.left_out.take().or(before);
            self.cap = wanted.map(|LineCap { lines, per }| Cap::new(lines, per));
        }
    }
}

fn time(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollhouse_collect::formats;

    use super::*;

    fn shapes(text: &str) -> Shapes {
        let text = format!("sources: {{app: {{type: stdin}}}}\n{text}");
        let config = tollhouse_config::parse(&text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        Shapes::compile(&config).unwrap()
    }

    fn shaped(text: &str, line: &str) -> Shaped {
        shapes(text).of("app").shape(formats::beats(line.as_bytes()), &[("source", "app"), ("file", "/a")])
    }

    #[test]
    fn all_entries_about_a_source_hold_in_their_order() {
        let config = "shape: [{source: app, vrl: '.a = 1'}, {source: '*', vrl: '.b = .a', fields: {b: text}}, {source: 'x*', vrl: 'del(.a)'}]";
        let Shaped::Line(entry, None) = shaped(config, r#"{"msg":"m"}"#) else { panic!("not a line") };
        assert_eq!(Value::from(entry.fields), json!({"a": 1, "b": "1"}));
    }

    #[test]
    fn a_program_sees_where_a_line_comes_from_and_cannot_change_it() {
        let config = "shape:
  - source: app
    vrl: |
      .from = .file
      .source = \"other\"
      .seq = 7
      .file_mark = [1]
";
        let Shaped::Line(entry, None) = shaped(config, r#"{"msg":"m"}"#) else { panic!("not a line") };
        let expected = json!({"from": "/a", "own_source": "other", "own_seq": 7, "own_file_mark": [1]});
        assert_eq!(Value::from(entry.fields), expected);
    }

    #[test]
    fn abort_and_errors_are_dead_letters_unless_they_are_wanted() {
        let program = "vrl: 'if .level == \"debug\" { abort \"noise\" }; .took = to_int!(.took)'";
        let of = |on_abort: &str, line: &str| shaped(&format!("shape: [{{source: app, {program}{on_abort}}}]"), line);
        let Shaped::Dead(death) = of("", r#"{"level":"debug"}"#) else { panic!("no dead letter") };
        assert_eq!((death.reason.as_str(), death.program.as_str()), ("noise", "shape[0].vrl"));
        assert!(matches!(of(", on_abort: drop", r#"{"level":"debug"}"#), Shaped::Dropped));
        let Shaped::Dead(death) = of(", on_abort: drop", r#"{"took":"x","msg":"m"}"#) else { panic!("no dead letter") };
        assert!(death.reason.contains("to_int"), "{}", death.reason);
        assert_eq!(Value::from(death.event), json!({"took": "x", "msg": "m"}));
        let Shaped::Dead(death) = shaped("shape: [{source: app, vrl: '.level = 1000'}]", "{}") else {
            panic!("no dead letter")
        };
        assert!(death.reason.contains(".level"), "{}", death.reason);
    }

    #[test]
    fn what_is_wrong_with_programs_is_told_with_places() {
        let text = "sources: {app: {type: stdin}}\nshape:\n  - source: app\n    vrl: |\n      .a = 1\n      .b = http_request!(\"x\")\n  - {source: app, vrl: '.c ='}\n";
        let config = tollhouse_config::parse(text, "x.yaml", &|_| None).unwrap();
        let error = Shapes::compile(&config).unwrap_err();
        let told = error.downcast_ref::<tollhouse_config::ConfigErrors>().unwrap().to_string();
        assert!(told.contains("x.yaml:5:7: `shape[0].vrl`: programs have no function `http_request`: it reaches the network, in line 2, column 6 of the program"), "{told}");
        assert!(told.contains(" 2 | .b = http_request!(\"x\")\n   |      ^^^^^^^^^^^^"), "{told}");
        assert!(told.contains("`shape[1].vrl`"), "{told}");
    }

    #[test]
    fn lines_too_many_are_told_once() {
        let (_to, from) = watch::channel(Arc::new(shapes("shape: [{source: app, cap: {lines: 2, per: 1s}}]")));
        let shaping = Shaping::new("app", from);
        let of = |text: &str| {
            shaping
                .record("collect/file", Entry { text: text.to_owned(), ..Entry::default() }, None, &[], |record| record)
        };
        let kept = (0..5).filter(|number| of(&format!("crash {number}")).is_some()).count();
        assert_eq!((kept, of("another").is_some()), (2, true));
        assert!(shaping.due().is_some());
        assert!(shaping.left_out("collect/file", true).is_some() && shaping.left_out("collect/file", true).is_none());
        assert_eq!(shaping.due(), None);
    }

    proptest! {
        /// Whatever a program leaves, the fields that the house writes itself are not among the line's own.
        #[test]
        fn no_program_takes_the_place_of_the_house(
            name in prop::sample::select(formats::HOUSE_NAMES.to_vec()), value in "[0-9]{1,5}",
        ) {
            prop_assume!(!["msg", "level", "time", "parse_error", "overflow"].contains(&name));
            let config = format!("shape: [{{source: app, vrl: '.{name} = {value}'}}]");
            let Shaped::Line(entry, None) = shaped(&config, r#"{"msg":"m"}"#) else { panic!("not a line") };
            let own = format!("own_{}", name.trim_start_matches('_'));
            prop_assert_eq!(entry.fields.keys().collect::<Vec<_>>(), [&own]);
        }
    }
}
