//! Journal, index, dead letters, and the mail servers of channels.

use crate::check::{Area, Check, Step};
use crate::facts::{BookFacts, Facts, MailFacts, Reach};

/// So many records may wait for the index of a running house.
const BEHIND_MAX: u64 = 10_000;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let book = &facts.book;
    let mut checks = vec![journal(book)];
    if !book.is_remote && book.journal_problem.is_none() {
        checks.extend(index(book));
    }
    if book.dead > 0 {
        let step = Step::new(Area::Book, "book.dead", "lines and records that could not be shaped or delivered");
        let fix = "tollhouse dead list, and when the cause is mended: tollhouse dead replay";
        checks.push(step.warn("waiting", format!("{} wait", book.dead), fix));
    }
    checks
}

fn journal(book: &BookFacts) -> Check {
    let step = Step::new(Area::Book, "book.journal", "the last part of the journal");
    match (&book.journal_problem, book.newest) {
        (Some(problem), _) => step.fault(
            "damaged",
            problem.clone(),
            "tollhouse journal verify shows what is missing; a start of the house mends a torn end",
        ),
        (None, Some((seq, _))) => step.ok(format!("readable up to record {seq}")),
        (None, None) => step.ok("no record yet"),
    }
}

fn index(book: &BookFacts) -> Option<Check> {
    let (newest, _) = book.newest?;
    let step = Step::new(Area::Book, "book.index", "the index, against the journal");
    if let Some(problem) = &book.index_problem {
        let fix = "move the folder `index` of `data_dir` away and start the house: it makes a new one of the journal, which is the truth";
        return Some(step.fault("not_usable", problem.clone(), fix));
    }
    let behind = newest.saturating_sub(book.indexed?);
    Some(if behind > BEHIND_MAX {
        let fix = "a house that runs takes them in by itself; if this grows, its processor or disk is too busy";
        step.warn("behind", format!("{behind} records are not in it yet"), fix)
    } else {
        step.ok(format!("{behind} records behind"))
    })
}

pub(super) fn mail(facts: &Facts) -> Vec<Check> {
    facts.mail.iter().map(greeting).collect()
}

fn greeting(mail: &MailFacts) -> Check {
    let step =
        Step::new(Area::Channels, "channel.mail", format!("the greeting of {}", mail.server)).of(mail.channel.clone());
    let fix = "mend `server` of the channel, or start the mail server; alerts wait and are tried again meanwhile";
    if let Some(check) = super::unreached(&step, &mail.greeting, "the mail server", fix) {
        return check;
    }
    match &mail.greeting {
        Reach::Answered { status: 220, ms, .. } => step.ok(format!("it greets in {}", super::millis(*ms))),
        Reach::Answered { status, .. } => step.fault("refuses", format!("it greets with {status}"), fix),
        Reach::Silent { seconds } => step.fault("silent", format!("no greeting within {seconds} s"), fix),
        Reach::Broken { error } => step.fault("broken", error.clone(), fix),
        _ => step.skipped("it was not asked"),
    }
}
