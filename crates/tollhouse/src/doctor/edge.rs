//! Gathers what stands before the gate: the public address, its certificate, nginx.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tollhouse_config::Config;
use tollhouse_doctor::{AcmeFacts, EdgeFacts, NginxFacts, ProbedFacts, Reach, nginx};
use tollhouse_edge::{Authority, Certificate, Challenge, Examined};
use tollhouse_probe::{CertificateLook, CertificatePlace, Look};
use tollhouse_state::State;
use tollhouse_units::chain;

use super::asker::{Asked, Asker, connected, side_by_side};
use super::machine;
use crate::edging::renewing;

/// How long the public address may take.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(2500);
/// Sites whose way of the authority is tried; all of them together take no longer than one.
const WAYS_MAX: usize = 16;
/// Where RFC 8737 looks.
const HTTPS_PORT: u16 = 443;
/// A certificate is told of so long before its end.
const BEFORE: Duration = Duration::from_secs(14 * 86_400);
/// Where nginx' configuration lies.
const NGINX: [&str; 4] =
    ["etc/nginx/nginx.conf", "etc/nginx/conf.d", "etc/nginx/sites-enabled", "usr/local/nginx/conf/nginx.conf"];
/// Files of a folder that are read.
const FILES_MAX: usize = 100;
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What runs certbot.
const RENEWERS: [&str; 6] = [
    "etc/systemd/system/timers.target.wants/certbot.timer",
    "etc/systemd/system/timers.target.wants/snap.certbot.renew.timer",
    "etc/systemd/system/timers.target.wants/certbot-renew.timer",
    "etc/cron.d/certbot",
    "etc/cron.daily/certbot",
    "var/spool/cron/crontabs/root",
];

pub(super) async fn facts(config: &Config, asker: &Asker, root: &Path) -> EdgeFacts {
    let url = config.public_url.as_deref();
    let answer = async {
        let Some(url) = url else { return Reach::NotAsked };
        asker.ask(Asked::get(format!("{url}/healthz"), ANSWER_TIME_MAX)).await
    };
    let host = url.and_then(https_host);
    let (answer, certificate, acme) = tokio::join!(answer, certificate(config, host.as_ref()), acme(config, asker));
    let trusts_loopback =
        config.access.trusted_proxies.iter().any(|net| net.contains(&std::net::IpAddr::from([127, 0, 0, 1])));
    EdgeFacts {
        public_url: url.map(str::to_owned),
        answer,
        certificate,
        renewal: host.and_then(|(host, _)| renewal(root, &host)),
        acme,
        nginx: nginx_places(root, config.listen.address.port()),
        trusts_loopback,
    }
}

/// Host and port of an address with TLS.
fn https_host(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    (uri.scheme_str() == Some("https")).then(|| (host, uri.port_u16().unwrap_or(443)))
}

async fn certificate(config: &Config, host: Option<&(String, u16)>) -> Option<ProbedFacts> {
    let (host, port) = host?.clone();
    let is_same = |probe: &&tollhouse_config::CertificateProbe| matches!(&probe.place, tollhouse_config::CertificatePlace::Served { host: own, .. } if *own == host);
    // A private authority is named where the certificate is probed.
    let ca = config.probes.certificates.iter().find(is_same).and_then(|probe| probe.ca.clone());
    let place = CertificatePlace::Served { host: host.clone(), port, name: host.clone() };
    let look = Look::Certificate(CertificateLook { place, ca, before: BEFORE });
    machine::probed(&host, "certificate", look).await
}

