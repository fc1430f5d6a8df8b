//! Makes a request fit the model's window, or says why it does not.

use tollhouse_dialect::{ChatRequest, Role};

use crate::counter::{Count, Counter};

/// Tokens kept free for an answer whose length the client does not limit.
pub const ANSWER_TOKENS: u64 = 256;
/// The answer is kept at most one of this many parts of the window, however long the client lets it be.
const ANSWER_SHARE: u64 = 4;

/// What becomes of a request that is longer than the window.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It is refused.
    #[default]
    Refuse,
    /// Its oldest turns are dropped.
    Truncate,
    /// It goes to another model.
    Route,
}

/// Whether a request fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It fits as it is.
    Fits {
        /// What it costs; none when its length alone told that it fits.
        count: Option<Count>,
    },
    /// It fits now.
    Truncated {
        /// What it costs now.
        count: Count,
        /// How many messages are gone.
        dropped_messages: usize,
    },
    /// It does not fit and is unchanged.
    TooLong {
        /// What it costs.
        count: Count,
        /// What it may cost.
        allowed: u64,
    },
    /// It does not fit this model and is unchanged; another one may have room.
    Elsewhere {
        /// What it costs.
        count: Count,
    },
}

/// Tokens that a prompt may have in a window of `window` tokens: the answer needs room too. That is what the client lets
/// it be or [`ANSWER_TOKENS`], and at most a quarter of the window.
pub fn allowed(request: &ChatRequest, window: u64) -> u64 {
    let answer = request.sampling.limit().map_or(ANSWER_TOKENS, u64::from);
    window - answer.min(window / ANSWER_SHARE)
}

/// Makes the request fit a window of `window` tokens as `policy` says. Counts only when the lengths alone leave it open.
///
/// [`Overflow::Truncate`] drops whole turns (what a user said and all that followed from it), the oldest first, then the
/// oldest steps of the last turn (a tool call with its results). It never drops system messages, the last message of the
/// user and the last step; what is left keeps its order, and calls and results stay together. A prompt without messages
/// cannot be truncated, and a client that asks for no truncation (Ollama's `truncate: false`) gets none: both are
/// [`Fit::TooLong`].
pub fn fit(request: &mut ChatRequest, window: u64, counter: &Counter, policy: Overflow) -> Fit {
    let allowed = allowed(request, window);
    if counter.bound(request).1 <= allowed {
        return Fit::Fits { count: None };
    }
    let (base, messages) = counter.count_parts(request);
    let count = messages.iter().fold(base, |sum, message| sum.plus(*message));
    if count.tokens <= allowed {
        return Fit::Fits { count: Some(count) };
    }
    match policy {
        Overflow::Refuse => Fit::TooLong { count, allowed },
        Overflow::Route => Fit::Elsewhere { count },
        Overflow::Truncate => truncate(request, count, &messages, allowed),
    }
}

fn truncate(request: &mut ChatRequest, count: Count, messages: &[Count], allowed: u64) -> Fit {
    let mut kept = vec![true; messages.len()];
    let mut rest = count;
    if request.truncate != Some(false) {
        for group in droppable(request) {
            if rest.tokens <= allowed {
                break;
            }
            for index in group {
                kept[index] = false;
                rest = rest.minus(messages[index]);
            }
        }
    }
    if rest.tokens > allowed {
        return Fit::TooLong { count, allowed };
    }
    let mut keep = kept.iter();
    request.messages.retain(|_| keep.next().copied().unwrap_or(true));
    Fit::Truncated { count: rest, dropped_messages: kept.iter().filter(|kept| !**kept).count() }
}

/// The messages that may be dropped, in groups that go together and in the order in which they go.
fn droppable(request: &ChatRequest) -> Vec<Vec<usize>> {
    let messages = &request.messages;
    let is = |index: usize, role: Role| messages[index].role == role;
    let system = |index: usize| is(index, Role::System) || is(index, Role::Developer);

    let Some(last_user) = (0..messages.len()).rev().find(|index| is(*index, Role::User)) else { return Vec::new() };
    // A group begins with each user message, and in the last turn with each message that is no tool's result.
    let begins = |index: usize| {
        is(index, Role::User) || (index > last_user && !is(index, Role::Tool) && !system(index)) || index == 0
    };
    let mut group_of = Vec::with_capacity(messages.len());
    let mut groups = 0;
    for index in 0..messages.len() {
        groups += usize::from(begins(index));
        group_of.push(groups - 1);
    }
    join_calls_and_results(request, &mut group_of);

    let pinned = [group_of[last_user], group_of[messages.len() - 1]];
    let mut dropped: Vec<Vec<usize>> = vec![Vec::new(); groups];
    for index in (0..messages.len()).filter(|index| !system(*index)) {
        dropped[group_of[index]].push(index);
    }
    let free =
        dropped.into_iter().enumerate().filter(|(group, indices)| !pinned.contains(group) && !indices.is_empty());
    free.map(|(_, indices)| indices).collect()
}

