//! What stands before the gate: the public name, the certificate, a proxy.

use crate::check::{Area, Check, Status, Step};
use crate::facts::{AcmeFacts, EdgeFacts, Facts, NginxFacts, Reach};

/// nginx' own time between two reads of an answer, in seconds.
const NGINX_READ_TIMEOUT_S: f64 = 60.0;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let edge = &facts.edge;
    let mut checks = Vec::new();
    if let Some(url) = &edge.public_url {
        checks.extend(certificate(edge));
        checks.push(answer(facts, url));
    }
    checks.extend(edge.acme.iter().map(acme));
    checks.extend(edge.nginx.iter().flat_map(|nginx| proxy(facts, nginx)));
    checks
}

fn certificate(edge: &EdgeFacts) -> Vec<Check> {
    let Some(seen) = &edge.certificate else { return Vec::new() };
    let step = Step::new(Area::Edge, "edge.certificate", format!("the certificate of {}", seen.name));
    if matches!(edge.answer, Reach::NoName { .. } | Reach::Refused { .. } | Reach::Unreachable { .. }) {
        return vec![step.skipped("the public address cannot be reached")];
    }
    let fix = "renew it (`certbot renew`), and let the proxy load it (`nginx -s reload`)";
    let certificate = match seen.status {
        Status::Ok => step.ok(seen.found.clone()),
        Status::Skipped => step.skipped(seen.found.clone()),
        Status::Warn => step.warn("ends_soon", seen.found.clone(), fix),
        Status::Fault => step.fault("bad", seen.found.clone(), fix),
    };
    let mut checks = vec![certificate];
    if let Some(by) = &edge.renewal {
        let step = Step::new(Area::Edge, "edge.renewal", "what renews the certificate (timers, cron)");
        checks.push(if by.is_empty() {
            let found = "certbot knows how to renew it, and nothing runs it: neither a timer nor a job";
            step.warn("not_run", found, "systemctl enable --now certbot.timer; then try it: certbot renew --dry-run")
        } else {
            step.ok(format!("{by}; a trial: certbot renew --dry-run"))
        });
    }
    checks
}

/// A trial of a renewal, as far as nothing is ordered by it.
fn acme(facts: &AcmeFacts) -> Check {
    let step = Step::new(Area::Edge, "edge.acme", format!("the renewal of its certificate by {}", facts.directory));
    let step = step.of(&facts.host);
    let left = match facts.days_left {
        Some(days) if days > 0.0 => format!("the one in force lasts {days:.1} days"),
        Some(_) => "the one in force has ended".to_owned(),
        None => "there is none yet".to_owned(),
    };
    if let Some(error) = &facts.unreachable {
        let fix = "let this machine reach the authority (DNS, firewall, proxy), or mend `edge.acme.directory` and `edge.acme.ca`";
        return step.fault("unreachable", format!("the authority cannot be asked: {error}; {left}"), fix);
    }
    if let Some((error, times)) = &facts.failed {
        let fix = "mend what the authority says: mostly the name leads elsewhere, or port 80 or 443 cannot be reached from outside; \
                   it is tried again by itself";
        return step.fault("failed", format!("{times} orders in a row failed, the last one: {error}; {left}"), fix);
    }
    let account = if facts.has_account {
        "it knows our account"
    } else {
        "there is no account yet, one is made with the first order"
    };
    let windows = if facts.tells_windows { "and says when to renew" } else { "and does not say when to renew" };
    step.ok(format!("the authority answers, {account}, {windows}; {left}"))
}

