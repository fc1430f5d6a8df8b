//! What a bench tells: for people, and as JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::args::{Amount, Plan};
use super::figures::{Figures, Kind, Speed, Spread, millis, round3};
use super::records::{Own, Phase, Told};
use super::users::Load;
use super::verdict::{self, Hint, OWN_MS_MAX, SHARE_PERCENT, Verdict};
use crate::search::cell;

/// All that was measured, and the verdicts.
pub(crate) struct Report {
    pub(super) url: String,
    pub(super) model: String,
    pub(super) plan: Plan,
    pub(super) interrupted: bool,
    pub(super) lasted_ms: f64,
    pub(super) figures: Figures,
    /// What the records tell, or why they tell nothing.
    pub(super) told: Result<Told, String>,
    pub(super) first_token: Verdict,
    pub(super) own_part: Verdict,
    pub(super) hints: Vec<Hint>,
}

impl Report {
    pub(crate) fn new(url: &str, model: &str, plan: Plan, load: &Load, told: Result<Told, String>) -> Self {
        let figures = Figures::of(&load.samples, plan.goal_ttft, load.lasted);
        let first_token = verdict::first_token(&figures, &plan);
        let own_part = verdict::own_part(told.as_ref().ok().map(|told| &told.own));
        Self {
            url: url.to_owned(),
            model: model.to_owned(),
            interrupted: load.interrupted,
            lasted_ms: millis(load.lasted),
            first_token,
            own_part,
            hints: verdict::hints(&figures, first_token, own_part, &plan),
            figures,
            told,
            plan,
        }
    }

    /// The verdict of the whole.
    pub(crate) fn verdict(&self) -> Verdict {
        verdict::of_all(self.first_token, self.own_part)
    }

    pub(crate) fn to_json(&self) -> Value {
        let Figures { requests, answered, in_time, users, .. } = self.figures;
        let spread = |spread: Option<Spread>| spread.map(Spread::to_json);
        json!({
            "url": self.url,
            "model": self.model,
            "users": self.plan.users,
            "requests_per_user": match self.plan.amount {
                Amount::Requests(each) => Some(each),
                Amount::Lasts(_) | Amount::Paced { .. } => None,
            },
            "for_ms": match self.plan.amount {
                Amount::Requests(_) => None,
                Amount::Lasts(time) | Amount::Paced { lasts: time, .. } => Some(millis(time)),
            },
            "requests_per_second": match self.plan.amount {
                Amount::Requests(_) | Amount::Lasts(_) => None,
                Amount::Paced { every, .. } => Some(round3(1.0 / every.as_secs_f64())),
            },
            "tokens_max": self.plan.tokens_max,
            "goal": {"ttft_ms": millis(self.plan.goal_ttft), "own_part_ms": OWN_MS_MAX, "share_percent": SHARE_PERCENT},
            "interrupted": self.interrupted,
            "duration_ms": round3(self.lasted_ms),
            "requests": {
                "ended": requests, "answered": answered, "failed": requests - answered, "in_time": in_time,
                "users_heard": users,
            },
            "ttft_ms": spread(self.figures.ttft_ms),
            "total_ms": spread(self.figures.total_ms),
            "queue_ms": spread(self.figures.queue_ms),
            "tokens": self.figures.speed.map(speed_json),
            "errors": self.figures.errors.iter().map(kind_json).collect::<Vec<_>>(),
            "records": match &self.told {
                Ok(told) => json!({
                    "asked": told.asked, "found": told.found, "ttft_ms": spread(told.ttft_ms),
                    "way_ms": spread(told.way_ms),
                    "phases": told.phases.iter().map(phase_json).collect::<Vec<_>>(),
                }),
                Err(_) => Value::Null,
            },
            "own_part": own_json(&self.told),
            "verdict": {
                "result": self.verdict().word(),
                "ttft": self.first_token.word(),
                "own_part": self.own_part.word(),
                "hints": self.hints.iter().map(|hint| &hint.english).collect::<Vec<_>>(),
            },
        })
    }

