//! Whether a model answers as well as before: a file of tests, each asked several times, and the share that is right for each
//! type of test beside what it was when the baseline was taken.

mod baseline;
mod check;
mod tests_file;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::ProbeError;
use crate::finding::{Finding, Outcome, Ran, cut, round3};
use crate::http::TOLD_CHARS_MAX;
use crate::model::{About, Models, Question, Unasked};
use crate::said::Said;

pub(crate) use baseline::{Kept, Verdict};
pub(crate) use check::Judged;
pub(crate) use tests_file::{Test, read_tests};

/// Tokens that an answer may have.
const ANSWER_TOKENS_MAX: u32 = 2_048;
/// How long is waited before users' work is looked at again.
const PAUSE: Duration = Duration::from_secs(2);
/// Pauses of one run, after which it is given up.
const PAUSES_MAX: u32 = 150;
/// How long one run may take.
pub(crate) const RUN_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// What is tested, and how.
#[derive(Clone, Debug)]
pub struct QualityLook {
    /// The tests.
    pub file: PathBuf,
    /// Who is tested.
    pub model: String,
    /// Who judges where a test asks for it.
    pub judge: String,
    /// How often each test is asked in a run.
    pub samples: u32,
    /// Runs of which the baseline is made.
    pub baseline: u32,
    /// How long one answer may take.
    pub within: Duration,
}

/// A probe of quality.
#[derive(Debug)]
pub(crate) struct QualityProbe {
    look: QualityLook,
    tests: Vec<Test>,
    kept: Mutex<Kept>,
}

/// How many answers of a type were right.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) samples: u64,
    pub(crate) passed: u64,
}

impl QualityProbe {
    /// Reads the tests, so it blocks.
    pub(crate) fn new(look: QualityLook) -> Result<Self, ProbeError> {
        let tests = read_tests(&look.file)?;
        Ok(Self { look, tests, kept: Mutex::default() })
    }

    pub(crate) fn about(&self) -> Said {
        let QualityLook { model, samples, file, .. } = &self.look;
        let (file, model) = (file.display().to_string(), model.clone());
        Said::LooksTests { tests: self.tests.len(), file, samples: *samples, model }
    }

    /// Takes up the baseline that was kept.
    pub(crate) fn restore(&self, kept: Option<&Value>) {
        let kept = kept.and_then(|kept| serde_json::from_value(kept.clone()).ok()).unwrap_or_default();
        *self.kept.lock().expect("no panic while the lock is held") = kept;
    }

    pub(crate) async fn run(&self, models: &dyn Models) -> Ran {
        let about = models.about(&self.look.model).await;
        let counts = match self.ask_all(models).await {
            Ok(counts) => counts,
            Err(why) => {
                return Finding::of(Outcome::Skipped, why).field("model_name", self.look.model.clone()).into();
            }
        };
        let (verdicts, keep) = {
            let mut kept = self.kept.lock().expect("no panic while the lock is held");
            let verdicts: Vec<Verdict> = counts
                .iter()
                .map(|(name, count)| {
                    let fingerprint = tests_file::fingerprint(&self.tests, name, self.look.samples);
                    kept.take(name, &fingerprint, count, &about, self.look.baseline)
                })
                .collect();
            kept.keep_only(counts.iter().map(|(name, _)| name.as_str()));
            (verdicts, serde_json::to_value(&*kept).ok())
        };
        self.tell(&verdicts, &about, keep)
    }

    /// How many answers were right, by the type of the tests in the order of the file; or why that cannot be said.
    async fn ask_all(&self, models: &dyn Models) -> Result<Vec<(String, Count)>, Vec<Said>> {
        let mut counts: Vec<(String, Count)> = Vec::new();
        let (until, mut pauses) = (Instant::now() + RUN_TIME_MAX, 0);
        for test in &self.tests {
            for _ in 0..test.samples.unwrap_or(self.look.samples) {
                if Instant::now() > until {
                    return Err(vec![Said::TestsLate { limit_s: RUN_TIME_MAX.as_secs() }]);
                }
                let judged = self.sample(test, models, &mut pauses).await?;
                let at = counts.iter().position(|(name, _)| *name == test.kind).unwrap_or_else(|| {
                    counts.push((test.kind.clone(), Count::default()));
                    counts.len() - 1
                });
                counts[at].1.samples += 1;
                counts[at].1.passed += u64::from(judged == Judged::Right);
            }
        }
        Ok(counts)
    }