/// The certificates that the house renews itself. Its authority is asked for the account; nothing is ordered.
async fn acme(config: &Config, asker: &Asker) -> Vec<AcmeFacts> {
    let Some(settings) = renewing::settings(config.edge.as_ref()) else { return Vec::new() };
    let (directory, challenge) = (settings.directory.clone(), settings.challenge);
    let vault = renewing::vault(config);
    let examined = async {
        let vault = vault.clone();
        let authority = tokio::task::spawn_blocking(move || Authority::new(settings, vault)).await;
        let authority = authority.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
        authority.examine().await
    };
    let slow = || Err(format!("no answer within {ANSWER_TIME_MAX:?}"));
    let examined = async { tokio::time::timeout(ANSWER_TIME_MAX, examined).await.unwrap_or_else(|_| slow()) };
    let sites = renewing::sites(config.edge.as_ref());
    let asked = sites.iter().take(WAYS_MAX).map(|site| way(asker.clone(), site.host.clone(), challenge));
    let ways = side_by_side(asked);
    let (examined, ways) = tokio::join!(examined, ways);
    // One that is not there is not made.
    let has_state = config.data_dir.join("state/state.db").exists();
    let state = if has_state { State::open(&config.data_dir).await.ok() } else { None };
    let mut facts = Vec::new();
    let mut ways = ways.into_iter();
    for site in sites {
        let (way, answer) = ways.next().unwrap_or_else(|| (site.host.clone(), Reach::NotAsked));
        let memory = match &state {
            Some(state) => renewing::recall(state, &site.host).await.ok().flatten(),
            None => None,
        };
        let path = vault.certificate(&site.host);
        let ends = Certificate::read(&path, &path).ok().map(|certificate| certificate.ends());
        let left = |ends: i64| (ends - jiff::Timestamp::now().as_second()) as f64 / 86_400.0;
        let (known, unreachable) = match &examined {
            Ok(examined) => (examined.clone(), None),
            Err(error) => (Examined::default(), Some(error.clone())),
        };
        facts.push(AcmeFacts {
            host: site.host,
            days_left: ends.map(left),
            failed: memory.and_then(|memory| Some((memory.error?, memory.failures))),
            unreachable,
            directory: directory.clone(),
            has_account: known.has_account,
            tells_windows: known.tells_windows,
            way,
            answer,
        });
    }
    if let Some(state) = state {
        state.close().await;
    }
    facts
}

/// Where the authority looks whether a name is ours, and how that answers.
async fn way(asker: Asker, host: String, challenge: Challenge) -> (String, Reach) {
    match challenge {
        Challenge::Http => {
            // No token is called so: it is not there, and who says that is known to answer.
            let url = format!("http://{host}/.well-known/acme-challenge/tollhouse-doctor");
            let answer = asker.ask(Asked::get(&url, ANSWER_TIME_MAX)).await;
            (url, answer)
        }
        Challenge::Tls => {
            let began = Instant::now();
            let answer = match connected(&host, HTTPS_PORT).await {
                Ok(_) => {
                    let ms = began.elapsed().as_secs_f64() * 1000.0;
                    Reach::Answered { status: 0, ms, body: serde_json::Value::Null, headers: BTreeMap::new() }
                }
                Err(reach) => reach,
            };
            (format!("{host}:{HTTPS_PORT}"), answer)
        }
    }
}

/// What renews a certificate that certbot knows; empty where nothing does.
fn renewal(root: &Path, host: &str) -> Option<String> {
    fs::metadata(root.join("etc/letsencrypt/renewal").join(format!("{host}.conf"))).ok()?;
    let runs = |name: &&&str| {
        let path = root.join(name);
        let is_table = name.ends_with("crontabs/root");
        fs::symlink_metadata(&path).is_ok()
            && (!is_table || fs::read_to_string(&path).is_ok_and(|text| text.contains("certbot")))
    };
    Some(RENEWERS.iter().find(runs).map_or_else(String::new, |name| format!("/{name}")))
}

fn nginx_places(root: &Path, port: u16) -> Vec<NginxFacts> {
    let files = NGINX.iter().flat_map(|name| files(&root.join(name)));
    let places = files.flat_map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        nginx::places(&path.display().to_string(), &text, port)
    });
    places.take(FILES_MAX).collect()
}

/// A file, or the files of a folder in the order of their names.
fn files(path: &Path) -> Vec<PathBuf> {
    let is_small = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    if path.is_file() {
        return vec![path.to_owned()].into_iter().filter(is_small).collect();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten().take(FILES_MAX);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_small).collect();
    files.sort();
    files
}
