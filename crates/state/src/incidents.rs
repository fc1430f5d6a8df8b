//! What was told of alerts, until when it was so, and who has taken notice.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use crate::{State, StateError, now_ms};

/// Incidents that are kept; when more come, the oldest that are over make room, then the oldest of all.
pub const INCIDENTS_MAX: i64 = 2_000;

/// One message that said that something began.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incident {
    /// That of the message.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// The message, in its sender's form.
    pub body: String,
    /// Its groups that are not over.
    pub open: Vec<String>,
    /// When it was told, in milliseconds since 1970 UTC.
    pub began_ms: i64,
    /// When the last of its groups was over.
    pub ended_ms: Option<i64>,
    /// When somebody acknowledged it, and who.
    pub acknowledged: Option<(i64, String)>,
    /// When others are told of it, unless somebody acknowledges it before.
    pub escalate_ms: Option<i64>,
    /// When that was done.
    pub escalated_ms: Option<i64>,
}

impl Incident {
    /// One that begins.
    pub fn new(id: &str, rule: &str, body: String, open: Vec<String>, began_ms: i64, escalate_ms: Option<i64>) -> Self {
        Self {
            id: id.to_owned(),
            rule: rule.to_owned(),
            body,
            open,
            began_ms,
            ended_ms: None,
            acknowledged: None,
            escalate_ms,
            escalated_ms: None,
        }
    }
}

impl State {
    /// The incident of this id.
    pub async fn incident(&self, id: &str) -> Result<Option<Incident>, StateError> {
        let row = sqlx::query("SELECT * FROM alert_incidents WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(incident).transpose()
    }

    /// Incidents that are not over, newest first.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, StateError> {
        let query = "SELECT * FROM alert_incidents WHERE ended_ms IS NULL ORDER BY began_ms DESC, id";
        sqlx::query(query).fetch_all(&self.pool).await?.iter().map(incident).collect()
    }

    /// Incidents that began before a moment, newest first.
    pub async fn incidents_before(&self, before_ms: i64, count: i64) -> Result<Vec<Incident>, StateError> {
        let query = "SELECT * FROM alert_incidents WHERE began_ms < ? ORDER BY began_ms DESC, id LIMIT ?";
        let rows = sqlx::query(query).bind(before_ms).bind(count).fetch_all(&self.pool).await?;
        rows.iter().map(incident).collect()
    }

    /// Notes who has seen an incident; the first one counts. `record` tells the journal, in the same moment.
    pub async fn acknowledge_incident(&self, id: &str, by: &str, record: &str) -> Result<Option<Incident>, StateError> {
        let mut transaction = self.pool.begin().await?;
        let update = "UPDATE alert_incidents SET acknowledged_ms = ?, acknowledged_by = ?
                      WHERE id = ? AND acknowledged_ms IS NULL";
        let done = sqlx::query(update).bind(now_ms()).bind(by).bind(id).execute(&mut *transaction).await?;
        if done.rows_affected() > 0 {
            sqlx::query("INSERT INTO alert_outbox (channel, body, created_ms) VALUES ('', ?, ?)")
                .bind(record)
                .bind(now_ms())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.incident(id).await
    }

    /// Incidents that nobody has acknowledged by now, of which others are to be told.
    pub async fn incidents_to_escalate(&self, now_ms: i64) -> Result<Vec<Incident>, StateError> {
        let query = "SELECT * FROM alert_incidents WHERE escalate_ms <= ? AND escalated_ms IS NULL
                     AND acknowledged_ms IS NULL AND ended_ms IS NULL ORDER BY began_ms";
        sqlx::query(query).bind(now_ms).fetch_all(&self.pool).await?.iter().map(incident).collect()
    }

    /// When the next incident is to be told to others.
    pub async fn next_escalation_ms(&self) -> Result<Option<i64>, StateError> {
        let query = "SELECT min(escalate_ms) FROM alert_incidents WHERE escalated_ms IS NULL
                     AND acknowledged_ms IS NULL AND ended_ms IS NULL";
        Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?)
    }

    /// Incidents of rules that are no longer there are over.
    pub async fn end_incidents_but_of(&self, rules: &[&str]) -> Result<(), StateError> {
        for incident in self.open_incidents().await? {
            if !rules.contains(&incident.rule.as_str()) {
                let update = "UPDATE alert_incidents SET ended_ms = ?, open = '[]' WHERE id = ?";
                sqlx::query(update).bind(now_ms()).bind(&incident.id).execute(&self.pool).await?;
            }
        }
        Ok(())
    }

    /// What the watch keeps under a name.
    pub async fn alert_memory(&self, name: &str) -> Result<Option<String>, StateError> {
        let query = "SELECT body FROM alert_memory WHERE name = ?";
        Ok(sqlx::query_scalar(query).bind(name).fetch_optional(&self.pool).await?)
    }
}

