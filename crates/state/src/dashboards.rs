//! Dashboards: panels over searches, kept for everybody.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use utoipa::ToSchema;

use crate::named::{ID_CHARS, Keeping, demand, demand_columns, demand_query, is_name, is_text};
use crate::{State, StateError, now_ms, random_token};

/// Dashboards that are kept.
pub const DASHBOARDS_MAX: usize = 200;
/// Panels of one dashboard.
pub const PANELS_MAX: usize = 40;
/// Columns of the grid on which panels stand.
const WIDTH_MAX: u8 = 12;
/// Rows that a panel may take.
const HEIGHT_MAX: u8 = 12;

/// How a panel shows what it finds.
const VIEWS: [&str; 7] = ["area", "line", "bars", "table", "heat", "number", "searches"];
/// What is made of the records: their number, or of a field's values.
const MEASURES: [&str; 8] = ["count", "avg", "sum", "min", "max", "p50", "p95", "p99"];

/// What is looked at together.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// A name for people; no two have the same.
    pub name: String,
    /// In the order in which they are read.
    pub panels: Vec<Panel>,
    /// Begin of the time range that it opens with: date math on `now`, or RFC 3339; empty means the usual one.
    #[serde(default)]
    pub from: String,
    /// Its end.
    #[serde(default)]
    pub to: String,
}

/// One view of a search.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// A name for people.
    pub title: String,
    /// `area`, `line`, `bars`, `table`, `heat`, `number`, or `searches` for the list of saved searches.
    pub view: String,
    /// Id of a saved search whose records are shown; its query, language and kind stand in place of those below.
    #[serde(default)]
    pub saved: String,
    /// In the language beside it; may be empty.
    #[serde(default)]
    pub query: String,
    /// `lucene` or `kql`.
    #[serde(default = "lucene")]
    pub language: String,
    /// Kind of the records, such as `request` or `log`; empty means all.
    #[serde(default)]
    pub scope: String,
    /// `count`, or what is made of `field`: `avg`, `sum`, `min`, `max`, `p50`, `p95`, `p99`.
    #[serde(default = "count")]
    pub measure: String,
    /// The field that is measured.
    #[serde(default)]
    pub field: String,
    /// The field by whose values records are told apart: curves, rows of a table of groups or of a heat map.
    #[serde(default)]
    pub by: String,
    /// The field of a heat map's columns.
    #[serde(default)]
    pub across: String,
    /// Seconds that a point of a curve covers; 0 means as many as fit the range.
    #[serde(default)]
    pub interval_s: u32,
    /// Whether remarkable points of a curve are marked.
    #[serde(default)]
    pub peaks: bool,
    /// Fields of a table of records; empty means the usual ones.
    #[serde(default)]
    pub columns: Vec<String>,
    /// `field:asc` or `field:desc`; empty means newest first.
    #[serde(default)]
    pub sort: String,
    /// Columns of the grid of 12.
    #[serde(default = "half")]
    pub width: u8,
    /// Rows of the grid.
    #[serde(default = "usual_height")]
    pub height: u8,
}

fn lucene() -> String {
    "lucene".to_owned()
}

fn count() -> String {
    "count".to_owned()
}

fn half() -> u8 {
    6
}

fn usual_height() -> u8 {
    4
}

/// A dashboard as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct KeptDashboard {
    /// Names it in addresses.
    pub id: String,
    /// Whoever changed it last.
    pub owner: String,
    /// When that was, in milliseconds since 1970.
    pub changed_ms: i64,
    /// The dashboard itself.
    #[serde(flatten)]
    pub dashboard: Dashboard,
}

impl Dashboard {
    /// Whether it makes sense; says what does not.
    ///
    /// # Errors
    /// The name of the member, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        demand(is_name(&self.name), || "`name` must be a text of 1 to 200 characters".into())?;
        demand(is_text(&self.from) && is_text(&self.to), || {
            "`from` and `to` must not be longer than 200 characters".into()
        })?;
        demand(self.panels.len() <= PANELS_MAX, || format!("`panels` must be at most {PANELS_MAX}"))?;
        self.panels
            .iter()
            .enumerate()
            .try_for_each(|(number, panel)| panel.check().map_err(|words| format!("panel {}: {words}", number + 1)))
    }
}

impl Panel {
    fn check(&self) -> Result<(), String> {
        demand(is_text(&self.title), || "`title` must not be longer than 200 characters".into())?;
        demand(VIEWS.contains(&self.view.as_str()), || format!("`view` must be one of: {}", VIEWS.join(", ")))?;
        demand_query(&self.query, &self.language)?;
        let measures = MEASURES.contains(&self.measure.as_str());
        demand(measures, || format!("`measure` must be one of: {}", MEASURES.join(", ")))?;
        let has_field = self.measure == "count" || !self.field.is_empty();
        demand(has_field, || "`field` must say what is measured".into())?;
        let heat = self.view != "heat" || !(self.by.is_empty() || self.across.is_empty());
        demand(heat, || "a heat map needs `by` and `across`".into())?;
        demand_columns(&self.columns)?;
        let texts = [&self.saved, &self.scope, &self.field, &self.by, &self.across, &self.sort];
        let texts = texts.into_iter().chain(&self.columns).all(|text| is_text(text));
        demand(texts, || "names of fields and kinds must not be longer than 200 characters".into())?;
        let place = (1..=WIDTH_MAX).contains(&self.width) && (1..=HEIGHT_MAX).contains(&self.height);
        demand(place, || "`width` must be 1 to 12, and `height`, too".into())
    }
}

