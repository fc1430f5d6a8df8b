//! The built-in talker: shows everything working before there is a model, and says that it is none.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tollhouse_dialect::{ChatRequest, Event, FinishReason, Usage};

/// The demo's one model.
pub const DEMO_MODEL: &str = "demo";

/// Time to the first token, like a small model's on a GPU.
const PREFILL: Duration = Duration::from_millis(30);
/// The same for a prompt with the word "slow": over the 3 s of the `slow_request` tag.
const PREFILL_SLOW: Duration = Duration::from_millis(3200);
/// Time per token.
const PER_TOKEN: Duration = Duration::from_millis(15);
/// How much of the prompt is echoed, in characters.
const ECHO_CHARS_MAX: usize = 60;

/// One answer of the demo: the same prompt always gets the same words.
#[derive(Debug)]
pub(crate) struct Talk {
    pieces: std::vec::IntoIter<String>,
    finish: FinishReason,
    input_tokens: u64,
    output_tokens: u64,
    prefill: Duration,
    /// Rings when the next piece is due; there from the first on.
    due: Option<Pin<Box<Sleep>>>,
    state: State,
}

/// Tokens of a prompt as it is, or of messages with four each for what stands around them.
fn input_tokens(request: &ChatRequest) -> u64 {
    let prompt = request.prompt.as_ref().map_or(0, |prompt| count_tokens(&prompt.text));
    prompt + request.messages.iter().map(|message| 4 + count_tokens(&message.content.text())).sum::<u64>()
}

#[derive(Debug, PartialEq)]
enum State {
    Fresh,
    Talking,
    Ended,
}

impl Talk {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        let prompt = request.last_user_text();
        let mut pieces = tokens(&answer(&prompt));
        let limit = request.sampling.limit().map_or(usize::MAX, |limit| limit as usize);
        let finish = if pieces.len() > limit { FinishReason::Length } else { FinishReason::Stop };
        pieces.truncate(limit);
        Self {
            finish,
            input_tokens: input_tokens(request),
            output_tokens: pieces.len() as u64,
            pieces: pieces.into_iter(),
            prefill: if prompt.to_lowercase().contains("slow") { PREFILL_SLOW } else { PREFILL },
            due: None,
            state: State::Fresh,
        }
    }

    /// Waits for the first token.
    pub(crate) async fn begin(&mut self) {
        sleep(self.prefill).await;
        self.due = Some(Box::pin(sleep_until(Instant::now())));
    }

    pub(crate) fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Vec<Event>>> {
        if self.state == State::Ended {
            return Poll::Ready(None);
        }
        if let Some(due) = &mut self.due {
            ready!(due.as_mut().poll(task));
        }
        let mut events = Vec::with_capacity(2);
        if self.state == State::Fresh {
            self.state = State::Talking;
            events.push(Event::Start { id: None, model: Some(DEMO_MODEL.to_owned()), created: None });
        }
        if let Some(piece) = self.pieces.next() {
            events.push(Event::Text(piece));
            if let Some(due) = &mut self.due {
                let next = due.deadline() + PER_TOKEN;
                due.as_mut().reset(next);
            }
            return Poll::Ready(Some(events));
        }
        self.state = State::Ended;
        events.push(Event::Finish(self.finish.clone()));
        events.push(Event::Usage(Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            prefill_ms: Some(self.prefill.as_secs_f64() * 1e3),
            decode_ms: Some((PER_TOKEN * u32::try_from(self.output_tokens).unwrap_or(u32::MAX)).as_secs_f64() * 1e3),
            ..Usage::default()
        }));
        Poll::Ready(Some(events))
    }
}

fn is_chinese(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn answer(prompt: &str) -> String {
    let prompt = prompt.trim();
    let mut echo: String = prompt.chars().take(ECHO_CHARS_MAX).collect();
    if echo.len() < prompt.len() {
        echo.push('…');
    }
    if prompt.chars().any(is_chinese) {
        format!(
            "你好！我是 tollhouse 的演示模型，不是真正的大模型。你刚才说：“{echo}”。\
             这次对话已经走完整条路：检查密钥、计数、写入日志、建立索引。\
             在“请求”页面可以查到它。接上 Ollama 或 vLLM 之后，这里就会由真正的模型回答。"
        )
    } else {
        format!(
            "Hello! I am the demo of tollhouse, not a real model. You said: \"{echo}\". \
             This chat has gone the whole way: its key was checked, its tokens were counted, it was written to the \
             journal and indexed. You can find it on the page of requests. Connect Ollama or vLLM, and a real model \
             will answer here."
        )
    }
}

/// Cuts a text into what passes for tokens: words with the space before them, Chinese characters in pairs.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chinese_in_last = 0;
    for letter in text.chars() {
        let begins = match tokens.last() {
            None => true,
            Some(_) if is_chinese(letter) => chinese_in_last == 0 || chinese_in_last == 2,
            Some(last) => {
                letter == ' ' || (chinese_in_last > 0 && letter.is_alphanumeric()) || last.chars().count() >= 12
            }
        };
        if begins {
            tokens.push(String::new());
            chinese_in_last = 0;
        }
        if is_chinese(letter) {
            chinese_in_last += 1;
        }
        if let Some(last) = tokens.last_mut() {
            last.push(letter);
        }
    }
    tokens
}

fn count_tokens(text: &str) -> u64 {
    tokens(text).len() as u64
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::{Message, Role};

    use super::*;

    async fn talk(prompt: &str, max_tokens: Option<u32>) -> (String, Vec<Event>, Duration) {
        let mut request = ChatRequest { messages: vec![Message::text(Role::User, prompt)], ..ChatRequest::default() };
        request.sampling.max_tokens = max_tokens;
        let mut talk = Talk::new(&request);
        let began = Instant::now();
        talk.begin().await;
        let first = began.elapsed();
        let mut events = Vec::new();
        while let Some(next) = std::future::poll_fn(|task| talk.poll_next(task)).await {
            events.extend(next);
        }
        let text =
            events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None });
        (text.collect(), events, first)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_in_the_language_of_the_prompt() {
        let (english, events, first) = talk("What is 1+1?", None).await;
        assert!(english.contains("demo") && english.contains("\"What is 1+1?\""), "{english}");
        assert!(first >= PREFILL && first < PREFILL_SLOW);
        assert!(matches!(events.first(), Some(Event::Start { .. })));
        assert!(events.len() > 20 && matches!(events.last(), Some(Event::Usage(usage)) if usage.input_tokens > 4));
        let (chinese, _, _) = talk("一加一等于几？", None).await;
        assert!(chinese.contains("演示") && chinese.contains("一加一等于几"), "{chinese}");
        assert_eq!(talk("What is 1+1?", None).await.0, english);
    }

    #[tokio::test(start_paused = true)]
    async fn is_slow_on_request_and_keeps_to_the_limit() {
        let (_, _, first) = talk("please be Slow", None).await;
        assert!(first > Duration::from_secs(3));
        let (_, events, _) = talk("hi", Some(3)).await;
        assert_eq!(events.len(), 6, "start, three tokens, finish, usage: {events:?}");
        assert!(events.contains(&Event::Finish(FinishReason::Length)));
    }

    #[test]
    fn tokens_are_the_text() {
        for text in ["", "Hello world, this is it", "你好，世界 and more", "averyveryveryverylongword"] {
            assert_eq!(tokens(text).concat(), text);
        }
        assert_eq!(tokens("一二三四五"), ["一二", "三四", "五"]);
    }
}
