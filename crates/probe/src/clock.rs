//! Whether this machine's clock is right, by the `Date` of servers.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::finding::{Finding, Outcome};
use crate::http::Http;

/// Servers that are asked.
const SERVERS_MAX: usize = 16;
/// `Date` tells whole seconds, cut: on average it is half a second behind.
const DATE_BEHIND_MS: i64 = 500;

/// Whom to ask, and how far off the clock may be.
#[derive(Clone, Debug)]
pub struct ClockLook {
    /// Addresses whose answers have a `Date`.
    pub urls: Vec<String>,
    /// How far from it this clock may be.
    pub above: Duration,
}

/// Asks them all; the median tells.
pub(crate) async fn run(look: &ClockLook, http: &Http) -> Finding {
    let mut skews = Vec::new();
    let mut last_trouble = "no address is configured".to_owned();
    for url in look.urls.iter().take(SERVERS_MAX) {
        let sent = Timestamp::now();
        match http.get(url).await {
            Ok(answer) => match answer.date.as_deref().and_then(read_date) {
                Some(date) => {
                    let middle = sent.as_millisecond() + answer.took.as_millis() as i64 / 2;
                    // How sure one can be: half of the second, and half of the way there and back.
                    let unsure = DATE_BEHIND_MS + answer.took.as_millis() as i64 / 2;
                    skews.push((middle - (date.as_millisecond() + DATE_BEHIND_MS), unsure));
                }
                None => last_trouble = format!("{url} tells no time"),
            },
            Err(why) => last_trouble = format!("{url} does not answer: {why}"),
        }
    }
    judge(skews, look.above, &last_trouble)
}

fn judge(mut skews: Vec<(i64, i64)>, above: Duration, trouble: &str) -> Finding {
    skews.sort_unstable();
    let Some((skew_ms, unsure_ms)) = skews.get(skews.len() / 2).copied() else {
        return Finding::warn(format!("nobody told the time: {trouble}"));
    };
    let side = if skew_ms > 0 { "ahead" } else { "behind" };
    let off = format!("this clock is {:.1} s {side}", skew_ms.unsigned_abs() as f64 / 1e3);
    let is_off = skew_ms.unsigned_abs() as u128 > above.as_millis() + unsure_ms as u128;
    let (outcome, found) = if is_off {
        (Outcome::Warn, format!("{off} (limit {:.1} s)", above.as_secs_f64()))
    } else {
        (Outcome::Ok, "this clock is right, as far as whole seconds show".to_owned())
    };
    Finding::new(outcome, found).field("skew_ms", json!(skew_ms))
}

/// A `Date` (RFC 9110, section 5.6.7).
fn read_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_tells_and_whole_seconds_are_no_skew() {
        let second = Duration::from_secs(1);
        assert_eq!(judge(vec![(400, 520), (-300, 510), (90_000, 510)], second, "").outcome, Outcome::Ok);
        let off = judge(vec![(-90_000, 520), (-90_100, 510), (10, 510)], second, "");
        assert_eq!((off.outcome, off.fields["skew_ms"].as_i64()), (Outcome::Warn, Some(-90_000)));
        assert!(off.found.contains("90.0 s behind"), "{}", off.found);
        assert_eq!(judge(Vec::new(), second, "x").found, "nobody told the time: x");
    }

    #[test]
    fn dates_of_http_are_read() {
        let date = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.as_second(), 784_111_777);
        assert_eq!(read_date("yesterday"), None);
    }
}
