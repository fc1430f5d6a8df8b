//! HTTP/1.1 messages as bytes: one reader for answers and requests, strict about framing (RFC 9112, sections 6 and 7).

/// One answer as it came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the body came to its end. One that ends with the connection is never known to be whole: `false`.
    pub complete: bool,
}

impl RawAnswer {
    /// The first value of a field, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the bytes of a body are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// A head: its first line, its fields, and the bytes it takes.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: usize,
}

impl Head {
    /// The head at the beginning of `bytes`; `None` while it is not complete.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("a field without colon: {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Self { first, headers, bytes: end + 4 }))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The framing that the fields name; `without` when they name none.
    pub(crate) fn framing(&self, without: Framing) -> Result<Framing, String> {
        let chunked = self.header("transfer-encoding").map(|coding| coding.eq_ignore_ascii_case("chunked"));
        let mut lengths = self.headers.iter().filter(|(name, _)| name == "content-length").map(|(_, value)| value);
        match (chunked, lengths.next(), lengths.next()) {
            (Some(true), None, None) => Ok(Framing::Chunked),
            (None, None, None) => Ok(without),
            (None, Some(length), None) => {
                length.parse().map(Framing::Length).map_err(|_| format!("no length: {length:?}"))
            }
            _ => Err(format!("the framing is ambiguous: {:?}", self.headers)),
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// As much of a body as has come: its bytes without framing, those it takes with it, and whether that is all.
pub(crate) struct Part {
    pub(crate) body: Vec<u8>,
    pub(crate) taken: usize,
    pub(crate) complete: bool,
}

/// Reads a body from the bytes behind a head.
pub(crate) fn body(bytes: &[u8], framing: Framing) -> Result<Part, String> {
    let take = |count: usize, complete| Part { body: bytes[..count].to_vec(), taken: count, complete };
    match framing {
        Framing::None => Ok(take(0, true)),
        Framing::Length(length) => Ok(take(length.min(bytes.len()), bytes.len() >= length)),
        Framing::UntilClose => Ok(take(bytes.len(), false)),
        Framing::Chunked => chunked(bytes),
    }
}

fn chunked(bytes: &[u8]) -> Result<Part, String> {
    let mut part = Part { body: Vec::new(), taken: 0, complete: false };
    loop {
        let rest = &bytes[part.taken..];
        let Some(end) = memchr::memmem::find(rest, b"\r\n") else { return Ok(part) };
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = usize::from_str_radix(&line, 16).map_err(|_| format!("no chunk size: {line:?}"))?;
        let data = end + 2;
        let Some(chunk) = rest.get(data..data + size) else {
            part.body.extend_from_slice(&rest[data..]);
            return Ok(part);
        };
        part.body.extend_from_slice(chunk);
        match rest.get(data + size..data + size + 2) {
            None => return Ok(part),
            Some(b"\r\n") => part.taken += data + size + 2,
            Some(other) => return Err(format!("a chunk ends with {other:?}")),
        }
        if size == 0 {
            part.complete = true;
            return Ok(part);
        }
    }
}

/// The answer at the beginning of `bytes` and the bytes it takes; `None` while more is needed. `closed`: no more will come.
pub(crate) fn answer(bytes: &[u8], to_head: bool, closed: bool) -> Result<Option<(RawAnswer, usize)>, String> {
    let Some(head) = Head::read(bytes)? else {
        return if closed && !bytes.is_empty() { Err("the head of an answer is cut".to_owned()) } else { Ok(None) };
    };
    let mut words = head.first.splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(format!("no answer begins with {:?}", head.first));
    }
    let status: u16 = status.parse().map_err(|_| format!("no status in {:?}", head.first))?;
    let framing = match status {
        100..=199 | 204 | 304 => Framing::None,
        _ if to_head => Framing::None,
        _ => head.framing(Framing::UntilClose)?,
    };
    let part = body(&bytes[head.bytes..], framing)?;
    if !part.complete && !closed {
        return Ok(None);
    }
    let taken = if part.complete { head.bytes + part.taken } else { bytes.len() };
    let answer = RawAnswer { status, headers: head.headers, body: part.body, complete: part.complete };
    Ok(Some((answer, taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_their_framing() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 204 No\r\n\r\n";
        let (first, taken) = answer(two, false, false).unwrap().unwrap();
        assert_eq!((first.status, first.body.as_slice(), first.complete), (200, &b"ab"[..], true));
        assert_eq!(answer(&two[taken..], false, false).unwrap().unwrap().0.status, 204);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for cut in 0..chunked.len() {
            assert_eq!(answer(&chunked[..cut], false, false).unwrap(), None, "{cut}");
        }
        assert_eq!(answer(chunked, false, false).unwrap().unwrap().0.body, b"abc");
    }

    #[test]
    fn a_cut_answer_says_so() {
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
        let (cut, _) = answer(cut, false, true).unwrap().unwrap();
        assert_eq!((cut.body.as_slice(), cut.complete), (&b"ab"[..], false));
        assert!(answer(b"HTTP/1.1 20", false, true).is_err());
        assert!(answer(b"rubbish\r\n\r\n", false, false).is_err());
        let two_lengths = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde";
        assert!(answer(two_lengths, false, false).is_err());
    }
}
