//! What is counted of a request when it has ended, and what its trace tells.

use std::time::Duration;

use tokio::time::Instant;
use tollhouse_telemetry::{Attempt, Finished, Outcome};
use tollhouse_upstream::Progress;

use crate::record::{OpenRecord, millis};

impl OpenRecord {
    /// Counts the request, whose record is complete. Nothing of it waits.
    pub(crate) fn tell(&self) {
        let record = &self.record;
        let (reason, limit) = self.why.map_or((None, None), |(reason, limit)| (Some(reason), limit));
        let after_began = |at: Instant| at.saturating_duration_since(self.began);
        let failed = self.progress.iter().flat_map(Progress::failures).map(|failed| Attempt {
            upstream: failed.upstream.to_string(),
            began: after_began(failed.began),
            ended: after_began(failed.ended),
            reason: failed.reason,
        });
        self.telemetry.finished(&Finished {
            trace: self.trace,
            trace_id: record.trace_id.as_deref(),
            request_id: &record.request_id,
            method: &record.method,
            path: &record.path,
            operation: self.operation,
            status: record.status,
            outcome: Outcome::of(record.status, record.error.is_some(), record.cancelled),
            reason,
            limit,
            is_probe: record.origin.is_some(),
            model: record.model.as_deref().filter(|_| self.is_model_known),
            asked_model: record.asked_model.as_deref(),
            upstream: record.upstream.as_deref(),
            key_id: record.key_id.as_deref(),
            client_ip: &record.client_ip,
            is_stream: record.stream,
            finish_reason: record.finish_reason.as_deref(),
            attempts: record.attempts,
            failed: failed.collect(),
            duration_ms: record.duration_ms,
            replied_ms: self.replied.map(|(at, _)| millis(at)),
            exchange_ms: self.replied.map(|(_, exchange_ms)| exchange_ms),
            queue_ms: record.queue_ms.or_else(|| self.waited_in_vain()),
            connect_ms: record.connect_ms,
            load_ms: record.load_ms,
            prefill_ms: record.prefill_ms,
            ttft_ms: record.ttft_ms,
            decode_ms: record.decode_ms,
            tokens_per_second: record.tokens_per_second,
            input_tokens: record.input_tokens,
            output_tokens: record.output_tokens,
            cached_tokens: record.cached_tokens,
        });
    }

    /// How long a request waited that never had a turn, as far as it is known: most of its time.
    fn waited_in_vain(&self) -> Option<f64> {
        let (reason, _) = self.why?;
        let waited = self.elapsed().saturating_sub(self.body);
        (reason == "queue" && waited > Duration::ZERO).then(|| millis(waited))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollhouse_dialect::RequestError;
    use tollhouse_limits::{Denied, Period};
    use tollhouse_telemetry::{LIMITS, REASONS};
    use tollhouse_tokens::{Count, Source};

    use super::*;
    use crate::Refusal;

    #[test]
    fn every_refusal_has_a_word_that_is_counted() {
        let (scope, per, wait) = (Arc::<str>::from("key k"), Duration::from_secs(1), Duration::from_secs(1));
        let denied = [
            Denied::Requests { scope: scope.clone(), most: 1, per, retry_after: wait },
            Denied::Tokens { scope: scope.clone(), most: 1, per, retry_after: wait },
            Denied::Concurrent { scope: scope.clone(), most: 1, retry_after: wait },
            Denied::Budget { scope: scope.clone(), tokens: 1, period: Period::Day, opens_at_ms: 0 },
            Denied::TooLarge { scope: scope.clone(), most: 1, asked: 2 },
            Denied::Crowded { scope },
        ];
        let count = Count { tokens: 1, at_least: 1, source: Source::Estimate };
        let others = [
            Refusal::InvalidKey,
            Refusal::RoleNotAllowed("admin"),
            Refusal::AddressNotAllowed,
            Refusal::AddressDropped,
            Refusal::ModelNotAllowed,
            Refusal::SecretInAddress,
            Refusal::TooManyFailures { retry_after: wait },
            Refusal::PromptTooLong { max: 1 },
            Refusal::ContextTooSmall { count, allowed: 1, window: 1 },
            Refusal::BodyTooLarge { max: 1 },
            Refusal::BodyCoded("gzip".into()),
            Refusal::BodyIncomplete,
            Refusal::BadRequest(RequestError::Field { field: "f".into(), problem: "p".into() }),
            Refusal::UnknownModel("m".into()),
            Refusal::UnknownPath,
            Refusal::MethodNotAllowed("GET"),
            Refusal::Unrecorded,
        ];
        for refusal in denied.into_iter().map(Refusal::Denied).chain(others) {
            assert!(REASONS.contains(&refusal.reason()), "{refusal:?}");
            assert!(refusal.limit().is_none_or(|limit| LIMITS.contains(&limit)), "{refusal:?}");
        }
    }
}
