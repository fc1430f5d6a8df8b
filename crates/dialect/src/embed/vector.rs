//! Vectors of 32-bit floats in JSON: arrays of numbers, or base64 of their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::Encoding;
use crate::{DecodeError, json};

/// Reads a vector in either form; whoever asked for one may get the other from servers that know one only.
///
/// The digits are read as a 32-bit float at once: on the way through a 64-bit one a number could be rounded twice.
pub(super) fn read(raw: &RawValue) -> Result<Vec<f32>, DecodeError> {
    let text = raw.get();
    if text.starts_with('"') {
        return read_base64(text);
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inner = inner.ok_or(DecodeError::Lacks("vectors of numbers"))?.trim();
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let number = |digits: &str| digits.trim().parse().ok().filter(|number: &f32| number.is_finite());
    inner.split(',').map(|digits| number(digits).ok_or(DecodeError::Lacks("vectors of numbers"))).collect()
}

fn read_base64(json: &str) -> Result<Vec<f32>, DecodeError> {
    let wrong = || DecodeError::Lacks("vectors in base64 of 32-bit floats");
    let text: String = serde_json::from_str(json).map_err(|_| wrong())?;
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let (numbers, []) = bytes.as_chunks::<4>() else { return Err(wrong()) };
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if numbers.iter().all(|number| number.is_finite()) { Ok(numbers) } else { Err(wrong()) }
}

/// Writes a vector.
pub(super) fn write(out: &mut Vec<u8>, vector: &[f32], encoding: Encoding) {
    match encoding {
        Encoding::Float => json::value(out, vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json::value(out, &STANDARD.encode(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> Result<Vec<f32>, DecodeError> {
        read(&RawValue::from_string(json.to_owned()).expect("JSON"))
    }

    #[test]
    fn vectors_of_any_form_are_read() {
        assert_eq!(read_text("[]"), Ok(vec![]));
        assert_eq!(read_text("[ ]"), Ok(vec![]));
        assert_eq!(read_text("[1, -2.5e-3\n,0]"), Ok(vec![1.0, -0.0025, 0.0]));
        assert_eq!(read_text(r#""AACAPwAAAEA=""#), Ok(vec![1.0, 2.0]));
        // Some writers escape the stroke.
        assert_eq!(read_text(r#""AACAPw\u0041AAEA=""#), Ok(vec![1.0, 2.0]));
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for json in [
            "1",
            "null",
            "{}",
            "[null]",
            "[[1]]",
            "[\"1\"]",
            "[1e39]",
            "[true]",
            r#""AACAPwAA""#,
            r#""é""#,
            r#""AADAfw==""#,
        ] {
            assert!(read_text(json).is_err(), "{json}");
        }
    }
}
