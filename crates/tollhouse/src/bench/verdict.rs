//! Whether the goals are reached, and what to do about what stood in the way.

use std::process::ExitCode;

use super::args::{Amount, Plan};
use super::figures::{Figures, Kind};
use super::records::Own;

/// So many percent of the requests have to be within the goals.
pub(crate) const SHARE_PERCENT: usize = 95;
/// What the house itself may take of the first token's time.
pub(crate) const OWN_MS_MAX: f64 = 5.0;
/// Connections that the house takes of one address, as it comes (`limits.per_address`).
const PER_ADDRESS: u32 = 256;

/// What came of a goal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    NotMeasured,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotMeasured => "not measured",
        }
    }

    /// The exit status of the command.
    pub(crate) fn exit(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::NotMeasured => 2,
        })
    }
}

/// The goal for the first token. A request without a whole answer is a late one. Where none was answered, or some users
/// were cut off before anything was heard of them, the goal was not put to the test.
pub(crate) fn first_token(figures: &Figures, plan: &Plan) -> Verdict {
    // With requests that begin at their times, one user may be enough for all of them.
    let is_paced = matches!(plan.amount, Amount::Paced { .. });
    if figures.answered == 0 || (!is_paced && figures.users < plan.users as usize) {
        return Verdict::NotMeasured;
    }
    let enough = figures.in_time * 100 >= figures.requests * SHARE_PERCENT;
    if enough { Verdict::Pass } else { Verdict::Fail }
}

/// The goal for the house's own part.
pub(crate) fn own_part(own: Option<&Own>) -> Verdict {
    match own {
        Some(Own::Measured { ms, .. }) if ms.p95 <= OWN_MS_MAX => Verdict::Pass,
        Some(Own::Measured { .. }) => Verdict::Fail,
        Some(Own::Unknown(_)) | None => Verdict::NotMeasured,
    }
}

/// What comes of both. Where the first token was not put to the test, the bench was not what it was to be; where only the
/// own part is unknown, the users have said what they had to say.
pub(crate) fn of_all(first_token: Verdict, own_part: Verdict) -> Verdict {
    match (first_token, own_part) {
        (Verdict::NotMeasured, _) => Verdict::NotMeasured,
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Pass, _) => Verdict::Pass,
    }
}

/// An advice, in both languages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hint {
    pub(crate) english: String,
    pub(crate) chinese: String,
}

impl Hint {
    fn new(english: impl Into<String>, chinese: impl Into<String>) -> Self {
        Self { english: english.into(), chinese: chinese.into() }
    }
}

/// What to do about what stood in the way, each advice once.
pub(crate) fn hints(figures: &Figures, first_token: Verdict, own_part: Verdict, plan: &Plan) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    for hint in figures.errors.iter().filter_map(|kind| hint(kind, plan)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if first_token == Verdict::Fail && has_mostly_waited(figures) {
        hints.push(Hint::new(
            "most of the time was waiting for a place at the model server: `upstreams.*.parallel` says how many requests \
             it is given at once; when it is at its limit, only another server or a smaller model helps",
            "大部分时间在等模型服务器的空位：`upstreams.*.parallel` 决定同时交给它多少个请求；它已到极限时，只有再加一台服务器或换更小的模型才有用",
        ));
    }
    if own_part == Verdict::Fail {
        hints.push(Hint::new(
            "just after a start tollhouse waits until the model server has told what its model is: measure again; a \
             machine that is busy lets it wait too: run this bench on another one (--url)",
            "刚启动时，tollhouse 要等模型服务器说明它的模型：请再测一次；机器繁忙时它也得等：请在另一台机器上运行本测试（--url）",
        ));
    }
    hints
}

/// Whether waiting for a place is more than half of the late ones' time.
fn has_mostly_waited(figures: &Figures) -> bool {
    let spreads = figures.queue_ms.zip(figures.ttft_ms);
    spreads.is_some_and(|(queue, ttft)| queue.p95 > ttft.p95 / 2.0)
}