/// Adds incidents, and drops those that are too many.
pub(crate) async fn open(transaction: &mut Transaction<'_, Sqlite>, opened: &[Incident]) -> Result<(), StateError> {
    for incident in opened {
        let insert = "INSERT OR IGNORE INTO alert_incidents (id, rule, body, open, began_ms, escalate_ms)
                      VALUES (?, ?, ?, ?, ?, ?)";
        sqlx::query(insert)
            .bind(&incident.id)
            .bind(&incident.rule)
            .bind(&incident.body)
            .bind(serde_json::to_string(&incident.open).unwrap_or_default())
            .bind(incident.began_ms)
            .bind(incident.escalate_ms)
            .execute(&mut **transaction)
            .await?;
    }
    if !opened.is_empty() {
        let drop = "DELETE FROM alert_incidents WHERE id IN (SELECT id FROM alert_incidents
                    ORDER BY ended_ms IS NULL DESC, began_ms DESC LIMIT -1 OFFSET ?)";
        sqlx::query(drop).bind(INCIDENTS_MAX).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// These groups of incidents are over; an incident without any other one is, too.
pub(crate) async fn end(
    transaction: &mut Transaction<'_, Sqlite>,
    ended: &[(String, String)],
) -> Result<(), StateError> {
    let mut by_incident: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, group) in ended {
        by_incident.entry(id).or_default().push(group);
    }
    for (id, groups) in by_incident {
        let query = "SELECT open FROM alert_incidents WHERE id = ?";
        let open: Option<String> = sqlx::query_scalar(query).bind(id).fetch_optional(&mut **transaction).await?;
        let Some(open) = open else { continue };
        let mut open: Vec<String> = serde_json::from_str(&open).unwrap_or_default();
        open.retain(|group| !groups.contains(&group.as_str()));
        let ended_ms = open.is_empty().then(now_ms);
        sqlx::query("UPDATE alert_incidents SET open = ?, ended_ms = coalesce(ended_ms, ?) WHERE id = ?")
            .bind(serde_json::to_string(&open).unwrap_or_default())
            .bind(ended_ms)
            .bind(id)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Others are told of these now.
pub(crate) async fn escalated(transaction: &mut Transaction<'_, Sqlite>, ids: &[String]) -> Result<(), StateError> {
    for id in ids {
        sqlx::query("UPDATE alert_incidents SET escalated_ms = ? WHERE id = ?")
            .bind(now_ms())
            .bind(id)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Keeps what the watch has to remember.
pub(crate) async fn remember(
    transaction: &mut Transaction<'_, Sqlite>,
    memory: &[(String, String)],
) -> Result<(), StateError> {
    for (name, body) in memory {
        sqlx::query("INSERT OR REPLACE INTO alert_memory (name, body) VALUES (?, ?)")
            .bind(name)
            .bind(body)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

fn incident(row: &SqliteRow) -> Result<Incident, StateError> {
    let open: String = row.try_get("open")?;
    let at: Option<i64> = row.try_get("acknowledged_ms")?;
    let by: Option<String> = row.try_get("acknowledged_by")?;
    Ok(Incident {
        id: row.try_get("id")?,
        rule: row.try_get("rule")?,
        body: row.try_get("body")?,
        open: serde_json::from_str(&open).unwrap_or_default(),
        began_ms: row.try_get("began_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        acknowledged: at.zip(by),
        escalate_ms: row.try_get("escalate_ms")?,
        escalated_ms: row.try_get("escalated_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AlertChanges;

    fn told(id: &str, groups: &[&str], began_ms: i64) -> Incident {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Incident::new(id, "r", "{}".to_owned(), groups, began_ms, Some(began_ms + 10))
    }

    #[tokio::test]
    async fn an_incident_goes_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let opened = vec![told("a", &["x", "y"], 100), told("b", &[""], 200)];
        state.keep_alerts(&AlertChanges { opened, ..AlertChanges::default() }).await.unwrap();
        let ids = |incidents: Vec<Incident>| incidents.into_iter().map(|incident| incident.id).collect::<Vec<_>>();
        assert_eq!(ids(state.open_incidents().await.unwrap()), ["b", "a"]);
        assert_eq!(ids(state.incidents_before(200, 9).await.unwrap()), ["a"]);
        assert_eq!(state.next_escalation_ms().await.unwrap(), Some(110));
        assert_eq!(ids(state.incidents_to_escalate(110).await.unwrap()), ["a"]);

        // The first one who acknowledges it counts, and there is one record of that.
        let seen = state.acknowledge_incident("a", "me", "seen").await.unwrap().unwrap();
        assert_eq!(seen.acknowledged.unwrap().1, "me");
        let again = state.acknowledge_incident("a", "you", "seen").await.unwrap().unwrap();
        assert_eq!(again.acknowledged.unwrap().1, "me");
        assert_eq!(state.waiting_alerts("").await.unwrap().len(), 1);
        assert!(state.acknowledge_incident("c", "me", "seen").await.unwrap().is_none());
        assert!(state.incidents_to_escalate(110).await.unwrap().is_empty());

        let over = |id: &str, group: &str| AlertChanges {
            ended: vec![(id.to_owned(), group.to_owned())],
            ..AlertChanges::default()
        };
        state.keep_alerts(&over("a", "x")).await.unwrap();
        assert_eq!(state.incident("a").await.unwrap().unwrap().open, ["y"]);
        state.keep_alerts(&over("a", "y")).await.unwrap();
        assert!(state.incident("a").await.unwrap().unwrap().ended_ms.is_some());
        state.keep_alerts(&AlertChanges { escalated: vec!["b".into()], ..AlertChanges::default() }).await.unwrap();
        assert!(state.incidents_to_escalate(i64::MAX).await.unwrap().is_empty());
        state.end_incidents_but_of(&["other"]).await.unwrap();
        assert!(state.open_incidents().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_oldest_incidents_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let opened = (0..INCIDENTS_MAX + 3).map(|number| told(&number.to_string(), &[""], number)).collect();
        let memory = vec![("m".to_owned(), "1".to_owned())];
        state.keep_alerts(&AlertChanges { opened, memory, ..AlertChanges::default() }).await.unwrap();
        assert_eq!(state.open_incidents().await.unwrap().len() as i64, INCIDENTS_MAX);
        assert!(state.incident("2").await.unwrap().is_none());
        assert_eq!(state.alert_memory("m").await.unwrap().as_deref(), Some("1"));
    }
}