    /// For people.
    pub(crate) fn write(&self, out: &mut impl Write, colours: bool) -> std::io::Result<()> {
        let Figures { requests, answered, .. } = self.figures;
        writeln!(out, "{} at {}", cell(&self.model.as_str().into(), 100), self.url)?;
        writeln!(out, "{}\n", self.what_was_done())?;
        if let Some(total_ms) = self.figures.total_ms {
            let heading = if answered < requests { format!("of {answered} answers") } else { String::new() };
            writeln!(out, "{:<22}{:>10}{:>10}{:>10}{:>10}", heading, "p50", "p95", "p99", "MAX")?;
            row(out, "first token", self.figures.ttft_ms)?;
            row(out, "  waiting in the queue", self.figures.queue_ms)?;
            row(out, "whole answer", Some(total_ms))?;
        }
        if let Some(speed) = self.figures.speed {
            writeln!(out, "\n{:<22}{}", "tokens a second", speed_text(speed))?;
        }
        self.write_own(out)?;
        if answered < requests {
            writeln!(out, "\n{} of {requests} requests were not answered", requests - answered)?;
            for kind in &self.figures.errors {
                writeln!(out, "  {:>6} ×  {}", kind.count, kind_text(kind))?;
            }
        }
        writeln!(out)?;
        verdict_line(out, self.first_token, &self.first_token_text(), colours)?;
        if self.own_part != Verdict::NotMeasured {
            let text = format!("own part within {} for {SHARE_PERCENT} % of the requests", exact_time(OWN_MS_MAX));
            verdict_line(out, self.own_part, &text, colours)?;
        }
        for Hint { english, .. } in &self.hints {
            writeln!(out, "hint: {english}")?;
        }
        Ok(())
    }

    fn what_was_done(&self) -> String {
        let plan = &self.plan;
        let amount = match plan.amount {
            Amount::Requests(1) => String::new(),
            Amount::Requests(each) => format!(", {each} requests each"),
            Amount::Lasts(time) => format!(" for {}", tollhouse_units::format_duration(time)),
            Amount::Paced { every, lasts } => format!(
                ", {} requests a second for {}",
                round3(1.0 / every.as_secs_f64()),
                tollhouse_units::format_duration(lasts)
            ),
        };
        let users = if plan.users == 1 {
            "1 user".to_owned()
        } else {
            match plan.amount {
                Amount::Paced { .. } => format!("at most {} users at once", plan.users),
                Amount::Requests(_) | Amount::Lasts(_) => format!("{} users at once", plan.users),
            }
        };
        let ended = if self.interrupted { "; ended by Ctrl-C" } else { "" };
        format!(
            "{users}{amount}, at most {} tokens an answer: {} requests in {}{ended}",
            plan.tokens_max,
            grouped(self.figures.requests as f64),
            time(self.lasted_ms),
        )
    }

    fn write_own(&self, out: &mut impl Write) -> std::io::Result<()> {
        let told = match &self.told {
            Ok(told) => told,
            Err(why) if self.figures.answered > 0 => {
                return writeln!(out, "{:<22}not measured: {why}", "own part");
            }
            Err(_) => return Ok(()),
        };
        if let Some(way) = told.way_ms {
            writeln!(out, "{:<22}p95 {} (way there and back, and this program)", "outside the house", time(way.p95))?;
        }
        if told.phases.len() > 1 {
            let whole: f64 = told.phases.iter().map(|phase| phase.mean_ms).sum();
            let parts = told.phases.iter().map(|phase| {
                format!(
                    "{} {} ({:.0} %)",
                    phase_name(phase.name),
                    time(phase.mean_ms),
                    phase.mean_ms * 100.0 / whole.max(f64::MIN_POSITIVE)
                )
            });
            writeln!(out, "{:<22}{}", "where the time went", parts.collect::<Vec<_>>().join(", "))?;
        }
        match &told.own {
            Own::Measured { ms, requests } => writeln!(
                out,
                "{:<22}p95 {}, at most {} (from {requests} records; neither the queue nor the model server)",
                "own part",
                time(ms.p95),
                time(ms.max)
            ),
            Own::Unknown(why) => writeln!(out, "{:<22}not measured: {why}", "own part"),
        }
    }

