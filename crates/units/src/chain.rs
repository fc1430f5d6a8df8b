//! An error in one line.

use std::error::Error;

/// An error with its causes, the system's own words last. What a library repeats of its cause is said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Told(&'static str, Option<Box<Told>>);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Told {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_follow_and_nothing_is_said_twice() {
        let refused = || Box::new(Told("connection refused", None));
        let plain = Told("asking the server", Some(Box::new(Told("connecting", Some(refused())))));
        assert_eq!(chain(&plain), "asking the server: connecting: connection refused");
        let twice = Told("asking the server: connection refused", Some(refused()));
        assert_eq!(chain(&twice), "asking the server: connection refused");
    }
}