    /// One answer to one test, judged. An answer that does not come is no wrong one: of that the model's probe tells.
    async fn sample(&self, test: &Test, models: &dyn Models, pauses: &mut u32) -> Result<Judged, Vec<Said>> {
        let question = Question {
            model: self.look.model.clone(),
            prompt: test.prompt.clone(),
            tokens_max: test.tokens_max.unwrap_or(ANSWER_TOKENS_MAX),
            tools: test.tools(),
        };
        let spoken = self.answer(&question, models, pauses).await?;
        let judged = test.judge(&spoken);
        let (Judged::Right, Some(criterion)) = (judged, &test.judge) else { return Ok(judged) };
        let asked = check::ask_judge(&test.prompt, &spoken.text, criterion);
        let question =
            Question { model: self.look.judge.clone(), prompt: asked, tokens_max: ANSWER_TOKENS_MAX, tools: None };
        let verdict = self.answer(&question, models, pauses).await?;
        Ok(check::read_verdict(&verdict.text))
    }

    async fn answer(
        &self,
        question: &Question,
        models: &dyn Models,
        pauses: &mut u32,
    ) -> Result<crate::model::Spoken, Vec<Said>> {
        loop {
            let why = match timeout(self.look.within, models.ask(question)).await {
                Ok(Ok(spoken)) => return Ok(spoken),
                Ok(Err(Unasked::GaveWay(why))) => why,
                Ok(Err(Unasked::Failed(why))) => {
                    let (model, error) = (question.model.clone(), cut(&why, TOLD_CHARS_MAX));
                    return Err(vec![Said::TestsSilent { model, error }]);
                }
                Err(_) => {
                    let (model, limit_s) = (question.model.clone(), self.look.within.as_secs());
                    return Err(vec![Said::TestsAnswerLate { model, limit_s }]);
                }
            };
            *pauses += 1;
            if *pauses > PAUSES_MAX {
                return Err(vec![Said::ModelSkipped {}, why]);
            }
            sleep(PAUSE).await;
        }
    }

