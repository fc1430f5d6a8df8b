//! A page that tells a bench: figures and pictures in English and Chinese, in one file that loads nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tollhouse_web::escaped;

use super::args::Amount;
use super::figures::{Figures, Spread, millis, round3};
use super::records::{Own, Phase};
use super::report::{Report, exact_time, grouped, time};
use super::verdict::{OWN_MS_MAX, SHARE_PERCENT, Verdict};

/// Bars of the picture of first tokens.
const BARS: usize = 48;
/// Width and height of pictures, in their own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
/// Room for what stands below a picture, and beside the line of the goal.
const LABEL_HEIGHT: f64 = 30.0;
const LABEL_WIDTH: f64 = 120.0;

/// Two languages are in the page; which one is shown is a choice that needs no script.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--pale:#6a737d;--paper:#fff;--line:#d7dce1;--good:#1a7f4b;--bad:#c3342b;--none:#9a6700}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--pale:#9aa4ae;--paper:#14171a;--line:#333a41;--good:#4cc38a;--bad:#ff7b72;--none:#d4a72c}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:760px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.4rem 0}.pale{color:var(--pale)}\
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;font-variant-numeric:tabular-nums}\
td+td,th+th{white-space:nowrap}td:first-child,th:first-child{text-align:left;min-width:8rem}.pass{color:var(--good)}.fail{color:var(--bad)}.none{color:var(--none)}\
.verdict{font-weight:600;font-size:1.1rem}svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--pale)}code{overflow-wrap:anywhere}\
.own{color:#2f6feb}.queue{color:#d29922}.load{color:#8957e5}.prefill{color:#1a7f9c}.decode{color:#2da160}.rest{color:#8b949e}\
.wide{overflow-x:auto}@media(max-width:600px){body{margin:1rem auto}svg text{font-size:24px}td,th{padding:.3rem}table{font-size:.9rem}}\
input[type=radio]{position:absolute;opacity:0}label{cursor:pointer;color:var(--pale);margin-left:1rem}\
input:focus-visible+label{outline:2px solid}#en:checked+label,#zh:checked+label{color:var(--ink);text-decoration:underline}\
body:has(#en:checked) [lang=zh],body:has(#zh:checked) main [lang=en]{display:none}nav{text-align:right}";

/// The parts of an answer's time, by the words that [`STYLE`] has colours for, in English and in Chinese.
const PARTS: [(&str, &str, &str); 6] = [
    ("own", "tollhouse", "tollhouse 自身"),
    ("queue", "waiting in the queue", "排队"),
    ("load", "loading the model", "加载模型"),
    ("prefill", "reading the prompt", "读取提示词"),
    ("decode", "writing the answer", "生成回答"),
    ("rest", "the rest: the way, and what nothing claims", "其余：传输及未归类的时间"),
];

/// The whole page.
pub(super) fn page(report: &Report, made: &str) -> String {
    let mut body = String::new();
    head(&mut body, report, made);
    times(&mut body, &report.figures);
    picture(&mut body, report);
    parts(&mut body, report);
    speed(&mut body, &report.figures);
    errors(&mut body, &report.figures);
    hints(&mut body, report);
    // Whatever a model server has said, nothing but this page's own style is ever in force.
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>tollhouse bench · {}</title><style>{STYLE}</style></head>\n<body><nav>\
         <input type=\"radio\" name=\"language\" id=\"en\" checked><label for=\"en\">English</label>\
         <input type=\"radio\" name=\"language\" id=\"zh\"><label for=\"zh\">中文</label></nav>\n<main>\n{body}</main></body></html>\n",
        escaped(&report.model)
    )
}

/// The same in both languages.
fn both(english: &str, chinese: &str) -> String {
    format!("<span lang=\"en\">{}</span><span lang=\"zh\">{}</span>", escaped(english), escaped(chinese))
}

fn head(body: &mut String, report: &Report, made: &str) {
    let plan = &report.plan;
    let (users, requests) = (plan.users, grouped(report.figures.requests as f64));
    let lasted = time(report.lasted_ms);
    let (english, chinese) = match plan.amount {
        Amount::Requests(each) => (
            match each {
                1 => format!("{users} users at once, a request each: {requests} requests in {lasted}"),
                _ => format!("{users} users at once, {each} requests each: {requests} requests in {lasted}"),
            },
            format!("{users} 个用户同时请求，每人 {each} 次：{lasted} 内共 {requests} 个请求"),
        ),
        Amount::Lasts(_) => (
            format!("{users} users at once, again and again: {requests} requests in {lasted}"),
            format!("{users} 个用户不断请求：{lasted} 内共 {requests} 个请求"),
        ),
        Amount::Paced { every, .. } => {
            let rate = round3(1.0 / every.as_secs_f64());
            (
                format!(
                    "{rate} requests a second, whatever became of those before, at most {users} at once: {requests} requests in {lasted}"
                ),
                format!("每秒 {rate} 个请求，不等前面的完成，最多 {users} 个并行：{lasted} 内共 {requests} 个请求"),
            )
        }
    };
    let _ = writeln!(
        body,
        "<h1>{}</h1><p class=\"pale\">{} · {}</p>",
        escaped(&report.model),
        escaped(&report.url),
        escaped(made)
    );
    let _ = writeln!(body, "<p>{}</p>", both(&english, &chinese));
    if report.interrupted {
        let _ = writeln!(body, "<p class=\"none\">{}</p>", both("Ended by hand before its time.", "被提前中止。"));
    }
    let goal = exact_time(millis(plan.goal_ttft));
    let share = report.figures.in_time as f64 * 100.0 / (report.figures.requests.max(1)) as f64;
    let share = (share * 10.0).floor() / 10.0;
    verdict(
        body,
        report.first_token,
        &format!("first token within {goal} for {share}\u{a0}% of the requests (goal: {SHARE_PERCENT}\u{a0}%)"),
        &format!("{share} % 的请求在 {goal} 内收到首个 token（目标：{SHARE_PERCENT} %）"),
    );
    let own = exact_time(OWN_MS_MAX);
    verdict(
        body,
        report.own_part,
        &format!("tollhouse's own part within {own} for {SHARE_PERCENT}\u{a0}% of the requests"),
        &format!("{SHARE_PERCENT} % 的请求中 tollhouse 自身耗时不超过 {own}"),
    );
}

fn verdict(body: &mut String, verdict: Verdict, english: &str, chinese: &str) {
    let (class, word) = match verdict {
        Verdict::Pass => ("pass", both("PASS", "通过")),
        Verdict::Fail => ("fail", both("FAIL", "未通过")),
        Verdict::NotMeasured => ("none", both("NOT MEASURED", "未测得")),
    };
    let _ = writeln!(body, "<p class=\"verdict {class}\">{word} · {}</p>", both(english, chinese));
}

fn times(body: &mut String, figures: &Figures) {
    if figures.total_ms.is_none() {
        return;
    }
    let _ = writeln!(
        body,
        "<h2>{}</h2><div class=\"wide\" tabindex=\"0\"><table><tr><th></th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>",
        both("Times that users saw", "用户看到的时间")
    );
    row(body, &both("first token", "首个 token"), figures.ttft_ms);
    row(body, &both("of it, waiting in the queue", "其中排队"), figures.queue_ms);
    row(body, &both("whole answer", "完整回答"), figures.total_ms);
    body.push_str("</table></div>\n");
}

fn row(body: &mut String, name: &str, spread: Option<Spread>) {
    let Some(Spread { p50, p95, p99, max }) = spread else { return };
    let [p50, p95, p99, max] = [p50, p95, p99, max].map(time);
    let _ = writeln!(body, "<tr><td>{name}</td><td>{p50}</td><td>{p95}</td><td>{p99}</td><td>{max}</td></tr>");
}

/// How first tokens are spread, with the goal.
fn picture(body: &mut String, report: &Report) {
    let (ttfts, goal) = (&report.figures.ttfts_ms, millis(report.plan.goal_ttft));
    let Some(largest) = ttfts.last() else { return };
    let end = (largest * 1.02).max(goal * 1.15);
    let mut counts = [0_usize; BARS];
    for ttft in ttfts {
        counts[((ttft / end * BARS as f64) as usize).min(BARS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let wide = WIDTH / BARS as f64;
    let _ = write!(
        body,
        "<h2>{}</h2><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"first tokens by time\">",
        both("First tokens: how many came after how long", "首个 token：多久之后来了多少"),
        HEIGHT + LABEL_HEIGHT
    );
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let high = *count as f64 / most as f64 * (HEIGHT - 20.0);
        let middle = (at as f64 + 0.5) / BARS as f64 * end;
        let colour = if middle <= goal { "var(--good)" } else { "var(--bad)" };
        let _ = write!(
            body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\" fill=\"{colour}\"><title>{count}</title></rect>",
            at as f64 * wide + 1.0,
            HEIGHT - high,
            wide - 2.0
        );
    }
    let place = goal / end * WIDTH;
    // On the side where there is room.
    let (side, anchor) = if place < LABEL_WIDTH { (place + 4.0, "start") } else { (place - 4.0, "end") };
    let label = HEIGHT + LABEL_HEIGHT - 6.0;
    let _ = writeln!(
        body,
        "<line x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"0\" y2=\"{HEIGHT}\" stroke=\"var(--ink)\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{side:.1}\" y=\"18\" text-anchor=\"{anchor}\">{}</text>\
         <line x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\" stroke=\"var(--line)\"/>\
         <text x=\"0\" y=\"{label}\">0</text><text x=\"{WIDTH}\" y=\"{label}\" text-anchor=\"end\">{}</text></svg>",
        exact_time(goal),
        time(end)
    );
}

/// Where the time of answers went, by the records.
fn parts(body: &mut String, report: &Report) {
    let _ = writeln!(body, "<h2>{}</h2>", both("Where the time went", "时间花在哪里"));
    let told = match &report.told {
        Ok(told) => told,
        Err(why) => {
            let _ = writeln!(
                body,
                "<p class=\"pale\">{}</p>",
                both(&format!("not measured: {why}"), &format!("未测得：{why}"))
            );
            return;
        }
    };
    let whole: f64 = told.phases.iter().map(|phase| phase.mean_ms).sum();
    let _ = write!(body, "<svg viewBox=\"0 0 {WIDTH} 36\" role=\"img\" aria-label=\"parts of the time\">");
    let mut x = 0.0;
    for phase in &told.phases {
        let wide = phase.mean_ms / whole.max(f64::MIN_POSITIVE) * WIDTH;
        let (class, english, _) = part(phase);
        let _ = write!(
            body,
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"4\" width=\"{wide:.2}\" height=\"28\" fill=\"currentColor\"><title>{english}</title></rect>"
        );
        x += wide;
    }
    let _ = writeln!(
        body,
        "</svg><div class=\"wide\" tabindex=\"0\"><table><tr><th>{}</th><th>{}</th><th>p50</th><th>p95</th><th>p99</th><th>{}</th></tr>",
        both("part of an answer", "回答的各部分"),
        both("mean", "平均"),
        both("known of", "已知请求数")
    );
    for phase in &told.phases {
        let (class, english, chinese) = part(phase);
        let Spread { p50, p95, p99, .. } = phase.ms;
        let [mean, p50, p95, p99] = [phase.mean_ms, p50, p95, p99].map(time);
        let _ = writeln!(
            body,
            "<tr><td><span class=\"{class}\">■</span> {}</td><td>{mean}</td><td>{p50}</td><td>{p95}</td><td>{p99}</td><td>{}</td></tr>",
            both(english, chinese),
            grouped(phase.requests as f64)
        );
    }
    body.push_str("</table></div>\n");
    let found = (grouped(told.found as f64), grouped(told.asked as f64));
    let _ = writeln!(
        body,
        "<p class=\"pale\">{}</p>",
        both(
            &format!("By the house's own records of {} of {} answered requests.", found.0, found.1),
            &format!("依据 tollhouse 自己的记录：{} 个已回答请求中的 {} 个。", found.1, found.0)
        )
    );
    if let Own::Unknown(why) = &told.own {
        let _ =
            writeln!(body, "<p class=\"pale\">{}</p>", both(&format!("own part: {why}"), &format!("自身耗时：{why}")));
    }
}

fn part(phase: &Phase) -> (&'static str, &'static str, &'static str) {
    let known = PARTS.iter().find(|(name, ..)| *name == phase.name);
    known.copied().unwrap_or(PARTS[PARTS.len() - 1])
}

fn speed(body: &mut String, figures: &Figures) {
    let Some(speed) = figures.speed else { return };
    let _ = writeln!(body, "<h2>{}</h2><table>", both("Tokens a second", "每秒 token 数"));
    let mut line = |english: &str, chinese: &str, number: Option<f64>| {
        if let Some(number) = number {
            let _ = writeln!(body, "<tr><td>{}</td><td>{}</td></tr>", both(english, chinese), grouped(number));
        }
    };
    line("all users together", "所有用户合计", Some(speed.all));
    line("a user in the middle", "居中的用户", speed.user_p50);
    line("the slowest 5 %", "最慢的 5 %", speed.user_p5);
    line("tokens of all answers", "全部回答的 token 数", Some(speed.tokens as f64));
    body.push_str("</table>\n");
    if !speed.told {
        let english = "Pieces of answers were counted: the model server does not tell its tokens.";
        let _ =
            writeln!(body, "<p class=\"pale\">{}</p>", both(english, "按回答的片段计数：模型服务器不报告 token 数。"));
    }
}

fn errors(body: &mut String, figures: &Figures) {
    let failed = figures.requests - figures.answered;
    let title = both(
        &format!("Not answered: {failed} of {}", figures.requests),
        &format!("未获回答：{} 个中的 {failed} 个", figures.requests),
    );
    let _ = writeln!(body, "<h2>{title}</h2>");
    if failed == 0 {
        return;
    }
    body.push_str("<table>");
    for kind in &figures.errors {
        let fault = &kind.fault;
        let what = fault.status.map_or_else(|| fault.code.clone(), |status| status.to_string());
        let _ = writeln!(
            body,
            "<tr><td>{} {}<br><code class=\"pale\">tollhouse why {}</code></td><td>{}</td></tr>",
            escaped(&what),
            escaped(&fault.message),
            escaped(&kind.request_id),
            grouped(kind.count as f64)
        );
    }
    body.push_str("</table>\n");
}

fn hints(body: &mut String, report: &Report) {
    if report.hints.is_empty() {
        return;
    }
    let _ = writeln!(body, "<h2>{}</h2><ul>", both("What to do", "怎么办"));
    for hint in &report.hints {
        let _ = writeln!(body, "<li>{}</li>", both(&hint.english, &hint.chinese));
    }
    body.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{failed, sample};
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_is_in_both_languages() {
        let mut samples: Vec<_> = (0..40).map(|user| sample(user, 100 + u64::from(user) * 40)).collect();
        samples.push(failed(40, Some(503), "<script>alert(1)</script>", None));
        let mut report = report(samples, Err("nobody told".to_owned()));
        report.model = "<b>model</b>".to_owned();
        let page = page(&report, "2026-01-27 08:00 UTC");
        for never in ["<script", "http://www", "src=", "href=", "url(", "<b>model", "@import", "style=\""] {
            assert!(!page.contains(never), "{never}");
        }
        assert_eq!(page.matches("<span lang=\"en\">").count(), page.matches("<span lang=\"zh\">").count());
        assert!(page.contains("&lt;b&gt;model&lt;/b&gt;") && page.contains("未测得：nobody told"));
        assert!(page.matches("<rect").count() > 10 && page.contains("stroke-dasharray"));
        assert!(page.contains("tollhouse why bench-40"));
    }
}
