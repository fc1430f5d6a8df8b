//! Real processes under supervision: shells that do as they are told.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tollhouse_journal::Record;
use tollhouse_upkeep::{
    Held, House, Limits, Lines, Memory, Order, Readiness, Rules, Spec, State, Status, StopSignal, Supervisor,
};

/// How long anything may take.
const IN_TIME: Duration = Duration::from_secs(20);

/// A house that remembers what it was told.
#[derive(Debug, Default)]
struct Listener {
    records: Mutex<Vec<String>>,
    held: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct HeldOnce(Arc<Mutex<Vec<String>>>);

impl Held for HeldOnce {
    fn give_up(self: Box<Self>, reason: &str) {
        self.0.lock().unwrap().push(reason.to_owned());
    }
}

impl House for Listener {
    fn record(&self, record: Record) {
        self.records.lock().unwrap().push(format!("{record:?}"));
    }

    fn hold(&self, upstream: &str) -> Option<Box<dyn Held>> {
        self.held.lock().unwrap().push(format!("held {upstream}"));
        Some(Box::new(HeldOnce(Arc::clone(&self.held))))
    }

    fn running(&self, _upstream: &str) -> u32 {
        0
    }

    fn unload(&self, _upstream: &str) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>> {
        Box::pin(async { Vec::new() })
    }
}

fn shell(name: &str, script: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: Vec::new(),
        directory: None,
        user: None,
        ready: Readiness::Runs,
        live: None,
        needs: Vec::new(),
        upstreams: Vec::new(),
        memory: Memory::default(),
        limits: Limits::default(),
        stop_signal: StopSignal::Term,
        adopt: true,
        rules: Rules { delay: Duration::from_millis(100), stop: Duration::from_millis(500), ..Rules::default() },
    }
}

fn start(place: &Path, specs: Vec<Spec>) -> (Supervisor, Arc<Listener>) {
    let house = Arc::new(Listener::default());
    (Supervisor::start(place.to_owned(), Arc::clone(&house) as Arc<dyn House>, Lines::new(), specs), house)
}

