//! Real processes under supervision: shells that do as they are told.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tollhouse_journal::Record;
use tollhouse_upkeep::{
    Flow, Held, House, Limits, Lines, Memory, Order, Pressure, Readiness, Rules, Spec, State, Status, StopSignal,
    Supervisor,
};

/// How long anything may take.
const IN_TIME: Duration = Duration::from_secs(60);

/// A house that remembers what it was told.
#[derive(Debug, Default)]
struct Listener {
    records: Mutex<Vec<String>>,
    held: Arc<Mutex<Vec<String>>>,
    flow: Mutex<Option<Flow>>,
    pressure: Mutex<Option<Pressure>>,
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

    fn flow(&self, _upstream: &str) -> Option<Flow> {
        *self.flow.lock().unwrap()
    }

    fn recall(&self, upstream: &str, _reason: &str) -> u32 {
        self.held.lock().unwrap().push(format!("recalled {upstream}"));
        0
    }

    fn unload(&self, upstream: &str, all: bool) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>> {
        self.held.lock().unwrap().push(format!("unloaded {upstream}{}", if all { ", all" } else { "" }));
        Box::pin(async { Vec::new() })
    }

    fn pressure(&self, _pid: i32) -> Option<Pressure> {
        *self.pressure.lock().unwrap()
    }
}

/// The fields of records as they are written.
fn fields(house: &Listener) -> String {
    let records = house.records.lock().unwrap();
    let bodies = records.iter().filter_map(|record| {
        let (_, rest) = record.split_once("body: [")?;
        let bytes: Vec<u8> = rest.split_once(']')?.0.split(", ").filter_map(|byte| byte.parse().ok()).collect();
        String::from_utf8(bytes).ok()
    });
    bodies.collect::<Vec<_>>().join("\n")
}

