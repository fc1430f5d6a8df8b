//! The two ways in which bodies are written.

/// How a body is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// Protocol buffers.
    Protobuf,
    /// The JSON of OTLP, which differs from protobuf's own in its ids.
    Json,
}

impl Encoding {
    /// The one that a `Content-Type` names; nothing for others.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// What stands as `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_parameters() {
        for (value, encoding) in [
            ("application/x-protobuf", Some(Encoding::Protobuf)),
            ("Application/JSON; charset=utf-8", Some(Encoding::Json)),
            ("application/x-ndjson", None),
            ("", None),
        ] {
            assert_eq!(Encoding::of_content_type(value), encoding, "{value}");
        }
    }
}
