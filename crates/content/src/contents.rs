//! The file that it lies in, and the task that fills it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tollhouse_dialect::{ChatRequest, Event};
use tollhouse_journal::{Journal, Level, Opened, Reader, Record, Writer};
use tollhouse_state::State;

use crate::asked::{Said, Transcript};
use crate::error::ContentError;
use crate::redact::Redactor;
use crate::seal::{open, seal};
use crate::sieve::{Sieve, Sifting, Withheld};

/// Bytes of prompts and answers that wait for the task.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What a waiting request is reckoned with beside its text.
const TALK_BYTES: usize = 4 << 10;
/// Requests that wait for the task.
const WAITING_MAX: usize = 4_096;
/// Bytes of text that a transcript has at first; halved until it fits into a line.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Characters of a sealed transcript that fit into a line of the journal beside its other fields.
const SEALED_CHARS_MAX: usize = tollhouse_journal::RECORD_BYTES_MAX * 3 / 4;
/// Lines read at once.
const LINES: usize = 256;
/// Kind of its records.
const KIND: &str = "content";

/// Whether prompts and answers are kept, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They are not.
    #[default]
    Off,
    /// Without what [`Redactor`] finds.
    Redacted,
    /// As they are.
    Full,
}

/// Where and how long content is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The current file; closed ones lie beside it.
    pub file: PathBuf,
    /// The `service` of every line.
    pub service: String,
    /// Days after which closed files are deleted; 0 keeps them.
    pub keep_days: u32,
    /// Bytes of all files; the oldest are deleted first; 0 keeps them.
    pub keep_bytes: u64,
}

/// Whose content it is: what can be erased at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An end user.
    User(String),
    /// A key whose requests name no user.
    Key(String),
    /// Neither is known.
    Nobody,
}

impl Owner {
    /// Its name in the state store.
    pub fn name(&self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Key(key) => format!("key:{key}"),
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// What became of content until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transcripts that are in the file.
    pub kept: u64,
    /// Requests whose content was not kept, because too much waited or it could not be written.
    pub lost: u64,
    /// Texts of which nothing is in the file, because the program says so or failed.
    pub withheld: u64,
}

/// Keeps content; clones share one file. Dropping the last one and [`Contents::close`] end the task after what waits.
#[derive(Clone, Debug)]
pub struct Contents {
    mode: Mode,
    sieve: Option<Arc<dyn Sieve>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: mpsc::Sender<Kept>,
    room: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    kept: AtomicU64,
    lost: AtomicU64,
    withheld: AtomicU64,
}

/// A request whose content is to be kept.
#[derive(Debug)]
struct Kept {
    request_id: String,
    owner: Owner,
    model: Option<String>,
    mode: Mode,
    sieve: Option<Arc<dyn Sieve>>,
    request: Arc<ChatRequest>,
    answer: Said,
    _room: OwnedSemaphorePermit,
}

/// What one request said, while it is answered.
#[derive(Debug)]
pub struct Talk {
    contents: Contents,
    request: Arc<ChatRequest>,
    answer: Said,
}

impl Talk {
    /// Adds what the model said.
    pub fn note(&mut self, events: &[Event]) {
        self.answer.note(events);
    }

    /// Hands it over to be kept. Says whether it will be: not when too much waits already.
    pub fn keep(self, request_id: &str, owner: Owner, model: Option<&str>) -> bool {
        let Self { contents: Contents { mode, sieve, shared }, request, answer } = self;
        let bytes = 4 * request.prompt_chars() + answer.text.len() + answer.thinking.len() + TALK_BYTES;
        let permits = u32::try_from(bytes.min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        let handed = shared.room.clone().try_acquire_many_owned(permits).ok().and_then(|room| {
            let (request_id, model) = (request_id.to_owned(), model.map(str::to_owned));
            shared.to.try_send(Kept { request_id, owner, model, mode, sieve, request, answer, _room: room }).ok()
        });
        if handed.is_none() {
            shared.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        handed.is_some()
    }
}

impl Contents {
    /// Opens the file, and begins the task. Blocks while an earlier end of the file is repaired. The mode is
    /// [`Mode::Off`] until [`Contents::kept_as`] says otherwise. The task ends with the last handle.
    pub fn open(options: Options, state: State) -> Result<(Self, JoinHandle<()>), ContentError> {
        let mut journal = tollhouse_journal::Options::new(options.file, options.service);
        (journal.keep_days, journal.keep_bytes) = (options.keep_days, options.keep_bytes);
        let Opened { journal, writer, .. } = Journal::open(journal)?;
        let (to, from) = mpsc::channel(WAITING_MAX);
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(keep_all(from, journal, writer, state, counts.clone()));
        let shared = Shared { to, room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)), counts };
        Ok((Self { mode: Mode::Off, sieve: None, shared: Arc::new(shared) }, task))
    }

