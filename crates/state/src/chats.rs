//! Chats that their owners keep on the server: trees of messages, and the browsers that showed a key to chat.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use utoipa::ToSchema;

use crate::named::ID_CHARS;
use crate::{State, StateError, now_ms, random_token};

/// Characters of a cookie's value.
const SECRET_CHARS: usize = 43;
/// Chats of one owner.
pub const CHATS_MAX: usize = 1000;
/// Messages of one chat, on all its branches.
pub const CHAT_MESSAGES_MAX: usize = 1000;
/// Chats that a list or a search gives out.
const LISTED_MAX: i64 = 200;
/// Characters that are shown around what was found.
const EXCERPT_CHARS: usize = 80;

/// What a chat is about and how it is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatSettings {
    /// For people; empty until the first question gives one.
    pub title: String,
    /// Name of the model; empty means the usual one.
    pub model: String,
    /// What the model is told before everything else.
    pub system: String,
    /// Parameters such as `temperature`.
    pub options: Map<String, Value>,
    /// The last message of the branch that is shown.
    pub head: Option<String>,
}

/// A chat without its messages.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Chat {
    /// Names it in addresses.
    pub id: String,
    /// In milliseconds since 1970.
    pub created_ms: i64,
    /// When something was said or set last.
    pub changed_ms: i64,
    /// What is set.
    #[serde(flatten)]
    pub settings: ChatSettings,
}

/// A chat that was found, and where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct FoundChat {
    /// Names it in addresses.
    pub id: String,
    /// For people.
    pub title: String,
    /// Name of its model.
    pub model: String,
    /// When something was said or set last.
    pub changed_ms: i64,
    /// Text around the words that were searched for; none where they stand in the title, or nothing was searched for.
    pub excerpt: Option<String>,
}

/// One message of a chat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ChatMessage {
    /// Names it in its chat and everywhere else.
    pub id: String,
    /// The message before it.
    pub parent: Option<String>,
    /// `user` or `assistant`.
    pub role: String,
    /// `done`, `running`, `stopped` (by its reader), `left` (nobody watched), `failed` or `interrupted` (by the end of the house).
    pub state: String,
    /// In milliseconds since 1970.
    pub created_ms: i64,
    /// What is known of an answer: model, tokens, times, what went wrong.
    pub told: Map<String, Value>,
    /// What was said.
    pub text: String,
    /// What the model thought before.
    pub thinking: String,
    /// Pictures and files.
    pub attachments: Vec<Value>,
}

impl ChatMessage {
    /// A message with a new id.
    pub fn new(parent: Option<String>, role: &str, state: &str) -> Self {
        Self {
            id: random_token(ID_CHARS),
            parent,
            role: role.to_owned(),
            state: state.to_owned(),
            created_ms: now_ms(),
            ..Self::default()
        }
    }
}

