//! Whether a model answers, and how whoever probes reaches one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::finding::{Finding, Outcome, cut, round3};
use crate::http::TOLD_CHARS_MAX;
use crate::said::Said;

/// Tokens that the answer to a probe may have: enough for a model that thinks first, and an end for one that does not stop.
const ANSWER_TOKENS_MAX: u32 = 1_024;
/// How often in a row a model may go unasked, because users were served first, before that is told.
const SKIPS_MAX: u32 = 3;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks models, in the name of the probes and behind everybody else.
pub trait Models: fmt::Debug + Send + Sync {
    /// Asks one question. Dropping the future ends the work for it.
    fn ask<'a>(&'a self, question: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>>;

    /// What serves the model of this name.
    fn about<'a>(&'a self, model: &'a str) -> Boxed<'a, About>;
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its public name.
    pub model: String,
    /// The text.
    pub prompt: String,
    /// Tokens that the answer may have.
    pub tokens_max: u32,
    /// Tools that it may call, in OpenAI's form.
    pub tools: Option<Value>,
}

/// What it said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// The answer, without what it thought.
    pub text: String,
    /// Whether it thought first.
    pub thought: bool,
    /// The tools that it called: name and arguments.
    pub calls: Vec<(String, Value)>,
    /// Until the first token.
    pub ttft: Option<Duration>,
    /// While it wrote.
    pub tokens_per_second: Option<f64>,
    /// How many it wrote.
    pub output_tokens: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Unasked {
    /// Users, or other work of the graphics card, went first.
    GaveWay(Said),
    /// It was asked, and did not answer.
    Failed(String),
}

/// What serves a model. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Digest of its weights.
    pub digest: Option<String>,
    /// Version of its server.
    pub server_version: Option<String>,
    /// The settings that it is asked with.
    pub options: Option<String>,
}

impl About {
    /// As records tell it.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, value) in [("digest", &self.digest), ("server_version", &self.server_version)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), cut(value, TOLD_CHARS_MAX).into());
            }
        }
        fields
    }
}

/// What is asked of a model, and what is expected.
#[derive(Clone, Debug)]
pub struct ModelLook {
    /// Its public name.
    pub model: String,
    /// What it is asked.
    pub prompt: String,
    /// Words of which its answer has to have one; any answer will do when empty.
    pub expect: Vec<String>,
    /// A first token that comes later is told of.
    pub ttft_above: Option<Duration>,
}

/// A probe that asks a model one short question.
#[derive(Debug)]
pub(crate) struct ModelProbe {
    look: ModelLook,
    skips: std::sync::atomic::AtomicU32,
}

impl ModelProbe {
    pub(crate) fn new(look: ModelLook) -> Self {
        Self { look, skips: 0.into() }
    }

    pub(crate) fn about(&self) -> Said {
        let ModelLook { prompt, expect, .. } = &self.look;
        let prompt = cut(prompt, 60);
        if expect.is_empty() {
            Said::LooksQuestion { prompt }
        } else {
            Said::LooksAnswer { prompt, expected: expect.join(" | ") }
        }
    }

    pub(crate) async fn run(&self, models: &dyn Models) -> Finding {
        use std::sync::atomic::Ordering::Relaxed;
        let ModelLook { model, prompt, .. } = &self.look;
        let question =
            Question { model: model.clone(), prompt: prompt.clone(), tokens_max: ANSWER_TOKENS_MAX, tools: None };
        let finding = match models.ask(&question).await {
            Ok(spoken) => self.judge(&spoken),
            Err(Unasked::Failed(why)) => Finding::fault(Said::ModelSilent { error: cut(&why, TOLD_CHARS_MAX) }),
            Err(Unasked::GaveWay(why)) => {
                let skips = self.skips.fetch_add(1, Relaxed) + 1;
                let finding = if skips > SKIPS_MAX {
                    Finding::of(Outcome::Warn, vec![Said::ModelSkippedOften { count: skips }, why])
                } else {
                    Finding::of(Outcome::Skipped, vec![Said::ModelSkipped {}, why])
                };
                return finding.field("model_name", model.clone());
            }
        };
        self.skips.store(0, Relaxed);
        let about = models.about(model).await;
        finding.field("model_name", model.clone()).fields(about.fields())
    }

