//! Journal, index, dead letters, and the mail servers of channels.

use crate::check::{Area, Check, Step};
use crate::facts::{BookFacts, Facts, MailFacts, Reach};
use crate::said::Said;

/// So many records may wait for the index of a running house.
const BEHIND_MAX: u64 = 10_000;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let book = &facts.book;
    let mut checks = vec![journal(book)];
    if !book.is_remote && book.journal_problem.is_none() {
        checks.extend(index(book));
    }
    if book.dead > 0 {
        let step = Step::new(Area::Book, "book.dead", Said::AtDead {});
        checks.push(step.warn("waiting", Said::DeadWait { count: book.dead }, Said::DoDead {}));
    }
    checks
}

fn journal(book: &BookFacts) -> Check {
    let step = Step::new(Area::Book, "book.journal", Said::AtJournal {});
    match (&book.journal_problem, book.newest) {
        (Some(problem), _) => step.fault("damaged", Said::words(problem), Said::DoJournal {}),
        (None, Some((seq, _))) => step.ok(Said::JournalReadable { seq }),
        (None, None) => step.ok(Said::JournalEmpty {}),
    }
}

fn index(book: &BookFacts) -> Option<Check> {
    let (newest, _) = book.newest?;
    let step = Step::new(Area::Book, "book.index", Said::AtIndex {});
    if let Some(problem) = &book.index_problem {
        return Some(step.fault("not_usable", Said::words(problem), Said::DoIndex {}));
    }
    let count = newest.saturating_sub(book.indexed?);
    Some(if count > BEHIND_MAX {
        step.warn("behind", Said::IndexBehind { count }, Said::DoIndexBehind {})
    } else {
        step.ok(Said::IndexNear { count })
    })
}

pub(super) fn mail(facts: &Facts) -> Vec<Check> {
    facts.mail.iter().map(greeting).collect()
}

fn greeting(mail: &MailFacts) -> Check {
    let looked = Said::AtMail { server: mail.server.clone() };
    let step = Step::new(Area::Channels, "channel.mail", looked).of(mail.channel.clone());
    if let Some(check) = super::unreached(&step, &mail.greeting, Said::DoMail {}) {
        return check;
    }
    match &mail.greeting {
        Reach::Answered { status: 220, ms, .. } => step.ok(Said::MailGreets { took_ms: *ms }),
        Reach::Answered { status, .. } => step.fault("refuses", Said::MailRefuses { status: *status }, Said::DoMail {}),
        Reach::Silent { seconds } => step.fault("silent", Said::MailSilent { limit_s: *seconds }, Said::DoMail {}),
        Reach::Broken { error } => step.fault("broken", Said::words(error), Said::DoMail {}),
        _ => step.skipped(Said::NotAsked {}),
    }
}
