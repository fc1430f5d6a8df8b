//! Why a request went as it did: its own records, the lines of other programs that belong to it, what else its model server did
//! meanwhile, and a verdict in plain words.
//!
//! [`Telling`] says what has to be searched for, one search of the Elasticsearch DSL after the other, and takes the answers; so
//! it works with whatever answers such searches, and waits for nothing itself. At its end there is a [`Story`]:
//! [`Story::phases`] cut its time into stretches, [`Story::lines`] are what other programs wrote of it and [`By`] what they were
//! joined, and [`Story::verdict`] says what happened by the first rule that holds. [`Story::to_json`] is what `tollhouse why --json` and
//! the console give out.
//!
//! It never does I/O and never looks at the clock: the same records give the same story.
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

mod joined;
mod story;
mod telling;
mod verdict;

pub use joined::{By, Joined};
pub use story::{Around, Neighbour, Phase, Story};
pub use telling::{LINES_MAX, Telling, not_found};
pub use verdict::Verdict;
