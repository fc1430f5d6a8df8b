//! The program of `logging.content.vrl`: what it leaves of prompts and answers before they are sealed.
//!
//! It sees one text at a time: `.text`, and besides it `.role`, `.part`, `.model` and, of a tool call, `.tool`. What it leaves in
//! `.text` is kept. What a failure says can hold what must not be kept, so that only the function that failed and its line
//! are told of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tollhouse_config::{Config, Vrl};
use tollhouse_content::{Piece, Sieve, Withheld};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_remap::{Program, Stopped};

use crate::collecting::shaping::told;

/// Where these records come from.
const CALLER: &str = "tollhouse/sieving.rs";

/// The program, compiled.
#[derive(Debug)]
pub(crate) struct ContentProgram {
    vrl: Vrl,
    program: Program,
    journal: Journal,
    /// The function that failed last, and its line. Texts pass one after the other, and are told of before the next request's.
    failed_at: Mutex<Option<String>>,
}

/// Compiles the program, if there is one, or tells all that is wrong with it.
pub(crate) fn compile(config: &Config) -> anyhow::Result<Option<Program>> {
    let Some(vrl) = &config.logging.content.vrl else { return Ok(None) };
    match Program::compile(&vrl.text) {
        Ok(program) => Ok(Some(program)),
        Err(faults) => match Vrl::errors(faults.0.into_iter().map(|fault| (vrl, told(fault)))) {
            Some(errors) => Err(errors.into()),
            None => Ok(None),
        },
    }
}

/// What texts pass before they are kept, if this configuration says so; `journal` is told of those that are not.
pub(crate) fn sieve(config: &Config, journal: &Journal) -> anyhow::Result<Option<Arc<dyn Sieve>>> {
    let program = compile(config)?;
    Ok(config.logging.content.vrl.clone().zip(program).map(|(vrl, program)| {
        let failed_at = Mutex::new(None);
        Arc::new(ContentProgram { vrl, program, journal: journal.clone(), failed_at }) as Arc<dyn Sieve>
    }))
}

impl Sieve for ContentProgram {
    fn pass(&self, piece: Piece<'_>) -> Result<String, Withheld> {
        let Piece { model, role, part, tool, text } = piece;
        let mut event = Map::new();
        event.insert("text".to_owned(), text.into());
        event.insert("role".to_owned(), role.into());
        event.insert("part".to_owned(), part.into());
        for (name, value) in [("model", model), ("tool", tool)] {
            if let Some(value) = value {
                event.insert(name.to_owned(), value.into());
            }
        }
        match self.program.run(event) {
            Ok(mut left) => match left.remove("text") {
                Some(Value::String(text)) => Ok(text),
                _ => Err(Withheld::NoText),
            },
            Err(Stopped::Aborted(_)) => Err(Withheld::Aborted),
            Err(Stopped::TooLong) => Err(Withheld::TooLong),
            Err(Stopped::NoObject(_) | Stopped::TooDeep) => Err(Withheld::NoText),
            Err(stopped @ Stopped::Failed(_)) => {
                if let Some((function, at)) = stopped.function() {
                    let line = 1 + self.vrl.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
                    let mut failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
                    *failed_at = Some(format!("{function} in line {line}"));
                }
                Err(Withheld::Failed)
            }
        }
    }

    fn withheld(&self, request_id: &str, texts: &BTreeMap<Withheld, usize>) {
        let failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What the program says itself is no fault.
        if texts.keys().all(|why| *why == Withheld::Aborted) {
            return;
        }
        let counts: Map<String, Value> =
            texts.iter().map(|(why, count)| (why.as_str().to_owned(), (*count).into())).collect();
        let mut record = Record::new("process", Level::Error, "texts were not kept")
            .caller(CALLER)
            .field("request_id", request_id)
            .field("program", self.vrl.name())
            .field("withheld", counts);
        if let Some(failed_at) = failed_at {
            record = record.field("failed_at", failed_at);
        }
        if let Err(error) = self.journal.enqueue(record) {
            tracing::error!(error = %error, request_id, "recording that texts were not kept");
        }
    }
}