fn hint(kind: &Kind, plan: &Plan) -> Option<Hint> {
    let (fault, id) = (&kind.fault, &kind.request_id);
    let crowded = plan.users > PER_ADDRESS;
    Some(match (fault.status, fault.code.as_str()) {
        (Some(401), _) => {
            Hint::new(key_hint(), "请创建一个密钥并使用它：export TOLLHOUSE_KEY=$(tollhouse key create --name bench)")
        }
        (Some(429), _) | (Some(400), "budget_exceeded") => Hint::new(
            format!("this key may not ask so much; make one that may: {}", roomy_key(plan)),
            format!("这个密钥的额度不够；请创建一个额度足够的：{}", roomy_key(plan)),
        ),
        (Some(403), _) => Hint::new(
            "this key may not call this model; `tollhouse key list` shows what it may",
            "这个密钥不能调用此模型；`tollhouse key list` 显示它能调用什么",
        ),
        (Some(404), _) => Hint::new("name a model that there is: --model NAME", "请指定一个存在的模型：--model 名称"),
        (Some(400), "context_length_exceeded") => Hint::new(
            format!("ask less (--prompt, --tokens), or with a key that may more: {}", roomy_key(plan)),
            format!("请少问一些（--prompt、--tokens），或换一个额度更大的密钥：{}", roomy_key(plan)),
        ),
        (Some(503), _) => Hint::new(
            format!(
                "the queue was full, a wait in it over, or a model server silent: tollhouse why {id}; more room: \
                 `upstreams.*.parallel` (what the model server works on at once), `queue.depth`, `queue.wait`"
            ),
            format!(
                "队列已满、排队超时，或模型服务器没有响应：tollhouse why {id}；要更多余地：\
                 `upstreams.*.parallel`（模型服务器同时处理多少请求）、`queue.depth`、`queue.wait`"
            ),
        ),
        (None, "no connection" | "closed") if crowded => Hint::new(
            format!(
                "the house takes {PER_ADDRESS} connections of one address unless `limits.per_address` says more, and this \
                 bench is one address"
            ),
            format!("除非 `limits.per_address` 另有设置，同一地址最多 {PER_ADDRESS} 个连接，而本测试只有一个地址"),
        ),
        (None, "no connection") => Hint::new(
            "is it still running? More users than `ulimit -n` allows files fail too",
            "它还在运行吗？用户数超过 `ulimit -n` 允许的文件数也会失败",
        ),
        (_, "broke off") => Hint::new(
            format!("what happened to one of them: tollhouse why {id}"),
            format!("其中一个发生了什么：tollhouse why {id}"),
        ),
        _ => return None,
    })
}

/// How to come by a key that is taken.
pub(crate) fn key_hint() -> String {
    "make a key and show it: export TOLLHOUSE_KEY=$(tollhouse key create --name bench)".to_owned()
}

