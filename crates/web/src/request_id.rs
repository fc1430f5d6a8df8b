//! The id of a request: the client's own when it is a sane token, else a new one.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header in which the id comes and goes.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client, in characters (design, section 6).
const CHARS_MAX: usize = 128;

/// Names one request in its answer, in every record and in every other program's log that keeps the header.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RequestId(String);

impl RequestId {
    /// The client's id when it is a token of letters, digits and `-_.:`, at most 128 characters; else a new one.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let given = headers.get(&HEADER).and_then(|value| value.to_str().ok());
        match given {
            Some(id) if is_sane(id) => Self(id.to_owned()),
            _ => Self::random(),
        }
    }

    /// A new id: `req_` and 120 random bits.
    pub fn random() -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let bytes = RANDOM.with_borrow_mut(Random::take);
        let mut id = String::with_capacity(28);
        id.push_str("req_");
        id.extend(bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte & 31)])));
        Self(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("only characters that a header may hold are let in")
    }
}

/// Random bytes of an id; five bits of each are used.
const ID_BYTES: usize = 24;
/// Ids whose random bytes are asked for at once: a question to the system takes longer than all else about an id.
const IDS_AHEAD: usize = 32;

thread_local! {
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [[0; ID_BYTES]; IDS_AHEAD], left: 0 }) };
}

/// Random bytes for the next ids of this thread.
struct Random {
    bytes: [[u8; ID_BYTES]; IDS_AHEAD],
    left: usize,
}

impl Random {
    fn take(&mut self) -> [u8; ID_BYTES] {
        if self.left == 0 {
            getrandom::fill(self.bytes.as_flattened_mut()).expect("the system gives random bytes");
            self.left = IDS_AHEAD;
        }
        self.left -= 1;
        self.bytes[self.left]
    }
}

fn is_sane(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= CHARS_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &str) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
        RequestId::from_headers(&headers)
    }

    #[test]
    fn a_sane_id_of_the_client_is_kept() {
        for id in ["a", "550e8400-e29b-41d4-a716-446655440000", "trace:1.2_3", &"x".repeat(128)] {
            assert_eq!(id_for(id).as_str(), id);
        }
    }

    #[test]
    fn anything_else_gets_a_new_one() {
        for id in ["", "a b", "a\"b", "<script>", "a/b", &"x".repeat(129)] {
            assert!(id_for(id).as_str().starts_with("req_"), "{id}");
        }
        let ids: std::collections::HashSet<_> = (0..10 * IDS_AHEAD).map(|_| RequestId::random()).collect();
        assert_eq!(ids.len(), 10 * IDS_AHEAD);
    }
}