/// Waits until the process is as it should be.
async fn until(supervisor: &Supervisor, name: &str, what: impl Fn(&Status) -> bool) -> Status {
    let processes = supervisor.processes();
    let began = Instant::now();
    loop {
        let all = processes.list();
        let status = all.iter().find(|(spec, _)| spec.name == name).map(|(_, status)| status.clone());
        match status {
            Some(status) if what(&status) => return status,
            status => assert!(began.elapsed() < IN_TIME, "{name} is {status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_there(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

async fn line_of(file: PathBuf) -> String {
    let began = Instant::now();
    loop {
        match std::fs::read_to_string(&file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(began.elapsed() < IN_TIME, "{}", file.display()),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_ends_is_started_again_and_what_it_left_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let left = place.path().join("left");
    let script = format!("sleep 1000 & echo $! > {}; exec sleep 1000", left.display());
    let (supervisor, _house) = start(place.path(), vec![shell("a", &script)]);
    let first = until(&supervisor, "a", |status| status.state == State::Ready).await;
    let pid = first.pid.unwrap();
    let orphan: i32 = line_of(left.clone()).await.parse().unwrap();
    assert!(is_there(pid) && is_there(orphan));
    std::fs::remove_file(&left).unwrap();
    kill(pid);
    let again = until(&supervisor, "a", |status| status.starts == 2 && status.state == State::Ready).await;
    assert_ne!(again.pid, first.pid);
    assert!(!is_there(pid) && !is_there(orphan), "what it has started goes with it");
    let orphan: i32 = line_of(left).await.parse().unwrap();
    supervisor.end().await;
    assert!(!is_there(again.pid.unwrap()) && !is_there(orphan));
}

/// A house of its own that begins with these, and is gone without a word when `live` is over.
fn house<T>(place: &Path, specs: Vec<Spec>, live: impl AsyncFnOnce(&Supervisor, &Listener) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let (supervisor, listener) = start(place, specs);
        let told = live(&supervisor, &listener).await;
        std::mem::forget(supervisor);
        told
    });
    runtime.shutdown_timeout(IN_TIME);
    told
}

#[test]
fn a_process_outlives_its_house_and_there_are_never_two() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let spec = shell("a", "exec sleep 1000");
    let ready = async |supervisor: &Supervisor, _: &Listener| {
        until(supervisor, "a", |status| status.state == State::Ready).await.pid.unwrap()
    };
    let pid = house(place, vec![spec.clone()], ready);
    assert!(is_there(pid));
    let second = house(place, vec![spec.clone()], async |supervisor: &Supervisor, listener: &Listener| {
        let pid = ready(supervisor, listener).await;
        assert!(listener.records.lock().unwrap()[0].contains("taken over"), "{:?}", listener.records);
        pid
    });
    assert_eq!(second, pid);
    // Another configuration: the old one ends before the new one starts.
    let other = Spec { env: vec![("OTHER".to_owned(), "1".to_owned())], ..spec.clone() };
    let third = house(place, vec![other], ready);
    assert!(third != pid && !is_there(pid) && is_there(third));
    // Without a note it is known by its mark.
    std::fs::remove_file(place.join("a.json")).unwrap();
    let fourth = house(place, vec![spec.clone()], ready);
    assert!(!is_there(third) && is_there(fourth));
    // One that is taken over is seen to end, too.
    house(place, vec![spec], async |supervisor: &Supervisor, _: &Listener| {
        until(supervisor, "a", |status| status.pid == Some(fourth)).await;
        kill(fourth);
        let pid = until(supervisor, "a", |status| status.pid.is_some_and(|pid| pid != fourth)).await.pid.unwrap();
        supervisor.processes().order("a", Order::Stop, "the test").await.unwrap();
        until(supervisor, "a", |status| status.state == State::Stopped).await;
        assert!(!is_there(pid));
    });
}

#[tokio::test]
async fn who_crashes_at_once_is_paused_and_runs_again_once_that_is_confirmed() {
    let place = tempfile::tempdir().unwrap();
    let mut spec = shell("a", "test -e ok && exec sleep 1000; exit 3");
    spec.directory = Some(place.path().to_owned());
    spec.upstreams = vec!["local".to_owned()];
    spec.rules.delay = Duration::from_millis(10);
    spec.rules.delay_max = Duration::from_millis(10);
    let (supervisor, house) = start(place.path(), vec![spec]);
    let paused = until(&supervisor, "a", |status| status.state == State::Paused).await;
    assert_eq!((paused.starts, paused.pid), (5, None));
    assert!(paused.reason.unwrap().contains("exit code 3"));
    assert!(house.held.lock().unwrap().last().unwrap().contains("paused"), "{:?}", house.held);
    let refused = supervisor.processes().order("a", Order::Start, "me").await.unwrap_err();
    assert!(refused.to_string().contains("confirm"), "{refused}");
    std::fs::write(place.path().join("ok"), "").unwrap();
    supervisor.processes().order("a", Order::Confirm, "me").await.unwrap();
    until(&supervisor, "a", |status| status.state == State::Ready).await;
    assert!(house.records.lock().unwrap().iter().any(|record| record.contains("confirmed by a human")));
    supervisor.end().await;
}

#[tokio::test]
async fn it_is_ready_when_it_says_so_and_others_wait_for_it() {
    let place = tempfile::tempdir().unwrap();
    let mut first = shell("first", "echo working; echo now ready; exec sleep 1000");
    first.ready = Readiness::Line("^now ready$".parse().unwrap());
    let mut second = shell("second", "exec sleep 1000");
    second.needs = vec!["first".to_owned()];
    let lines = Lines::new();
    let house = Arc::new(Listener::default());
    let said = tollhouse_upkeep::collect(&tollhouse_upkeep::pipe_path(place.path(), "first")).unwrap();
    let supervisor = Supervisor::start(place.path().to_owned(), house, lines.clone(), vec![second, first]);
    until(&supervisor, "second", |status| status.state == State::Waiting).await;
    until(&supervisor, "first", |status| status.state == State::Starting).await;
    let mut said = BufReader::new(said).lines();
    while let Ok(Some(line)) = tokio::time::timeout(IN_TIME, said.next_line()).await.unwrap() {
        lines.say("first", &line);
        if line == "now ready" {
            break;
        }
    }
    until(&supervisor, "second", |status| status.state == State::Ready).await;
    supervisor.end().await;
}

#[tokio::test]
async fn what_does_not_want_to_end_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    let script = format!("trap '' TERM; echo trapped > {}; while :; do sleep 1; done", said.display());
    let (supervisor, house) = start(place.path(), vec![shell("a", &script)]);
    let pid = until(&supervisor, "a", |status| status.state == State::Ready).await.pid.unwrap();
    line_of(said).await;
    supervisor.end().await;
    assert!(!is_there(pid));
    assert!(house.records.lock().unwrap().iter().any(|record| record.contains("is killed")));
}

#[tokio::test]
async fn changed_ones_are_started_anew_and_others_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let (a, b) = (shell("a", "exec sleep 1000"), shell("b", "exec sleep 1000"));
    let (mut supervisor, _house) = start(place.path(), vec![a.clone(), b.clone()]);
    let ready = |status: &Status| status.state == State::Ready;
    let before = (until(&supervisor, "a", ready).await.pid, until(&supervisor, "b", ready).await.pid);
    supervisor.adopt(vec![a, Spec { command: vec!["sleep".to_owned(), "999".to_owned()], ..b }]);
    let after = (until(&supervisor, "a", ready).await.pid, until(&supervisor, "b", ready).await.pid);
    assert!(before.0 == after.0 && before.1 != after.1, "{before:?} {after:?}");
    assert!(!is_there(before.1.unwrap()));
    supervisor.adopt(Vec::new());
    supervisor.end().await;
    assert!(!is_there(after.0.unwrap()) && !is_there(after.1.unwrap()));
}

fn kill(pid: i32) {
    let done = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(done.success());
}
