//! All that probes say: each thing by a code that does not change, with its figures, and as English words.
//!
//! Records and the console's API carry code and figures beside the sentence, so that a page can say it in its reader's language.

use serde_json::Value;
use tollhouse_units::catalogue;

catalogue! {
    /// One thing that a probe says.
    pub enum Said;

    // What belongs to no kind.
    words => Words { error: String } "{error}";
    too_late => TooLate { limit_s: f64 } "no answer within {limit_s} s";
    more => More { count: usize } "(and {count} more)";

    // What each probe looks at.
    looks_process => LooksProcess { process: String } "process {process}";
    looks_port => LooksPort { address: String } "port {address}";
    looks_address => LooksAddress { url: String } "{url}";
    looks_question => LooksQuestion { prompt: String } "asked: {prompt}";
    looks_answer => LooksAnswer { prompt: String, expected: String } "asked: {prompt} → {expected}";
    looks_tests => LooksTests { tests: usize, file: String, samples: u32, model: String }
        "{tests} tests of {file}, {samples} answers each, by {model}";
    looks_space => LooksSpace { path: String, limit_percent: f64 } "space of {path}, limit {limit_percent}%";
    looks_served => LooksServed { address: String } "served at {address}";
    looks_served_for => LooksServedFor { address: String, name: String } "served at {address} for {name}";
    looks_file => LooksFile { path: String } "in {path}";
    looks_cards => LooksCards { limit_percent: f64, limit_degrees: f64 }
        "memory, limit {limit_percent}%; temperature, limit {limit_degrees} °C";
    looks_memory => LooksMemory { limit_percent: f64, waited_limit_percent: f64 }
        "memory, limit {limit_percent}%; waiting for it, limit {waited_limit_percent}%";
    looks_keeper => LooksKeeper {} "what keeps the clock";
    looks_servers => LooksServers { count: usize } "the time that {count} servers tell";

    // Programs.
    processes_hidden => ProcessesHidden { error: String } "the processes cannot be listed: {error}";
    process_runs => ProcessRuns { pid: i32 } "process {pid} runs";
    process_restarted => ProcessRestarted { before: i32 } "it was started anew since the last look (it was process {before})";
    process_gone => ProcessGone { process: String } "no process {process} runs";
    process_unseen => ProcessUnseen { process: String } "it answers, but no process {process} can be seen from here";
    nobody_runs => NobodyRuns {} "no process of that name runs";
    but_runs => ButRuns {} "its process runs";
    port_open => PortOpen { port: u16 } "port {port} is open";
    port_closed => PortClosed { address: String } "{address} takes no connections";
    port_away => PortAway { address: String, error: String } "{address} cannot be reached: {error}";
    port_late => PortLate { address: String, limit_s: u64 } "{address} takes no connection within {limit_s} s";

    // What programs say of themselves.
    says_well => SaysWell { path: String } "{path} says that it is well";
    silent => Silent { path: String, error: String } "{path} does not answer: {error}";
    says_status => SaysStatus { path: String, status: u16 } "{path} answers {status}";
    says_status_why => SaysStatusWhy { path: String, status: u16, error: String } "{path} answers {status}: {error}";
    says_page => SaysPage { path: String, status: u16 }
        "{path} answers {status} with a web page: that is a catch-all, which says nothing of health";
    says_false => SaysFalse { path: String, name: String } "{path} says {name}: false";
    says_false_why => SaysFalseWhy { path: String, name: String, error: String } "{path} says {name}: false: {error}";
    says_word => SaysWord { path: String, word: String } "{path} says {word:?}";
    loop_late => LoopLate { path: String, delay_ms: f64 } "{path} says that its event loop is {delay_ms:.0} ms late";
    loop_degraded => LoopDegraded { path: String } "{path} says that its event loop is degraded";

    // Addresses.
    page_silent => PageSilent { error: String } "does not answer: {error}";
    page_status => PageStatus { status: u16 } "answers {status}";
    page_other => PageOther { status: u16, wanted: u16 } "answers {status} instead of {wanted}";
    page_with => PageWith { status: u16, text: String } "answers {status} with {text:?}";
    page_without => PageWithout { status: u16, text: String } "answers {status}, but without {text:?}";
    page_well => PageWell { status: u16 } "answers {status} and is well";

    // Models.
    model_silent => ModelSilent { error: String } "no answer: {error}";
    model_skipped => ModelSkipped {} "not asked:";
    model_skipped_often => ModelSkippedOften { count: u32 } "could not be asked {count} times in a row:";
    requests_wait => RequestsWait { count: usize, upstream: String } "{count} requests wait for {upstream}";
    requests_run => RequestsRun { count: usize, upstream: String } "{upstream} works on {count} requests of users";
    users_came => UsersCame { upstream: String } "users came to {upstream} meanwhile";
    card_busy => CardBusy { busy_percent: f64 } "the graphics card is {busy_percent}% busy";
    model_thought => ModelThought { count: u32 } "it thought for {count} tokens and said nothing";
    model_empty => ModelEmpty {} "its answer is empty";
    model_wrong => ModelWrong { answer: String, expected: String } "answered {answer:?}, in which there is none of: {expected}";
    model_late => ModelLate { first_ms: f64, limit_ms: f64 }
        "the first token came after {:.1} s (limit {:.1} s)", first_ms / 1e3, limit_ms / 1e3;
    model_answers => ModelAnswers {} "answers";
    model_first => ModelFirst { first_ms: f64 } "first token after {first_ms:.0} ms";
    model_speed => ModelSpeed { speed: f64 } "{speed:.1} tokens/s";

    // Quality.
    tests_late => TestsLate { limit_s: u64 } "the tests took longer than {} minutes", limit_s / 60;
    tests_silent => TestsSilent { model: String, error: String } "{model} does not answer: {error}";
    tests_answer_late => TestsAnswerLate { model: String, limit_s: u64 } "{model} did not answer within {limit_s} s";
    tests_passed => TestsPassed { passed: u64, samples: u64, types: usize } "{passed} of {samples} answers right in {types} types";
    types_more => TypesMore { count: usize } "(and {count} more types)";
    type_fell => TypeFell { test_type: String, right_percent: f64, samples: u64, before_percent: f64 }
        "Model degradation detected in {test_type}: {right_percent:.0}% of {samples} answers right, {before_percent:.0}% before";
    type_none_right => TypeNoneRight { test_type: String, samples: u64, run: u32, runs: u32 }
        "Model degradation suspected in {test_type}: none of {samples} answers right (run {run} of {runs} for the baseline)";
    type_baseline => TypeBaseline { test_type: String, passed: u64, samples: u64, run: u32, runs: u32 }
        "{test_type}: {passed} of {samples} answers right (run {run} of {runs} for the baseline)";
    type_holds => TypeHolds { test_type: String, passed: u64, samples: u64, before_percent: f64 }
        "{test_type}: {passed} of {samples} answers right, {before_percent:.0}% before";
    same_server => SameServer {} "digest, options and server version are the same as then";
    digest_changed => DigestChanged { before: String, now: String } "digest changed from {before} to {now}";
    options_changed => OptionsChanged { before: String, now: String } "options changed from {before} to {now}";
    version_changed => VersionChanged { before: String, now: String } "server version changed from {before} to {now}";

    // Disks.
    disk_hidden => DiskHidden { path: String, error: String } "{path} cannot be looked at: {error}";
    disk_used => DiskUsed { used_percent: f64, free_bytes: u64 } "{used_percent}% used, {} free", size(*free_bytes);
    disk_above => DiskAbove { used_percent: f64, limit_percent: f64, free_bytes: u64 }
        "{used_percent}% used (limit {limit_percent}%), {} free", size(*free_bytes);
    disk_soon => DiskSoon { used_percent: f64, days: f64 } "{used_percent}% used, and if it goes on so full in {days} days";
    disk_full_in => DiskFullIn { days: f64 } "full in {days} days";
    inodes_above => InodesAbove { used_percent: f64, limit_percent: f64 }
        "{used_percent}% of the inodes used (limit {limit_percent}%)";

    // Certificates.
    certificate_hidden => CertificateHidden { path: String, error: String } "{path} cannot be read: {error}";
    certificate_no_tls => CertificateNoTls { address: String, error: String } "no TLS with {address}: {error}";
    certificate_late => CertificateLate { address: String, limit_s: u64 } "no TLS with {address} within {limit_s} s";
    certificate_none => CertificateNone { address: String } "{address} showed no certificate";
    certificate_over => CertificateOver { until: String } "over since {until}";
    certificate_ends => CertificateEnds { days: f64, until: String } "ends in {days} days, at {until}";
    certificate_good => CertificateGood { days: f64 } "good for {days} days";
    certificate_of => CertificateOf { subject: String } "(of {subject} in its chain)";
    certificate_doubt => CertificateDoubt {} "clients will not believe it:";
    doubt_issuer => DoubtIssuer {}
        "the chain does not lead to a known authority (an intermediate certificate is missing, or it is self-signed)";
    doubt_name => DoubtName { names: String } "it is for another name: {names}";
    doubt_over => DoubtOver {} "a certificate of the chain is over";
    doubt_early => DoubtEarly {} "a certificate of the chain is not valid yet";
    doubt_revoked => DoubtRevoked {} "it is revoked";
    doubt_authorities => DoubtAuthorities {} "this machine knows no authorities";

    // Graphics cards.
    no_card => NoCard {} "there is no graphics card here";
    card => Card { gpu: String } "{gpu}:";
    card_memory => CardMemory { used_percent: f64 } "{used_percent}% of its memory used";
    card_memory_above => CardMemoryAbove { used_percent: f64, limit_percent: f64 }
        "{used_percent}% of its memory used (limit {limit_percent}%)";
    card_works => CardWorks { busy_percent: f64 } "{busy_percent}% busy";
    card_heat => CardHeat { degrees: f64 } "{degrees} °C";
    card_slowed => CardSlowed { why: String } "slowed down ({why})";
    card_heat_above => CardHeatAbove { degrees: f64, limit_degrees: f64 } "{degrees} °C (limit {limit_degrees} °C)";

    // Memory.
    memory_hidden => MemoryHidden {} "the kernel does not tell how much memory there is";
    memory_used => MemoryUsed { used_percent: f64 } "{used_percent}% used";
    memory_above => MemoryAbove { used_percent: f64, limit_percent: f64 } "{used_percent}% used (limit {limit_percent}%)";
    group_used => GroupUsed { used_percent: f64 } "{used_percent}% of the control group's memory used";
    group_above => GroupAbove { used_percent: f64, limit_percent: f64 }
        "{used_percent}% of the control group's memory used (limit {limit_percent}%)";
    memory_waited => MemoryWaited { waited_percent: f64, limit_percent: f64 }
        "programs waited for memory in {waited_percent}% of the last minute (limit {limit_percent}%)";

    // The clock.
    clock_measured => ClockMeasured { skew_ms: f64 } "this clock is {:.3} s off, as chrony measures it", skew_ms.abs() / 1e3;
    clock_measured_off => ClockMeasuredOff { skew_ms: f64, limit_ms: f64 }
        "this clock is {:.3} s off, as chrony measures it (limit {:.1} s)", skew_ms.abs() / 1e3, limit_ms / 1e3;
    clock_follows => ClockFollows {} "this clock follows others";
    clock_alone => ClockAlone {} "this clock follows nobody: it is not synchronised";
    clock_untold => ClockUntold {} "nobody told the time: neither chronyc nor timedatectl is here, and no address is configured";
    clock_unsaid => ClockUnsaid {} "nobody told the time:";
    clock_no_date => ClockNoDate { url: String } "{url} tells no time";
    clock_ahead => ClockAhead { off_ms: f64, limit_ms: f64 }
        "this clock is {:.1} s ahead (limit {:.1} s)", off_ms / 1e3, limit_ms / 1e3;
    clock_behind => ClockBehind { off_ms: f64, limit_ms: f64 }
        "this clock is {:.1} s behind (limit {:.1} s)", off_ms / 1e3, limit_ms / 1e3;
    clock_right => ClockRight {} "this clock is right, as far as whole seconds show";

    // The light of all of them.
    of_probe => OfProbe { name: String } "{name}:";
    one_well => OneWell {} "the one check is well";
    all_well => AllWell { count: usize } "all {count} checks are well";
    unknown_process => UnknownProcess {} "unknown while a program is down";
    unknown_answer => UnknownAnswer {} "unknown while a model does not answer";
    nothing_looked => NothingLooked {} "nothing is checked here";
    nothing_yet => NothingYet {} "nothing was checked yet";
    users_first => UsersFirst {} "not looked at: users were served first";
}

impl Said {
    /// What a program or the system said, in its own words.
    pub fn words(error: impl Into<String>) -> Self {
        Self::Words { error: error.into() }
    }
}

/// Several things as records and pages get them.
pub(crate) fn said_json(said: &[Said]) -> Value {
    said.iter().map(Said::to_json).collect()
}

/// A size for people.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < units.len() {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    if unit == 0 || size >= 100.0 { format!("{size:.0} {}", units[unit]) } else { format!("{size:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_told_apart_and_carry_their_figures() {
        let mut codes = Said::CODES.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Said::CODES.len());
        let said = Said::DiskAbove { used_percent: 91.0, limit_percent: 90.0, free_bytes: 3 << 30 };
        assert_eq!(said.to_string(), "91% used (limit 90%), 3.0 GiB free");
        let figures = json!({"used_percent": 91.0, "limit_percent": 90.0, "free_bytes": 3_221_225_472_u64});
        assert_eq!(said.to_json(), json!({"code": "disk_above", "figures": figures}));
    }
}
