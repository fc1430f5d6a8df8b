//! What stands before the gate: the public name, the certificate, a proxy.

use crate::check::{Area, Check, Status, Step};
use crate::facts::{AcmeFacts, EdgeFacts, Facts, NginxFacts, Reach};
use crate::said::Said;

/// nginx' own time between two reads of an answer, in seconds.
const NGINX_READ_TIMEOUT_S: f64 = 60.0;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let edge = &facts.edge;
    let mut checks = Vec::new();
    if let Some(url) = &edge.public_url {
        checks.extend(certificate(edge));
        checks.push(answer(facts, url));
    }
    checks.extend(edge.acme.iter().flat_map(|facts| [acme(facts), way(facts)]));
    checks.extend(edge.nginx.iter().flat_map(|nginx| proxy(facts, nginx)));
    checks
}

fn certificate(edge: &EdgeFacts) -> Vec<Check> {
    let Some(seen) = &edge.certificate else { return Vec::new() };
    let step = Step::new(Area::Edge, "edge.certificate", Said::AtCertificate { name: seen.name.clone() });
    if matches!(edge.answer, Reach::NoName { .. } | Reach::Refused { .. } | Reach::Unreachable { .. }) {
        return vec![step.skipped(Said::AddressAway {})];
    }
    let found = seen.sentence();
    let certificate = match seen.status {
        Status::Ok => step.ok(found),
        Status::Skipped => step.skipped(found),
        Status::Warn => step.warn("ends_soon", found, Said::DoRenew {}),
        Status::Fault => step.fault("bad", found, Said::DoRenew {}),
    };
    let mut checks = vec![certificate];
    if let Some(by) = &edge.renewal {
        let step = Step::new(Area::Edge, "edge.renewal", Said::AtRenewal {});
        checks.push(if by.is_empty() {
            step.warn("not_run", Said::RenewalNotRun {}, Said::DoRenewal {})
        } else {
            step.ok(Said::RenewalBy { by: by.clone() })
        });
    }
    checks
}

/// A trial of a renewal, as far as nothing is ordered by it.
fn acme(facts: &AcmeFacts) -> Check {
    let step = Step::new(Area::Edge, "edge.acme", Said::AtAcme { url: facts.directory.clone() }).of(&facts.host);
    let left = match facts.days_left {
        Some(days) if days > 0.0 => Said::CertificateLasts { days },
        Some(_) => Said::CertificateEnded {},
        None => Said::CertificateNotYet {},
    };
    if let Some(error) = &facts.unreachable {
        let found = vec![Said::AuthorityAway { error: error.clone() }, left];
        return step.fault("unreachable", found, Said::DoAuthority {});
    }
    if let Some((error, times)) = &facts.failed {
        let found = vec![Said::OrdersFailed { count: *times, error: error.clone() }, left];
        return step.fault("failed", found, Said::DoOrders {});
    }
    let account = if facts.has_account { Said::AccountKnown {} } else { Said::AccountLater {} };
    let windows = if facts.tells_windows { Said::WindowsTold {} } else { Said::WindowsUntold {} };
    step.ok(vec![Said::AuthorityAnswers {}, account, windows, left])
}

/// The way that the authority takes to see that the name is ours. What this machine cannot reach others may all the same.
fn way(facts: &AcmeFacts) -> Check {
    let step = Step::new(Area::Edge, "edge.challenge", Said::AtChallenge { url: facts.way.clone() }).of(&facts.host);
    if facts.unreachable.is_some() || facts.failed.is_some() {
        return step.skipped(Said::SeeOthers {});
    }
    let warn = |code, found: Said| step.clone().warn(code, found, Said::DoChallenge {});
    match &facts.answer {
        Reach::NotAsked => step.skipped(Said::NotAsked {}),
        Reach::NoName { error } => warn("no_name", Said::NoName { error: error.clone() }),
        Reach::Refused { error } => warn("refused", Said::NoConnection { error: error.clone() }),
        Reach::Unreachable { seconds } => warn("unreachable", Said::NoPacket { limit_s: *seconds }),
        Reach::Silent { seconds } => warn("silent", Said::PublicSilent { limit_s: *seconds }),
        Reach::Broken { error } => warn("broken", Said::words(error)),
        Reach::Answered { .. } => step.ok(Said::ChallengeAnswered {}),
    }
}

