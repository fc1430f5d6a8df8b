//! Sizes in bytes, for people.

use crate::asked::Params;
use crate::error::ElasticError;

/// How sizes are shown: in the unit that fits, or in one unit without its name.
#[derive(Clone, Copy)]
pub(super) enum Bytes {
    Fitting,
    In(u64),
}

impl Bytes {
    pub(super) fn read(params: &Params) -> Result<Self, ElasticError> {
        Ok(Self::In(match params.get("bytes") {
            None => return Ok(Self::Fitting),
            Some("b") => 1,
            Some("k" | "kb") => 1 << 10,
            Some("m" | "mb") => 1 << 20,
            Some("g" | "gb") => 1 << 30,
            Some("t" | "tb") => 1 << 40,
            Some(other) => {
                return Err(ElasticError::Parameter(format!("Failed to parse setting [bytes] with value [{other}]")));
            }
        }))
    }

    pub(super) fn show(self, bytes: u64) -> String {
        let (unit, name) = match self {
            Self::In(unit) => return (bytes / unit).to_string(),
            Self::Fitting => match bytes {
                0..=0x3ff => return format!("{bytes}b"),
                0x400..=0xf_ffff => (1_u64 << 10, "kb"),
                0x10_0000..=0x3fff_ffff => (1 << 20, "mb"),
                0x4000_0000..=0xff_ffff_ffff => (1 << 30, "gb"),
                _ => (1 << 40, "tb"),
            },
        };
        // One digit, cut and not rounded, and none when it is 0.
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        match tenths % 10 {
            0 => format!("{}{name}", tenths / 10),
            tenth => format!("{}.{tenth}{name}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0b"),
            (225, "225b"),
            (1_024, "1kb"),
            (5_100, "4.9kb"),
            (1_048_575, "1023.9kb"),
            (1_048_576, "1mb"),
            (3 << 30, "3gb"),
            (u64::MAX, "16777215.9tb"),
        ] {
            assert_eq!(Bytes::Fitting.show(bytes), expected);
        }
        assert_eq!(Bytes::In(1 << 10).show(5_100), "4");
    }
}
