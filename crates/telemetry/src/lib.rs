//! What the house tells of itself: metrics and traces.
//!
//! - [`Telemetry`] is the handle that the gate counts with. A request is counted once, at its end ([`Finished`]), by a look into
//!   a table and additions to atomic numbers; nothing of it waits, and nothing of it asks another part of the house.
//! - [`names::ALL`] is the table of all metrics with meaning, unit, kind and labels; `docs/metrics.md` is checked against it.
//! - [`Exposition`] holds the figures of one moment: those counted here, and those that whoever is asked reads from the other
//!   parts at that moment. [`Exposition::write`] gives them as Prometheus text or OpenMetrics, with exemplars.
//! - [`TraceContext`] is who a request is in a trace (W3C Trace Context). Where a receiver of OpenTelemetry is named, each
//!   request becomes a tree of spans in a bounded queue, and [`export`] brings them and the figures there.
//! - [`genai`] is the versioned table of OpenTelemetry's names for what models do.
//!
//! It never connects to anything (whoever starts [`export`] gives it a [`Post`]), never writes, and carries no prompt, no answer and
//! no secret.
//!
//! ```
//! use tollhouse_telemetry::{Exposition, Finished, Format, Telemetry, names};
//!
//! let telemetry = Telemetry::new();
//! telemetry.finished(&Finished { model: Some("qwen3:32b"), status: 200, duration_ms: 120.0, ..Finished::default() });
//! let mut figures = Exposition::new();
//! telemetry.expose(&mut figures);
//! figures.number(&names::UPSTREAM_SLOTS, &["local"], 2.0);
//! let text = figures.write(Format::of(None));
//! assert!(text.contains("tollhouse_upstream_slots{upstream=\"local\"} 2\n"));
//! assert!(text.contains("outcome=\"ok\",status=\"2xx\"} 1\n"));
//! ```

mod export;
mod exposition;
mod finished;
pub mod genai;
mod histogram;
mod messages;
mod metric;
pub mod names;
mod process;
mod requests;
mod spans;
mod telemetry;
mod text;
mod trace;

pub use export::{Failed, Outbox, Post, SPANS_WAITING_MAX, export};
pub use exposition::{Exposition, LABEL_SETS_MAX};
pub use finished::{Attempt, Finished, Outcome};
pub use histogram::{Exemplar, Histogram, Measured};
pub use metric::{Kind, Metric};
pub use process::expose_process;
pub use requests::{LIMITS, MODELS_MAX, REASONS};
pub use telemetry::{Running, Telemetry};
pub use text::Format;
pub use trace::TraceContext;
