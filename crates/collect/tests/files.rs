//! What a reader gives for single files: odd lines, odd writers, odd moments. Rotation at random is in `rotations.rs`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tollhouse_collect::file::{Begin, Event, Flaw, LINE_BYTES_MAX, Line, Options, Pattern, Positions, Tailer};

/// A directory, a reader of some names in it, and what it stored.
struct Kit {
    dir: tempfile::TempDir,
    options: Options,
    tailer: Tailer,
    positions: Positions,
    events: Vec<Event>,
    now: Duration,
}

impl Kit {
    fn new(names: &[&str]) -> Self {
        Self::with(names, |options| options)
    }

    fn with(names: &[&str], set: impl Fn(Options) -> Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pattern = |name: &&str| Pattern::new(&dir.path().join(name).display().to_string()).unwrap();
        let options = set(Options::new(names.iter().map(pattern).collect()));
        let tailer = Tailer::new(options.clone(), Positions::new());
        Self { dir, options, tailer, positions: Positions::new(), events: Vec::new(), now: Duration::ZERO }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    /// Everything that comes within two seconds of the reader's clock.
    fn lines(&mut self) -> Vec<Line> {
        let (mut lines, mut quiet) = (Vec::new(), 0);
        while quiet < 4 {
            self.now += Duration::from_millis(500);
            let batch = self.tailer.step(self.now);
            quiet = if batch.lines.is_empty() && !batch.has_more { quiet + 1 } else { 0 };
            batch.notes.iter().for_each(|note| self.positions.apply(note));
            batch.lines.iter().for_each(|line| self.positions.advance(&line.mark));
            self.events.extend(batch.events);
            lines.extend(batch.lines);
        }
        lines
    }

    fn texts(&mut self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn restart(&mut self) {
        self.tailer = Tailer::new(self.options.clone(), self.positions.clone());
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

#[test]
fn lines_are_read_once_over_restarts() {
    let mut kit = Kit::new(&["*.log"]);
    kit.write("a.log", "one\ntwo\n");
    kit.write("b.log", "other\n");
    let mut texts = kit.texts();
    texts.sort();
    assert_eq!(texts, ["one", "other", "two"]);
    kit.restart();
    assert!(kit.texts().is_empty());
    kit.append("a.log", "three\n");
    kit.restart();
    assert_eq!(kit.texts(), ["three"]);
    assert!(kit.tailer.status().iter().all(|file| file.is_caught_up));
}

#[test]
fn odd_bytes_are_kept_and_told() {
    let mut kit = Kit::new(&["a.log"]);
    let long = "y".repeat(3 * LINE_BYTES_MAX);
    kit.write("a.log", [b"caf\xE9\r\n".as_slice(), long.as_bytes(), b"\nlast\n"].concat());
    let lines = kit.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0].text.as_str(), lines[0].flaws.has(Flaw::Bytes)), ("caf\\xe9", true));
    assert_eq!((lines[1].text.len(), lines[1].flaws.has(Flaw::Cut)), (LINE_BYTES_MAX, true));
    assert_eq!((lines[2].text.as_str(), lines[2].flaws.is_empty()), ("last", true));
    let skipped = Event::Skipped { path: kit.path("a.log"), bytes: 2 * LINE_BYTES_MAX as u64 };
    // The line end is skipped as well.
    let Event::Skipped { bytes, .. } = kit.events().pop().unwrap() else { panic!("no event") };
    assert!(matches!(skipped, Event::Skipped { bytes: wanted, .. } if bytes.abs_diff(wanted) <= 1), "{bytes}");
}

#[test]
fn a_long_line_is_skipped_to_its_end_also_after_a_restart() {
    let mut kit = Kit::new(&["a.log"]);
    kit.write("a.log", "y".repeat(2 * LINE_BYTES_MAX));
    assert_eq!(kit.lines().len(), 1);
    kit.restart();
    kit.append("a.log", "yyy\nnext\n");
    assert_eq!(kit.texts(), ["next"]);
}

#[test]
fn a_line_without_its_end_waits() {
    let mut kit = Kit::new(&["a.log"]);
    kit.write("a.log", "one\nhal");
    assert_eq!(kit.texts(), ["one"]);
    kit.append("a.log", "f\n");
    assert_eq!(kit.texts(), ["half"]);
    kit.append("a.log", "last words");
    assert!(kit.texts().is_empty());
    kit.wait(60);
    let lines = kit.lines();
    assert_eq!((lines[0].text.as_str(), lines[0].flaws.has(Flaw::Unfinished)), ("last words", true));
    kit.restart();
    kit.append("a.log", " and more\nnext\n");
    let lines = kit.lines();
    assert_eq!((lines[0].text.as_str(), lines[0].flaws.has(Flaw::Rest)), (" and more", true));
    assert_eq!((lines[1].text.as_str(), lines[1].flaws.is_empty()), ("next", true));
}

#[test]
fn the_last_line_of_a_removed_file_is_given() {
    let mut kit = Kit::new(&["a.log"]);
    kit.write("a.log", "one\ntwo");
    assert_eq!(kit.texts(), ["one"]);
    fs::remove_file(kit.path("a.log")).unwrap();
    kit.write("a.log", "new\n");
    // The new file does not wait for the old one's end.
    assert_eq!(kit.texts(), ["new"]);
    kit.wait(5);
    assert_eq!(kit.texts(), ["two"]);
    assert!(kit.tailer.status().iter().all(|file| file.is_caught_up));
}

#[test]
fn a_removed_file_is_read_to_its_end() {
    let mut kit = Kit::new(&["a.log"]);
    let mut out = File::create(kit.path("a.log")).unwrap();
    assert!(kit.texts().is_empty());
    fs::remove_file(kit.path("a.log")).unwrap();
    assert!(kit.texts().is_empty());
    out.write_all(b"written without a name\n").unwrap();
    assert_eq!(kit.texts(), ["written without a name"]);
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole() {
    let mut kit = Kit::new(&["a.log"]);
    let mut out = File::create(kit.path("a.log")).unwrap();
    out.write_all("some words before\n".repeat(200_000).as_bytes()).unwrap();
    assert_eq!(kit.texts().len(), 200_000);
    // What copytruncate does to a program that opened its log without O_APPEND.
    OpenOptions::new().write(true).open(kit.path("a.log")).unwrap().set_len(0).unwrap();
    out.write_all(b"behind the hole\n").unwrap();
    assert_eq!(kit.texts(), ["behind the hole"]);
    out.write_all(b"next\n").unwrap();
    assert_eq!(kit.texts(), ["next"]);
}

#[test]
fn a_truncated_file_is_read_from_its_start_however_long_it_became() {
    let mut kit = Kit::new(&["a.log"]);
    kit.write("a.log", "old line 1\nold line 2\n");
    assert_eq!(kit.texts().len(), 2);
    kit.write("a.log", "new line 1\nnew line 2\nnew line 3\n");
    assert_eq!(kit.texts(), ["new line 1", "new line 2", "new line 3"]);
    assert_eq!(kit.events(), [Event::Truncated { path: kit.path("a.log"), unread_bytes: 0 }]);
    kit.write("a.log", "short\n");
    assert_eq!(kit.texts(), ["short"]);
}

#[test]
fn what_copytruncate_cut_off_is_in_the_copy() {
    let mut kit = Kit::new(&["a.log"]);
    let first = (0..100).map(|number| format!("line {number} with some words\n")).collect::<Vec<_>>().concat();
    kit.write("a.log", &first);
    assert_eq!(kit.lines().len(), 100);
    // More lines, the copy and the truncation between two looks.
    kit.append("a.log", "unread 1\nunread 2\n");
    fs::copy(kit.path("a.log"), kit.path("a.log.1")).unwrap();
    kit.write("a.log", "after\n");
    assert_eq!(kit.texts(), ["unread 1", "unread 2", "after"]);
    assert!(kit.events().is_empty(), "nothing is missing");
}

#[test]
fn without_a_copy_in_sight_the_reader_must_have_been_caught_up() {
    let mut kit = Kit::new(&["a.log"]);
    kit.write("a.log", "read\n");
    assert_eq!(kit.texts(), ["read"]);
    kit.append("a.log", "never seen\n");
    kit.write("a.log", "x\n");
    assert_eq!(kit.texts(), ["x"]);
    assert!(matches!(kit.events()[..], [Event::Truncated { .. }]));
}

#[test]
fn a_copy_that_stays_beside_its_original_is_not_read() {
    let mut kit = Kit::new(&["a.log*"]);
    let lines = (0..100).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
    kit.write("a.log", &lines);
    assert_eq!(kit.lines().len(), 100);
    fs::copy(kit.path("a.log"), kit.path("a.log.bak")).unwrap();
    kit.append("a.log", "more\n");
    assert_eq!(kit.texts(), ["more"]);
    kit.wait(600);
    kit.restart();
    assert!(kit.texts().is_empty());
}

#[test]
fn an_editor_that_replaces_the_file_doubles_nothing() {
    let mut kit = Kit::new(&["a.log"]);
    let lines = (0..100).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
    kit.write("a.log", &lines);
    assert_eq!(kit.lines().len(), 100);
    kit.write("a.tmp", format!("{lines}added\n"));
    fs::rename(kit.path("a.tmp"), kit.path("a.log")).unwrap();
    kit.wait(10);
    kit.lines();
    kit.restart();
    assert_eq!(kit.positions.files().filter(|file| file.inode != 0).count(), 1);
}

#[test]
fn files_that_begin_alike_are_read_all() {
    let mut kit = Kit::new(&["a.log"]);
    for generation in 0..5 {
        kit.write("a.log", "starting\n");
        assert_eq!(kit.texts(), ["starting"], "{generation}");
        fs::rename(kit.path("a.log"), kit.path(&format!("a.log.{generation}"))).unwrap();
    }
    kit.restart();
    assert!(kit.texts().is_empty());
}

#[test]
fn packed_files_give_what_is_unread_and_no_more() {
    let mut kit = Kit::new(&["a.log"]);
    let pack = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    kit.write("a.log.3.gz", pack(b"before our time\n"));
    kit.write("a.log", "one\n");
    assert_eq!(kit.texts(), ["one"]);
    // While nobody reads: two rotations, the older file packed, the newer packed otherwise.
    kit.restart();
    fs::remove_file(kit.path("a.log")).unwrap();
    kit.write("a.log.2.gz", pack(b"one\ntwo\n"));
    kit.write("a.log.1.zst", zstd::encode_all(&b"three\nfour"[..], 1).unwrap());
    kit.write("a.log", "five\n");
    let mut texts = kit.texts();
    texts.sort();
    assert_eq!(texts, ["five", "four", "three", "two"]);
    kit.restart();
    assert!(kit.texts().is_empty());
}

#[test]
fn a_damaged_packed_file_gives_what_can_be_had_and_is_told_once() {
    let mut kit = Kit::new(&["a.log"]);
    assert!(kit.texts().is_empty());
    let lines = (0..20_000).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
    let packed = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    kit.write("a.log.1.zst", &packed[..packed.len() * 9 / 10]);
    let read = kit.lines().len();
    assert!(read < 20_000);
    kit.wait(100);
    assert!(kit.lines().is_empty());
    assert_eq!(kit.events().len(), 1);
    // It was still being written.
    kit.write("a.log.1.zst", &packed);
    // A rotated file that was left alone for long is asked only every few seconds, unless its directory has just changed.
    kit.wait(10);
    assert_eq!(read + kit.lines().len(), 20_000);
    assert_eq!(kit.events(), [Event::Solved { path: kit.path("a.log.1.zst") }]);
}

#[test]
fn what_is_missing_is_told_once_and_found_when_it_comes() {
    let mut kit = Kit::new(&["later/*.log"]);
    assert!(kit.texts().is_empty());
    kit.wait(100);
    assert!(kit.texts().is_empty());
    let trouble = Event::Trouble { path: kit.path("later"), why: "it does not exist".into() };
    assert_eq!(kit.events(), [trouble]);
    fs::create_dir(kit.path("later")).unwrap();
    kit.write("later/a.log", "there\n");
    assert_eq!(kit.texts(), ["there"]);
    assert_eq!(kit.events(), [Event::Solved { path: kit.path("later") }]);
}

#[test]
fn a_directory_that_goes_and_comes_back_doubles_nothing() {
    let mut kit = Kit::new(&["d/*.log"]);
    fs::create_dir(kit.path("d")).unwrap();
    kit.write("d/a.log", "one\n");
    assert_eq!(kit.texts(), ["one"]);
    fs::rename(kit.path("d"), kit.path("away")).unwrap();
    assert!(kit.texts().is_empty());
    kit.append("away/a.log", "two\n");
    kit.wait(3600);
    fs::rename(kit.path("away"), kit.path("d")).unwrap();
    assert_eq!(kit.texts(), ["two"]);
}

#[test]
fn a_link_is_followed_and_its_change_too() {
    let mut kit = Kit::new(&["current.log"]);
    kit.write("app-1", "one\n");
    kit.write("app-2", "two\n");
    std::os::unix::fs::symlink(kit.path("app-1"), kit.path("current.log")).unwrap();
    assert_eq!(kit.texts(), ["one"]);
    std::os::unix::fs::symlink(kit.path("app-2"), kit.path("new")).unwrap();
    fs::rename(kit.path("new"), kit.path("current.log")).unwrap();
    kit.append("app-1", "one more\n");
    let mut texts = kit.texts();
    texts.sort();
    assert_eq!(texts, ["one more", "two"]);
}

#[test]
fn a_source_may_begin_at_the_end() {
    let mut kit = Kit::with(&["*.log"], |options| options.begin(Begin::End));
    kit.write("a.log", "old\n");
    assert!(kit.texts().is_empty());
    kit.append("a.log", "new\n");
    kit.write("b.log", "also new\n");
    let mut texts = kit.texts();
    texts.sort();
    assert_eq!(texts, ["also new", "new"]);
}

#[test]
fn a_busy_file_does_not_keep_others_waiting() {
    let mut kit = Kit::new(&["*.log"]);
    kit.write("busy.log", "many words in a line\n".repeat(500_000));
    for number in 0..20 {
        kit.write(&format!("quiet-{number}.log"), "one line\n");
    }
    kit.now += Duration::from_secs(1);
    let mut lines = kit.tailer.step(kit.now).lines;
    lines.extend(kit.tailer.step(kit.now).lines);
    assert_eq!(lines.iter().filter(|line| line.text == "one line").count(), 20, "of {}", lines.len());
}

#[test]
fn old_lines_come_before_new_ones_of_the_same_name() {
    let mut kit = Kit::new(&["a.log"]);
    assert!(kit.texts().is_empty());
    let lines = |from: u32| (from..from + 50_000).map(|number| format!("{number:06}\n")).collect::<Vec<_>>().concat();
    kit.write("a.log", lines(0));
    kit.now += Duration::from_secs(1);
    let mut texts: Vec<String> = kit.tailer.step(kit.now).lines.into_iter().map(|line| line.text).collect();
    fs::rename(kit.path("a.log"), kit.path("a.log.1")).unwrap();
    kit.write("a.log", lines(50_000));
    texts.extend(kit.texts());
    assert_eq!(texts.len(), 100_000);
    assert!(texts.is_sorted());
}
