//! Whether this machine's clock is right: by what keeps it (chrony, else systemd), and by the `Date` of servers.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use tokio::process::Command;
use tokio::time::timeout;

use crate::finding::{Finding, Outcome};
use crate::http::Http;
use crate::said::Said;

/// Servers that are asked.
const SERVERS_MAX: usize = 16;
/// `Date` tells whole seconds, cut: on average it is half a second behind.
const DATE_BEHIND_MS: i64 = 500;

/// How long a program that keeps the clock may take to answer.
const KEEPER_TIME_MAX: Duration = Duration::from_secs(5);

/// Whom to ask, and how far off the clock may be.
#[derive(Clone, Debug)]
pub struct ClockLook {
    /// Addresses whose answers have a `Date`.
    pub urls: Vec<String>,
    /// How far from it this clock may be.
    pub above: Duration,
}

/// What a program that keeps the clock says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    /// So far off, in seconds, as chrony measures it.
    Off(f64),
    /// It follows others, as systemd says.
    Synchronised,
    /// It follows nobody.
    Alone,
}

/// Asks what keeps the clock, and all servers, of which the median tells.
pub(crate) async fn run(look: &ClockLook, http: &Http) -> Finding {
    let kept = keeper().await;
    if look.urls.is_empty() {
        return by_keeper(kept, look.above);
    }
    let finding = by_servers(look, http).await;
    // Servers tell whole seconds; the keeper knows better, unless it knows nothing.
    match kept {
        Some(Kept::Off(_)) if finding.outcome == Outcome::Ok => by_keeper(kept, look.above),
        Some(Kept::Alone) if finding.outcome == Outcome::Ok => finding.field("clock_kept", json!(false)),
        Some(_) => finding.field("clock_kept", json!(true)),
        None => finding,
    }
}

fn by_keeper(kept: Option<Kept>, above: Duration) -> Finding {
    match kept {
        Some(Kept::Off(seconds)) => {
            let skew_ms = (seconds * 1e3).round();
            let (outcome, said) = if seconds.abs() > above.as_secs_f64() {
                (Outcome::Warn, Said::ClockMeasuredOff { skew_ms, limit_ms: above.as_secs_f64() * 1e3 })
            } else {
                (Outcome::Ok, Said::ClockMeasured { skew_ms })
            };
            Finding::new(outcome, said).field("skew_ms", json!(skew_ms as i64)).field("clock_kept", json!(true))
        }
        Some(Kept::Synchronised) => Finding::ok(Said::ClockFollows {}).field("clock_kept", json!(true)),
        Some(Kept::Alone) => Finding::warn(Said::ClockAlone {}).field("clock_kept", json!(false)),
        None => Finding::warn(Said::ClockUntold {}),
    }
}

/// What keeps the clock says; nothing where there is no such program.
async fn keeper() -> Option<Kept> {
    if let Some(told) = told_by("chronyc", &["-c", "-n", "tracking"]).await
        && let Some(kept) = read_chrony(&told)
    {
        return Some(kept);
    }
    let told = told_by("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await?;
    match told.trim() {
        "yes" => Some(Kept::Synchronised),
        "no" => Some(Kept::Alone),
        _ => None,
    }
}

async fn told_by(program: &str, args: &[&str]) -> Option<String> {
    let run = Command::new(program).args(args).kill_on_drop(true).output();
    let output = timeout(KEEPER_TIME_MAX, run).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `chronyc -c tracking`: the fifth of fourteen fields is how far off the clock is, the last one whether it is kept at all.
fn read_chrony(line: &str) -> Option<Kept> {
    let fields: Vec<&str> = line.trim().split(',').collect();
    let (off, leap) = (fields.get(4)?.parse::<f64>().ok()?, fields.get(13)?);
    Some(if *leap == "Not synchronised" { Kept::Alone } else { Kept::Off(off) })
}

/// Asks them all; the median tells.
async fn by_servers(look: &ClockLook, http: &Http) -> Finding {
    let mut skews = Vec::new();
    let mut last_trouble = Said::ClockUntold {};
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
                None => last_trouble = Said::ClockNoDate { url: url.clone() },
            },
            Err(error) => last_trouble = Said::Silent { path: url.clone(), error },
        }
    }
    judge(skews, look.above, last_trouble)
}

fn judge(mut skews: Vec<(i64, i64)>, above: Duration, trouble: Said) -> Finding {
    skews.sort_unstable();
    let Some((skew_ms, unsure_ms)) = skews.get(skews.len() / 2).copied() else {
        return Finding::of(Outcome::Warn, vec![Said::ClockUnsaid {}, trouble]);
    };
    let (off_ms, limit_ms) = (skew_ms.unsigned_abs() as f64, above.as_secs_f64() * 1e3);
    let is_off = skew_ms.unsigned_abs() as u128 > above.as_millis() + unsure_ms as u128;
    let finding = match is_off {
        true if skew_ms > 0 => Finding::warn(Said::ClockAhead { off_ms, limit_ms }),
        true => Finding::warn(Said::ClockBehind { off_ms, limit_ms }),
        false => Finding::ok(Said::ClockRight {}),
    };
    finding.field("skew_ms", json!(skew_ms))
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
        assert_eq!(judge(vec![(400, 520), (-300, 510), (90_000, 510)], second, Said::words("")).outcome, Outcome::Ok);
        let off = judge(vec![(-90_000, 520), (-90_100, 510), (10, 510)], second, Said::words(""));
        assert_eq!((off.outcome, off.fields["skew_ms"].as_i64()), (Outcome::Warn, Some(-90_000)));
        assert!(off.found().contains("90.0 s behind"), "{off:?}");
        assert_eq!(judge(Vec::new(), second, Said::words("x")).found(), "nobody told the time: x");
    }

    #[test]
    fn what_keeps_the_clock_is_believed() {
        let line = "A29FC87B,162.159.200.123,4,1764230400.123,-0.000012345,0.000001,0.00002,-12.3,0.001,0.04,0.02,0.0007,64.2,Normal\n";
        assert_eq!(read_chrony(line), Some(Kept::Off(-0.000_012_345)));
        let away = "00000000,,0,0.0,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n";
        assert_eq!(read_chrony(away), Some(Kept::Alone));
        assert_eq!(read_chrony("506 Cannot talk to daemon"), None);
        let two = Duration::from_secs(2);
        assert_eq!(by_keeper(Some(Kept::Off(-0.5)), two).outcome, Outcome::Ok);
        let off = by_keeper(Some(Kept::Off(3.5)), two);
        assert_eq!((off.outcome, off.fields["skew_ms"].as_i64()), (Outcome::Warn, Some(3_500)));
        assert_eq!(by_keeper(Some(Kept::Synchronised), two).outcome, Outcome::Ok);
        assert_eq!(by_keeper(Some(Kept::Alone), two).outcome, Outcome::Warn);
        assert!(by_keeper(None, two).found().contains("nobody told the time"));
    }

    #[test]
    fn dates_of_http_are_read() {
        let date = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.as_second(), 784_111_777);
        assert_eq!(read_date("yesterday"), None);
    }
}
