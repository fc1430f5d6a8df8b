//! How hard a model thinks: efforts on one side, Anthropic's budgets and modes on the other.

use crate::{ChatRequest, RequestError, ServerApi, Shape, Think, ability};

/// Tokens of thinking for each effort, the largest first. A budget is the strongest effort that it pays for.
const BUDGETS: [(u32, &str); 5] = [(16_384, "max"), (8192, "xhigh"), (4096, "high"), (2048, "medium"), (1024, "low")];

/// Smallest budget that Anthropic takes.
const BUDGET_MIN: u32 = 1024;

/// The first version of Anthropic's models that thinks as the task needs it, by effort; later ones refuse budgets.
const ADAPTIVE_SINCE: (u32, u32) = (4, 6);

/// The effort that a budget of `tokens` stands for.
pub(super) fn effort_of(tokens: i64) -> &'static str {
    BUDGETS.iter().find(|(budget, _)| tokens >= i64::from(*budget)).map_or("low", |(_, effort)| effort)
}

/// What a request asks of Anthropic.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// The `type` of `thinking`.
    pub(super) kind: Option<&'static str>,
    /// Its `budget_tokens`; 0 is none.
    pub(super) budget: u32,
    /// The `effort` of `output_config`.
    pub(super) effort: Option<&'static str>,
}

/// What is asked of `model`, when the answer may have `limit` tokens, thoughts included. An Anthropic client has said it
/// in Anthropic's own words, which are carried along.
pub(super) fn asked(request: &ChatRequest, model: &str, limit: Option<u32>) -> Result<Asked, RequestError> {
    let effort = match &request.think {
        _ if request.family == Shape::Anthropic => return Ok(Asked::default()),
        None => return Ok(Asked::default()),
        Some(Think::Off) => return Ok(Asked { kind: Some("disabled"), ..Asked::default() }),
        Some(Think::On) => None,
        Some(Think::Effort(name)) => Some(known(name)?),
    };
    if is_adaptive(model) {
        return Ok(Asked { kind: Some("adaptive"), budget: 0, effort });
    }
    let effort = effort.unwrap_or("medium");
    let wished = BUDGETS.iter().find(|(_, name)| *name == effort).map_or(BUDGET_MIN, |(budget, _)| *budget);
    let budget = limit.map_or(wished, |limit| wished.min(limit.saturating_sub(1)));
    if budget < BUDGET_MIN {
        let what = format!("thinking within max_tokens of {BUDGET_MIN} or less");
        return Err(ability::refused(ServerApi::Anthropic, &what));
    }
    Ok(Asked { kind: Some("enabled"), budget, effort: None })
}

/// Anthropic's name of an effort.
fn known(effort: &str) -> Result<&'static str, RequestError> {
    match effort {
        "minimal" => Ok("low"),
        "ultra" => Ok("max"),
        name => BUDGETS.iter().map(|(_, known)| *known).find(|known| *known == name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            RequestError::Unsupported(format!(
                "unknown reasoning effort {shown:?}, known: none, minimal, low, medium, high, xhigh, max"
            ))
        }),
    }
}

/// Whether the model is one of Anthropic's that take an effort in place of a budget, by the version in its name:
/// `claude-opus-4-6`, `anthropic/claude-sonnet-5.1`. Dates (`claude-sonnet-4-20250514`) are no versions.
fn is_adaptive(model: &str) -> bool {
    let Some(at) = model.find("claude-") else { return false };
    let numbers = model[at..].split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let mut versions = numbers.map_while(|digits| digits.parse::<u32>().ok().filter(|number| *number < 100));
    let version = (versions.next().unwrap_or_default(), versions.next().unwrap_or_default());
    version >= ADAPTIVE_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_version_tells_how_it_thinks() {
        let cases = [
            ("claude-opus-4-6", true),
            ("claude-opus-4-7-20260416", true),
            ("anthropic/claude-sonnet-5.1", true),
            ("claude-sonnet-5", true),
            ("claude-haiku-4-5-20251001", false),
            ("claude-sonnet-4-20250514", false),
            ("claude-3-7-sonnet-20250219", false),
            ("claude-instant", false),
            ("qwen3-7b", false),
        ];
        for (model, expected) in cases {
            assert_eq!(is_adaptive(model), expected, "{model}");
        }
    }

    #[test]
    fn budgets_and_efforts_meet() {
        for (tokens, effort) in
            [(1, "low"), (1024, "low"), (2048, "medium"), (5000, "high"), (8192, "xhigh"), (99_999, "max")]
        {
            assert_eq!(effort_of(tokens), effort);
        }
        let request =
            |effort: &str| ChatRequest { think: Some(Think::Effort(effort.into())), ..ChatRequest::default() };
        let budget = |effort, limit| asked(&request(effort), "old", limit).map(|asked| asked.budget);
        assert_eq!(budget("max", None), Ok(16_384));
        assert_eq!(budget("max", Some(3000)), Ok(2999));
        assert!(budget("max", Some(1024)).is_err() && budget("extreme", None).is_err());
    }
}
