//! A courier against a cluster that fails as it is told; what it does with real ones the integration tests show.

mod peer;
mod syslog;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tollhouse_journal::{Holds, Journal, Level, Opened, Options, Reader, Record, Sync, Writer};
use tollhouse_shape::Shaper;
use tollhouse_testkit::{End, FaultProxy, PATIENCE, Plan};

use self::peer::{Peer, Reply};
use crate::settings::Pace;
use crate::{Book, Comparison, Courier, Cursor, Destination, Kind, Login, Settings, compare};

/// A journal with records, and what a courier of it needs.
struct Bed {
    dir: TempDir,
    journal: Journal,
    writer: Option<Writer>,
}

impl Bed {
    async fn new(records: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sync = Sync::Within(Duration::from_millis(1));
        let Opened { journal, writer, .. } =
            Journal::open(Options { sync, ..Options::new(dir.path().join("gateway.log"), "Gate") }).unwrap();
        let bed = Self { dir, journal, writer: Some(writer) };
        bed.append(records).await;
        bed
    }

    async fn append(&self, records: u64) {
        for number in 0..records {
            let record = Record::new("request", Level::Info, "request").field("status", 200).field("number", number);
            self.journal.append(record).await.unwrap();
        }
    }

    fn book(&self) -> Book {
        Book {
            journal: self.journal.clone(),
            journal_file: self.dir.path().join("gateway.log"),
            shaper: Shaper::new(&[]).unwrap(),
            service: "Gate".to_owned(),
            cursors: self.dir.path().join("ship"),
            holds: Holds::default(),
        }
    }

    async fn compared(&self, peer: &Peer) -> Comparison {
        let (destination, cursor) = (destination(settings(peer.address)), self.cursor());
        compare(&destination, "Gate", &self.book().journal_file, Some(&cursor), |_| {}).await.unwrap()
    }

    fn cursor(&self) -> Cursor {
        Cursor::load(&Cursor::path(&self.dir.path().join("ship"), "es")).unwrap().unwrap()
    }

    /// The journal's records of a kind that came from shipping.
    fn told(&self, kind: &str) -> Vec<Map<String, Value>> {
        let mut lines = Vec::new();
        let mut reader = Reader::open(&self.dir.path().join("gateway.log"), None).unwrap();
        while reader.next_batch(1_000, &mut lines).unwrap() > 0 {}
        let records = lines.iter().map(|line| serde_json::from_slice::<Map<String, Value>>(&line.bytes).unwrap());
        records.filter(|record| record["kind"] == kind && record["caller"] == "ship").collect()
    }

    async fn close(mut self) {
        let writer = self.writer.take().unwrap();
        tokio::task::spawn_blocking(move || writer.close()).await.unwrap().unwrap();
    }
}

fn settings(address: SocketAddr) -> Settings {
    Settings {
        name: "es".to_owned(),
        kind: Kind::Elasticsearch,
        urls: vec![format!("http://{address}")],
        login: None,
        ca: None,
        template: true,
        buffer_bytes: 1 << 30,
    }
}

/// A destination that tries again at once.
fn destination(settings: Settings) -> Destination {
    let (first, most) = (Duration::from_millis(1), Duration::from_millis(4));
    let pace =
        Pace { gather: first, again: (first, most), slow: (first, most), tell_after: Duration::from_secs(3_600) };
    Destination { pace, ..Destination::new(settings).unwrap() }
}

fn take_all(_: usize, _: &[u64]) -> Reply {
    Reply::Each(Box::new(|_| None))
}