impl State {
    /// The chats of an owner, the latest first; with `words`, those in whose title or messages they stand.
    pub async fn chats(&self, owner: &str, words: &str) -> Result<Vec<FoundChat>, StateError> {
        let words = words.trim();
        let pattern = format!("%{}%", escaped(words));
        let select = "SELECT c.id, c.title, c.model, c.changed_ms,
                        (SELECT m.text FROM chat_messages m WHERE m.chat = c.id AND ?2 <> '%%' AND m.text LIKE ?2 ESCAPE '\\'
                         ORDER BY m.created_ms DESC LIMIT 1) AS found
                      FROM chats c WHERE c.owner = ?1 AND (?2 = '%%' OR c.title LIKE ?2 ESCAPE '\\' OR found IS NOT NULL)
                      ORDER BY c.changed_ms DESC LIMIT ?3";
        let rows = sqlx::query(select).bind(owner).bind(&pattern).bind(LISTED_MAX).fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let found: Option<String> = row.try_get("found")?;
            Ok(FoundChat {
                id: row.try_get("id")?,
                title: row.try_get("title")?,
                model: row.try_get("model")?,
                changed_ms: row.try_get("changed_ms")?,
                excerpt: found.map(|text| excerpt(&text, words)),
            })
        };
        rows.iter().map(read).collect()
    }

    /// A chat of this owner with all its messages, oldest first.
    pub async fn chat(&self, owner: &str, id: &str) -> Result<Option<(Chat, Vec<ChatMessage>)>, StateError> {
        let row = sqlx::query("SELECT * FROM chats WHERE id = ? AND owner = ?")
            .bind(id)
            .bind(owner)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let messages = sqlx::query("SELECT * FROM chat_messages WHERE chat = ? ORDER BY created_ms, rowid")
            .bind(id)
            .fetch_all(&self.pool)
            .await?;
        Ok(Some((read_chat(&row)?, messages.iter().map(read_message).collect::<Result<_, _>>()?)))
    }

    /// Begins a chat; `None` when the owner has [`CHATS_MAX`] already.
    pub async fn create_chat(&self, owner: &str, settings: &ChatSettings) -> Result<Option<Chat>, StateError> {
        let now = now_ms();
        let chat = Chat { id: random_token(ID_CHARS), created_ms: now, changed_ms: now, settings: settings.clone() };
        // Counted and written in one statement: two at once cannot both take the last place.
        let insert = "INSERT INTO chats (id, owner, title, model, system, options, head, created_ms, changed_ms)
                      SELECT ?, ?, ?, ?, ?, ?, NULL, ?, ? WHERE (SELECT count(*) FROM chats WHERE owner = ?) < ?";
        let done = sqlx::query(insert)
            .bind(&chat.id)
            .bind(owner)
            .bind(&settings.title)
            .bind(&settings.model)
            .bind(&settings.system)
            .bind(Value::Object(settings.options.clone()).to_string())
            .bind(now)
            .bind(now)
            .bind(owner)
            .bind(CHATS_MAX as i64)
            .execute(&self.pool)
            .await?;
        Ok((done.rows_affected() == 1).then_some(chat))
    }

    /// Sets what a chat is about (an empty title leaves the one that it has); `false` when its owner has none with this id.
    pub async fn change_chat(&self, owner: &str, id: &str, settings: &ChatSettings) -> Result<bool, StateError> {
        let update = "UPDATE chats SET title = coalesce(nullif(?, ''), title), model = ?, system = ?, options = ?, head = ? WHERE id = ? AND owner = ?";
        let done = sqlx::query(update)
            .bind(&settings.title)
            .bind(&settings.model)
            .bind(&settings.system)
            .bind(Value::Object(settings.options.clone()).to_string())
            .bind(settings.head.as_deref())
            .bind(id)
            .bind(owner)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds messages to a chat, shows the branch that the last of them ends, and gives the chat a title where it has none.
    pub async fn add_to_chat(&self, chat: &str, messages: &[&ChatMessage], title: &str) -> Result<(), StateError> {
        let Some(last) = messages.last() else { return Ok(()) };
        let mut transaction = self.pool.begin().await?;
        for message in messages {
            let insert = "INSERT INTO chat_messages (id, chat, parent, role, state, created_ms, bytes, told, text, thinking, attachments)
                          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let attachments = Value::Array(message.attachments.clone()).to_string();
            sqlx::query(insert)
                .bind(&message.id)
                .bind(chat)
                .bind(message.parent.as_deref())
                .bind(&message.role)
                .bind(&message.state)
                .bind(message.created_ms)
                .bind((message.text.len() + message.thinking.len() + attachments.len()) as i64)
                .bind(Value::Object(message.told.clone()).to_string())
                .bind(&message.text)
                .bind(&message.thinking)
                .bind(attachments)
                .execute(&mut *transaction)
                .await?;
        }
        let update = "UPDATE chats SET head = ?, changed_ms = ?, title = CASE WHEN title = '' THEN ? ELSE title END WHERE id = ?";
        sqlx::query(update).bind(&last.id).bind(now_ms()).bind(title).bind(chat).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes how far an answer has come; nothing happens when its chat was removed meanwhile.
    pub async fn write_answer(&self, answer: &ChatMessage) -> Result<(), StateError> {
        let update = "UPDATE chat_messages SET state = ?, told = ?, text = ?, thinking = ?, bytes = ? WHERE id = ?";
        sqlx::query(update)
            .bind(&answer.state)
            .bind(Value::Object(answer.told.clone()).to_string())
            .bind(&answer.text)
            .bind(&answer.thinking)
            .bind((answer.text.len() + answer.thinking.len()) as i64)
            .bind(&answer.id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Answers that an earlier run of the house left under way are interrupted ones; says how many.
    pub async fn interrupt_answers(&self) -> Result<u64, StateError> {
        let done = sqlx::query("UPDATE chat_messages SET state = 'interrupted' WHERE state = 'running'")
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    /// Removes a chat with all its messages; `false` when its owner has none with this id.
    pub async fn remove_chat(&self, owner: &str, id: &str) -> Result<bool, StateError> {
        let done = sqlx::query("DELETE FROM chats WHERE id = ? AND owner = ?")
            .bind(id)
            .bind(owner)
            .execute(&self.pool)
            .await?;
        self.forget().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes all chats of an owner; says how many.
    pub async fn remove_chats(&self, owner: &str) -> Result<u64, StateError> {
        let done = sqlx::query("DELETE FROM chats WHERE owner = ?").bind(owner).execute(&self.pool).await?;
        self.forget().await?;
        Ok(done.rows_affected())
    }

    /// Removes chats that nobody used for longer than `keep`, then the longest unused until all take at most `bytes_max`. Chats
    /// with an answer under way stay. Says how many went.
    pub async fn trim_chats(&self, keep: Duration, bytes_max: u64) -> Result<u64, StateError> {
        let oldest_ms = now_ms().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        // Running totals from the latest on: what lies beyond the bound goes.
        let delete = "DELETE FROM chats WHERE id IN (
                        SELECT id FROM (
                          SELECT c.id, c.changed_ms, sum(coalesce(m.bytes, 0)) OVER (ORDER BY c.changed_ms DESC, c.id) AS total
                          FROM chats c LEFT JOIN (SELECT chat, sum(bytes) AS bytes FROM chat_messages GROUP BY chat) m ON m.chat = c.id)
                        WHERE changed_ms < ? OR total > ?)
                      AND id NOT IN (SELECT chat FROM chat_messages WHERE state = 'running')";
        let done = sqlx::query(delete)
            .bind(oldest_ms)
            .bind(i64::try_from(bytes_max).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
        if done.rows_affected() > 0 {
            self.forget().await?;
        }
        Ok(done.rows_affected())
    }

    /// Old pages may lie in the write-ahead log still. Whoever reads meanwhile only delays this.
    async fn forget(&self) -> Result<(), StateError> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(())
    }

    /// A browser has shown the key with this id; returns the secret of its cookie.
    pub async fn open_chat_session(&self, key_id: &str, lifetime: Duration) -> Result<String, StateError> {
        let now = now_ms();
        let secret = random_token(SECRET_CHARS);
        sqlx::query("DELETE FROM chat_sessions WHERE expires_ms <= ?").bind(now).execute(&self.pool).await?;
        sqlx::query("INSERT INTO chat_sessions (hash, key_id, expires_ms) VALUES (?, ?, ?)")
            .bind(self.pepper().digest(&secret).as_slice())
            .bind(key_id)
            .bind(now.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)))
            .execute(&self.pool)
            .await?;
        Ok(secret)
    }

    /// The id of the key that this cookie stands for, until it ends.
    pub async fn chat_session(&self, secret: &str) -> Result<Option<String>, StateError> {
        let id = sqlx::query_scalar("SELECT key_id FROM chat_sessions WHERE hash = ? AND expires_ms > ?")
            .bind(self.pepper().digest(secret).as_slice())
            .bind(now_ms())
            .fetch_optional(&self.pool)
            .await?;
        Ok(id)
    }

    /// Ends it.
    pub async fn close_chat_session(&self, secret: &str) -> Result<(), StateError> {
        sqlx::query("DELETE FROM chat_sessions WHERE hash = ?")
            .bind(self.pepper().digest(secret).as_slice())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Text for `LIKE … ESCAPE '\'`.
fn escaped(words: &str) -> String {
    words.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect()
}

/// A piece of `text` around `words`, in one line.
fn excerpt(text: &str, words: &str) -> String {
    // `LIKE` folds the letters of ASCII only, and so does this: positions stay the same.
    let at = text.to_ascii_lowercase().find(&words.to_ascii_lowercase()).unwrap_or(0);
    let before: String = text[..at].chars().rev().take(EXCERPT_CHARS / 2).collect();
    let before: String = before.chars().rev().collect();
    let after: String = text[at..].chars().take(EXCERPT_CHARS).collect();
    let cut = if before.len() < at { "…" } else { "" };
    let line: Vec<&str> = before.split_whitespace().collect();
    let rest: Vec<&str> = after.split_whitespace().collect();
    let space = if before.ends_with(char::is_whitespace) { " " } else { "" };
    format!("{cut}{}{space}{}", line.join(" "), rest.join(" "))
}

fn read_chat(row: &SqliteRow) -> Result<Chat, StateError> {
    Ok(Chat {
        id: row.try_get("id")?,
        created_ms: row.try_get("created_ms")?,
        changed_ms: row.try_get("changed_ms")?,
        settings: ChatSettings {
            title: row.try_get("title")?,
            model: row.try_get("model")?,
            system: row.try_get("system")?,
            options: json(row, "options")?,
            head: row.try_get("head")?,
        },
    })
}

fn read_message(row: &SqliteRow) -> Result<ChatMessage, StateError> {
    Ok(ChatMessage {
        id: row.try_get("id")?,
        parent: row.try_get("parent")?,
        role: row.try_get("role")?,
        state: row.try_get("state")?,
        created_ms: row.try_get("created_ms")?,
        told: json(row, "told")?,
        text: row.try_get("text")?,
        thinking: row.try_get("thinking")?,
        attachments: json(row, "attachments")?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StateError> {
    let text: String = row.try_get(column)?;
    Ok(serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(Box::new(error)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn said(parent: Option<&ChatMessage>, role: &str, text: &str) -> ChatMessage {
        let parent = parent.map(|message| message.id.clone());
        ChatMessage { text: text.to_owned(), ..ChatMessage::new(parent, role, "done") }
    }

    async fn chat(state: &State, owner: &str, text: &str) -> Chat {
        let chat = state.create_chat(owner, &ChatSettings::default()).await.unwrap().unwrap();
        state.add_to_chat(&chat.id, &[&said(None, "user", text)], text).await.unwrap();
        chat
    }

    #[tokio::test]
    async fn a_tree_of_messages_is_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let settings = ChatSettings { model: "qwen3".into(), system: "be brief".into(), ..ChatSettings::default() };
        let chat = state.create_chat("key:a", &settings).await.unwrap().unwrap();
        let question = said(None, "user", "why?");
        let first = said(Some(&question), "assistant", "so");
        let mut second = ChatMessage::new(Some(question.id.clone()), "assistant", "running");
        second.attachments = vec![serde_json::json!({"name": "a.txt", "text": "b"})];
        state.add_to_chat(&chat.id, &[&question, &first], "why?").await.unwrap();
        state.add_to_chat(&chat.id, &[&second], "not again").await.unwrap();

        let (kept, messages) = state.chat("key:a", &chat.id).await.unwrap().unwrap();
        assert_eq!((kept.settings.title.as_str(), kept.settings.head.as_deref()), ("why?", Some(second.id.as_str())));
        assert_eq!(messages, [question, first, second.clone()]);
        assert!(state.chat("key:b", &chat.id).await.unwrap().is_none());
        assert!(!state.change_chat("key:b", &chat.id, &settings).await.unwrap());
        assert!(state.change_chat("key:a", &chat.id, &kept.settings).await.unwrap());
        let untitled = ChatSettings { title: String::new(), ..kept.settings };
        assert!(state.change_chat("key:a", &chat.id, &untitled).await.unwrap());
        assert_eq!(state.chats("key:a", "").await.unwrap()[0].title, "why?");
        assert!(!state.remove_chat("key:b", &chat.id).await.unwrap());

        second.text = "half".into();
        state.write_answer(&second).await.unwrap();
        assert_eq!(state.interrupt_answers().await.unwrap(), 1);
        let (_, messages) = state.chat("key:a", &chat.id).await.unwrap().unwrap();
        assert_eq!((messages[2].state.as_str(), messages[2].text.as_str()), ("interrupted", "half"));
    }

    #[tokio::test]
    async fn chats_are_found_by_their_words_in_every_script() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        chat(&state, "a", "How do I sort 100% of a list?").await;
        let other = chat(&state, "a", "请解释反向代理是什么").await;
        state.add_to_chat(&other.id, &[&said(None, "assistant", "It stands\nbefore a server.")], "").await.unwrap();
        let found = async |words: &str| {
            let chats = state.chats("a", words).await.unwrap();
            chats.into_iter().map(|chat| chat.excerpt.unwrap_or(chat.title)).collect::<Vec<_>>()
        };
        assert_eq!(found("").await.len(), 2);
        assert_eq!(found("反向代理").await, ["请解释反向代理是什么"]);
        assert_eq!(found("SORT 100%").await, ["How do I sort 100% of a list?"]);
        assert_eq!(found("before a").await, ["It stands before a server."]);
        assert_eq!(found("100_").await, Vec::<String>::new(), "signs of the pattern are plain ones");
        assert!(state.chats("b", "").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_removed_is_gone_from_every_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let gone = chat(&state, "a", "a secret that must not stay").await;
        chat(&state, "a", "the other one").await;
        assert!(state.remove_chat("a", &gone.id).await.unwrap());
        let holds = |words: &str| {
            let files = std::fs::read_dir(dir.path().join("state")).unwrap();
            let mut bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
            bytes.any(|bytes| bytes.windows(words.len()).any(|window| window == words.as_bytes()))
        };
        assert!(holds("the other one") && !holds("a secret that must not stay"));
        assert_eq!(state.remove_chats("a").await.unwrap(), 1);
        assert!(!holds("the other one"));
    }

    #[tokio::test]
    async fn old_chats_and_too_many_bytes_go() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let old = chat(&state, "a", &"o".repeat(100)).await;
        sqlx::query("UPDATE chats SET changed_ms = 1").execute(&state.pool).await.unwrap();
        let first = chat(&state, "a", &"f".repeat(100)).await;
        sqlx::query("UPDATE chats SET changed_ms = changed_ms - 1000 WHERE id = ?")
            .bind(&first.id)
            .execute(&state.pool)
            .await
            .unwrap();
        let last = chat(&state, "b", &"l".repeat(100)).await;
        assert_eq!(state.trim_chats(DAY, 1000).await.unwrap(), 1);
        assert!(state.chat("a", &old.id).await.unwrap().is_none());
        assert_eq!(state.trim_chats(DAY, 150).await.unwrap(), 1);
        assert!(state.chat("a", &first.id).await.unwrap().is_none());
        let running = ChatMessage::new(None, "assistant", "running");
        state.add_to_chat(&last.id, &[&running], "").await.unwrap();
        assert_eq!(state.trim_chats(DAY, 1).await.unwrap(), 0, "an answer is under way");
    }

    #[tokio::test]
    async fn a_cookie_stands_for_a_key_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let secret = state.open_chat_session("key1", DAY).await.unwrap();
        assert_eq!(state.chat_session(&secret).await.unwrap().as_deref(), Some("key1"));
        assert_eq!(state.chat_session("else").await.unwrap(), None);
        state.close_chat_session(&secret).await.unwrap();
        assert_eq!(state.chat_session(&secret).await.unwrap(), None);
        let ended = state.open_chat_session("key1", Duration::ZERO).await.unwrap();
        assert_eq!(state.chat_session(&ended).await.unwrap(), None);
    }
}