/// Joins the groups between a call and its result, should a message have come between the two.
fn join_calls_and_results(request: &ChatRequest, group_of: &mut [usize]) {
    for (index, message) in request.messages.iter().enumerate() {
        let Some(id) = message.tool_call_id.as_deref() else { continue };
        let calls =
            |index: &usize| request.messages[*index].tool_calls.iter().any(|call| call.id.as_deref() == Some(id));
        let Some(call) = (0..index).rev().find(calls) else { continue };
        let (first, last) = (group_of[call], group_of[index]);
        if first != last {
            group_of.iter_mut().filter(|group| (first..=last).contains(group)).for_each(|group| *group = first);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollhouse_dialect::{Arguments, Content, Message, ToolCall};

    use super::*;

    const POLICIES: [Overflow; 3] = [Overflow::Refuse, Overflow::Truncate, Overflow::Route];

    /// One letter a message: system, user, assistant, call (`c`) and result (`t`) of the latest open call. The texts
    /// differ and have `length` letters.
    fn request(roles: &str, length: usize) -> ChatRequest {
        let mut messages = Vec::new();
        for (index, letter) in roles.char_indices() {
            let role = match letter {
                's' => Role::System,
                'u' => Role::User,
                't' => Role::Tool,
                _ => Role::Assistant,
            };
            let mut message = Message::text(role, format!("{index:0>length$}"));
            let name = |index: usize| format!("call_{index}");
            if letter == 'c' {
                let arguments = Arguments::Text("{}".into());
                message.tool_calls.push(ToolCall { id: Some(name(index)), name: "look".into(), arguments });
            }
            if letter == 't' {
                message.tool_call_id = roles[..index].rfind('c').map(name);
            }
            messages.push(message);
        }
        ChatRequest { messages, ..ChatRequest::default() }
    }

    fn texts(request: &ChatRequest) -> Vec<usize> {
        request.messages.iter().map(|message| message.content.text().parse().unwrap()).collect()
    }

    /// What is left of a conversation of 90 tokens a message in such a window.
    fn left(roles: &str, window: u64) -> Option<String> {
        let mut request = request(roles, 84);
        match fit(&mut request, window, &Counter::estimate(), Overflow::Truncate) {
            Fit::Fits { .. } | Fit::Truncated { .. } => {
                Some(texts(&request).iter().map(|index| &roles[*index..=*index]).collect())
            }
            Fit::TooLong { .. } | Fit::Elsewhere { .. } => None,
        }
    }

    #[test]
    fn drops_whole_turns_and_then_steps() {
        for (roles, window, expected) in [
            ("suauau", 4000, Some("suauau")),
            ("suauau", 700, Some("suau")),
            ("suauau", 400, Some("su")),
            ("suauau", 100, None),
            // Both calls of the last turn, then only the newest.
            ("suauctct", 850, Some("suctct")),
            ("suauctct", 700, Some("suct")),
            ("suauctct", 500, None),
            // System messages stay wherever they are.
            ("uasuau", 400, Some("su")),
            // Nobody asked: nothing may go.
            ("acta", 100, None),
        ] {
            assert_eq!(left(roles, window).as_deref(), expected, "{roles} in {window}");
        }
    }

    #[test]
    fn a_late_result_keeps_its_call() {
        // The user spoke between call and result: the first turn is bound to the second.
        assert_eq!(left("uauacuta", 950), Some("uacuta".into()));
        assert_eq!(left("uauacuta", 600), None);
    }

    #[test]
    fn the_answer_needs_room() {
        let mut request = ChatRequest::default();
        for (limit, window, expected) in
            [(None, 4096, 3840), (Some(100), 4096, 3996), (Some(9999), 4096, 3072), (None, 100, 75), (None, 0, 0)]
        {
            request.sampling.max_tokens = limit;
            assert_eq!(allowed(&request, window), expected);
        }
    }

    #[test]
    fn a_client_may_forbid_truncation() {
        let mut request = ChatRequest { truncate: Some(false), ..request("uauau", 84) };
        let whole = request.clone();
        let outcome = fit(&mut request, 300, &Counter::estimate(), Overflow::Truncate);
        assert!(matches!(outcome, Fit::TooLong { .. }));
        assert_eq!(request, whole);
    }

    fn conversations() -> impl Strategy<Value = String> {
        "s?(u(ct{1,2}){0,3}a?s?|t|a|ctut){0,6}".prop_filter("no messages", |roles| !roles.is_empty())
    }

    proptest! {
        #[test]
        fn what_is_left_is_whole(roles in conversations(), length in 4_usize..200, window in 0_u64..3000) {
            let counter = Counter::estimate();
            for policy in POLICIES {
                let whole = request(&roles, length);
                let mut cut = whole.clone();
                let outcome = fit(&mut cut, window, &counter, policy);
                let kept = texts(&cut);
                let fits = counter.count(&cut).tokens <= allowed(&cut, window);
                match outcome {
                    Fit::Fits { count } => {
                        prop_assert_eq!(&cut, &whole);
                        prop_assert!(fits);
                        prop_assert!(count.is_none_or(|count| count == counter.count(&cut)));
                    }
                    Fit::TooLong { count, allowed } => {
                        prop_assert_eq!(&cut, &whole);
                        prop_assert!(count.tokens > allowed);
                        prop_assert!(policy != Overflow::Route);
                    }
                    Fit::Elsewhere { count } => {
                        prop_assert_eq!(&cut, &whole);
                        prop_assert!(count.tokens > allowed(&cut, window));
                        prop_assert_eq!(policy, Overflow::Route);
                    }
                    Fit::Truncated { count, dropped_messages } => {
                        prop_assert_eq!(policy, Overflow::Truncate);
                        prop_assert!(fits);
                        prop_assert_eq!(count, counter.count(&cut));
                        prop_assert!(dropped_messages > 0);
                        prop_assert_eq!(kept.len() + dropped_messages, whole.messages.len());
                    }
                }
                // In order, with every system message, the user's last one and the last of all.
                prop_assert!(kept.is_sorted());
                for (index, letter) in roles.char_indices().filter(|(_, letter)| *letter == 's') {
                    prop_assert!(kept.contains(&index), "{} lost", letter);
                }
                prop_assert!(roles.rfind('u').is_none_or(|last| kept.contains(&last)));
                prop_assert!(kept.contains(&(roles.len() - 1)));
                // Calls and results are there together or not at all.
                for (index, message) in whole.messages.iter().enumerate() {
                    let Some(id) = &message.tool_call_id else { continue };
                    let call = whole.messages.iter().position(|m| m.tool_calls.iter().any(|call| call.id.as_ref() == Some(id)));
                    prop_assert_eq!(kept.contains(&index), call.is_some_and(|call| kept.contains(&call)));
                }
            }
        }

        #[test]
        fn bounds_hold(texts in prop::collection::vec("(?s)[a-z .\n中é😀0-9]{0,80}", 0..6), tools in any::<bool>()) {
            let messages = texts.into_iter().map(|text| Message::text(Role::User, text)).collect();
            let tools = tools.then(|| serde_json::json!([{"a\u{1}\"": [1.5, null, "\n\\"]}]));
            let request = ChatRequest { messages, tools, ..ChatRequest::default() };
            let counter = Counter::estimate();
            let (least, most) = counter.bound(&request);
            let count = counter.count(&request);
            prop_assert!(least <= count.tokens && count.tokens <= most);
            prop_assert!(count.at_least <= count.tokens);
        }
    }

    #[test]
    fn pictures_count() {
        let mut message = Message::text(Role::User, "");
        message.content = Content::Parts(vec![tollhouse_dialect::Part::Image {
            image: tollhouse_dialect::Image::Base64("AAAA".into()),
            options: serde_json::Map::new(),
            rest: serde_json::Map::new(),
        }]);
        let request = ChatRequest { messages: vec![message], ..ChatRequest::default() };
        let (small, large) = (Counter::estimate().with_media_tokens(1), Counter::estimate().with_media_tokens(1000));
        assert_eq!(large.count(&request).tokens - small.count(&request).tokens, 999);
    }
}
