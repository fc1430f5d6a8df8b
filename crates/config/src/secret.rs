//! A value that must not be seen.

use std::fmt;

/// A secret text, such as the key of an upstream server. It has no `Display` and no `Serialize`, and its `Debug` shows `***`.
///
/// Its `==` takes a time that depends on the values. It serves to compare two configurations, not to check what a client sent.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_it() {
        let secret = Some(Secret::new("sk-123"));
        assert_eq!(format!("{secret:?}"), "Some(***)");
    }
}
