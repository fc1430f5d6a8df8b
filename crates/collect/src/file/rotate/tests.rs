//! Files that are rotated while a program of its own writes them.

use std::cell::Cell;
use std::io::Write;
use std::process::{Child, Command};

use super::*;

const UNTOLD: &dyn Fn() -> Result<(), String> = &|| Ok(());
const READ: IsRead<'_> = &|_, _, _| true;

const ROOMY: IsTight<'_> = &|_| false;

struct Ground {
    dir: tempfile::TempDir,
    log: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("app.log");
        Self { dir, log }
    }

    fn rotator(&self, method: Method, keep: KeepRotated) -> Rotator {
        let patterns = vec![Pattern::new(&format!("{}/*.log", self.dir.path().display())).unwrap()];
        Rotator::new(Rotation { patterns, size: Some(10), is_daily: true, method, keep })
    }

    fn write(&self, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Names and contents of all files.
    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap);
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect()
    }

    /// A program that has the file open, at its end or where it began.
    fn program(&self, redirect: &str) -> Child {
        let line = format!("exec sleep 100 {redirect} '{}'", self.log.display());
        let child = Command::new("sh").args(["-c", &line]).spawn().unwrap();
        while writers::of(&self.log).is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const ALL: KeepRotated = KeepRotated { bytes: None, days: None, count: None };

#[test]
fn a_renamed_file_is_done_when_its_program_has_opened_it_anew() {
    let ground = Ground::new();
    let mut rotator = ground.rotator(Method::Rename, ALL);
    ground.write("0123456789\n");
    let told = Cell::new(0);
    let now = at("2026-01-27T08:00:00Z");
    let reopen = || {
        told.set(told.get() + 1);
        Ok(())
    };
    assert_eq!(rotator.look(now, READ, ROOMY, &reopen), []);
    assert!(rotator.is_waiting() && told.get() == 1);
    let to = ground.dir.path().join("app.log-20260127T080000");
    assert_eq!(rotator.look(now, READ, ROOMY, &reopen), []);
    ground.write("new\n");
    let done = Rotated::Done { path: ground.log.clone(), to, bytes: 11, lost_bytes: 0 };
    assert_eq!(rotator.look(now, READ, ROOMY, &reopen), [done]);
    assert_eq!((told.get(), rotator.is_waiting()), (1, false));
    assert_eq!(ground.files().into_values().collect::<Vec<_>>(), ["new\n", "0123456789\n"]);
}

#[test]
fn what_a_program_does_not_let_go_gets_its_name_back() {
    let ground = Ground::new();
    let mut rotator = ground.rotator(Method::Rename, ALL);
    ground.write("0123456789\n");
    let mut program = ground.program(">>");
    let now = at("2026-01-27T08:00:00Z");
    assert_eq!(rotator.look(now, READ, ROOMY, &|| Err("nobody is there".to_owned())), []);
    assert!(!ground.log.exists());
    let told = rotator.look(now, READ, ROOMY, UNTOLD);
    assert_eq!(told, [Rotated::NotReopened { path: ground.log.clone(), why: "nobody is there".to_owned() }]);
    assert_eq!(ground.files(), BTreeMap::from([("app.log".to_owned(), "0123456789\n".to_owned())]));
    // It is not tried again and again.
    assert_eq!(rotator.look(now, READ, ROOMY, UNTOLD), []);
    assert!(ground.log.exists());
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_house_that_was_killed_tells_the_program_once_more() {
    let ground = Ground::new();
    fs::write(ground.dir.path().join("app.log-20260127T080000"), "0123456789\n").unwrap();
    let told = Cell::new(0);
    let mut rotator = ground.rotator(Method::Rename, ALL);
    let look = |rotator: &mut Rotator| {
        rotator.look(at("2026-01-27T08:00:01Z"), READ, ROOMY, &|| {
            told.set(told.get() + 1);
            Ok(())
        })
    };
    assert_eq!(look(&mut rotator), []);
    assert_eq!(told.get(), 1);
    ground.write("new\n");
    assert!(matches!(&look(&mut rotator)[..], [Rotated::Done { bytes: 11, .. }]));
}

#[test]
fn a_copied_file_is_emptied_unless_its_program_writes_where_it_likes() {
    let ground = Ground::new();
    let mut rotator = ground.rotator(Method::CopyTruncate, ALL);
    ground.write("0123456789\n");
    let mut program = ground.program(">>");
    let now = at("2026-01-27T08:00:00Z");
    let told = rotator.look(now, READ, ROOMY, UNTOLD);
    assert!(matches!(&told[..], [Rotated::Done { bytes: 11, lost_bytes: 0, .. }]), "{told:?}");
    let name = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let copied = name("app.log-20260127T080000", "0123456789\n");
    assert_eq!(ground.files(), BTreeMap::from([name("app.log", ""), copied.clone()]));
    program.kill().unwrap();
    program.wait().unwrap();
    ground.write("0123456789 again\n");
    let mut program = ground.program("1<>");
    let told = rotator.look(now, READ, ROOMY, UNTOLD);
    assert!(matches!(&told[..], [Rotated::Failed { why, .. }] if why.contains("a file of zeros")), "{told:?}");
    assert_eq!(ground.files(), BTreeMap::from([name("app.log", "0123456789 again\n"), copied]));
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_copy_of_what_was_not_emptied_is_made_anew() {
    let ground = Ground::new();
    ground.write("0123456789\nmore\n");
    fs::write(ground.dir.path().join("app.log-20260127T080000"), "0123456789\n").unwrap();
    let mut rotator = ground.rotator(Method::CopyTruncate, ALL);
    let told = rotator.look(at("2026-01-27T08:00:01Z"), READ, ROOMY, UNTOLD);
    assert!(matches!(&told[..], [Rotated::Done { bytes: 16, .. }]), "{told:?}");
    assert_eq!(ground.files().into_values().collect::<Vec<_>>(), ["", "0123456789\nmore\n"]);
}

#[test]
fn what_is_beyond_the_bounds_goes_oldest_first_and_nothing_else() {
    let names = |ground: &Ground| ground.files().into_keys().collect::<Vec<_>>();
    let now = at("2026-01-27T12:00:00Z");
    let ground = || {
        let ground = Ground::new();
        for (name, size) in [
            ("app.log", 1),
            ("app.log-20260101T000000", 10),
            ("app.log-20260126T000000", 10),
            ("app.log-20260126T000000-1", 10),
            ("app.log-20260127T000000", 10),
            ("app.log.1", 1000),
            ("app.log-backup", 1000),
            ("other.log-20200101T000000.txt", 1000),
        ] {
            fs::write(ground.dir.path().join(name), "x".repeat(size)).unwrap();
        }
        ground
    };
    for (keep, gone) in [
        (ALL, 0),
        (KeepRotated { days: Some(5), ..ALL }, 1),
        (KeepRotated { count: Some(2), ..ALL }, 2),
        (KeepRotated { bytes: Some(10), ..ALL }, 3),
    ] {
        let ground = ground();
        let mut expected = names(&ground);
        let removed = ["app.log-20260101T000000", "app.log-20260126T000000", "app.log-20260126T000000-1"];
        expected.retain(|name| !removed[..gone].contains(&name.as_str()));
        ground.rotator(Method::Rename, keep).look(now, READ, ROOMY, UNTOLD);
        assert_eq!(names(&ground), expected, "{keep:?}");
    }
    // What was not read waits, as long as there is room.
    let unread: IsRead<'_> = &|_, _, _| false;
    let waiting = ground();
    waiting.rotator(Method::Rename, KeepRotated { count: Some(1), ..ALL }).look(now, unread, ROOMY, UNTOLD);
    assert_eq!(names(&waiting).len(), 8);
    waiting.rotator(Method::Rename, KeepRotated { bytes: Some(10), ..ALL }).look(now, unread, ROOMY, UNTOLD);
    assert_eq!(names(&waiting).len(), 5);
    // On a tight disk a quarter of the budget has to do.
    let tight = ground();
    let mut rotator = tight.rotator(Method::Rename, KeepRotated { bytes: Some(80), ..ALL });
    let told = rotator.look(now, READ, &|_| true, UNTOLD);
    assert!(matches!(&told[..], [Rotated::Removed { why: "tight", .. }, Rotated::Removed { .. }]), "{told:?}");
}

#[test]
fn once_a_day_is_by_the_time_of_the_last_one() {
    let ground = Ground::new();
    fs::write(ground.dir.path().join("app.log-20260126T080000"), "x").unwrap();
    ground.write("short\n");
    let mut rotator = ground.rotator(Method::Rename, ALL);
    rotator.look(at("2026-01-26T23:59:59Z"), READ, ROOMY, UNTOLD);
    assert!(ground.log.exists());
    rotator.look(at("2026-01-27T00:00:00Z"), READ, ROOMY, UNTOLD);
    assert!(!ground.log.exists());
}