    fn first_token_text(&self) -> String {
        let Figures { requests, answered, in_time, users, .. } = self.figures;
        let goal = exact_time(millis(self.plan.goal_ttft));
        if answered == 0 {
            return "no request was answered".to_owned();
        }
        if self.first_token == Verdict::NotMeasured {
            return format!("only {users} of {} users were heard before the end", self.plan.users);
        }
        let percent = in_time as f64 * 100.0 / requests as f64;
        // Rounded down: 94.96 % is not 95.
        let percent = (percent * 10.0).floor() / 10.0;
        format!("first token within {goal} for {percent} % of the requests (goal: {SHARE_PERCENT} %)")
    }
}

/// A part of an answer's time, as people call it.
fn phase_name(name: &str) -> &str {
    match name {
        "own" => "tollhouse",
        "load" => "loading",
        "prefill" => "reading the prompt",
        "decode" => "writing",
        "rest" => "the rest",
        other => other,
    }
}

fn phase_json(phase: &Phase) -> Value {
    json!({
        "name": phase.name, "mean_ms": round3(phase.mean_ms), "requests": phase.requests, "ms": phase.ms.to_json(),
    })
}

fn own_json(told: &Result<Told, String>) -> Value {
    match told {
        Ok(Told { own: Own::Measured { ms, requests }, .. }) => {
            json!({"ms": ms.to_json(), "requests": requests, "reason": null})
        }
        Ok(Told { own: Own::Unknown(why), .. }) | Err(why) => json!({"ms": null, "requests": 0, "reason": why}),
    }
}

fn speed_json(speed: Speed) -> Value {
    json!({
        "output": speed.tokens,
        "counted_by": if speed.told { "upstream" } else { "pieces" },
        "per_second_user_p50": speed.user_p50.map(round3),
        "per_second_user_p5": speed.user_p5.map(round3),
        "per_second_all": round3(speed.all),
    })
}

fn kind_json(kind: &Kind) -> Value {
    let fault = &kind.fault;
    json!({
        "count": kind.count,
        "status": fault.status,
        "code": fault.code,
        "message": fault.message,
        "retry_after_s": fault.retry_after_s,
        "request_id": kind.request_id,
    })
}

fn kind_text(kind: &Kind) -> String {
    let fault = &kind.fault;
    let what = fault.status.map_or_else(|| fault.code.clone(), |status| status.to_string());
    let wait = fault.retry_after_s.map(|seconds| format!(" (retry after {seconds} s)")).unwrap_or_default();
    format!("{}  {}{wait}", cell(&what.into(), 14), cell(&fault.message.as_str().into(), 120))
}

fn speed_text(speed: Speed) -> String {
    let all = format!("all users together {}", grouped(speed.all));
    let unit = if speed.told { "" } else { " (pieces of answers: the server does not tell its tokens)" };
    match speed.user_p50.zip(speed.user_p5) {
        Some((p50, p5)) => format!("a user {} (the slowest 5 %: {}), {all}{unit}", grouped(p50), grouped(p5)),
        None => format!("{all}{unit}"),
    }
}

fn row(out: &mut impl Write, name: &str, spread: Option<Spread>) -> std::io::Result<()> {
    let Some(Spread { p50, p95, p99, max }) = spread else { return Ok(()) };
    let [p50, p95, p99, max] = [p50, p95, p99, max].map(time);
    writeln!(out, "{name:<22}{p50:>10}{p95:>10}{p99:>10}{max:>10}")
}

fn verdict_line(out: &mut impl Write, verdict: Verdict, text: &str, colours: bool) -> std::io::Result<()> {
    let (on, off) = match (colours, verdict) {
        (false, _) => ("", ""),
        (true, Verdict::Pass) => ("\x1b[32m", "\x1b[0m"),
        (true, Verdict::Fail) => ("\x1b[31m", "\x1b[0m"),
        (true, Verdict::NotMeasured) => ("\x1b[33m", "\x1b[0m"),
    };
    writeln!(out, "{on}{}{off}  {text}", verdict.word().to_uppercase())
}

