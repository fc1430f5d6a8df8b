//! Values that stand as `serde_json` writes them.

use memchr::memchr2;

/// Digits of which every number is another double, and has a shortest text that is itself: what C calls `DBL_DIG`.
const FRACTION_DIGITS_MAX: usize = 15;
/// Whole numbers of so many digits are below 2^63.
const WHOLE_DIGITS_MAX: usize = 18;

/// Whether a value is a text, a number or a word (`null`, `true`, `false`) that `serde_json` would write as it stands, once it has
/// read it: texts without escapes, numbers of few digits and without exponents. Objects and arrays never are said to be.
#[must_use]
pub fn is_as_written(value: &str) -> bool {
    match value.as_bytes() {
        // Without a branch for each byte: most are.
        [b'"', inner @ .., b'"'] => {
            let least = inner.iter().fold(u8::MAX, |least, byte| least.min(*byte));
            least >= b' ' && memchr2(b'"', b'\\', inner).is_none()
        }
        b"null" | b"true" | b"false" => true,
        number => is_number_as_written(number),
    }
}

fn is_number_as_written(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let begins_well = match digits.first() {
        Some(b'0') => whole == 1,
        _ => (1..=WHOLE_DIGITS_MAX).contains(&whole),
    };
    if !begins_well {
        return false;
    }
    match &digits[whole..] {
        // A zero with a sign is a fraction.
        [] => number != b"-0",
        [b'.', fraction @ ..] => {
            let is_short = whole + fraction.len() <= FRACTION_DIGITS_MAX;
            let is_zero = fraction == b"0";
            // Zeros at the end are not written, and small numbers with an exponent.
            let ends_well = is_zero || matches!(fraction, [.., b'1'..=b'9']);
            let is_large = digits[0] != b'0' || !fraction.starts_with(b"000");
            let is_signed_zero = is_zero && digits[0] == b'0' && digits.len() < number.len();
            is_short && ends_well && is_large && !is_signed_zero && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn values_of_every_day_are() {
        for value in [
            "null",
            "true",
            "\"\"",
            "\"é中 /\"",
            "0",
            "-7",
            "200",
            "123456789012345678",
            "0.5",
            "912.0",
            "-3.25",
            "0.0",
        ] {
            assert!(is_as_written(value), "{value}");
        }
        for value in [
            "",
            "-",
            "\"",
            "nul",
            "01",
            "-0",
            "-0.0",
            "1.",
            ".5",
            "1.50",
            "1e3",
            "+1",
            "0.00012",
            "1234567890.123456",
            "\"a\\n\"",
            "\"a\"b\"",
            "\"\t\"",
            "[]",
            "{}",
            "1 ",
            "12345678901234567890",
        ] {
            assert!(!is_as_written(value), "{value}");
        }
    }

    proptest! {
        #[test]
        fn they_are_written_so(value in "-?[0-9]{0,4}\\.?[0-9]{0,4}|-?[0-9]{1,20}(\\.[0-9]{1,18})?|\"[^\"]{0,6}\"|[-0.1-9eE+]{1,6}") {
            if is_as_written(&value) {
                let read: Value = serde_json::from_str(&value).unwrap();
                prop_assert_eq!(read.to_string(), value);
            }
        }

        #[test]
        fn numbers_as_loggers_write_them_are(thousandths in 1_000_i64..10_000_000_000) {
            let text = Value::from(thousandths as f64 / 1000.0).to_string();
            prop_assert!(is_as_written(&text), "{}", text);
        }
    }
}