    fn judge(&self, spoken: &Spoken) -> Finding {
        let ModelLook { expect, ttft_above, .. } = &self.look;
        let ttft_ms = spoken.ttft.map(|ttft| round3(ttft.as_secs_f64() * 1e3));
        let told = cut(&spoken.text, 80);
        let lower = spoken.text.to_lowercase();
        let is_expected = expect.is_empty() || expect.iter().any(|word| lower.contains(&word.to_lowercase()));
        let finding = if spoken.text.trim().is_empty() && spoken.thought {
            Finding::warn(Said::ModelThought { count: ANSWER_TOKENS_MAX })
        } else if spoken.text.trim().is_empty() {
            Finding::fault(Said::ModelEmpty {})
        } else if !is_expected {
            Finding::fault(Said::ModelWrong { answer: told, expected: expect.join(", ") })
        } else if let (Some(most), Some(ttft)) = (ttft_above, spoken.ttft)
            && ttft > *most
        {
            let ms = |time: &Duration| round3(time.as_secs_f64() * 1e3);
            Finding::warn(Said::ModelLate { first_ms: ms(&ttft), limit_ms: ms(most) })
        } else {
            let speed = spoken.tokens_per_second.map(|speed| Said::ModelSpeed { speed: round3(speed) });
            let first = ttft_ms.map(|first_ms| Said::ModelFirst { first_ms });
            Finding::of(Outcome::Ok, [Said::ModelAnswers {}].into_iter().chain(first).chain(speed).collect())
        };
        finding
            .field("ttft_ms", json!(ttft_ms))
            .field("tokens_per_second", json!(spoken.tokens_per_second.map(round3)))
            .field("output_tokens", json!(spoken.output_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Says(Result<Spoken, Unasked>);

    impl Models for Says {
        fn ask<'a>(&'a self, _: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>> {
            Box::pin(async { self.0.clone() })
        }

        fn about<'a>(&'a self, _: &'a str) -> Boxed<'a, About> {
            Box::pin(async { About { digest: Some("sha256:1".to_owned()), ..About::default() } })
        }
    }

    fn probe() -> ModelProbe {
        let (model, prompt) = ("m".to_owned(), "1+1=".to_owned());
        let ttft_above = Some(Duration::from_secs(5));
        ModelProbe::new(ModelLook { model, prompt, expect: vec!["2".to_owned(), "Two".to_owned()], ttft_above })
    }

    #[tokio::test]
    async fn answers_are_judged() {
        let says = |text: &str, ttft: u64| {
            Ok(Spoken { text: text.to_owned(), ttft: Some(Duration::from_millis(ttft)), ..Spoken::default() })
        };
        let thinking = Ok(Spoken { thought: true, ..Spoken::default() });
        for (says, outcome, part) in [
            (says("It is two.", 120), Outcome::Ok, "first token after 120 ms"),
            (says("It is 3.", 120), Outcome::Fault, "\"It is 3.\", in which there is none of: 2, Two"),
            (says("2", 7_000), Outcome::Warn, "after 7.0 s (limit 5.0 s)"),
            (says("", 1), Outcome::Fault, "empty"),
            (thinking, Outcome::Warn, "said nothing"),
            (Err(Unasked::Failed("connection refused".to_owned())), Outcome::Fault, "no answer: connection refused"),
        ] {
            let finding = probe().run(&Says(says)).await;
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.found().contains(part), "{finding:?}");
            assert_eq!(finding.fields["digest"], "sha256:1");
        }
    }

    #[tokio::test]
    async fn one_that_can_never_be_asked_is_told_of() {
        let (probe, busy) =
            (probe(), Says(Err(Unasked::GaveWay(Said::RequestsWait { count: 3, upstream: "a".to_owned() }))));
        for _ in 0..SKIPS_MAX {
            assert_eq!(probe.run(&busy).await.outcome, Outcome::Skipped);
        }
        assert_eq!(probe.run(&busy).await.outcome, Outcome::Warn);
    }
}
