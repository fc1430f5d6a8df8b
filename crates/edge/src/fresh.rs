//! Answers with small files, remembered for a moment: a page that many ask for is read from the disk once a second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tollhouse_web::{Answer, full};

/// How long a file may have been changed before that is seen.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The largest file that is remembered, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of all that are remembered for one directory, names included.
const ALL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that an entry weighs beside its name and its file.
const ENTRY_BYTES: usize = 1_024;
/// What makes an answer depend on more than path and codings.
const CONDITIONS: [HeaderName; 6] = [
    http::header::RANGE,
    http::header::IF_RANGE,
    http::header::IF_MATCH,
    http::header::IF_NONE_MATCH,
    http::header::IF_MODIFIED_SINCE,
    http::header::IF_UNMODIFIED_SINCE,
];

/// What was read from one directory.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<Key, Remembered>,
    bytes: usize,
}

/// Codings that the client takes, as it says it, and the path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    codings: Option<HeaderValue>,
    path: Box<str>,
}

#[derive(Debug)]
struct Remembered {
    until: Instant,
    headers: HeaderMap,
    content: Bytes,
}

impl Key {
    /// Under which the answer to this request may be remembered; none where it depends on more.
    pub(crate) fn of<B>(request: &Request<B>, path: &str) -> Option<Self> {
        let headers = request.headers();
        if *request.method() != Method::GET || CONDITIONS.iter().any(|name| headers.contains_key(name)) {
            return None;
        }
        let mut codings = headers.get_all(ACCEPT_ENCODING).iter();
        let first = codings.next().cloned();
        codings.next().is_none().then(|| Self { codings: first, path: path.into() })
    }

    fn weight(&self, content: &Bytes) -> usize {
        ENTRY_BYTES + self.path.len() + self.codings.as_ref().map_or(0, HeaderValue::len) + content.len()
    }
}

impl Fresh {
    /// What was answered a moment ago.
    pub(crate) fn get(&self, key: &Key) -> Option<Answer> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.by_key.get(key).filter(|found| found.until > Instant::now())?;
        let mut answer = Response::new(full(found.content.clone()));
        *answer.headers_mut() = found.headers.clone();
        Some(answer)
    }

    /// Remembers an answer if it is a small file as a whole, and gives it back.
    pub(crate) async fn keep(&self, key: Key, answer: Answer) -> Answer {
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let Some(length) = length.filter(|length| answer.status() == StatusCode::OK && *length <= FILE_BYTES_MAX)
        else {
            return answer;
        };
        let (head, body) = answer.into_parts();
        let content = match body.collect().await {
            Ok(content) => content.to_bytes(),
            Err(never) => match never {},
        };
        // One that was cut short, as it may be while it is written, is the business of this one request.
        if content.len() as u64 == length {
            let until = Instant::now() + FRESH_FOR;
            self.put(&key, Remembered { until, headers: head.headers.clone(), content: content.clone() });
        }
        Response::from_parts(head, full(content))
    }

    fn put(&self, key: &Key, remembered: Remembered) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = &mut *held;
        let weight = key.weight(&remembered.content);
        if held.bytes + weight > ALL_BYTES_MAX {
            let now = Instant::now();
            held.by_key.retain(|_, old| old.until > now);
            held.bytes = held.by_key.iter().map(|(key, old)| key.weight(&old.content)).sum();
            if held.bytes + weight > ALL_BYTES_MAX {
                return;
            }
        }
        held.bytes += weight;
        if let Some(old) = held.by_key.insert(key.clone(), remembered) {
            held.bytes -= key.weight(&old.content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, codings: &'static str) -> Key {
        let request = Request::builder().header(ACCEPT_ENCODING, codings).body(()).unwrap();
        Key::of(&request, path).unwrap()
    }

    fn file(content: &'static [u8], length: usize) -> Answer {
        let mut answer = Response::new(full(content));
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
        answer
    }

    async fn content(answer: Answer) -> Bytes {
        answer.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_remembered_for_a_second_under_its_path_and_codings() {
        let fresh = Fresh::default();
        assert_eq!(content(fresh.keep(key("/a", "gzip"), file(b"packed", 6)).await).await, "packed");
        assert_eq!(content(fresh.get(&key("/a", "gzip")).unwrap()).await, "packed");
        assert!(fresh.get(&key("/a", "br")).is_none() && fresh.get(&key("/b", "gzip")).is_none());
        tokio::time::advance(FRESH_FOR).await;
        assert!(fresh.get(&key("/a", "gzip")).is_none(), "it may have been changed");
        // Cut short, larger than is remembered, or no file at all.
        fresh.keep(key("/short", ""), file(b"abc", 4)).await;
        fresh.keep(key("/large", ""), file(b"", FILE_BYTES_MAX as usize + 1)).await;
        let mut missing = file(b"none", 4);
        *missing.status_mut() = StatusCode::NOT_FOUND;
        fresh.keep(key("/missing", ""), missing).await;
        assert!(["/short", "/large", "/missing"].iter().all(|path| fresh.get(&key(path, "")).is_none()));
        let conditional = Request::builder().header("if-none-match", "x").body(()).unwrap();
        assert!(Key::of(&conditional, "/a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        static FILE: [u8; 65_536] = [b'x'; 65_536];
        let fresh = Fresh::default();
        for number in 0..1_000 {
            fresh.keep(key(&format!("/{number}"), ""), file(&FILE, FILE.len())).await;
        }
        let bytes = || fresh.held.lock().unwrap().bytes;
        assert!(bytes() <= ALL_BYTES_MAX && bytes() > ALL_BYTES_MAX / 2);
        tokio::time::advance(FRESH_FOR).await;
        fresh.keep(key("/new", ""), file(&FILE, FILE.len())).await;
        assert!(fresh.get(&key("/new", "")).is_some(), "old ones give way");
        assert!(bytes() < 100_000);
        fresh.keep(key("/new", ""), file(b"x", 1)).await;
        assert!(bytes() < 2_000, "another one in place of one");
    }
}
