//! OpenTelemetry's names for what generative models do, as a table with a version.
//!
//! The conventions are still marked as in development and names change between versions. Everything that leaves the house under one
//! of them takes it from here, so that another version is another table.

/// The version of the semantic conventions that these names are from.
pub const VERSION: &str = "1.37.0";
/// The same as receivers are told it.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// What was asked for: `chat`, `text_completion`, `embeddings`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Who answers. No server that people run themselves has a value there; ours is [`PROVIDER_IS`].
pub const PROVIDER: &str = "gen_ai.provider.name";
/// Our value of [`PROVIDER`].
pub const PROVIDER_IS: &str = "tollhouse";
/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why the model stopped, a list.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Tokens of the prompt.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of the answer.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Which tokens are counted: `input` or `output`.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// A class of what went wrong.
pub const ERROR_TYPE: &str = "error.type";

/// Our metrics that have a name there.
pub const METRICS: [(&str, &str); 4] = [
    ("tollhouse_request_duration_seconds", "gen_ai.server.request.duration"),
    ("tollhouse_time_to_first_token_seconds", "gen_ai.server.time_to_first_token"),
    ("tollhouse_time_per_output_token_seconds", "gen_ai.server.time_per_output_token"),
    ("tollhouse_request_tokens", "gen_ai.client.token.usage"),
];

/// Labels of these metrics that have a name there.
pub const LABELS: [(&str, &str); 2] = [("model", RESPONSE_MODEL), ("type", TOKEN_TYPE)];

/// The name of a metric for receivers, and whether it is one of these conventions.
pub fn metric(name: &'static str) -> (&'static str, bool) {
    METRICS.iter().find(|(ours, _)| *ours == name).map_or((name, false), |(_, theirs)| (theirs, true))
}

/// The name of a label of a metric, by whether that is one of these conventions.
pub fn label(name: &'static str, is_of_convention: bool) -> &'static str {
    let theirs = LABELS.iter().find(|(ours, _)| is_of_convention && *ours == name);
    theirs.map_or(name, |(_, theirs)| theirs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn the_table_names_what_there_is() {
        for (ours, _) in METRICS {
            let metric = names::ALL.iter().find(|metric| metric.name == ours).expect(ours);
            assert!(metric.labels.contains(&"model"), "{ours}");
        }
        assert!(SCHEMA_URL.ends_with(VERSION));
        assert_eq!(metric("tollhouse_queue_length"), ("tollhouse_queue_length", false));
        assert_eq!((label("model", true), label("model", false)), (RESPONSE_MODEL, "model"));
    }
}
