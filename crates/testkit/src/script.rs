//! What a scripted server says.

use std::time::Duration;

/// One answer, byte for byte.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) before: Duration,
    pub(crate) close: bool,
}

/// How the body of an answer comes.
#[derive(Clone, Debug)]
pub enum Body {
    /// At once, with its length in the head.
    Whole(Vec<u8>),
    /// As chunks, one for each piece, with a pause before each but the first.
    Pieces(Vec<Vec<u8>>, Duration),
    /// The first pieces, then the last one again and again, each after a pause, until the client leaves.
    Endless(Vec<Vec<u8>>, Duration),
    /// The first pieces, then silence with the connection open.
    Stalled(Vec<Vec<u8>>),
    /// The first pieces, then the connection is closed in mid-answer.
    Cut(Vec<Vec<u8>>),
    /// No answer at all: the request is taken, the connection stays open.
    Never,
    /// These bytes are the whole answer, head included; then the connection is closed.
    Raw(Vec<u8>),
}

impl Script {
    /// An answer with this status.
    pub fn new(status: u16, content_type: &str, body: Body) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body, before: Duration::ZERO, close: false }
    }

    /// 200 with this body.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, content_type, Body::Whole(body.into()))
    }

    /// Any status with a JSON body.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/json", Body::Whole(body.into()))
    }

    /// 200, streamed: one chunk for each piece, with this pause between.
    pub fn stream(content_type: &str, pieces: Vec<Vec<u8>>, pause: Duration) -> Self {
        Self::new(200, content_type, Body::Pieces(pieces, pause))
    }

    /// 200 and pieces without end, the last one again and again.
    pub fn endless(content_type: &str, pieces: Vec<Vec<u8>>, pause: Duration) -> Self {
        Self::new(200, content_type, Body::Endless(pieces, pause))
    }

    /// No answer, ever.
    pub fn never() -> Self {
        Self::new(200, "text/plain", Body::Never)
    }

    /// Exactly these bytes, whatever they are, and a close.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "text/plain", Body::Raw(bytes.into()))
    }

    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The answer begins after this time.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.before = time;
        self
    }

    /// The connection is closed behind the answer.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} Scripted", self.status)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(match &self.body {
            Body::Whole(body) => format!("Content-Length: {}", body.len()),
            _ => "Transfer-Encoding: chunked".to_owned(),
        });
        if self.close {
            lines.push("Connection: close".to_owned());
        }
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }
}

/// Recorded bytes in pieces of these sizes; the last size goes on to the end.
pub fn pieces(recorded: impl AsRef<[u8]>, sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = recorded.as_ref();
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter().copied().filter(|size| *size > 0);
    let mut size = sizes.next().unwrap_or(usize::MAX);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        pieces.push(piece.to_vec());
        rest = behind;
        size = sizes.next().unwrap_or(size);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_bytes_come_in_the_sizes_named() {
        assert_eq!(pieces("abcdefgh", &[1, 3]), [b"a".to_vec(), b"bcd".to_vec(), b"efg".to_vec(), b"h".to_vec()]);
        assert_eq!(pieces("abc", &[]), [b"abc".to_vec()]);
        assert!(pieces("", &[1]).is_empty());
    }
}