/// Whether each number up to this one is there once.
fn all_once(times: &std::collections::BTreeMap<u64, usize>, last: u64) -> bool {
    (1..=last).all(|seq| times.get(&seq) == Some(&1)) && times.values().all(|times| *times == 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_there_once_and_in_order() {
    let bed = Bed::new(5_000).await;
    let peer = Peer::start(take_all).await;
    let courier = Courier::start(destination(settings(peer.address)), bed.book(), None);
    peer.until("all are there", |times| all_once(times, 5_000)).await;
    courier.stop().await;
    let order = peer.order();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(peer.asked()[..3], ["GET /", "PUT /_index_template/tollhouse-gate", "POST /_bulk"]);
    assert!(bed.cursor().next_seq() > 5_000);

    // Another run goes on where this one was.
    bed.append(10).await;
    let courier = Courier::start(destination(settings(peer.address)), bed.book(), None);
    peer.until("the new ones are there", |times| all_once(times, 5_011)).await;
    let status = courier.status();
    assert_eq!((status.repeated, status.state), (0, "connected"));
    courier.stop().await;

    // What the cluster has not is found, and told by its number.
    let compared = bed.compared(&peer).await;
    assert!(compared.is_equal() && compared.there == compared.records && compared.records >= 5_011, "{compared:?}");
    peer.forget("4321-");
    peer.forget("4322-");
    let compared = bed.compared(&peer).await;
    assert_eq!((compared.missing, compared.missing_seqs.as_str()), (2, "4321-4322"));
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_off_goes_again_alone_and_what_is_refused_is_a_dead_letter() {
    let bed = Bed::new(60).await;
    let peer = Peer::start(|number, _| {
        Reply::Each(Box::new(move |seq| match seq {
            // Every third one at first, then every sixth.
            _ if seq % 7 == 0 && seq <= 60 => Some((400, "document_parsing_exception")),
            _ if number == 0 && seq % 3 == 0 => Some((429, "es_rejected_execution_exception")),
            _ if number == 1 && seq % 6 == 0 => Some((503, "unavailable_shards_exception")),
            _ => None,
        }))
    })
    .await;
    let courier = Courier::start(destination(settings(peer.address)), bed.book(), None);
    // Their records are documents, too.
    peer.until("all others are there, and the letters", |times| {
        (1..=60).all(|seq| times.contains_key(&seq) == (seq % 7 != 0)) && times.len() >= 52 + 8
    })
    .await;
    courier.stop().await;
    let bulks = peer.bulks();
    let put_off = |first: &[u64], step: u64| -> Vec<u64> {
        first.iter().copied().filter(|seq| seq % step == 0 && seq % 7 != 0).collect()
    };
    assert_eq!(bulks[1], put_off(&bulks[0], 3));
    assert_eq!(bulks[2], put_off(&bulks[1], 6));
    let letters = bed.told("dead_letter");
    let of: Vec<u64> = letters.iter().map(|letter| letter["of_seq"].as_u64().unwrap()).collect();
    assert_eq!(of, [7, 14, 21, 28, 35, 42, 49, 56]);
    assert_eq!(letters[0]["reason"], "document_parsing_exception: told to");
    assert_eq!(letters[0]["destination"], "es");
    assert!(letters[0]["index"].as_str().unwrap().starts_with("gate-2"));
    assert_eq!(bed.cursor().dead_letters, 8);
    let compared = bed.compared(&peer).await;
    assert_eq!((compared.is_equal(), compared.dead_letters), (true, 8));
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_make_no_dead_letters() {
    let bed = Bed::new(250).await;
    // It takes nothing at all.
    let peer = Peer::start(|_, _| Reply::Each(Box::new(|_| Some((400, "mapper_parsing_exception"))))).await;
    let courier = Courier::start(destination(settings(peer.address)), bed.book(), None);
    let refused = async {
        // 250 records, the record of the connection, and 101 records of all these.
        while courier.status().dead_letters < 352 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    courier.stop().await;
    let letters = bed.told("dead_letter");
    assert!(letters.iter().all(|letter| letter["of_seq"].as_u64().unwrap() <= 251), "none of a dead letter");
    assert_eq!(letters.iter().filter(|letter| letter.contains_key("of_seqs")).count(), 1);
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_too_large_is_halved() {
    let bed = Bed::new(500).await;
    let peer = Peer::start(|_, seqs| {
        let is_too_large = seqs.len() > 100 || seqs.contains(&77);
        if is_too_large { Reply::Whole(413, None) } else { take_all(0, seqs) }
    })
    .await;
    let courier = Courier::start(destination(settings(peer.address)), bed.book(), None);
    peer.until("all but one are there", |times| (1..=500).all(|seq| times.contains_key(&seq) == (seq != 77))).await;
    courier.stop().await;
    let letters = bed.told("dead_letter");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["of_seq"], &letters[0]["refusal_status"]), (&77.into(), &413.into()));
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_does_not_let_us_is_told_once_and_tried_again() {
    let bed = Bed::new(20).await;
    let peer = Peer::start(|number, seqs| match number {
        0..3 => Reply::Whole(401, None),
        3 => Reply::Whole(503, Some(1)),
        _ => take_all(number, seqs),
    })
    .await;
    let login = Some(Login::User { name: "elastic".to_owned(), password: "secret".to_owned() });
    let settings = Settings { login, template: false, ..settings(peer.address) };
    let began = std::time::Instant::now();
    let courier = Courier::start(destination(settings), bed.book(), None);
    peer.until("all are there", |times| all_once(times, 20)).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is heeded");
    courier.stop().await;
    assert_eq!(peer.authorizations(), ["Basic ZWxhc3RpYzpzZWNyZXQ="]);
    assert!(!peer.asked().iter().any(|asked| asked.contains("template")));
    let told: Vec<_> = bed.told("process").iter().map(|record| record["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["connected", "rejected", "connected"]);
    let error = bed.told("process")[1]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("401") && error.contains("login"), "{error}");
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_cut_at_any_byte_doubles_nothing() {
    cut_at_each_byte(|at| Plan::pass().cut_down(at, End::Close), 700).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_cut_at_any_byte_loses_nothing() {
    cut_at_each_byte(|at| Plan::pass().cut_up(at, End::Reset), 900).await;
}

/// Connection after connection is cut one byte later; then they hold.
async fn cut_at_each_byte(plan: fn(u64) -> Plan, bytes: usize) {
    let bed = Bed::new(3).await;
    let peer = Peer::start(take_all).await;
    let cut = move |connection: usize| if connection < bytes { plan(connection as u64) } else { Plan::pass() };
    let proxy = FaultProxy::start(peer.address, cut).await;
    let settings = Settings { template: false, ..settings(proxy.address()) };
    let courier = Courier::start(destination(settings), bed.book(), None);
    peer.until("all are there", |times| all_once(times, 3)).await;
    // Records go on to come while connections break.
    let mut last = 3;
    let breaking = async {
        while proxy.opened() <= bytes {
            bed.append(1).await;
            last = *bed.journal.written().borrow();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, breaking).await.unwrap();
    peer.until("all are there", |times| all_once(times, last)).await;
    courier.stop().await;
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let peer = Peer::start_with(Some(TlsAcceptor::from(Arc::new(config))), take_all).await;
    let bed = Bed::new(5).await;
    let ca = bed.dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let urls = vec![format!("https://localhost:{}", peer.address.port())];
    let login = Some(Login::ApiKey("a2V5".to_owned()));
    let settings = Settings { urls, ca: Some(ca.clone()), login, ..settings(peer.address) };
    let courier = Courier::start(destination(settings.clone()), bed.book(), None);
    peer.until("all are there", |times| all_once(times, 5)).await;
    courier.stop().await;
    assert_eq!(peer.authorizations(), ["ApiKey a2V5"]);

    std::fs::write(&ca, "nothing\n").unwrap();
    let error = Destination::new(settings).unwrap_err().to_string();
    assert!(error.ends_with("there is no certificate in it"), "{error}");
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_node_is_asked_and_other_settings_take_over() {
    let bed = Bed::new(50).await;
    let peer = Peer::start(take_all).await;
    let nobody = "127.0.0.1:1".parse().unwrap();
    let lost = destination(settings(nobody));
    let first = Courier::start(lost, bed.book(), None);
    let both = Settings { urls: [nobody, peer.address].map(|at| format!("http://{at}")).into(), ..settings(nobody) };
    let second = Courier::start(destination(both), bed.book(), Some(first));
    peer.until("all are there", |times| all_once(times, 50)).await;
    assert!(second.status().url.ends_with(&peer.address.to_string()));
    second.stop().await;
    bed.close().await;
}
