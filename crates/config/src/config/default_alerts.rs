//! The rules that everybody has until the configuration says otherwise.
//!
//! Most of them look at records that only come where something is configured (probes, sources, destinations): without such
//! records they are calm and cost next to nothing.

use std::time::Duration;

use super::{AlertConfig, AlertMeasure, AlertOrigin, AlertSeverity};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What people ask for; the requests of probes are not theirs.
const USERS: &str = "kind:request AND NOT origin:(probe OR replay OR task)";

impl AlertConfig {
    /// Rules on requests, on collected lines, on what probes find and on the house itself; and objectives.
    pub(crate) fn defaults() -> Vec<Self> {
        let mut rules = requests();
        rules.extend(lines());
        rules.extend(probes());
        rules.extend(house());
        rules.extend(objectives());
        for rule in &mut rules {
            rule.origin = AlertOrigin::BuiltIn;
        }
        rules
    }

    fn about(name: &str, query: &str, severity: AlertSeverity, runbook: &str) -> Self {
        Self { query: query.to_owned(), severity, runbook: Some(runbook.to_owned()), ..Self::empty(name) }
    }

    fn by(mut self, field: &str) -> Self {
        self.group_by = Some(field.to_owned());
        self
    }

    fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    fn at_least(mut self, count: u64) -> Self {
        self.limit = format!(">= {count}");
        self
    }

    /// The newest record of each group fulfils this query.
    fn latest(mut self, query: &str) -> Self {
        self.measure = AlertMeasure::Latest(query.to_owned());
        ">= 1".clone_into(&mut self.limit);
        self
    }

    /// It is watched and shown, and no channel is told.
    fn told_to_nobody(mut self) -> Self {
        self.notify = Some(Vec::new());
        self
    }

    fn needs(mut self, rules: &[&str]) -> Self {
        self.needs = rules.iter().map(|name| (*name).to_owned()).collect();
        self
    }
}

fn requests() -> Vec<AlertConfig> {
    use AlertSeverity::{Critical, Warning};
    let slow = AlertConfig::about(
        "slow-model",
        &format!("{USERS} AND duration_ms:>5000"),
        Warning,
        "Open the link and look at the phases of the slowest requests, or run `tollhouse why` with an id of theirs: it says \
         whether they waited for a place, for the model to load, or for the model itself.",
    );
    let failing = AlertConfig::about(
        "failing-requests",
        USERS,
        Critical,
        "See whether the model server answers (/health tells), and what its log says.",
    );
    let refused = AlertConfig::about(
        "refused-requests",
        &format!("{USERS} AND http_status:(401 OR 429)"),
        Warning,
        "401: somebody tries keys, or a program has an old one. 429: a caller is over its limit. The link shows which; \
         `tollhouse search report errors` counts them by caller.",
    );
    let baseline = AlertConfig::about(
        "latency-baseline",
        &format!("{USERS} AND http_status:200"),
        Warning,
        "Requests take longer than they usually do at this hour. Look whether prompts became longer, another model is \
         loaded beside this one, or the machine is busy with something else.",
    );
    vec![
        slow.by("model_name").at_least(5).needs(&["process-gone"]),
        AlertConfig {
            measure: AlertMeasure::Ratio("http_status:>=500".to_owned()),
            limit: "> 20".to_owned(),
            samples: 10,
            ..failing.needs(&["process-gone"])
        },
        refused.by("client_ip").at_least(50),
        AlertConfig {
            measure: AlertMeasure::Average("duration_ms".to_owned()),
            limit: "> 30".to_owned(),
            baseline: Some(7 * DAY),
            samples: 20,
            hold: HOUR,
            resolve: Some(10 * MINUTE),
            cooldown: 6 * HOUR,
            ..baseline.by("model_name").within(HOUR).needs(&["process-gone", "slow-model"])
        },
    ]
}

fn lines() -> Vec<AlertConfig> {
    use AlertSeverity::{Critical, Info, Warning};
    let memory = AlertConfig::about(
        "out-of-memory",
        "kind:log AND msg:(\"CUDA out of memory\" OR \"CUDA error: out of memory\" OR \"cudaMalloc failed\" OR \
         \"signal: killed\" OR \"Out of memory: Killed process\" OR \"oom-kill\" OR \"failed to allocate\")",
        Critical,
        "The model does not fit beside what else is in memory: fewer places (`parallel`), a smaller `context`, a smaller \
         model, or nothing else on this GPU. The time line shows what was asked at that moment.",
    );
    let errors = AlertConfig::about(
        "error-patterns",
        "kind:log AND msg:(OutOfMemoryError OR ModelNotResponding OR InvalidAPIResponse OR \"out of memory\")",
        Warning,
        "The worst lines say which program wrote them; the link shows what stands around them.",
    );
    let new = AlertConfig::about(
        "new-pattern",
        "kind:pattern",
        Info,
        "A line of a kind that this program has not written before. It often is the first sign of something else.",
    );
    vec![
        AlertConfig { around: Some(30 * Duration::from_secs(1)), ..memory.at_least(1).within(2 * MINUTE) },
        errors.by("source").at_least(1).within(10 * MINUTE).needs(&["out-of-memory"]),
        AlertConfig { resolve: None, ..new.by("source").at_least(1).within(10 * MINUTE) },
    ]
}

