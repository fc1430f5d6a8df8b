//! What a program says to people, as codes that do not change with figures beside them, and as English words.

use std::fmt::Display;

/// Makes an enum of all that somebody says.
///
/// Each line is `code => Variant { figure: type, … } "words";`. The words are a format string over the figures, with more arguments behind it
/// where a figure has to be written in another way. Records and APIs carry `{"code": …, "figures": {…}}` beside the words, so that a page
/// can say the same in its reader's language. What a figure is shows in the end of its name: `_percent`, `_bytes`, `_ms`, `_s`, `days`,
/// else a count or a text; `error` is what a program or the system said, in its own words.
///
/// Whoever uses it needs the crate `serde_json`.
///
/// ```
/// tollhouse_units::catalogue! {
///     /// What a kettle says.
///     pub enum Said;
///     cold => Cold {} "it is cold";
///     warm => Warm { warm_ms: f64 } "it is warm since {:.1} s", warm_ms / 1e3;
/// }
///
/// let said = Said::Warm { warm_ms: 1500.0 };
/// assert_eq!(said.to_string(), "it is warm since 1.5 s");
/// assert_eq!(said.to_json(), serde_json::json!({"code": "warm", "figures": {"warm_ms": 1500.0}}));
/// assert_eq!(Said::CODES, ["cold", "warm"]);
/// ```
#[macro_export]
macro_rules! catalogue {
    (
        $(#[$about:meta])* pub enum $all:ident;
        $($code:ident => $name:ident { $($figure:ident: $kind:ty),* } $words:literal $(, $argument:expr)*;)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each variant stands in the catalogue beside the words that it is said with")]
        pub enum $all {
            $($name { $($figure: $kind),* },)*
        }

        impl $all {
            /// All codes.
            pub const CODES: &[&str] = &[$(stringify!($code)),*];

            /// The word that does not change.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($code),)*
                }
            }

            fn figures(&self) -> ::serde_json::Map<String, ::serde_json::Value> {
                let mut figures = ::serde_json::Map::new();
                match self {
                    $(Self::$name { $($figure),* } => {
                        $(figures.insert(stringify!($figure).to_owned(), ::serde_json::json!($figure));)*
                    })*
                }
                figures
            }

            /// `{"code": …, "figures": {…}}`.
            pub fn to_json(&self) -> ::serde_json::Value {
                ::serde_json::json!({"code": self.code(), "figures": self.figures()})
            }
        }

        impl ::std::fmt::Display for $all {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$name { $($figure),* } => write!(f, $words $(, $argument)*),)*
                }
            }
        }
    };
}

/// Several things as one sentence without a full stop.
pub fn sentence(said: &[impl Display]) -> String {
    let mut told = String::new();
    for one in said.iter().map(ToString::to_string) {
        let joint = match told.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) if one.starts_with('(') => " ",
            Some(_) => ", ",
        };
        told.push_str(joint);
        told.push_str(&one);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_things_are_one_sentence() {
        assert_eq!(sentence(&["A10 (0):", "60 °C", "busy", "(and 2 more)"]), "A10 (0): 60 °C, busy (and 2 more)");
        assert_eq!(sentence(&[""; 0]), "");
    }
}