/// A time with three digits or so.
pub(crate) fn time(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{:.2} s", ms / 1000.0),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// A time that somebody has set, as exact as it is.
pub(super) fn exact_time(ms: f64) -> String {
    if ms < 1000.0 { format!("{} ms", round3(ms)) } else { format!("{} s", round3(ms / 1000.0)) }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::super::figures::tests::{failed, sample};
    use super::*;

    pub(crate) fn report(samples: Vec<super::super::users::Sample>, told: Result<Told, String>) -> Report {
        let plan = Plan {
            users: samples.len() as u32,
            prompt: String::new(),
            tokens_max: 64,
            amount: Amount::Requests(1),
            goal_ttft: Duration::from_millis(1200),
        };
        let load = Load { samples, lasted: Duration::from_secs(2), interrupted: false };
        Report::new("http://house", "qwen3", plan, &load, told)
    }

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        report.write(&mut out, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_and_numbers_are_short() {
        for (ms, expected) in [
            (0.04, "0.0 ms"),
            (4.26, "4.3 ms"),
            (412.4, "412 ms"),
            (1200.0, "1.20 s"),
            (999.9, "1.00 s"),
            (1084.0, "1.08 s"),
            (12_340.0, "12.3 s"),
        ] {
            assert_eq!(time(ms), expected);
        }
        for (ms, expected) in [(5.0, "5 ms"), (1200.0, "1.2 s"), (2000.0, "2 s"), (60_000.0, "60 s")] {
            assert_eq!(exact_time(ms), expected);
        }
        for (number, expected) in [(41.97, "42.0"), (7.0, "7"), (999.6, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let report = report(vec![sample(0, 100), sample(1, 200)], Err("nobody told".to_owned()));
        let text = text(&report);
        assert!(text.contains("own part              not measured: nobody told"), "{text}");
        assert!(text.ends_with("PASS  first token within 1.2 s for 100 % of the requests (goal: 95 %)\n"), "{text}");
        let told = report.to_json();
        assert_eq!(told["own_part"], json!({"ms": null, "requests": 0, "reason": "nobody told"}));
        assert_eq!(told["verdict"]["own_part"], "not measured");
    }

    #[test]
    fn nothing_but_refusals_is_no_measurement() {
        let report = report(vec![failed(0, Some(429), "rate", Some(7))], Err("no request was answered".to_owned()));
        let text = text(&report);
        assert!(text.contains("1 ×  429  m (retry after 7 s)"), "{text}");
        assert!(text.contains("NOT MEASURED  no request was answered\nhint: this key"), "{text}");
        assert!(report.to_json()["ttft_ms"].is_null());
    }

    #[test]
    fn the_own_part_is_shown_and_judged() {
        let own_part = |p95| {
            let ms = Spread { p50: 1.0, p95, p99: 8.0, max: 9.0 };
            let own = Own::Measured { ms, requests: 1 };
            report(
                vec![sample(0, 100)],
                Ok(Told { asked: 1, found: 1, ttft_ms: Some(ms), way_ms: Some(ms), own, phases: Vec::new() }),
            )
        };
        let good = own_part(3.21);
        let shown = text(&good);
        assert!(shown.contains("own part              p95 3.2 ms, at most 9.0 ms (from 1 records"), "{shown}");
        assert!(shown.ends_with("PASS  own part within 5 ms for 95 % of the requests\n"), "{shown}");
        assert_eq!(good.to_json()["own_part"]["ms"]["p95"], 3.21);
        assert_eq!(good.verdict(), Verdict::Pass);
        let bad = own_part(5.01);
        let shown = text(&bad);
        assert!(shown.contains("FAIL  own part within 5 ms for 95 % of the requests\nhint: "), "{shown}");
        let told = bad.to_json();
        assert_eq!((&told["verdict"]["result"], &told["verdict"]["ttft"]), (&json!("fail"), &json!("pass")));
        assert_eq!(bad.verdict(), Verdict::Fail);
    }
}
