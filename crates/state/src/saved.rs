//! Saved searches: one object that the console opens again, and that alerts and panels can be made of.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use utoipa::ToSchema;

use crate::named::{ID_CHARS, Keeping, demand, demand_columns, demand_query, is_name, is_text};
use crate::{State, StateError, now_ms, random_token};

/// Saved searches that are kept.
pub const SAVED_MAX: usize = 1000;

/// What is searched for, and how it is shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedSearch {
    /// A name for people; no two have the same.
    pub name: String,
    /// In the language beside it; may be empty.
    #[serde(default)]
    pub query: String,
    /// `lucene` or `kql`.
    pub language: String,
    /// Kind of the records, such as `request` or `log`; empty means all.
    #[serde(default)]
    pub scope: String,
    /// Begin of the time range: date math on `now`, or RFC 3339.
    pub from: String,
    /// Its end.
    pub to: String,
    /// Fields that are shown; empty means the usual ones.
    #[serde(default)]
    pub columns: Vec<String>,
    /// `field:asc` or `field:desc`; empty means newest first.
    #[serde(default)]
    pub sort: String,
}

/// A saved search as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct Saved {
    /// Names it in addresses.
    pub id: String,
    /// Whoever saved it last.
    pub owner: String,
    /// When that was, in milliseconds since 1970.
    pub changed_ms: i64,
    /// The search itself.
    #[serde(flatten)]
    pub search: SavedSearch,
}

impl SavedSearch {
    /// Whether it makes sense; says what does not.
    ///
    /// # Errors
    /// The name of the member, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        demand(is_name(&self.name), || "`name` must be a text of 1 to 200 characters".into())?;
        demand_query(&self.query, &self.language)?;
        demand_columns(&self.columns)?;
        let texts = [&self.scope, &self.from, &self.to, &self.sort];
        let texts = texts.into_iter().chain(&self.columns).all(|text| is_text(text));
        demand(texts, || {
            "`scope`, `from`, `to`, `sort` and each of `columns` must not be longer than 200 characters".into()
        })
    }
}

impl State {
    /// All saved searches, by name.
    pub async fn saved(&self) -> Result<Vec<Saved>, StateError> {
        let rows = sqlx::query("SELECT * FROM saved ORDER BY name LIMIT ?")
            .bind(SAVED_MAX as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Keeps a search under a new id.
    pub async fn save_search(&self, search: &SavedSearch, owner: &str) -> Result<Keeping<Saved>, StateError> {
        let saved =
            Saved { id: random_token(ID_CHARS), owner: owner.to_owned(), changed_ms: now_ms(), search: search.clone() };
        // Counted and written in one statement: two who save at once cannot both take the last place.
        let insert = "INSERT INTO saved (name, query, language, scope, range_from, range_to, columns, sort, owner, changed_ms, id)
                      SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM saved) < ?";
        let written = with_values(insert, &saved).bind(SAVED_MAX as i64).execute(&self.pool).await;
        Keeping::of(written, saved, Keeping::Full)
    }

    /// Puts a search in the place of the one with this id.
    pub async fn change_saved(
        &self,
        id: &str,
        search: &SavedSearch,
        owner: &str,
    ) -> Result<Keeping<Saved>, StateError> {
        let saved = Saved { id: id.to_owned(), owner: owner.to_owned(), changed_ms: now_ms(), search: search.clone() };
        let update = "UPDATE saved SET name = ?, query = ?, language = ?, scope = ?, range_from = ?, range_to = ?,
                      columns = ?, sort = ?, owner = ?, changed_ms = ? WHERE id = ?";
        let written = with_values(update, &saved).execute(&self.pool).await;
        Keeping::of(written, saved, Keeping::Unknown)
    }

    /// Removes a saved search; `false` when there is none with this id.
    pub async fn remove_saved(&self, id: &str) -> Result<bool, StateError> {
        let done = sqlx::query("DELETE FROM saved WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}

/// A statement with all values of a search, its id last.
fn with_values<'a>(statement: &'static str, saved: &'a Saved) -> Query<'a, Sqlite, SqliteArguments> {
    let search = &saved.search;
    sqlx::query(statement)
        .bind(&search.name)
        .bind(&search.query)
        .bind(&search.language)
        .bind(&search.scope)
        .bind(&search.from)
        .bind(&search.to)
        .bind(columns(search))
        .bind(&search.sort)
        .bind(&saved.owner)
        .bind(saved.changed_ms)
        .bind(&saved.id)
}

fn columns(search: &SavedSearch) -> String {
    serde_json::json!(search.columns).to_string()
}

fn read(row: &SqliteRow) -> Result<Saved, StateError> {
    let columns: String = row.try_get("columns")?;
    let columns = serde_json::from_str(&columns).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Saved {
        id: row.try_get("id")?,
        owner: row.try_get("owner")?,
        changed_ms: row.try_get("changed_ms")?,
        search: SavedSearch {
            name: row.try_get("name")?,
            query: row.try_get("query")?,
            language: row.try_get("language")?,
            scope: row.try_get("scope")?,
            from: row.try_get("range_from")?,
            to: row.try_get("range_to")?,
            columns,
            sort: row.try_get("sort")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::{COLUMNS_MAX, QUERY_BYTES_MAX, TEXT_CHARS_MAX};

    fn slow(name: &str) -> SavedSearch {
        SavedSearch {
            name: name.to_owned(),
            query: "tag: \"slow_request\"".to_owned(),
            language: "kql".to_owned(),
            scope: "request".to_owned(),
            from: "now-1h".to_owned(),
            to: "now".to_owned(),
            columns: vec!["duration_ms".to_owned()],
            sort: "duration_ms:desc".to_owned(),
        }
    }

    #[tokio::test]
    async fn searches_are_kept_changed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let Keeping::Done(made) = state.save_search(&slow("slow"), "admin").await.unwrap() else { panic!("not kept") };
        assert_eq!(state.saved().await.unwrap(), std::slice::from_ref(&*made));
        assert_eq!(state.save_search(&slow("slow"), "admin").await.unwrap(), Keeping::NameTaken);
        state.save_search(&slow("another"), "admin").await.unwrap();
        assert_eq!(state.change_saved(&made.id, &slow("another"), "x").await.unwrap(), Keeping::NameTaken);
        let Keeping::Done(changed) = state.change_saved(&made.id, &slow("slower"), "x").await.unwrap() else {
            panic!("not changed")
        };
        assert_eq!((changed.search.name.as_str(), changed.owner.as_str()), ("slower", "x"));
        assert_eq!(state.change_saved("nobody", &slow("new"), "x").await.unwrap(), Keeping::Unknown);
        assert!(state.remove_saved(&made.id).await.unwrap());
        assert!(!state.remove_saved(&made.id).await.unwrap());
        assert_eq!(state.saved().await.unwrap().len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(slow("a").check(), Ok(()));
        let wrong = [
            ("name", SavedSearch { name: " ".into(), ..slow("a") }),
            ("name", SavedSearch { name: "a\u{1b}".into(), ..slow("a") }),
            ("query", SavedSearch { query: "x".repeat(QUERY_BYTES_MAX + 1), ..slow("a") }),
            ("language", SavedSearch { language: "sql".into(), ..slow("a") }),
            ("columns", SavedSearch { columns: vec!["a".into(); COLUMNS_MAX + 1], ..slow("a") }),
            ("scope", SavedSearch { from: "x".repeat(TEXT_CHARS_MAX + 1), ..slow("a") }),
        ];
        for (member, search) in wrong {
            assert!(search.check().unwrap_err().starts_with(&format!("`{member}`")), "{member}");
        }
    }
}