fn shell(name: &str, script: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        unit: None,
        env: Vec::new(),
        directory: None,
        user: None,
        ready: Readiness::Runs,
        live: None,
        needs: Vec::new(),
        upstreams: Vec::new(),
        stalled: None,
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
    assert!(paused.why.unwrap().to_string().contains("exit code 3"));
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
async fn pressure_for_some_time_drains_it_as_too_much_memory_does() {
    let place = tempfile::tempdir().unwrap();
    let mut spec = shell("a", "exec sleep 1000");
    spec.upstreams = vec!["local".to_owned()];
    spec.memory = Memory { soft: Some(1), hard: None, pressure: Some(40) };
    let (supervisor, house) = start(place.path(), vec![spec]);
    let first = until(&supervisor, "a", |status| status.state == State::Ready).await;
    *house.pressure.lock().unwrap() = Some(Pressure { percent: 55.0, is_group: false });
    let again = until(&supervisor, "a", |status| status.starts == 2 && status.state == State::Ready).await;
    assert_ne!(first.pid, again.pid);
    *house.pressure.lock().unwrap() = None;
    let records = fields(&house);
    assert!(records.contains("of this machine waited for memory 55% of the time, and 40% are the limit"), "{records}");
    assert!(house.held.lock().unwrap().contains(&"unloaded local".to_owned()), "first what costs nobody anything");
    supervisor.end().await;
}

#[tokio::test]
async fn what_does_not_get_on_is_treated_in_steps() {
    let place = tempfile::tempdir().unwrap();
    let mut spec = shell("a", "exec sleep 1000");
    spec.upstreams = vec!["local".to_owned()];
    spec.stalled = Some(Duration::from_millis(800));
    spec.rules.drain = Duration::from_millis(100);
    let (supervisor, house) = start(place.path(), vec![spec]);
    until(&supervisor, "a", |status| status.state == State::Ready).await;
    *house.flow.lock().unwrap() = Some(Flow { running: 4, waiting: 4, ..Flow::default() });
    until(&supervisor, "a", |status| status.starts == 2 && status.state == State::Ready).await;
    *house.flow.lock().unwrap() = None;
    let steps = house.held.lock().unwrap().clone();
    let at =
        |step: &str| steps.iter().position(|told| told == step).unwrap_or_else(|| panic!("no {step} in {steps:?}"));
    assert!(at("recalled local") < at("unloaded local, all"), "{steps:?}");
    let records = house.records.lock().unwrap().join("\n");
    assert!(records.contains("unanswered requests are taken back"), "{records}");
    assert!(fields(&house).contains("nothing has come for"), "{}", fields(&house));
    assert!(!records.contains("waits_for_human"), "a planned restart is no failure");
    supervisor.end().await;
}

#[tokio::test]
async fn what_says_by_a_socket_that_it_is_ready_is() {
    let place = tempfile::tempdir().unwrap();
    // What `sd_notify(3)` does, with what each system has: a datagram to an abstract socket.
    let script = r#"python3 -c 'import os, socket; a = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"STATUS=loading", a); open("said", "w").write("x\n")
while not os.path.exists("go"): pass
s.sendto(b"READY=1\nMAINPID=1", a)'; exec sleep 1000"#;
    let mut spec = shell("a", script);
    spec.directory = Some(place.path().to_owned());
    spec.ready = Readiness::Notify;
    let (supervisor, _house) = start(place.path(), vec![spec]);
    line_of(place.path().join("said")).await;
    assert_eq!(until(&supervisor, "a", |_| true).await.state, State::Starting, "a state is not yet READY=1");
    std::fs::write(place.path().join("go"), "").unwrap();
    until(&supervisor, "a", |status| status.state == State::Ready).await;
    supervisor.end().await;
}

#[tokio::test]
async fn it_has_the_limits_and_the_rights_that_it_is_given() {
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    std::fs::write(&said, "").unwrap();
    std::process::Command::new("chmod").args(["0666", said.to_str().unwrap()]).status().unwrap();
    std::process::Command::new("chmod").args(["0755", place.path().to_str().unwrap()]).status().unwrap();
    // The limits are set just after it was started.
    let script = |name: &str| format!("sleep 0.3; echo $(id -un) $(id -G) $(ulimit -n) > {name}; exec sleep 1000");
    let mut limited = shell("limited", &script("limited"));
    limited.directory = Some(place.path().to_owned());
    limited.limits = Limits { files: Some(321), processes: Some(100_000) };
    let (supervisor, _house) = start(place.path(), vec![limited]);
    let line = line_of(place.path().join("limited")).await;
    assert_eq!(line.rsplit(' ').next(), Some("321"), "{line}");
    supervisor.end().await;
    // Only root can be somebody else.
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut other = shell("other", &script("said"));
        other.directory = Some(place.path().to_owned());
        other.user = Some("nobody".to_owned());
        let (supervisor, _house) = start(place.path(), vec![other]);
        let line = line_of(said).await;
        let parts: Vec<&str> = line.split(' ').collect();
        assert_eq!((parts[0], parts.len()), ("nobody", 3), "no group is left but its own: {line}");
        supervisor.end().await;
    }
    let mut unknown = shell("b", "true");
    unknown.user = Some("who-is-that".to_owned());
    unknown.rules.pause_after = Some((1, Duration::from_secs(60)));
    let (supervisor, _house) = start(place.path(), vec![unknown]);
    let paused = until(&supervisor, "b", |status| status.state == State::Paused).await;
    assert!(paused.why.unwrap().to_string().contains("who-is-that"));
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

/// Restarts of the test below; `TOLLHOUSE_UPKEEP_FLAPS` asks for more. At a wait of 30 s, 2,880 are a day.
fn flaps() -> u32 {
    std::env::var("TOLLHOUSE_UPKEEP_FLAPS").ok().and_then(|flaps| flaps.parse().ok()).unwrap_or(60)
}

#[tokio::test]
async fn flapping_leaves_no_zombies_and_no_orphans() {
    let place = tempfile::tempdir().unwrap();
    // It leaves one in its group, and one that has gone to a session of its own.
    let mut spec = shell("a", "sleep 1000 & setsid sleep 1000 & exit 1");
    spec.rules.pause_after = None;
    (spec.rules.delay, spec.rules.delay_max) = (Duration::from_millis(1), Duration::from_millis(1));
    let (supervisor, _house) = start(place.path(), vec![spec]);
    let began = Instant::now();
    let wanted = flaps();
    let processes = supervisor.processes();
    while processes.list()[0].1.starts < wanted {
        assert!(began.elapsed() < IN_TIME * (wanted / 50 + 1), "{:?}", processes.list()[0].1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    supervisor.end().await;
    let mark = format!("TOLLHOUSE_PROCESS=a of {}", place.path().display());
    let (mut orphans, mut zombies) = (Vec::new(), Vec::new());
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| std::fs::read(process.path().join(file)).unwrap_or_default();
        let (environ, stat) = (read("environ"), String::from_utf8_lossy(&read("stat")).into_owned());
        if environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            orphans.push(stat.clone());
        }
        let ours = format!(" Z {} ", std::process::id());
        if stat.contains(&ours) {
            zombies.push(stat);
        }
    }
    assert!(orphans.is_empty() && zombies.is_empty(), "{orphans:?} {zombies:?}");
}
