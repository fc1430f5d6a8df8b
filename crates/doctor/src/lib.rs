//! What is wrong with an installation, and why a request went as it did.
//!
//! [`Facts`] is what somebody gathered of an installation. [`chart`] judges it by the fault-finding chart (edge → gate → model server
//! → its log → card, and what they stand on), [`security`] by the four layers of the defence; both give [`Findings`]: what was looked at,
//! what was found, how it is mended. A trouble that an earlier step explains is not told twice.
//!
//! [`questions`] and [`advise`] say what the records advise, with figures and how sure they are.
//!
//! Of one request there are its own records, the lines of other programs that belong to it, what else its model server did meanwhile:
//! [`Telling`] says what has to be searched for, one search of the Elasticsearch DSL after the other, and takes the answers; so
//! it works with whatever answers such searches, and waits for nothing itself. At its end there is a [`Story`]:
//! [`Story::phases`] cut its time into stretches, [`Story::lines`] are what other programs wrote of it and [`By`] what they were
//! joined, and [`Story::verdict`] says what happened by the first rule that holds. [`Story::to_json`] is what `tollhouse why --json` and
//! the console give out.
//!
//! It never does I/O and never looks at the clock: the same facts give the same findings, the same records the same story.
//!
//! ```
//! use serde_json::json;
//! use tollhouse_doctor::Telling;
//!
//! let record = json!({"kind": "request", "request_id": "r-1", "@timestamp": "2026-01-27T10:00:10.000Z", "http_status": 200,
//!                     "duration_ms": 12.5, "attempts": 1});
//! let mut telling = Telling::new("r-1", &[]);
//! while let Some(search) = telling.next_search() {
//!     // Whoever has a store answers it; here only the first search finds something.
//!     let hits = if search["query"].to_string().contains("r-1") && search["sort"][0]["seq"] == "asc" {
//!         json!([{"_source": record}])
//!     } else {
//!         json!([])
//!     };
//!     telling.take(json!({"hits": {"hits": hits}}));
//! }
//! let story = telling.story().unwrap();
//! assert_eq!(story.verdict().cause, "ok");
//! ```

mod advise;
mod chart;
mod check;
mod facts;
mod holes;
mod joined;
pub mod json5;
pub mod nginx;
mod said;
mod security;
mod sentence;
mod story;
mod telling;
mod verdict;

pub use advise::{Advice, Advised, Line, Question, Setup, Share, Word, advice_json, advise, hours_seen, questions};
pub use chart::chart;
pub use check::{Area, Check, Findings, Repair, Status};
pub use facts::{
    AcmeFacts, BookFacts, BudgetFacts, ConfigFacts, DefenceFacts, EdgeFacts, Facts, GateFacts, KeyFacts, LineFacts,
    ListenerFacts, MailFacts, NginxFacts, OpenClawFacts, PlaceFacts, PortFacts, ProbedFacts, Reach, RecentFacts,
    ServerFacts, SpokeFacts, WantedFacts,
};
pub use joined::{By, Joined};
pub use said::Said;
pub use security::security;
pub use sentence::Sentence;
pub use story::{Around, Event, Evictor, Neighbour, Phase, Story};
pub use telling::{LINES_MAX, Telling, not_found};
pub use verdict::Verdict;