fn probes() -> Vec<AlertConfig> {
    use AlertSeverity::{Critical, Warning};
    let probe = |name: &str, kind: &str, severity, runbook: &str| {
        AlertConfig::about(
            name,
            &format!("kind:probe AND probe_kind:{kind} AND NOT outcome:skipped"),
            severity,
            runbook,
        )
        .by("probe")
        .within(DAY)
    };
    let bad = "outcome:(warn OR fault)";
    vec![
        probe("process-gone", "process", Critical, "Start it again, and look at the end of its log for why it ended.")
            .latest("outcome:fault"),
        probe(
            "model-silent",
            "model",
            Critical,
            "The process runs and the model does not answer: see what the model server's log says, and restart it if it hangs.",
        )
        .latest("outcome:fault")
        .needs(&["process-gone"]),
        probe(
            "quality-fell",
            "quality",
            Warning,
            "Compare the digest of the weights, the options and the server's version with those of the baseline: the record \
             of the probe names what changed.",
        )
        .latest(bad)
        .by("test_type")
        .needs(&["model-silent"]),
        probe("disk-full", "disk", Warning, "Make room, or shorten what is kept (`logging.keep`, `store.keep`).").latest(bad),
        probe("certificate-ends", "certificate", Warning, "Renew it, and see why that was not done by itself.").latest(bad),
        probe("address-down", "http", Warning, "See whether the service behind this address runs.").latest(bad),
        probe("memory-short", "memory", Warning, "Something on this machine needs more memory than there is.").latest(bad),
        probe("clock-wrong", "clock", Warning, "Let the clock be set by the network (NTP): times in records are wrong.")
            .latest(bad),
        probe("gpu-memory", "gpu", Warning, "The next longer prompt may fail: fewer places, or a smaller `context`.")
            .latest("gpu_memory_used_percent:>90"),
        probe("gpu-hot", "gpu", Warning, "Look after its fans and the air around it; it slows itself down.")
            .latest("temperature:>85"),
    ]
}

fn house() -> Vec<AlertConfig> {
    use AlertSeverity::{Critical, Info, Warning};
    let about = AlertConfig::about;
    vec![
        about(
            "journal-disk",
            "kind:resource AND disk:*",
            Critical,
            "The journal's disk is getting full, or takes no records any more (`disk` says which): make room on it.",
        )
        .latest("disk:(tight OR full)")
        .within(DAY),
        AlertConfig {
            // It is reminded of by further records, and nobody needs to be told that no record came.
            resolve: None,
            ..about(
                "process-paused",
                "kind:process AND waits_for_human:true",
                Critical,
                "A process under supervision failed too often, or is critical, and waits for you. `tollhouse ps` says why; once that \
                 is mended, the link above, the page Processes or `tollhouse confirm NAME` starts it again.",
            )
            .by("process_name")
            .at_least(1)
            .within(2 * MINUTE)
        },
        about("records-lost", "kind:gap", Critical, "Records were not kept, or gone before they were shipped; the record says how many.")
            .at_least(1)
            .within(HOUR),
        about(
            "certificate-not-obtained",
            "kind:certificate AND outcome:(ok OR fault)",
            Warning,
            "A certificate of a site could not be ordered or renewed; the one in force goes on, and it is tried again by itself. The \
             record says why: often the name leads elsewhere, or the authority cannot reach port 80 or 443.",
        )
        .latest("outcome:fault")
        .by("host")
        .within(DAY),
        about(
            "dead-letters",
            "kind:dead_letter",
            Warning,
            "A line could not be shaped, or a cluster refused a document. `tollhouse dead` lists them and replays them.",
        )
        .at_least(1)
        .within(HOUR),
        about(
            "peak-ahead",
            "kind:forecast",
            Info,
            "More will be asked for than the model servers can take: more places, another server, or a limit for the \
             callers that ask most (`tollhouse search report top`).",
        )
        .latest("peak_share:>1")
        .within(DAY),
    ]
}

/// What users may expect of each model, and a budget for what is otherwise. Only failures are told to channels unless the
/// configuration says otherwise: what is fast enough depends on the machine.
fn objectives() -> Vec<AlertConfig> {
    let objective = |name: &str, which: &str, bad: &str, goal: f64, runbook: &str| {
        let measure = AlertMeasure::Burn { bad: bad.to_owned(), goal, over: 30 * DAY };
        AlertConfig {
            within: measure.within(),
            samples: measure.samples(),
            measure,
            limit: ">= 1".to_owned(),
            resolve: Some(10 * MINUTE),
            cooldown: 6 * HOUR,
            ..AlertConfig::about(name, &format!("{USERS}{which}"), AlertSeverity::Warning, runbook).by("model_name")
        }
    };
    vec![
        objective(
            "objective-availability",
            // Refused is the client's side, and who leaves has not been failed.
            " AND NOT http_status:[400 TO 499]",
            "http_status:>=500 OR (error:* AND NOT cancelled:true)",
            99.5,
            "See whether the model server answers (/health tells), and what the failed requests have in common.",
        )
        .needs(&["process-gone", "failing-requests"]),
        objective(
            "objective-ttft",
            " AND ttft_ms:*",
            "ttft_ms:>2000",
            95.0,
            "The link shows the requests; their phases say whether they waited for a place, for the model to load, or for a \
             long prompt to be read.",
        )
        .told_to_nobody(),
        objective(
            "objective-speed",
            " AND tokens_per_second:*",
            "tokens_per_second:<10",
            95.0,
            "Look whether too many requests share the server (`parallel`), or a part of the model lies in slower memory.",
        )
        .told_to_nobody(),
        objective(
            "objective-efficiency",
            " AND token_efficiency:*",
            "token_efficiency:<0.05",
            90.0,
            "Prompts are long for what is answered: the page Efficiency shows by whom, and which parts they share.",
        )
        .told_to_nobody(),
    ]
}
