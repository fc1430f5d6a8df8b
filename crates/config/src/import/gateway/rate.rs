//! How often somebody may ask: a rate in one word, or a number and a time in lines of their own.

use std::time::Duration;

use tollhouse_units::format_duration;

use super::{Parts, put_with};
use crate::import::{Desk, Fate, Outcome, draft, plain_name, values};

/// A whole number, as people write it: `30`, `100_000`, `100,000`.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace(['_', ','], "");
    let number = digits.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "it is not a whole number, at least 1".to_owned())
}

/// `30/60s` and the like; a number alone is per minute.
pub(super) fn whole(desk: &mut Desk<'_>, text: &str) -> Outcome {
    if let Some((most, per)) = values::rate(text) {
        return put(desk, most, per, None);
    }
    let most = count(text).map_err(|_| "it is not a rate such as 30/60s".to_owned())?;
    put(desk, most, Duration::from_mins(1), Some("a number alone was read as per minute"))
}

pub(super) fn put(desk: &mut Desk<'_>, most: u64, per: Duration, why: Option<&str>) -> Outcome {
    let (most, per) = (most.to_string(), format_duration(per));
    draft::try_out(&format!("access: {{rate_limit: {{requests: {most}, per: {per}}}}}"))?;
    for (key, value) in [("access.rate_limit.requests", &most), ("access.rate_limit.per", &per)] {
        if desk.draft.get(key).is_some_and(|old| old != value) {
            return Err("a rate was taken from another line already".to_owned());
        }
    }
    desk.draft.replace("access.rate_limit.requests", &most);
    desk.draft.replace("access.rate_limit.per", &per);
    let told = format!("access.rate_limit: {{requests: {most}, per: {per}}}");
    Ok(match why {
        Some(why) => (Fate::Changed, format!("{told} ({why})")),
        None => (Fate::Taken, told),
    })
}

pub(super) fn by(desk: &mut Desk<'_>, text: &str) -> Outcome {
    let by = match plain_name(text).as_str() {
        "key" | "apikey" | "token" => "key",
        "user" | "userid" => "user",
        "ip" | "address" | "clientip" | "remoteaddr" => "address",
        "model" => "model",
        _ => return Err("limits are counted by key, user, address or model".to_owned()),
    };
    put_with(desk, "access.rate_limit.by", by, (by != text).then_some("our word for it"))
}

/// Puts together what stood in several lines.
pub(super) fn finish(desk: &mut Desk<'_>, parts: &Parts) {
    match (parts.most, parts.per) {
        (Some((most, at)), per) => {
            let why = per.is_none().then_some("no time stands beside it: per minute");
            let outcome = put(desk, most, per.map_or(Duration::from_mins(1), |(per, _)| per), why);
            match (outcome, per) {
                (Err(reason), per) => {
                    desk.unsay(at, &reason);
                    if let Some((_, at)) = per {
                        desk.unsay(at, &reason);
                    }
                }
                (Ok((fate, told)), None) => desk.say(at, fate, &told),
                (Ok(_), Some(_)) => {}
            }
        }
        (None, Some((_, at))) => desk.unsay(at, "no number of requests stands beside it"),
        (None, None) => {}
    }
    // One window is for requests and tokens; where it is not that of a minute, the tokens were counted otherwise.
    match (desk.draft.get("access.rate_limit.tokens"), desk.draft.get("access.rate_limit.per")) {
        (Some(_), None) => desk.draft.replace("access.rate_limit.per", "1m"),
        (Some(tokens), Some(per)) if per != "1m" && per != "60s" => {
            let note = format!("the window is {per} for requests: with `tokens: {tokens}` it would be for tokens too");
            let at = desk.notes.iter().position(|(_, note)| note.text.starts_with("access.rate_limit.tokens"));
            desk.draft.take_back("access.rate_limit.tokens");
            if let Some(at) = at {
                desk.unsay(at, &note);
            }
        }
        _ => {}
    }
}
