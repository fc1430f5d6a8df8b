//! A writer that numbers its lines, rotation of every kind, a reader that is stopped at any moment: each number must be
//! stored exactly once.
//!
//! Writer, rotation and reader take turns in an order that a seed decides, on real files. The store keeps any prefix of
//! what the reader handed over and starts the next reader from it, as after `kill -9`. For longer:
//!
//! ```text
//! SEEDS=10000 cargo test -p tollhouse-collect --test rotations
//! ```

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollhouse_collect::file::{Batch, Event, Flaws, Options, Pattern, Positions, Tailer};
use tollhouse_testkit::Dice;

/// Seeds that are tried unless `SEEDS` says otherwise.
const SEEDS: u64 = 4;
/// Rotations of each seed.
const ROTATIONS: usize = 200;
/// Rotated files that are kept.
const KEPT: usize = 6;

/// What the journal would hold.
#[derive(Default)]
struct Store {
    positions: Positions,
    numbers: Vec<u64>,
}

struct World {
    dice: Dice,
    dir: tempfile::TempDir,
    /// Where the writer writes, and into what.
    live: PathBuf,
    out: File,
    /// Bytes of the last line that are not written yet.
    rest: Vec<u8>,
    next: u64,
    day: u32,
    /// For names that may not come twice.
    unique: u64,
    /// Rotated files, the newest first.
    old: VecDeque<PathBuf>,
    store: Store,
    reader: Option<Tailer>,
    now: Duration,
    /// A removed file is only readable by who has it open.
    must_run: bool,
    restarts: usize,
    /// What happened, to be printed with a failure.
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.log");
        let out = append(&live);
        Self {
            dice: Dice::new(seed),
            dir,
            live,
            out,
            rest: Vec::new(),
            next: 0,
            day: 0,
            unique: 0,
            old: VecDeque::new(),
            store: Store::default(),
            reader: None,
            now: Duration::ZERO,
            must_run: false,
            restarts: 0,
            story: Vec::new(),
        }
    }

    /// Some lines, perhaps the last one not to its end.
    fn write(&mut self) {
        let mut bytes = std::mem::take(&mut self.rest);
        for _ in 0..self.dice.below(60) {
            let padding = "x".repeat(self.dice.below(120));
            bytes.extend_from_slice(format!("{:08} {padding}\n", self.next).as_bytes());
            self.next += 1;
        }
        if self.dice.once_in(3) {
            let at = bytes.len() - bytes.len().min(self.dice.below(20));
            self.rest = bytes.split_off(at);
        }
        self.out.write_all(&bytes).unwrap();
    }

    /// The rest of an unfinished line: programs finish it before they take another file.
    fn finish_line(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        self.out.write_all(&rest).unwrap();
    }

    /// Lets the reader do a step, and stores all of it or, when it is killed, a part.
    fn read(&mut self) -> bool {
        self.now += Duration::from_millis(self.dice.below(400) as u64);
        let reader = self.reader.get_or_insert_with(|| {
            let pattern = |name: &str| Pattern::new(&self.dir.path().join(name).display().to_string()).unwrap();
            let patterns = vec![pattern("app.log"), pattern("day-*.log")];
            // Nothing is given without its end here: the writer finishes its lines.
            let options = Options::new(patterns).unfinished_after(Duration::from_secs(3600));
            Tailer::new(options, self.store.positions.clone())
        });
        let batch = reader.step(self.now);
        let got_lines = !batch.lines.is_empty() || batch.has_more;
        if !self.must_run && self.dice.once_in(25) {
            let records = batch.notes.len() + batch.lines.len();
            let kept = self.dice.below(records + 1);
            self.store.take(&batch, kept);
            self.reader = None;
            self.restarts += 1;
            self.tell(&format!("killed, {kept} of {records} stored"));
        } else {
            self.store.take(&batch, usize::MAX);
        }
        for event in &batch.events {
            self.tell(&format!("{event:?}"));
        }
        got_lines
    }

    fn tell(&mut self, what: &str) {
        self.story.push(format!("at {:>6} (stored {:>6}) {what}", self.next, self.store.numbers.len()));
    }

    fn some_reads(&mut self) {
        for _ in 0..self.dice.below(4) {
            self.read();
        }
    }

    /// Reads until nothing comes any more.
    fn catch_up(&mut self) {
        let mut quiet = 0;
        while quiet < 4 {
            quiet = if self.read() || self.reader.is_none() { 0 } else { quiet + 1 };
            self.now += Duration::from_millis(300);
        }
    }

    fn rotate(&mut self) {
        let kind = self.dice.below(6);
        let name = ["rename", "copytruncate", "recreate", "number", "day", "pack"][kind];
        self.tell(&format!("{name} of {}", self.live.display()));
        match kind {
            0 => self.rename(),
            1 => self.copy_and_truncate(),
            2 => self.remove_and_create(),
            3 => self.number(),
            4 => self.next_day(),
            _ => self.pack(),
        }
        while self.old.len() > KEPT {
            // What goes for good must have been read.
            self.catch_up();
            fs::remove_file(self.old.pop_back().unwrap()).unwrap();
        }
    }

    /// `logrotate` with `create`: the writer goes on in the old file until it is told.
    fn rename(&mut self) {
        self.shift();
        let to = self.dir.path().join("app.log.1");
        self.take_live(&to);
        for _ in 0..self.dice.below(3) {
            self.write();
            self.some_reads();
        }
        self.finish_line();
        self.out = append(&self.live);
    }

    /// As OpenClaw does: the number stands before the extension.
    fn number(&mut self) {
        self.unique += 1;
        let to = self.dir.path().join(format!("app.{}.log", self.unique));
        self.finish_line();
        self.take_live(&to);
        self.out = append(&self.live);
    }

    /// The writer stands still from the end of copying to the truncation, or the reader is caught up then.
    fn copy_and_truncate(&mut self) {
        if !self.live.ends_with("app.log") {
            return self.next_day();
        }
        self.shift();
        let to = self.dir.path().join("app.log.1");
        let (mut from, mut copy) = (File::open(&self.live).unwrap(), File::create(&to).unwrap());
        let mut piece = vec![0; 500 + self.dice.below(20_000)];
        let mut writes = 0;
        loop {
            let got = from.read(&mut piece).unwrap();
            if got == 0 {
                break;
            }
            copy.write_all(&piece[..got]).unwrap();
            if self.dice.once_in(3) && writes < 10 {
                writes += 1;
                self.write();
                self.some_reads();
            }
        }
        self.old.push_front(to);
        if self.dice.once_in(2) {
            // These lines are in no copy.
            self.write();
            self.catch_up();
            self.finish_line();
            self.catch_up();
        } else {
            // Half a line stays half in both; the writer's next write would begin the new file with its end.
            let rest = std::mem::take(&mut self.rest);
            copy.write_all(&rest).unwrap();
        }
        self.out.set_len(0).unwrap();
    }

    fn remove_and_create(&mut self) {
        self.finish_line();
        // Whoever does not have the file open cannot read it any more.
        self.read_without_kill();
        fs::remove_file(&self.live).unwrap();
        if self.dice.once_in(2) {
            self.write();
            self.finish_line();
        }
        self.out = append(&self.live);
        self.must_run = true;
        for _ in 0..self.dice.below(3) {
            self.write();
            self.some_reads();
        }
        self.catch_up();
        self.must_run = false;
    }

    /// Steps until the reader has the live file open.
    fn read_without_kill(&mut self) {
        self.must_run = true;
        self.catch_up();
        self.must_run = false;
    }

    fn next_day(&mut self) {
        self.finish_line();
        self.old.push_front(self.live.clone());
        self.day += 1;
        // Days and the undated name take turns.
        let name =
            if self.day.is_multiple_of(3) { "app.log".to_owned() } else { format!("day-2026-01-{:03}.log", self.day) };
        self.live = self.dir.path().join(name);
        if self.live.exists() {
            self.shift();
            let position = self.old.iter().position(|old| *old == self.live);
            let to = self.dir.path().join("app.log.1");
            fs::rename(&self.live, &to).unwrap();
            self.old[position.unwrap()] = to;
        }
        self.out = append(&self.live);
    }

    /// Packs one of the rotated files: the packed form grows beside it, then it goes.
    fn pack(&mut self) {
        let is_plain = |path: &&PathBuf| !matches!(path.extension().and_then(|end| end.to_str()), Some("gz" | "zst"));
        let plain: Vec<PathBuf> = self.old.iter().filter(is_plain).cloned().collect();
        if plain.is_empty() {
            return;
        }
        let path = plain[self.dice.below(plain.len())].clone();
        let bytes = fs::read(&path).unwrap();
        let (packed, end) = if self.dice.once_in(2) { (gzip(&bytes), "gz") } else { (zstd(&bytes), "zst") };
        let to = PathBuf::from(format!("{}.{end}", path.display()));
        if to.exists() {
            return;
        }
        let (one, two) = packed.split_at(self.dice.below(packed.len()));
        let mut out = File::create(&to).unwrap();
        self.some_reads();
        out.write_all(one).unwrap();
        self.some_reads();
        out.write_all(two).unwrap();
        self.some_reads();
        fs::remove_file(&path).unwrap();
        let position = self.old.iter().position(|old| *old == path).unwrap();
        self.old[position] = to;
    }

    /// `app.log.1` becomes `app.log.2` and so on, packed or not.
    fn shift(&mut self) {
        let taken = |number: usize, end: &str| self.dir.path().join(format!("app.log.{number}{end}"));
        for number in (1..60).rev() {
            for end in ["", ".gz", ".zst"] {
                let (from, to) = (taken(number, end), taken(number + 1, end));
                if from.exists() {
                    fs::rename(&from, &to).unwrap();
                    if let Some(position) = self.old.iter().position(|old| *old == from) {
                        self.old[position] = to;
                    }
                }
            }
        }
    }

    fn take_live(&mut self, to: &Path) {
        fs::rename(&self.live, to).unwrap();
        self.old.push_front(to.to_owned());
        self.live = self.dir.path().join("app.log");
        assert!(!self.live.exists() || self.old.contains(&self.live));
        if let Some(position) = self.old.iter().position(|old| *old == self.live) {
            self.unique += 1;
            let to = self.dir.path().join(format!("app.log-{}", self.unique));
            fs::rename(&self.live, &to).unwrap();
            self.old[position] = to;
        }
    }
}

