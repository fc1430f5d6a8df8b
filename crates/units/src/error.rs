//! What can be wrong with the text of a quantity, and the splitting of number and unit that both kinds share.

/// Why a text is not a size or a duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// The text does not begin with a whole number.
    #[error("it does not begin with a whole number")]
    NoNumber,
    /// A number without the unit that this quantity needs.
    #[error("the unit is missing")]
    NoUnit,
    /// The number is followed by something that is not a unit of this quantity.
    #[error("`{0}` is not a unit")]
    UnknownUnit(String),
    /// The quantity is beyond what can be held.
    #[error("the number is too large")]
    TooLarge,
}

/// How much of an unknown unit is repeated in an error.
const UNIT_CHARS_SHOWN: usize = 16;

impl UnitError {
    pub(crate) fn unknown_unit(unit: &str) -> Self {
        Self::UnknownUnit(unit.chars().take(UNIT_CHARS_SHOWN).collect())
    }
}

/// Splits `8MiB` into 8 and `MiB`.
pub(crate) fn split(text: &str) -> Result<(u128, &str), UnitError> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let number = digits.parse().map_err(|_| UnitError::TooLarge)?;
    Ok((number, unit))
}