    /// The same file, kept in this way. What is kept passes the sieve first, in every mode.
    #[must_use]
    pub fn kept_as(&self, mode: Mode, sieve: Option<Arc<dyn Sieve>>) -> Self {
        Self { mode, sieve, shared: self.shared.clone() }
    }

    /// Begins to follow a request; nothing when nothing is kept.
    pub fn talk(&self, request: Arc<ChatRequest>) -> Option<Talk> {
        (self.mode != Mode::Off).then(|| Talk { contents: self.clone(), request, answer: Said::answer() })
    }

    /// What became of content until now.
    pub fn stats(&self) -> Stats {
        let Counts { kept, lost, withheld } = &*self.shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats { kept: read(kept), lost: read(lost), withheld: read(withheld) }
    }
}

async fn keep_all(mut from: mpsc::Receiver<Kept>, journal: Journal, writer: Writer, state: State, counts: Arc<Counts>) {
    while let Some(kept) = from.recv().await {
        let request_id = kept.request_id.clone();
        match keep(kept, &journal, &state, &counts).await {
            Ok(()) => counts.kept.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                tracing::error!(error = %error, request_id, "keeping the content of a request");
                counts.lost.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
    let closed = spawn_blocking(move || writer.close()).await;
    if let Ok(Err(error)) = closed {
        tracing::error!(error = %error, "closing the file of contents");
    }
}

async fn keep(kept: Kept, journal: &Journal, state: &State, counts: &Counts) -> Result<(), ContentError> {
    // Asked for each time: after an erasure nothing more is sealed with the key that is gone.
    let key = state.content_key(&kept.owner.name()).await?;
    let key_id = key.id.clone();
    // Redacting and compressing a long prompt takes milliseconds.
    let (kept, sealed, withheld) = spawn_blocking(move || {
        let sifting = kept.sieve.as_deref().map(|sieve| Sifting::new(sieve, kept.model.as_deref()));
        let mut text_bytes_max = TEXT_BYTES_MAX;
        loop {
            let (transcript, withheld) = kept.transcript(text_bytes_max, sifting.as_ref());
            let plain = serde_json::to_vec(&transcript).expect("strings and numbers");
            let sealed = seal(&key, &kept.request_id, &plain);
            match sealed {
                Some(sealed) if sealed.len() > SEALED_CHARS_MAX => text_bytes_max /= 2,
                sealed => return (kept, sealed, withheld),
            }
        }
    })
    .await?;
    if let Some(sieve) = kept.sieve.as_ref().filter(|_| !withheld.is_empty()) {
        counts.withheld.fetch_add(withheld.values().sum::<usize>() as u64, Ordering::Relaxed);
        sieve.withheld(&kept.request_id, &withheld);
    }
    let sealed = sealed.ok_or_else(|| ContentError::Damaged(kept.request_id.clone()))?;
    let record = Record::new(KIND, Level::Info, "content kept")
        .caller("content")
        .field("request_id", &kept.request_id)
        .field("key", key_id)
        .field("sealed", sealed);
    journal.append(record).await?;
    Ok(())
}

impl Kept {
    /// What is kept, and of how many texts nothing is.
    fn transcript(
        &self,
        text_bytes_max: usize,
        sifting: Option<&Sifting<'_>>,
    ) -> (Transcript, BTreeMap<Withheld, usize>) {
        let mut transcript = Transcript::new(&self.request, &self.answer, text_bytes_max);
        transcript.model.clone_from(&self.model);
        let mut withheld = BTreeMap::new();
        if let Some(sifting) = sifting {
            transcript.newest_first().for_each(|said| sifting.sift(said, &mut withheld));
            transcript.withheld = withheld.iter().map(|(why, texts)| (why.as_str().to_owned(), *texts)).collect();
        }
        // Behind the program, so that nothing that this one knows is kept whatever a program makes of a text.
        if self.mode != Mode::Full {
            let mut counts = std::mem::take(&mut transcript.redacted);
            transcript.texts().for_each(|text| Redactor::built_in().redact(text, &mut counts));
            transcript.redacted = counts;
        }
        (transcript, withheld)
    }
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    sealed: String,
}

/// What was kept of a request; nothing when nothing was. The file may be in use.
pub async fn find(file: &Path, request_id: &str, state: &State) -> Result<Option<Transcript>, ContentError> {
    let (file, wanted) = (file.to_owned(), request_id.to_owned());
    let Some(line) = spawn_blocking(move || find_line(&file, &wanted)).await?? else { return Ok(None) };
    let key = state.content_key_of_id(&line.key).await?.ok_or_else(|| ContentError::Erased(request_id.to_owned()))?;
    let damaged = || ContentError::Damaged(request_id.to_owned());
    let plain = open(&key, request_id, &line.sealed).ok_or_else(damaged)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| damaged())
}

/// The last line of this request: an id may come again, as a client may send it.
fn find_line(file: &Path, request_id: &str) -> Result<Option<Line>, ContentError> {
    let mut found = None;
    if !file.exists() {
        return Ok(None);
    }
    let mut reader = Reader::open(file, None)?;
    let mut lines = Vec::new();
    while reader.next_batch(LINES, &mut lines)? > 0 {
        for line in lines.drain(..) {
            let line: Option<Line> = serde_json::from_slice(&line.bytes).ok();
            if let Some(line) = line.filter(|line| line.kind == KIND && line.request_id == request_id) {
                found = Some(line);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::{Api, JsonLimits};

    use super::*;
    use crate::sieve::Piece;

    async fn opened(dir: &Path) -> (State, Contents, JoinHandle<()>) {
        let state = State::open(dir).await.unwrap();
        let options = Options { file: file(dir), service: "s".to_owned(), keep_days: 7, keep_bytes: 0 };
        let (contents, task) = Contents::open(options, state.clone()).unwrap();
        (state, contents, task)
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("content/content.log")
    }

    fn request(text: &str) -> Arc<ChatRequest> {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
        Arc::new(Api::OpenAiChat.parse(body.as_bytes(), &JsonLimits::default()).unwrap())
    }

    fn say(contents: &Contents, id: &str, user: &str, asked: &str, answered: &str) {
        let mut talk = contents.talk(request(asked)).unwrap();
        talk.note(&[Event::Text(answered.to_owned())]);
        assert!(talk.keep(id, Owner::User(user.to_owned()), Some("m")));
    }

    #[tokio::test]
    async fn what_was_kept_is_found_and_lies_nowhere_in_the_clear() {
        let dir = tempfile::tempdir().unwrap();
        let (state, contents, task) = opened(dir.path()).await;
        assert!(contents.talk(request("x")).is_none(), "off is off");
        let full = contents.kept_as(Mode::Full, None);
        say(&full, "r1", "a", "write to zhang@example.com", "yes");
        say(&contents.kept_as(Mode::Redacted, None), "r2", "b", "write to zhang@example.com", "to zhang@example.com?");
        drop((contents, full));
        task.await.unwrap();

        let first = find(&file(dir.path()), "r1", &state).await.unwrap().unwrap();
        assert_eq!((first.asked[0].text.as_str(), first.answer.text.as_str()), ("write to zhang@example.com", "yes"));
        assert_eq!(first.model.as_deref(), Some("m"));
        let second = find(&file(dir.path()), "r2", &state).await.unwrap().unwrap();
        assert_eq!((second.asked[0].text.as_str(), second.answer.text.as_str()), ("write to [email]", "to [email]?"));
        assert_eq!(second.redacted["email"], 2);
        assert!(find(&file(dir.path()), "r3", &state).await.unwrap().is_none());

        let bytes = std::fs::read(file(dir.path())).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("zhang") && !text.contains("user:a") && text.contains("r1"));
    }

    /// Lets texts pass in capitals, but for those that name what it does with them.
    #[derive(Debug, Default)]
    struct Scripted(std::sync::Mutex<Vec<String>>);

    impl Sieve for Scripted {
        fn pass(&self, piece: Piece<'_>) -> Result<String, Withheld> {
            match piece.text {
                text if text.contains("fail") => Err(Withheld::Failed),
                text if text.contains("grow") => Ok("x".repeat(100_000)),
                text => Ok(format!("{} {}: {}", piece.role, piece.part, text.to_uppercase())),
            }
        }

        fn withheld(&self, request_id: &str, texts: &BTreeMap<Withheld, usize>) {
            self.0.lock().unwrap().push(format!("{request_id} {texts:?}"));
        }
    }

    #[tokio::test]
    async fn what_does_not_pass_the_sieve_is_not_kept_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let (state, contents, task) = opened(dir.path()).await;
        let sieve = Arc::new(Scripted::default());
        let full = contents.kept_as(Mode::Full, Some(sieve.clone()));
        let redacted = contents.kept_as(Mode::Redacted, Some(sieve.clone()));
        say(&full, "r1", "a", "one", "fail to see 13812345678");
        say(&redacted, "r2", "a", "grow", "zhang@example.com");
        let watch = full.clone();
        drop((contents, full, redacted));
        while watch.stats().kept < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(watch.stats(), Stats { kept: 2, lost: 0, withheld: 2 });
        drop(watch);
        task.await.unwrap();

        let first = find(&file(dir.path()), "r1", &state).await.unwrap().unwrap();
        assert_eq!((first.asked[0].text.as_str(), first.answer.text.as_str()), ("user text: ONE", ""));
        assert_eq!(first.withheld, BTreeMap::from([("failed".to_owned(), 1)]));
        let second = find(&file(dir.path()), "r2", &state).await.unwrap().unwrap();
        // What the sieve lets through is still redacted.
        assert_eq!((second.asked[0].text.as_str(), second.answer.text.as_str()), ("", "assistant text: [email]"));
        assert_eq!(second.withheld, BTreeMap::from([("too_large".to_owned(), 1)]));
        assert_eq!(*sieve.0.lock().unwrap(), ["r1 {Failed: 1}", "r2 {TooLarge: 1}"]);
    }

    #[tokio::test]
    async fn who_is_erased_is_gone_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (state, contents, task) = opened(dir.path()).await;
        let full = contents.kept_as(Mode::Full, None);
        say(&full, "r1", "a", "one", "1");
        say(&full, "r2", "b", "two", "2");
        drop((contents, full));
        task.await.unwrap();
        assert!(state.erase_content(&Owner::User("a".to_owned()).name()).await.unwrap());
        let gone = find(&file(dir.path()), "r1", &state).await;
        assert!(matches!(gone, Err(ContentError::Erased(_))), "{gone:?}");
        assert_eq!(find(&file(dir.path()), "r2", &state).await.unwrap().unwrap().answer.text, "2");
        let report = tollhouse_journal::verify(&file(dir.path())).unwrap();
        assert!(report.breaks.is_empty(), "the chain is whole: {report:?}");
    }

    #[tokio::test]
    async fn what_does_not_fit_into_a_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (state, contents, task) = opened(dir.path()).await;
        // Random letters hardly become shorter.
        let mut seed = 7_u64;
        let mut letter = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + (seed >> 33) as u8 % 90)
        };
        let long: String = (0..900_000).map(|_| letter()).collect();
        say(&contents.kept_as(Mode::Full, None), "r1", "a", &long, "yes");
        drop(contents);
        task.await.unwrap();
        let kept = find(&file(dir.path()), "r1", &state).await.unwrap().unwrap();
        assert!(kept.cut && kept.asked[0].text.len() > 100_000 && long.starts_with(&kept.asked[0].text));
        assert_eq!(kept.answer.text, "yes");
    }

    #[tokio::test]
    async fn too_much_at_once_is_lost_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (_state, contents, task) = opened(dir.path()).await;
        let full = contents.kept_as(Mode::Full, None);
        let long = request(&"x".repeat(8 << 20));
        let kept = (0..4).filter(|number| {
            let talk = full.talk(long.clone()).unwrap();
            talk.keep(&format!("r{number}"), Owner::Nobody, None)
        });
        let kept = kept.count() as u64;
        assert!(kept < 4);
        let watch = full.clone();
        drop((contents, full));
        assert_eq!(watch.stats().lost, 4 - kept);
        drop(watch);
        task.await.unwrap();
    }
}
