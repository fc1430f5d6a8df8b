//! `tollhouse advise`: what the records say about prompts, contexts, loads, waiting and the card's memory.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use tollhouse_config::Config;
use tollhouse_doctor::{Advice, Setup, Word, advice_json, advise, hours_seen, questions};
use tollhouse_elastic::searched_here;

use crate::cli::ConfigArgs;
use crate::{say, shelf};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse advise                       # by the records of the last seven days
  tollhouse advise --within 24h
  tollhouse advise --json | jq '.advice[] | select(.advice == \"change\") | .change'
  tollhouse advise --json | jq .queries.loads > loads.json && tollhouse search --dsl loads.json

Each piece of advice has its figures, how sure they are (95 %), and the search behind them. \"No change needed\" is said where it is the
truth, and \"too few records\" where nothing can be said. What each word means stands in docs/advise.md.")]
pub(crate) struct AdviseArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How far back the records are looked at
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::keys::parse_lifetime)]
    within: Duration,
    /// Print JSON, with the searches
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn advise_command(args: &AdviseArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let shelf = shelf::open_read_only(&config)?;
    let from_ms = Timestamp::now().as_millisecond() - args.within.as_millis() as i64;
    let questions = questions(from_ms);
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        let asked = searched_here(&shelf, "*", &question.search).await;
        answers.push(serde_json::to_value(asked.with_context(|| format!("searching for {}", question.name))?)?);
    }
    let now_ms = Timestamp::now().as_millisecond();
    let hours = hours_seen(&answers, args.within.as_secs_f64() / 3600.0, now_ms);
    let all = advise(&answers, &setup(&config, hours));
    if args.json {
        return say(&format!("{:#}\n", advice_json(&all, &questions)));
    }
    say(&told(&all, std::io::stdout().is_terminal()))
}

/// How the installation is set up, as far as advice depends on it.
pub(crate) fn setup(config: &Config, hours: f64) -> Setup {
    let models = config.models.iter().map(|model| (model.name.clone(), model.context, model.keep_alive.clone()));
    let upstreams = config.upstreams.iter().map(|upstream| (upstream.name.clone(), upstream.parallel));
    Setup { models: models.collect(), upstreams: upstreams.collect(), hours }
}

/// For people: what should change first.
fn told(all: &[Advice], colours: bool) -> String {
    let mut out = String::new();
    for advice in all {
        let (on, off) = match advice.word {
            _ if !colours => ("", ""),
            Word::Change => ("\x1b[33m", "\x1b[0m"),
            Word::Keep => ("\x1b[32m", "\x1b[0m"),
            Word::Unknown => ("\x1b[2m", "\x1b[0m"),
        };
        let subject = advice.subject.as_ref().map_or_else(String::new, |subject| format!(" [{subject}]"));
        let _ = writeln!(out, "{on}{:<7}{off}  {}{subject}: {}", advice.word.as_str(), advice.id, advice.found);
        let _ = writeln!(out, "         how sure:  {}", advice.sure);
        if let Some(change) = &advice.change {
            let _ = writeln!(out, "         to change: {change}");
        }
        let _ = writeln!(out, "         search:    {} (--json shows it)", advice.query);
    }
    let changes = all.iter().filter(|advice| advice.word == Word::Change).count();
    let _ = match changes {
        0 => writeln!(out, "no change needed, as far as the records tell"),
        1 => writeln!(out, "1 thing should change"),
        count => writeln!(out, "{count} things should change"),
    };
    // Names of models and clients come from others.
    out.chars().map(|c| if c.is_control() && c != '\n' && c != '\x1b' { '\u{fffd}' } else { c }).collect()
}
