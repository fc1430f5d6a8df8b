//! What an assistant says about itself inside its own prompt.
//!
//! OpenClaw writes one line into its instructions, or behind the user's words where an API has no place for them:
//! `Runtime: agent=main | session=agent:main:main | sessionId=… | …`. It is the only place where a request says which of
//! an assistant's many conversations it belongs to. Anybody can write such a line, so it goes into the record as a claim
//! and decides nothing.

use tollhouse_dialect::{ChatRequest, Role};

/// How the line begins.
const MARK: &str = "Runtime: ";
/// What follows at once.
const FIRST: &str = "agent=";
/// Longest claim that is kept, in characters.
const CLAIM_CHARS_MAX: usize = 128;
/// Instructions stand at the beginning of a conversation: so many messages are looked at for them.
const MESSAGES_LOOKED_AT: usize = 4;
/// What the assistant adds to the user's words stands at the end.
const LAST_MESSAGES_LOOKED_AT: usize = 4;

/// Names that a request claims for itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Claims {
    /// `agent`: which of the assistant's agents asks.
    pub(crate) agent: Option<String>,
    /// `session`: the conversation's lasting name.
    pub(crate) session: Option<String>,
    /// `sessionId`: this run of the conversation.
    pub(crate) session_id: Option<String>,
}

/// The claims of the last such line in the request's instructions, else of the last in the user's newest messages.
pub(crate) fn claims(request: &ChatRequest) -> Claims {
    let messages = &request.messages;
    let instructions = messages.iter().take(MESSAGES_LOOKED_AT).rev();
    let instructions = instructions.filter(|message| matches!(message.role, Role::System | Role::Developer));
    let newest = messages.iter().rev().take(LAST_MESSAGES_LOOKED_AT).filter(|message| message.role == Role::User);
    instructions.chain(newest).find_map(|message| runtime_line(&message.content.text()).map(read)).unwrap_or_default()
}

fn runtime_line(text: &str) -> Option<&str> {
    let lines = text.rmatch_indices(MARK).map(|(at, mark)| &text[at + mark.len()..]);
    lines.filter(|rest| rest.starts_with(FIRST)).find_map(|rest| rest.lines().next())
}

fn read(line: &str) -> Claims {
    let mut claims = Claims::default();
    for pair in line.split(" | ") {
        let Some((name, value)) = pair.trim().split_once('=') else { continue };
        let place = match name {
            "agent" => &mut claims.agent,
            "session" => &mut claims.session,
            "sessionId" => &mut claims.session_id,
            _ => continue,
        };
        let value: String = value.chars().filter(|c| !c.is_control()).take(CLAIM_CHARS_MAX).collect();
        *place = Some(value).filter(|value| !value.is_empty());
    }
    claims
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::Message;

    use super::*;

    fn of(role: Role, text: &str) -> Claims {
        claims(&ChatRequest { messages: vec![Message::text(role, text)], ..ChatRequest::default() })
    }

    #[test]
    fn the_line_of_an_assistant_is_read() {
        let text =
            "You are helpful.\nRuntime: agent=main | session=agent:main:main | sessionId=6b8e | host=h\nBe kind.";
        let expected = Claims {
            agent: Some("main".into()),
            session: Some("agent:main:main".into()),
            session_id: Some("6b8e".into()),
        };
        assert_eq!(of(Role::System, text), expected);
        assert_eq!(of(Role::Developer, text), expected);
    }

    #[test]
    fn instructions_are_looked_at_first_and_old_messages_not() {
        let line = |agent: &str| format!("hello\n\nRuntime: agent={agent}\n");
        let ask = |messages: &[(Role, &str)]| {
            let messages = messages.iter().map(|(role, agent)| Message::text(*role, line(agent))).collect();
            claims(&ChatRequest { messages, ..ChatRequest::default() }).agent
        };
        assert_eq!(ask(&[(Role::User, "a"), (Role::User, "b")]), Some("b".to_owned()));
        assert_eq!(ask(&[(Role::System, "a"), (Role::User, "b")]), Some("a".to_owned()));
        assert_eq!(ask(&[(Role::Assistant, "a")]), None);
    }

    #[test]
    fn what_is_no_such_line_claims_nothing_and_long_claims_are_cut() {
        assert_eq!(of(Role::System, "Runtime: "), Claims::default());
        assert_eq!(of(Role::System, "Runtime: 3 h"), Claims::default());
        assert_eq!(of(Role::System, "Runtime: agent="), Claims::default());
        let long = format!("Runtime: agent={}", "a".repeat(1000));
        assert_eq!(of(Role::System, &long).agent.map(|agent| agent.len()), Some(CLAIM_CHARS_MAX));
    }
}