fn answer(facts: &Facts, url: &str) -> Check {
    let edge = &facts.edge;
    let step = Step::new(Area::Edge, "edge.answer", Said::AtPublic { url: url.to_owned() });
    if facts.gate.answer.answer().is_none() && !matches!(facts.gate.answer, Reach::NotAsked) {
        return step.skipped(Said::GateBehindSilent {});
    }
    let is_bad = edge.certificate.as_ref().is_some_and(|seen| seen.status == Status::Fault);
    if is_bad && matches!(edge.answer, Reach::Broken { .. }) {
        return step.skipped(Said::CertificateBad {});
    }
    if let Some(check) = super::unreached(&step, &edge.answer, Said::DoProxy {}) {
        return check;
    }
    match &edge.answer {
        Reach::Silent { seconds } => {
            step.fault("silent", Said::PublicSilent { limit_s: *seconds }, Said::DoProxyStuck {})
        }
        Reach::Broken { error } => step.fault("broken", Said::words(error), Said::DoProxyTls {}),
        Reach::Answered { status: 502..=504, .. } => {
            let fix = Said::DoProxyPass { address: facts.gate.listen.clone() };
            step.fault("proxy_failed", Said::ProxyFailed {}, fix)
        }
        Reach::Answered { status: 200..=299, ms, .. } => step.ok(Said::AnswersIn { took_ms: *ms }),
        Reach::Answered { status: status @ (301 | 302 | 307 | 308), .. } => {
            let to = edge.answer.header("location").unwrap_or("another address").to_owned();
            step.warn("redirected", Said::PublicElsewhere { status: *status, url: to }, Said::DoPublicUrl {})
        }
        Reach::Answered { status: 421 | 403, .. } => step.fault("host_refused", Said::HostRefused {}, Said::DoHosts {}),
        Reach::Answered { status, .. } => {
            step.fault("other_answer", Said::PublicOther { status: *status }, Said::DoPublicPaths {})
        }
        _ => step.skipped(Said::NotAsked {}),
    }
}

fn proxy(facts: &Facts, nginx: &NginxFacts) -> Vec<Check> {
    let file = || nginx.file.clone();
    let step = |id, looked: Said| Step::new(Area::Edge, id, looked).of(file());
    let timeout_s = nginx.read_timeout_s.unwrap_or(NGINX_READ_TIMEOUT_S);
    let wanted_s = facts.gate.first_byte_s;
    let timeout = step("edge.proxy_timeout", Said::AtProxyTimeout { file: file() });
    let timeout = if timeout_s < wanted_s {
        let fix = Said::command(format!("proxy_read_timeout {:.0}s;", wanted_s.max(900.0)));
        timeout.warn("too_short", Said::ProxyImpatient { timeout_s, wanted_s }, fix)
    } else {
        timeout.ok(Said::WaitsFor { timeout_s })
    };
    let buffering = step("edge.proxy_buffering", Said::AtProxyBuffering { file: file() });
    let buffering = if nginx.buffers {
        buffering.warn("on", Said::ProxyBuffers {}, Said::command("proxy_buffering off;"))
    } else {
        buffering.ok(Said::BufferingOff {})
    };
    let address = step("edge.proxy_trusted", Said::AtProxyTrusted { file: file() });
    let trusted = "access: {trusted_proxies: [127.0.0.1]}";
    let address = match (nginx.forwards_address, facts.edge.trusts_loopback) {
        (true, true) => address.ok(Said::AddressesBelieved {}),
        (true, false) => address.warn("not_trusted", Said::AddressesNotBelieved {}, Said::command(trusted)),
        (false, _) => {
            let fix = format!("proxy_set_header X-Forwarded-For $remote_addr; {trusted}");
            address.warn("not_told", Said::AddressesNotNamed {}, Said::command(fix))
        }
    };
    vec![timeout, buffering, address]
}