fn answer(facts: &Facts, url: &str) -> Check {
    let edge = &facts.edge;
    let step = Step::new(Area::Edge, "edge.answer", format!("{url}/healthz, as users come in"));
    if facts.gate.answer.answer().is_none() && !matches!(facts.gate.answer, Reach::NotAsked) {
        return step.skipped("the gate behind it does not answer");
    }
    let is_bad = edge.certificate.as_ref().is_some_and(|seen| seen.status == Status::Fault);
    if is_bad && matches!(edge.answer, Reach::Broken { .. }) {
        return step.skipped("its certificate is bad");
    }
    let fix = "start the proxy that serves this address (`systemctl status nginx`, `nginx -t`), or mend `public_url`";
    if let Some(check) = super::unreached(&step, &edge.answer, "the public address", fix) {
        return check;
    }
    match &edge.answer {
        Reach::Silent { seconds } => step.fault(
            "silent",
            format!("it took the connection and said nothing for {seconds} s"),
            "look into the proxy's error log; its worker may be stuck, or it waits for an address that drops packets",
        ),
        Reach::Broken { error } => step.fault(
            "broken",
            error.clone(),
            "check that the proxy serves TLS at this port, with a certificate for this name",
        ),
        Reach::Answered { status: 502..=504, .. } => step.fault(
            "proxy_failed",
            "the proxy answers that it does not reach the gate, which answers by itself",
            format!("let the proxy pass on to {} (`proxy_pass`), and look into its error log", facts.gate.listen),
        ),
        Reach::Answered { status: 200..=299, ms, .. } => step.ok(format!("it answers in {}", super::millis(*ms))),
        Reach::Answered { status: status @ (301 | 302 | 307 | 308), .. } => {
            let to = edge.answer.header("location").unwrap_or("another address");
            step.warn(
                "redirected",
                format!("status {status}, to {to}"),
                "name the address that answers itself in `public_url`",
            )
        }
        Reach::Answered { status: 421 | 403, .. } => step.fault(
            "host_refused",
            "the gate does not answer to the name that the proxy passes on",
            "name the host in `hosts` of the configuration",
        ),
        Reach::Answered { status, .. } => step.fault(
            "other_answer",
            format!("status {status}: that is not this house"),
            "check `public_url`, and to where the proxy passes its paths on",
        ),
        _ => step.skipped("it was not asked"),
    }
}

fn proxy(facts: &Facts, nginx: &NginxFacts) -> Vec<Check> {
    let step =
        |id, looked: &str| Step::new(Area::Edge, id, format!("{looked} in {}", nginx.file)).of(nginx.file.clone());
    let timeout = nginx.read_timeout_s.unwrap_or(NGINX_READ_TIMEOUT_S);
    let wanted = facts.gate.first_byte_s;
    let step_timeout = step("edge.proxy_timeout", "`proxy_read_timeout`");
    let timeout = if timeout < wanted {
        let found =
            format!("nginx gives up after {timeout} s; the gate waits {wanted} s for the first byte of an answer");
        step_timeout.warn("too_short", found, format!("proxy_read_timeout {:.0}s;", wanted.max(900.0)))
    } else {
        step_timeout.ok(format!("{timeout} s"))
    };
    let step_buffering = step("edge.proxy_buffering", "`proxy_buffering`");
    let buffering = if nginx.buffers {
        let found = "nginx holds answers back until it has a buffer full: words do not come one by one";
        step_buffering.warn("on", found, "proxy_buffering off;")
    } else {
        step_buffering.ok("off")
    };
    let step_address = step("edge.proxy_trusted", "whether clients' addresses reach the gate");
    let address = match (nginx.forwards_address, facts.edge.trusts_loopback) {
        (true, true) => step_address.ok("nginx names them, and the gate believes it"),
        (true, false) => step_address.warn(
            "not_trusted",
            "nginx names the client's address, and the gate does not believe it: all clients look like 127.0.0.1",
            "access: {trusted_proxies: [127.0.0.1]}",
        ),
        (false, _) => step_address.warn(
            "not_told",
            "nginx does not name the client's address: all clients look like 127.0.0.1",
            "proxy_set_header X-Forwarded-For $remote_addr; and access: {trusted_proxies: [127.0.0.1]}",
        ),
    };
    vec![timeout, buffering, address]
}
