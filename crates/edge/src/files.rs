//! Files of a directory.

use std::path::Path;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use tollhouse_web::{Answer, end_on_error, text};
use tower::ServiceExt;
use tower_http::services::ServeDir;
use tower_http::services::fs::DefaultServeDirFallback;

use crate::disk::Disk;
use crate::error::EdgeError;
use crate::fresh::{Fresh, Key};

/// A name with a hash in it never means another content (RFC 8246).
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Anything else is asked for again; an unchanged file costs a 304.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Characters of the shortest hash in a name.
const HASH_CHARS_MIN: usize = 8;

/// Bytes of a file that are read at once: each client that reads slowly has one of these waiting.
const PIECE_BYTES: usize = 4 * 1024;

/// Files below a directory: `.br`, `.zst` and `.gz` beside a file are sent to those who take them; ranges; no listing; nothing whose
/// name begins with a dot, but for `.well-known` (RFC 8615).
#[derive(Debug)]
pub(crate) struct Files {
    /// The path of the route, which is taken away; without a slash at its end.
    prefix: String,
    dir: ServeDir<DefaultServeDirFallback, Disk>,
    fresh: Fresh,
}

impl Files {
    /// Looks whether there is such a directory, so it blocks.
    pub(crate) fn new(route: &str, dir: &Path) -> Result<Self, EdgeError> {
        let no_directory = |why: String| EdgeError::NoDirectory { path: dir.to_owned(), why };
        let found = std::fs::metadata(dir).map_err(|error| no_directory(error.to_string()))?;
        if !found.is_dir() {
            return Err(no_directory("it is no directory".to_owned()));
        }
        let dir = ServeDir::with_backend(dir, Disk).with_buf_chunk_size(PIECE_BYTES);
        let dir = dir.precompressed_br().precompressed_zstd().precompressed_gzip();
        Ok(Self { prefix: route.trim_end_matches('/').to_owned(), dir, fresh: Fresh::default() })
    }

    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here\n");
            answer.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let key = Key::of(request, request.uri().path());
        if let Some(answer) = key.as_ref().and_then(|key| self.fresh.get(key)) {
            return answer;
        }
        let path =
            request.uri().path().strip_prefix(self.prefix.as_str()).filter(|rest| !rest.is_empty()).unwrap_or("/");
        let is_hidden = |part: &str| part.starts_with('.') && part != ".well-known";
        let found = PathAndQuery::try_from(path)
            .ok()
            .filter(|_| !path.replace("%2e", ".").replace("%2E", ".").split('/').any(is_hidden));
        let Some(path) = found else { return text(StatusCode::NOT_FOUND, "there is no such file\n") };
        let is_hashed = has_hash(path.path());
        let mut inner = Request::new(Empty::<Bytes>::new());
        *inner.method_mut() = request.method().clone();
        *inner.headers_mut() = request.headers().clone();
        *inner.uri_mut() = Uri::from(path);
        let mut answer = match self.dir.clone().oneshot(inner).await {
            Ok(answer) => answer.map(end_on_error),
            Err(never) => match never {},
        };
        match answer.status() {
            StatusCode::NOT_FOUND => return text(StatusCode::NOT_FOUND, "there is no such file\n"),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => {
                answer.headers_mut().insert(CACHE_CONTROL, if is_hashed { FOR_EVER } else { ASK_AGAIN });
            }
            // Led to the same name with a slash: below our path, not the directory's.
            status if status.is_redirection() => {
                let with_slash = format!("{}/", request.uri().path());
                answer.headers_mut().insert(http::header::LOCATION, crate::headers::location("", &with_slash));
            }
            _ => {}
        }
        match key {
            Some(key) => self.fresh.keep(key, answer).await,
            None => answer,
        }
    }
}

/// Whether the last name has a part, between `-` or `.` and the ending, that looks like a hash: long enough, of letters and digits,
/// some of them digits, as bundlers write them.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let Some((_, hash)) = stem.rsplit_once(['-', '.']) else { return false };
    hash.len() >= HASH_CHARS_MIN
        && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && hash.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use http::header::LOCATION;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn hashes_in_names_are_known() {
        for (path, is_hashed) in [
            ("/assets/main-4f2a9c1b.js", true),
            ("/assets/index.BdQ9xK2z.css", true),
            ("/index.html", false),
            ("/jquery-3.7.1.js", false),
            ("/my-document.pdf", false),
            ("/4f2a9c1b", false),
        ] {
            assert_eq!(has_hash(path), is_hashed, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_there_is_given_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("www/index.html", "home"),
            ("www/app-4f2a9c1b.js", "script"),
            ("www/app-4f2a9c1b.js.gz", "packed"),
            ("www/sub/index.html", "below"),
            ("www/empty/.keep", ""),
            ("www/.env", "secret"),
            ("www/.well-known/security.txt", "contact"),
            ("outside", "outside"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let files = Files::new("/site/", &dir.path().join("www")).unwrap();
        assert!(
            Files::new("/", &dir.path().join("none")).is_err() && Files::new("/", &dir.path().join("outside")).is_err()
        );
        let ask = async |path: &str, encoding: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(encoding) = encoding {
                request = request.header("accept-encoding", encoding);
            }
            let answer = files.answer(&request.body(()).unwrap()).await;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap(), head.headers)
        };
        for (path, status, body) in [
            ("/site", 200, "home"),
            ("/site/", 200, "home"),
            ("/site/index.html", 200, "home"),
            ("/site/sub/", 200, "below"),
            ("/site/empty/", 404, "there is no such file\n"),
            ("/site/.env", 404, "there is no such file\n"),
            ("/site/%2eenv", 404, "there is no such file\n"),
            ("/site/.well-known/security.txt", 200, "contact"),
            ("/site/../outside", 404, "there is no such file\n"),
            ("/site/%2e%2e/outside", 404, "there is no such file\n"),
            ("/site/..%2foutside", 404, "there is no such file\n"),
            ("/site//etc/passwd", 404, "there is no such file\n"),
        ] {
            let (told_status, told, _) = ask(path, None).await;
            assert_eq!((told_status, told.as_str()), (status, body), "{path}");
        }
        let (_, body, headers) = ask("/site/app-4f2a9c1b.js", Some("gzip")).await;
        assert_eq!((body.as_str(), headers[CACHE_CONTROL].to_str().unwrap()), ("packed", FOR_EVER.to_str().unwrap()));
        assert_eq!(ask("/site/", None).await.2[CACHE_CONTROL], "no-cache");
        let (status, _, headers) = ask("/site/sub", None).await;
        assert_eq!((status, headers[LOCATION].to_str().unwrap()), (307, "/site/sub/"));
    }
}
