//! Ids of traces and spans: 16 and 8 bytes, not all zero; everything else is none.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes of a trace's id.
pub(crate) const TRACE_BYTES: usize = 16;
/// Bytes of a span's id.
pub(crate) const SPAN_BYTES: usize = 8;

/// An id in hexadecimal, lower case.
pub(crate) fn of_bytes(bytes: &[u8], length: usize) -> Option<String> {
    let is_valid = bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
    let digits = || bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    is_valid.then(|| digits().map(|digit| char::from(DIGITS[usize::from(digit)])).collect())
}

/// The bytes of an id in hexadecimal, whatever its case.
pub(crate) fn to_bytes(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.len() != length * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..length).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    bytes.filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ids_that_are_not_zero_count() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let bytes = to_bytes(&id.to_uppercase(), TRACE_BYTES).unwrap();
        assert_eq!(of_bytes(&bytes, TRACE_BYTES).as_deref(), Some(id));
        for wrong in ["", "0af7", &"0".repeat(32), &"x".repeat(32), &"+f".repeat(16)] {
            assert_eq!(to_bytes(wrong, TRACE_BYTES), None, "{wrong}");
        }
        assert_eq!(of_bytes(&bytes, SPAN_BYTES), None);
        assert_eq!(of_bytes(&[0; 8], SPAN_BYTES), None);
    }
}