impl Store {
    /// The first `kept` records of a batch.
    fn take(&mut self, batch: &Batch, kept: usize) {
        for note in batch.notes.iter().take(kept) {
            // As it would be stored.
            self.positions.apply(&serde_json::from_value(serde_json::to_value(note).unwrap()).unwrap());
        }
        for line in batch.lines.iter().take(kept.saturating_sub(batch.notes.len())) {
            self.positions.advance(&line.mark);
            assert_eq!(line.flaws, Flaws::default(), "{line:?}");
            self.numbers.push(line.text[..8].parse().unwrap_or_else(|_| panic!("no number: {line:?}")));
        }
        for event in &batch.events {
            assert!(!matches!(event, Event::Skipped { .. } | Event::TooMany { .. }), "{event:?}");
        }
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    // What was rotated before the first look would be history.
    world.read_without_kill();
    for _ in 0..ROTATIONS {
        for _ in 0..world.dice.below(6) {
            world.write();
            world.some_reads();
        }
        world.rotate();
        // Sometimes nobody reads for a while.
        if world.dice.once_in(12) && !world.must_run {
            world.reader = None;
            for _ in 0..world.dice.below(4) {
                world.write();
                if world.dice.once_in(2) {
                    world.number();
                }
            }
        }
    }
    world.finish_line();
    world.catch_up();
    let mut numbers = std::mem::take(&mut world.store.numbers);
    numbers.sort_unstable();
    let doubled: Vec<u64> = numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    numbers.dedup();
    let lost: Vec<u64> = (0..world.next).filter(|number| numbers.binary_search(number).is_err()).collect();
    if let Some(first) = lost.first().or(doubled.first()) {
        let at =
            |line: &String| line[3..9].trim().parse::<u64>().is_ok_and(|at| at + 400 >= *first && at <= *first + 800);
        world.story.iter().filter(|line| at(line)).for_each(|line| println!("{line}"));
    }
    assert!(
        lost.is_empty() && doubled.is_empty(),
        "seed {seed}: {} lost {:?}, {} doubled {:?} of {}, {} restarts",
        lost.len(),
        &lost[..lost.len().min(20)],
        doubled.len(),
        &doubled[..doubled.len().min(20)],
        world.next,
        world.restarts,
    );
    assert!(world.restarts > 5, "the reader must have been killed now and then");
}

#[test]
fn nothing_is_lost_or_doubled() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let first = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    (first..first + seeds).for_each(run);
}
