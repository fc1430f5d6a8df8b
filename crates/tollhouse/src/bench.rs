//! `tollhouse bench`: loads a running installation as so many users would, and says whether it is fast enough.

mod args;
mod figures;
mod line;
mod page;
mod records;
mod report;
mod stream;
mod users;
mod verdict;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use tollhouse_config::Config;

pub(crate) use self::args::BenchArgs;
use self::args::Plan;
use self::line::Target;
use self::records::Book;
use self::report::Report;
use self::users::Fault;
use self::verdict::Verdict;

/// A running house takes a key that was just made within a second.
const NEW_KEY_TIME_MAX: Duration = Duration::from_secs(2);
/// Models that are named where a wrong one was asked for.
const MODELS_NAMED: usize = 20;
const NO_TOLLHOUSE: &str = "is this the address of a tollhouse?";

/// Why nothing could be measured, and what to do about it.
struct Unable {
    why: String,
    hint: String,
}

impl Unable {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

/// Measures and tells; the exit status is 0 for pass, 1 for fail, 2 where it could not be measured.
pub(crate) async fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let mut out = std::io::stdout();
    match measure(args, &config).await {
        Ok(report) => {
            if let Some(file) = &args.report {
                let made = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
                std::fs::write(file, page::page(&report, &made))
                    .with_context(|| format!("writing the page {}", file.display()))?;
            }
            if args.json {
                writeln!(out, "{:#}", report.to_json())?;
            } else {
                report.write(&mut out, std::io::stdout().is_terminal())?;
            }
            Ok(report.verdict().exit())
        }
        Err(Unable { why, hint }) => {
            if args.json {
                let verdict = json!({"result": Verdict::NotMeasured.word(), "reason": why, "hints": [hint]});
                writeln!(out, "{:#}", json!({ "verdict": verdict }))?;
            }
            eprintln!("tollhouse: could not be measured: {why}\nhint: {hint}");
            Ok(Verdict::NotMeasured.exit())
        }
    }
}

async fn measure(args: &BenchArgs, config: &Config) -> Result<Report, Unable> {
    let address = crate::keys::reachable(config.listen.address);
    let url = args.url.clone().unwrap_or_else(|| format!("http://{address}"));
    let key = args.key().map_err(|error| Unable::new(format!("{error:#}"), verdict::key_hint()))?;
    let target = Target::new(&url, key.as_deref())
        .map_err(|error| Unable::new(format!("{error:#}"), "an address is like http://127.0.0.1:18789"))?;
    let plan = args.plan();
    let model = find_model(args.model.as_deref(), &target, &plan).await?;

    let load = users::load(&plan, &target, &model).await;
    let mut books = vec![Book::api(&target)];
    if args.url.is_none() {
        // On the same machine the index can be read without a key that may, and without leaving a trace in it.
        let index = Book::Index { dir: config.data_dir.join("index"), service: config.service.clone() };
        books.insert(0, index);
    }
    let told = records::read(&load.samples, &books).await;
    Ok(Report::new(target.base(), &model, plan, &load, told))
}

/// The model to ask. One look at the list of models also shows whether the house is there and takes the key, before so
/// many users find out all at once.
async fn find_model(wanted: Option<&str>, target: &Target, plan: &Plan) -> Result<String, Unable> {
    let listed = list_models(target, plan).await?;
    match wanted {
        None => listed.into_iter().next().ok_or_else(|| {
            Unable::new(
                "there is no model that this key may call",
                "`curl …/health` tells whether a model server answers",
            )
        }),
        Some(wanted) if listed.is_empty() || listed.iter().any(|name| is_name_of(name, wanted)) => {
            Ok(wanted.to_owned())
        }
        Some(wanted) => {
            let more = if listed.len() > MODELS_NAMED { ", …" } else { "" };
            let names = listed.iter().take(MODELS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(Unable::new(
                format!("there is no model {wanted}, or this key may not call it"),
                format!("--model takes one of these: {names}{more}"),
            ))
        }
    }
}

/// Whether this is how a listed model is asked for: Ollama's names end in `:latest` unless they say otherwise.
fn is_name_of(listed: &str, wanted: &str) -> bool {
    listed == wanted || listed.strip_suffix(":latest") == Some(wanted)
}

async fn list_models(target: &Target, plan: &Plan) -> Result<Vec<String>, Unable> {
    let base = target.base();
    let begun = Instant::now();
    let asked = loop {
        let asked = target.line().json(Method::GET, "/v1/models", Bytes::new()).await;
        let is_refused = asked.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED);
        // A key that was made a moment ago.
        if !(is_refused && target.has_key() && begun.elapsed() < NEW_KEY_TIME_MAX) {
            break asked;
        }
        tokio::time::sleep(NEW_KEY_TIME_MAX / 4).await;
    };
    let answer = asked.map_err(|failed| {
        let why = if failed.unconnected { "nothing answers" } else { "no answer came" };
        Unable::new(
            format!("{why} at {base}: {}", failed.message),
            "start it with `tollhouse up`, or name another: --url URL",
        )
    })?;
    let fault = Fault::told(answer.status, &answer.headers, &answer.body);
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED if !target.has_key() => {
            return Err(Unable::new(format!("{base} asks for a key"), verdict::key_hint()));
        }
        StatusCode::UNAUTHORIZED => {
            return Err(Unable::new("the key is not taken: invalid api key", verdict::key_hint()));
        }
        status => {
            let hint = match status {
                StatusCode::FORBIDDEN => {
                    "show a key with the role user or admin: tollhouse key create --name bench".to_owned()
                }
                StatusCode::TOO_MANY_REQUESTS if fault.message.contains("wrong api keys") => {
                    "wait a minute, then show a key that is taken".to_owned()
                }
                StatusCode::TOO_MANY_REQUESTS => format!("make a key that may ask more: {}", verdict::roomy_key(plan)),
                _ => NO_TOLLHOUSE.to_owned(),
            };
            let status = status.as_u16();
            return Err(Unable::new(format!("{base} answers with {status}: {}", fault.message), hint));
        }
    }
    let Some(models) = answer.body["data"].as_array() else {
        return Err(Unable::new(format!("{base} lists no models"), NO_TOLLHOUSE));
    };
    Ok(models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_be_asked_for_without_its_tag() {
        assert!(is_name_of("qwen3:latest", "qwen3") && is_name_of("qwen3:32b", "qwen3:32b"));
        assert!(!is_name_of("qwen3:32b", "qwen3") && !is_name_of("qwen3", "qwen3:latest"));
    }
}