    fn tell(&self, verdicts: &[Verdict], about: &About, keep: Option<Value>) -> Ran {
        let parts: Vec<Finding> = verdicts
            .iter()
            .map(|verdict| verdict.finding().fields(about.fields()).field("model_name", self.look.model.clone()))
            .collect();
        let types: Vec<Value> = verdicts
            .iter()
            .map(|verdict| {
                json!({
                    "test_type": verdict.name, "score": round3(verdict.score()), "samples": verdict.count.samples,
                    "passed": verdict.count.passed, "baseline_score": verdict.baseline_score.map(round3),
                    "p_value": verdict.p_value, "outcome": verdict.outcome.as_str(),
                })
            })
            .collect();
        let outcome = verdicts.iter().map(|verdict| verdict.outcome).max().unwrap_or(Outcome::Ok);
        let bad: Vec<&Finding> = parts.iter().filter(|part| part.outcome.is_bad()).collect();
        let (samples, passed) =
            verdicts.iter().fold((0, 0), |sum, v| (sum.0 + v.count.samples, sum.1 + v.count.passed));
        let said = match bad.first() {
            Some(first) => {
                let more = bad.len() - 1;
                first.said.iter().cloned().chain((more > 0).then_some(Said::TypesMore { count: more })).collect()
            }
            None => vec![Said::TestsPassed { passed, samples, types: verdicts.len() }],
        };
        let summary = Finding::of(outcome, said)
            .fields(about.fields())
            .field("model_name", self.look.model.clone())
            .field("score", round3(passed as f64 / samples.max(1) as f64))
            .field("samples", samples)
            .field("types", types);
        Ran { summary, parts, keep }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::model::{Boxed, Spoken};

    /// Answers what its table says for each prompt; users are there in the first questions.
    #[derive(Debug)]
    struct Table {
        answers: Vec<(&'static str, &'static str)>,
        busy: AtomicU32,
    }

    impl Models for Table {
        fn ask<'a>(&'a self, question: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>> {
            Box::pin(async move {
                let busy = self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
                if busy.is_ok() {
                    return Err(Unasked::GaveWay(Said::RequestsWait { count: 2, upstream: "a".to_owned() }));
                }
                let found = self.answers.iter().find(|(prompt, _)| question.prompt.contains(prompt));
                match found {
                    Some((_, text)) => Ok(Spoken { text: (*text).to_owned(), ..Spoken::default() }),
                    None => Err(Unasked::Failed("connection refused".to_owned())),
                }
            })
        }

        fn about<'a>(&'a self, _: &'a str) -> Boxed<'a, About> {
            Box::pin(async { About { digest: Some("d1".to_owned()), ..About::default() } })
        }
    }

    fn probe(dir: &tempfile::TempDir, tests: &str) -> QualityProbe {
        let file = dir.path().join("reasoning_tests.json");
        std::fs::write(&file, tests).unwrap();
        let (model, judge, within) = ("m".to_owned(), "j".to_owned(), Duration::from_secs(5));
        QualityProbe::new(QualityLook { file, model, judge, samples: 4, baseline: 2, within }).unwrap()
    }

    const TESTS: &str = r#"{"tests": [
        {"type": "math", "prompt": "17+25=?", "expected_keywords": ["42", "forty-two"]},
        {"type": "logic", "prompt": "Is water wet?", "expected_keywords": ["yes"], "judge": "It says why."}
    ]}"#;

    #[tokio::test(start_paused = true)]
    async fn each_type_has_its_record_and_users_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let probe = probe(&dir, TESTS);
        let good = "{\"verdict\": \"right\"}";
        let table = Table {
            answers: vec![("17+25", "It is 42."), ("Criterion", good), ("Is water wet", "Yes: it wets.")],
            busy: AtomicU32::new(5),
        };
        let began = Instant::now();
        let ran = probe.run(&table).await;
        assert_eq!(began.elapsed().as_secs(), 10, "five pauses for users");
        let told: Vec<_> = ran.parts.iter().map(|part| (part.outcome, part.fields["test_type"].clone())).collect();
        assert_eq!(told, [(Outcome::Ok, "math".into()), (Outcome::Ok, "logic".into())]);
        assert_eq!(ran.summary.found(), "8 of 8 answers right in 2 types");
        assert_eq!(ran.parts[0].fields["digest"], "d1");
        let answers = vec![("17+25", "It is 42."), ("Criterion", "wrong."), ("Is water wet", "Yes.")];
        let ran = probe.run(&Table { answers, busy: 0.into() }).await;
        assert_eq!(
            (ran.parts[0].fields["passed"].as_u64(), ran.parts[1].fields["passed"].as_u64()),
            (Some(4), Some(0))
        );
        let kept = ran.keep.unwrap();
        let restored = self::probe(&dir, TESTS);
        restored.restore(Some(&kept));
        assert_eq!(*restored.kept.lock().unwrap(), *probe.kept.lock().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_away_is_not_worse() {
        let dir = tempfile::tempdir().unwrap();
        let probe = probe(&dir, TESTS);
        let ran = probe.run(&Table { answers: Vec::new(), busy: 0.into() }).await;
        assert_eq!((ran.summary.outcome, ran.keep), (Outcome::Skipped, None));
        assert!(ran.summary.found().contains("m does not answer: connection refused"), "{:?}", ran.summary);
        let busy = Table { answers: vec![("17+25", "42")], busy: u32::MAX.into() };
        assert_eq!(probe.run(&busy).await.summary.found(), "not asked: 2 requests wait for a");
    }
}
