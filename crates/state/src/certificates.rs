//! What is known of certificates that are renewed, beside themselves.

use crate::{State, StateError, now_ms};

/// Sites of which something is kept; when there are more, what was not renewed for longest is forgotten.
const SITES_MAX: i64 = 1_000;

impl State {
    /// What is known of a site's certificate, in the form of whoever renews it.
    pub async fn certificate(&self, site: &str) -> Result<Option<String>, StateError> {
        let body = sqlx::query_scalar("SELECT body FROM certificates WHERE site = ?").bind(site);
        Ok(body.fetch_optional(&self.pool).await?)
    }

    /// Keeps this for a site's certificate, in place of what was kept before.
    pub async fn keep_certificate(&self, site: &str, body: &str) -> Result<(), StateError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO certificates (site, body, changed_ms) VALUES (?, ?, ?)")
            .bind(site)
            .bind(body)
            .bind(now_ms())
            .execute(&mut *transaction)
            .await?;
        let drop = "DELETE FROM certificates WHERE site IN \
                    (SELECT site FROM certificates ORDER BY changed_ms DESC, site LIMIT -1 OFFSET ?)";
        sqlx::query(drop).bind(SITES_MAX).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_known_of_certificates_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.certificate("a.example").await.unwrap(), None);
        state.keep_certificate("a.example", "1").await.unwrap();
        state.keep_certificate("a.example", "2").await.unwrap();
        state.close().await;
        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.certificate("a.example").await.unwrap().as_deref(), Some("2"));
    }
}
