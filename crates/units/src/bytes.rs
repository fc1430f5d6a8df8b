//! A number of bytes.

use std::{fmt, str::FromStr};

use crate::error::{UnitError, split};

/// A size in bytes. Decimal units (`kB` = 1000) and binary units (`KiB` = 1024) mean what their names say.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bytes(pub u64);

/// Units by size; a tie in length is decided for the one that comes first, so binary ones do.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for Bytes {
    type Err = UnitError;

    /// Reads `512`, `512B`, `8MiB`, `12GB`. Upper and lower case are the same, since bits are not meant anywhere here; a bare
    /// `8M` is refused, since programs differ on what it is.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let unit_bytes = if unit.is_empty() {
            1
        } else {
            let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or_else(|| UnitError::unknown_unit(unit))?.1
        };
        let bytes = number.checked_mul(u128::from(unit_bytes)).ok_or(UnitError::TooLarge)?;
        u64::try_from(bytes).map(Self).map_err(|_| UnitError::TooLarge)
    }
}

impl fmt::Display for Bytes {
    /// Writes the exact size with the unit that needs the smallest number; plain bytes have no unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().filter(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match exact.min_by_key(|(_, bytes)| self.0 / bytes) {
            Some((unit, bytes)) if self.0 > 0 && *bytes > 1 => write!(f, "{}{unit}", self.0 / bytes),
            _ => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        let cases = [
            ("0", 0, "0"),
            ("512", 512, "512"),
            ("512B", 512, "512"),
            ("1000", 1000, "1kB"),
            ("1024", 1024, "1KiB"),
            ("8MiB", 8 << 20, "8MiB"),
            ("8mib", 8 << 20, "8MiB"),
            ("12GB", 12_000_000_000, "12GB"),
            ("12gb", 12_000_000_000, "12GB"),
            ("1024GiB", 1 << 40, "1TiB"),
            ("20GiB", 20 << 30, "20GiB"),
            ("3TB", 3_000_000_000_000, "3TB"),
            ("18446744073709551615", u64::MAX, "18446744073709551615"),
        ];
        for (text, bytes, shortest) in cases {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), shortest, "{text}");
        }
    }

    #[test]
    fn refuses() {
        let cases = [
            ("", UnitError::NoNumber),
            ("MiB", UnitError::NoNumber),
            ("-1", UnitError::NoNumber),
            ("8M", UnitError::UnknownUnit("M".into())),
            ("8 MiB", UnitError::UnknownUnit(" MiB".into())),
            ("1.5GiB", UnitError::UnknownUnit(".5GiB".into())),
            ("16777216TiB", UnitError::TooLarge),
            ("18446744073709551616", UnitError::TooLarge),
            ("999999999999999999999999999999999999999999", UnitError::TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Bytes>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64, shift in 0..64u32, thousands in 0..5u32) {
            for size in [bytes, bytes >> shift << shift, (bytes >> shift).saturating_mul(1000_u64.pow(thousands))] {
                prop_assert_eq!(Bytes(size).to_string().parse(), Ok(Bytes(size)));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Bytes>();
        }
    }
}
