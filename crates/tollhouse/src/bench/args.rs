//! What the command line says of a bench, and the plan that it means.

use std::io::Read;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tollhouse_units::parse_duration;

use crate::cli::ConfigArgs;

/// Most users at once; each is a connection.
const USERS_MAX: i64 = 10_000;
/// Most requests of one user.
const REQUESTS_MAX: i64 = 10_000;
/// Longest time that a bench may be told to last.
const LASTS_MAX: Duration = Duration::from_hours(24);
/// Shortest time between the beginnings of two requests.
const EVERY_MIN: Duration = Duration::from_micros(100);
/// Largest file that is taken for a key, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;
/// Where the key is looked for when the command line names none.
const KEY_VARIABLE: &str = "TOLLHOUSE_KEY";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export TOLLHOUSE_KEY=$(tollhouse key create --name bench)
  tollhouse bench                                # 200 users at once, one question each
  tollhouse bench --users 50 --for 2m            # 50 users who ask again and again
  tollhouse bench --rate 20/1s --for 2m          # 20 requests each second, whether the ones before are answered or not
  tollhouse bench --model qwen3:32b --tokens 256 --goal-ttft 800ms
  tollhouse bench --report bench.html            # a page to pass on
  tollhouse bench --url https://llm.example.org --key-file key.txt --json | jq .verdict

PASS means that 95 % of all requests had their first token within the goal; a request without a whole answer counts as
late. What tollhouse itself adds, without its queue and the model server, is told by its records: PASS when that is within
5 ms for 95 %. A figure that was not measured is not shown.
With --rate, a request that no user was free for counts from when it was due.
Ctrl-C ends the load and shows what was measured until then.

Exit status: 0 pass, 1 one of the two failed, 2 the first token could not be measured.")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// How many users ask at once, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=USERS_MAX))]
    users: u32,
    /// Address of the installation [default: where the configuration listens]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The key. Others on this machine can see it in the list of processes: rather set TOLLHOUSE_KEY, or use --key-file
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    key: Option<String>,
    /// A file with the key in it (- reads standard input) [default: the environment's TOLLHOUSE_KEY]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Which model is asked [default: the first of /v1/models]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// What is asked; %n becomes the number of the request, so that no cache of prompts answers
    #[arg(long, value_name = "TEXT", default_value = "(%n) Tell in a few sentences what a toll house was for.")]
    prompt: String,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value = "64")]
    tokens: NonZeroU32,
    /// How many requests each user sends, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=REQUESTS_MAX))]
    requests: u32,
    /// Ask again and again for so long instead, such as 60s; what is under way then may end
    #[arg(long = "for", value_name = "TIME", conflicts_with = "requests", value_parser = parse_lasts)]
    lasts: Option<Duration>,
    /// Begin so many requests in a time, such as 20/1s, whatever becomes of those before; --users is the most at once
    #[arg(long, value_name = "N/TIME", requires = "lasts", value_parser = crate::keys::parse_rate)]
    rate: Option<crate::keys::PerTime>,
    /// Within which time the first token has to come, for 95 % of the requests
    #[arg(long, value_name = "TIME", default_value = "1.2s", value_parser = parse_goal)]
    goal_ttft: Duration,
    /// Write a page with all of it into this file, in English and Chinese, which needs nothing else to be looked at
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who asks what how often.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) users: u32,
    pub(crate) prompt: String,
    pub(crate) tokens_max: u32,
    pub(crate) amount: Amount,
    pub(crate) goal_ttft: Duration,
}

/// When a user has asked enough.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Amount {
    /// After so many requests.
    Requests(u32),
    /// After so long.
    Lasts(Duration),
    /// Never: requests begin at their times, one each `every`, for so long.
    Paced { every: Duration, lasts: Duration },
}

impl BenchArgs {
    pub(crate) fn plan(&self) -> Plan {
        let amount = match (self.lasts, self.rate) {
            (Some(lasts), Some((most, per_ms))) => {
                let every = Duration::from_millis(per_ms).div_f64(most as f64).max(EVERY_MIN);
                Amount::Paced { every, lasts }
            }
            (Some(lasts), None) => Amount::Lasts(lasts),
            (None, _) => Amount::Requests(self.requests),
        };
        Plan {
            users: self.users,
            prompt: self.prompt.clone(),
            tokens_max: self.tokens.get(),
            amount,
            goal_ttft: self.goal_ttft,
        }
    }

    /// The key, wherever it stands. None is no mistake: a house on this machine may ask nobody for one.
    pub(crate) fn key(&self) -> anyhow::Result<Option<String>> {
        let text = match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(path)) => read_key(path).with_context(|| format!("reading the key from {}", path.display()))?,
            (None, None) => std::env::var(KEY_VARIABLE).unwrap_or_default(),
        };
        let key = text.trim();
        Ok((!key.is_empty()).then(|| key.to_owned()))
    }
}

fn read_key(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn parse_lasts(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(time) if !time.is_zero() && time <= LASTS_MAX => Ok(time),
        Ok(_) => Err("expected a time of at most 24h, such as 60s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A duration as everywhere, or seconds with a decimal point, as people say a first token's time.
fn parse_goal(text: &str) -> Result<Duration, String> {
    let expected = "expected a time such as 1.2s or 800ms";
    let seconds = text.strip_suffix('s').filter(|number| number.contains('.'));
    let time = match seconds {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            let seconds: f64 = number.parse().map_err(|_| expected)?;
            Duration::try_from_secs_f64(seconds).map_err(|_| expected)?
        }
        Some(_) => return Err(expected.to_owned()),
        None => parse_duration(text).map_err(|error| format!("{expected}: {error}"))?,
    };
    if time.is_zero() { Err(expected.to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals() {
        assert_eq!(parse_goal("1.2s"), Ok(Duration::from_millis(1200)));
        assert_eq!(parse_goal("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(parse_goal("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["", "1.2", "0s", "0.0s", "-1.5s", "1.2.3s", "1e3.0s", "fast"] {
            assert!(parse_goal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bench_lasts_no_longer_than_a_day() {
        assert_eq!(parse_lasts("60s"), Ok(Duration::from_mins(1)));
        for wrong in ["", "0s", "25h", "60"] {
            assert!(parse_lasts(wrong).is_err(), "{wrong}");
        }
    }
}