impl State {
    /// All dashboards, by name.
    pub async fn dashboards(&self) -> Result<Vec<KeptDashboard>, StateError> {
        let rows = sqlx::query("SELECT * FROM dashboards ORDER BY name LIMIT ?")
            .bind(DASHBOARDS_MAX as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Keeps a dashboard under a new id.
    pub async fn keep_dashboard(
        &self,
        dashboard: &Dashboard,
        owner: &str,
    ) -> Result<Keeping<KeptDashboard>, StateError> {
        let kept = kept(random_token(ID_CHARS), dashboard, owner);
        // Counted and written in one statement: two who keep one at once cannot both take the last place.
        let insert = "INSERT INTO dashboards (name, panels, range_from, range_to, owner, changed_ms, id)
                      SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM dashboards) < ?";
        let written = sqlx::query(insert)
            .bind(&dashboard.name)
            .bind(panels(dashboard))
            .bind(&dashboard.from)
            .bind(&dashboard.to)
            .bind(&kept.owner)
            .bind(kept.changed_ms)
            .bind(&kept.id)
            .bind(DASHBOARDS_MAX as i64)
            .execute(&self.pool)
            .await;
        Keeping::of(written, kept, Keeping::Full)
    }

    /// Puts a dashboard in the place of the one with this id.
    pub async fn change_dashboard(
        &self,
        id: &str,
        dashboard: &Dashboard,
        owner: &str,
    ) -> Result<Keeping<KeptDashboard>, StateError> {
        let kept = kept(id.to_owned(), dashboard, owner);
        let update = "UPDATE dashboards SET name = ?, panels = ?, range_from = ?, range_to = ?, owner = ?, changed_ms = ? WHERE id = ?";
        let written = sqlx::query(update)
            .bind(&dashboard.name)
            .bind(panels(dashboard))
            .bind(&dashboard.from)
            .bind(&dashboard.to)
            .bind(&kept.owner)
            .bind(kept.changed_ms)
            .bind(id)
            .execute(&self.pool)
            .await;
        Keeping::of(written, kept, Keeping::Unknown)
    }

    /// Removes a dashboard; `false` when there is none with this id.
    pub async fn remove_dashboard(&self, id: &str) -> Result<bool, StateError> {
        let done = sqlx::query("DELETE FROM dashboards WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}

fn kept(id: String, dashboard: &Dashboard, owner: &str) -> KeptDashboard {
    KeptDashboard { id, owner: owner.to_owned(), changed_ms: now_ms(), dashboard: dashboard.clone() }
}

fn panels(dashboard: &Dashboard) -> String {
    serde_json::json!(dashboard.panels).to_string()
}

fn read(row: &SqliteRow) -> Result<KeptDashboard, StateError> {
    let panels: String = row.try_get("panels")?;
    let panels = serde_json::from_str(&panels).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(KeptDashboard {
        id: row.try_get("id")?,
        owner: row.try_get("owner")?,
        changed_ms: row.try_get("changed_ms")?,
        dashboard: Dashboard {
            name: row.try_get("name")?,
            panels,
            from: row.try_get("range_from")?,
            to: row.try_get("range_to")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(name: &str) -> Dashboard {
        let panel =
            serde_json::json!({"title": "rate", "view": "area", "scope": "request", "interval_s": 60, "peaks": true});
        Dashboard { name: name.into(), panels: vec![serde_json::from_value(panel).unwrap()], ..Dashboard::default() }
    }

    #[tokio::test]
    async fn dashboards_are_kept_changed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let Keeping::Done(first) = state.keep_dashboard(&board("b"), "admin").await.unwrap() else {
            panic!("not kept")
        };
        assert_eq!(state.keep_dashboard(&board("b"), "admin").await.unwrap(), Keeping::NameTaken);
        state.keep_dashboard(&board("a"), "admin").await.unwrap();
        let names = state.dashboards().await.unwrap().into_iter().map(|kept| kept.dashboard.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
        assert!(matches!(state.change_dashboard(&first.id, &board("c"), "amy").await.unwrap(), Keeping::Done(_)));
        assert_eq!(state.dashboards().await.unwrap()[1].dashboard, board("c"));
        assert_eq!(state.change_dashboard(&first.id, &board("a"), "amy").await.unwrap(), Keeping::NameTaken);
        assert_eq!(state.change_dashboard("none", &board("d"), "amy").await.unwrap(), Keeping::Unknown);
        assert!(state.remove_dashboard(&first.id).await.unwrap() && !state.remove_dashboard(&first.id).await.unwrap());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (change, words) in [
            (serde_json::json!({"view": "pie"}), "panel 1: `view` must be one of"),
            (serde_json::json!({"measure": "avg"}), "panel 1: `field` must say"),
            (serde_json::json!({"view": "heat"}), "panel 1: a heat map needs"),
            (serde_json::json!({"width": 13}), "panel 1: `width` must be"),
            (serde_json::json!({"language": "sql"}), "panel 1: `language` must be"),
        ] {
            let mut panel = serde_json::json!({"title": "a", "view": "area"});
            panel.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let panels = vec![serde_json::from_value(panel).unwrap()];
            let wrong = Dashboard { panels, ..board("a") }.check().unwrap_err();
            assert!(wrong.starts_with(words), "{wrong}");
        }
        assert!(board(" ").check().is_err());
        board("a").check().unwrap();
    }
}
