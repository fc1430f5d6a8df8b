//! Health checks: processes, model answers, answer quality, disks, certificates, graphics cards, memory, the clock.
//!
//! A [`Spec`] says what is looked at and how often. [`Prepared`] is a list of them made ready; [`Probing`] runs them, each at
//! times of its own ([`Schedule`]) and never twice at once, and samples memory and cards in between. What was found is a
//! [`Finding`]; it goes to the [`Book`] of whoever uses this crate as a [`Report`], which becomes one record. [`Board`] knows the
//! last one of each probe, and [`light`] makes one traffic light of them: process, then answer, then quality.
//!
//! A fall of quality is told only when chance does not explain it: see `quality/baseline.rs`.
//!
//! Probes never get into users' way: questions go through [`Models`], whose maker lets users go first, one question at a time.
//! What this crate never does: write a record, open the state, or know how a model server is asked.
//!
//! ```
//! use tollhouse_probe::{Colour, Known, Layer, Outcome, Said, light};
//!
//! let said = [Said::ModelEmpty {}];
//! let known = |name, layer, outcome| Known { name, layer, last: Some((outcome, &said[..])), since_ms: None };
//! let light = light(&[known("ollama", Layer::Process, Outcome::Ok), known("qwen3:32b", Layer::Answer, Outcome::Fault)]);
//! assert_eq!((light.colour, light.layer), (Colour::Red, Some(Layer::Answer)));
//! assert_eq!(light.reason(), "qwen3:32b: its answer is empty");
//! ```

mod alone;
mod board;
mod book;
mod certificate;
mod clock;
mod disk;
mod error;
mod finding;
mod gpu;
mod http;
mod light;
mod memory;
mod model;
mod page;
mod probe;
mod process;
mod quality;
mod said;
mod sampler;
mod schedule;
mod teller;
mod watch;

pub use board::{Board, light_json};
pub use book::{Book, Report};
pub use certificate::{CertificateLook, CertificatePlace};
pub use clock::ClockLook;
pub use disk::{DiskLook, full_in_ms};
pub use error::ProbeError;
pub use finding::{Finding, Kind, Layer, Outcome, Ran};
pub use gpu::{Card, CardProcess, GpuLimits};
pub use light::{Colour, Known, LayerLight, Light, light};
pub use memory::MemoryLimits;
pub use model::{About, Boxed, ModelLook, Models, Question, Spoken, Unasked};
pub use page::PageLook;
pub use probe::{Look, Spec};
pub use process::ProcessLook;
pub use quality::QualityLook;
pub use said::Said;
pub use schedule::{Dice, Random, Schedule};
pub use teller::Teller;
pub use watch::{Prepared, Probing};