/// The command that makes a key which the bench cannot exhaust. A key's own limits are in place of the general ones, one
/// by one, so each has to be named.
pub(crate) fn roomy_key(plan: &Plan) -> String {
    // Ten requests a second and user, and prompts of 1,000 tokens: more than a model gives.
    let requests = u64::from(plan.users) * 600;
    let tokens = requests * (u64::from(plan.tokens_max) + 1000);
    let budget = tokens.saturating_mul(60);
    format!(
        "tollhouse key create --name bench --requests {requests}/60s --tokens {tokens}/60s --concurrent {} --budget \
         {budget}/day --budget {budget}/month --expires 1d",
        plan.users
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::Spread;
    use super::super::figures::tests::{failed, sample};
    use super::super::users::Sample;
    use super::*;

    fn plan(users: u32) -> Plan {
        Plan {
            users,
            prompt: String::new(),
            tokens_max: 64,
            amount: Amount::Requests(1),
            goal_ttft: Duration::from_millis(1200),
        }
    }

    fn verdict(samples: &[Sample], users: u32) -> Verdict {
        let plan = plan(users);
        first_token(&Figures::of(samples, plan.goal_ttft, Duration::from_secs(1)), &plan)
    }

    /// So many in time, late and failed, each from a user of its own.
    fn samples(in_time: u32, late: u32, broken: u32) -> Vec<Sample> {
        let kind = |user| match user {
            user if user < in_time => sample(user, 1200),
            user if user < in_time + late => sample(user, 1201),
            user => failed(user, Some(503), "overloaded", None),
        };
        (0..in_time + late + broken).map(kind).collect()
    }

    #[test]
    fn a_failed_request_is_a_late_one() {
        for (in_time, late, broken, expected) in [
            (200, 0, 0, Verdict::Pass),
            (190, 10, 0, Verdict::Pass),
            (190, 5, 5, Verdict::Pass),
            (189, 11, 0, Verdict::Fail),
            (189, 0, 11, Verdict::Fail),
            (0, 200, 0, Verdict::Fail),
            (0, 0, 200, Verdict::NotMeasured),
            (0, 0, 0, Verdict::NotMeasured),
        ] {
            assert_eq!(
                verdict(&samples(in_time, late, broken), in_time + late + broken),
                expected,
                "{in_time} {late} {broken}"
            );
        }
    }

    #[test]
    fn without_every_user_there_is_no_verdict() {
        assert_eq!(verdict(&samples(100, 0, 0), 200), Verdict::NotMeasured);
    }

    #[test]
    fn the_own_part_is_judged_where_it_was_measured() {
        let own = |p95| Own::Measured { ms: Spread { p50: 1.0, p95, p99: 50.0, max: 50.0 }, requests: 10 };
        assert_eq!(own_part(Some(&own(5.0))), Verdict::Pass);
        assert_eq!(own_part(Some(&own(5.1))), Verdict::Fail);
        assert_eq!(own_part(Some(&Own::Unknown("why".to_owned()))), Verdict::NotMeasured);
        assert_eq!(own_part(None), Verdict::NotMeasured);
    }

    #[test]
    fn either_goal_can_fail() {
        use Verdict::{Fail, NotMeasured, Pass};
        for (first_token, own_part, expected) in [
            (Pass, Pass, Pass),
            (Pass, NotMeasured, Pass),
            (Pass, Fail, Fail),
            (Fail, Pass, Fail),
            (Fail, NotMeasured, Fail),
            (NotMeasured, Pass, NotMeasured),
            (NotMeasured, Fail, NotMeasured),
        ] {
            assert_eq!(of_all(first_token, own_part), expected, "{first_token:?} {own_part:?}");
        }
    }

    #[test]
    fn each_advice_is_given_once() {
        let hints = |users: u32, faults: &[(Option<u16>, &str)]| {
            let samples: Vec<Sample> = faults.iter().map(|(status, code)| failed(0, *status, code, None)).collect();
            let figures = Figures::of(&samples, Duration::from_secs(1), Duration::from_secs(1));
            super::hints(&figures, Verdict::NotMeasured, Verdict::NotMeasured, &plan(users))
        };
        let told = hints(300, &[(Some(429), "a"), (Some(429), "b"), (None, "closed"), (Some(401), "")]);
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|hint| !hint.chinese.is_ascii()), "{told:?}");
        assert!(
            told[0].english.contains("--requests 180000/60s") && told[0].chinese.contains("--concurrent 300"),
            "{told:?}"
        );
        assert!(told[1].english.contains("limits.per_address"));
        assert!(hints(200, &[(None, "closed")]).is_empty());
    }

    #[test]
    fn whoever_mostly_waited_is_told_for_what() {
        let waited = |queue_ms: f64| {
            let late = Sample { queue_ms: Some(queue_ms), ..sample(0, 2000) };
            let figures = Figures::of(&[late], Duration::from_secs(1), Duration::from_secs(3));
            hints(&figures, Verdict::Fail, Verdict::Pass, &plan(1)).len()
        };
        assert_eq!((waited(900.0), waited(1100.0)), (0, 1));
        let quick = Figures::of(&[sample(0, 100)], Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(hints(&quick, Verdict::Pass, Verdict::Fail, &plan(1)).len(), 1);
    }
}
