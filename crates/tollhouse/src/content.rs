//! `tollhouse content`: prompts and answers, where they are kept.

use std::fmt::Write;

use anyhow::{Context, bail};
use tollhouse_batches::{Erased, Whose};
use tollhouse_config::Config;
use tollhouse_content::{ContentError, Owner, Said, Transcript, find};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_state::State;

use crate::cli::{ContentArgs, ContentCommand};
use crate::{batching, say, wiring};

/// Where these records come from.
const CALLER: &str = "tollhouse/content.rs";

pub(crate) async fn content(args: &ContentArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let state = State::open(&config.data_dir).await?;
    let done = match &args.command {
        ContentCommand::Show { request_id, json } => show(&config, &state, request_id, *json).await,
        ContentCommand::Erase { user, key, yes } => {
            let user = user.clone().map(Whose::User);
            let whose = user.or_else(|| key.clone().map(Whose::Key)).context("say whose: --user NAME or --key ID")?;
            erase(&config, &state, &whose, *yes).await
        }
    };
    state.close().await;
    done
}

async fn show(config: &Config, state: &State, request_id: &str, json: bool) -> anyhow::Result<()> {
    let file = wiring::content_options(config).file;
    let found = match find(&file, request_id, state).await {
        Err(ContentError::Erased(id)) => bail!("what was said in request {id} was erased"),
        found => found.with_context(|| format!("looking in {}", file.display()))?,
    };
    let Some(transcript) = found else {
        bail!(
            "nothing of request {request_id} is kept in {}; prompts and answers are kept from the moment on at which \
             the configuration says logging: {{content: redacted}} (or full), and for as long as its `keep` says",
            file.display()
        );
    };
    if json {
        return say(&format!("{}\n", serde_json::to_string_pretty(&transcript)?));
    }
    say(&text(&transcript))
}

fn text(transcript: &Transcript) -> String {
    let mut out = String::new();
    if transcript.left_out_messages > 0 {
        let _ = writeln!(out, "({} older messages are not kept)\n", transcript.left_out_messages);
    }
    for said in &transcript.asked {
        write_said(&mut out, &said.role, said);
    }
    write_said(&mut out, transcript.model.as_deref().unwrap_or("answer"), &transcript.answer);
    if transcript.cut {
        out.push_str("(texts were cut where they are too long to be kept)\n");
    }
    for (what, counts) in [("taken out", &transcript.redacted), ("texts not kept", &transcript.withheld)] {
        if !counts.is_empty() {
            let told: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            let _ = writeln!(out, "({what}: {})", told.join(", "));
        }
    }
    out
}

fn write_said(out: &mut String, name: &str, said: &Said) {
    let _ = writeln!(out, "── {}", printable(name));
    if !said.thinking.is_empty() {
        let _ = writeln!(out, "(thinking) {}\n", printable(&said.thinking));
    }
    if !said.text.is_empty() {
        let _ = writeln!(out, "{}", printable(&said.text));
    }
    for (tool, arguments) in &said.calls {
        let _ = writeln!(out, "calls {} {}", printable(tool), printable(arguments));
    }
    if said.media > 0 {
        let _ = writeln!(out, "({} pictures, sounds or files are not kept)", said.media);
    }
    out.push('\n');
}

/// What a user or a model wrote must not steer the terminal of whoever reads it.
fn printable(text: &str) -> String {
    let is_harmless = |character: char| !character.is_control() || matches!(character, '\n' | '\t');
    text.chars().map(|character| if is_harmless(character) { character } else { '\u{fffd}' }).collect()
}

async fn erase(config: &Config, state: &State, whose: &Whose, yes: bool) -> anyhow::Result<()> {
    let owner = match whose {
        Whose::User(name) => Owner::User(name.clone()),
        Whose::Key(id) => Owner::Key(id.clone()),
    };
    let name = owner.name();
    if !yes {
        bail!(
            "this would erase all prompts and answers of {name} for ever, also those of files and batches; say --yes to do it"
        );
    }
    let was_kept = state.erase_content(&name).await?;
    let batches = tollhouse_batches::erase(&batching::dir(config), whose).await;
    let batches = batches.context("erasing files and batches")?;
    if !was_kept && batches.is_nothing() {
        bail!("nothing is kept of {name}; users are named as in `tollhouse search 'user_id:…'`, keys by their id");
    }
    if was_kept {
        say(&format!("erased: prompts and answers of {name} cannot be read any more\n"))?;
    }
    if !batches.is_nothing() {
        let Erased { files, batches, later, .. } = batches;
        say(&format!(
            "erased: of {name}, {files} files, {batches} batches and {later} answers that come later are gone\n"
        ))?;
    }
    Ok(())
}

/// Writes a record of each erasure that has none yet.
pub(crate) async fn record_erasures(state: &State, journal: &Journal) -> anyhow::Result<()> {
    for erasure in state.unrecorded_erasures().await? {
        let record = Record::new("audit", Level::Info, "content erased")
            .caller(CALLER)
            .field("owner", &erasure.owner)
            .field("content_key", &erasure.key_id)
            .field("erased_ms", erasure.erased_ms);
        journal.append_synced(record).await?;
        state.erasure_recorded(erasure.number).await?;
    }
    Ok(())
}
