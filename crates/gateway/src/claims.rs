//! What an assistant says about itself inside its own prompt.
//!
//! OpenClaw writes one line into its instructions: `Runtime: agent=main | session=agent:main:main | sessionId=… | …`. It
//! is the only place where a request says which of an assistant's many conversations it belongs to. Anybody can write
//! such a line, so it goes into the record as a claim and decides nothing.

use tollhouse_dialect::{ChatRequest, Role};

/// How the line begins.
const MARK: &str = "Runtime: ";
/// Longest claim that is kept, in characters.
const CLAIM_CHARS_MAX: usize = 128;
/// Instructions stand at the beginning of a conversation: so many messages are looked at.
const MESSAGES_LOOKED_AT: usize = 4;

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

/// The claims of the last `Runtime:` line in the request's instructions; empty when there is none.
pub(crate) fn claims(request: &ChatRequest) -> Claims {
    let instructions = request
        .messages
        .iter()
        .take(MESSAGES_LOOKED_AT)
        .filter(|message| matches!(message.role, Role::System | Role::Developer));
    instructions.rev().find_map(|message| runtime_line(&message.content.text()).map(read)).unwrap_or_default()
}

fn runtime_line(text: &str) -> Option<&str> {
    let at = text.rmatch_indices(MARK).map(|(at, _)| at).find(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n')?;
    text[at + MARK.len()..].lines().next()
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
    fn only_instructions_are_believed_to_speak_for_the_assistant() {
        assert_eq!(of(Role::User, "Runtime: agent=evil"), Claims::default());
        assert_eq!(of(Role::System, "see Runtime: agent=x"), Claims::default(), "not at the beginning of a line");
        assert_eq!(of(Role::System, "Runtime: "), Claims::default());
        assert_eq!(of(Role::System, "Runtime: agent="), Claims::default());
        let long = format!("Runtime: agent={}", "a".repeat(1000));
        assert_eq!(of(Role::System, &long).agent.map(|agent| agent.len()), Some(CLAIM_CHARS_MAX));
    }
}
