//! The two tasks by which everything here is done.

use tollhouse_tasks::Definition;

use crate::settings::Settings;

/// The task of a batch.
pub(crate) const BATCH: &str = "batch";
/// The task of a deferred request.
pub(crate) const LATER: &str = "later";

/// Both.
///
/// # Panics
/// Never: the tests read both.
pub(crate) fn all(settings: &Settings) -> [Definition; 2] {
    let read = |name: &str, text: &str| {
        Definition::read(&format!("{name}.yaml"), text).unwrap_or_else(|errors| panic!("the task {name}: {errors}"))
    };
    [read(BATCH, &batch(settings)), read(LATER, &later(settings))]
}

/// Reads all lines, asks them part by part, and writes the answers. Its own time bounds are wider than any batch's window, which is
/// looked at line by line.
fn batch(settings: &Settings) -> String {
    format!(
        r#"
concurrency: {}
timeout: 720h
input: {{id: ""}}
steps:
  - {{name: read, run: {{command: [read, "{{{{ input.id }}}}"], idempotent: true}}, timeout: 1h, retries: {{times: 8, delay: 5s}}}}
  - name: ask
    each: read.parts
    at_once: {}
    run: {{command: [ask, "{{{{ input.id }}}}", "{{{{ item }}}}"], idempotent: true}}
    timeout: 720h
    retries: {{times: 20, delay: 5s}}
  - {{name: finish, run: {{command: [finish, "{{{{ input.id }}}}"], idempotent: true}}, timeout: 6h, retries: {{times: 20, delay: 5s}}}}
on_failure:
  - {{name: give_up, run: {{command: [give_up, "{{{{ input.id }}}}", "{{{{ error.message }}}}"], idempotent: true}}}}
"#,
        settings.batches_at_once, settings.at_once
    )
}

/// Asks, and tells by the webhook, if there is one.
fn later(settings: &Settings) -> String {
    format!(
        r#"
concurrency: {}
timeout: 720h
input: {{id: ""}}
steps:
  - {{name: answer, run: {{command: [answer, "{{{{ input.id }}}}"], idempotent: true}}, timeout: 720h, retries: {{times: 20, delay: 5s}}}}
  - {{name: tell, run: {{command: [tell, "{{{{ input.id }}}}"], idempotent: true}}, timeout: 1m, retries: {{times: 8, delay: 5s}}}}
on_failure:
  - {{name: untold, run: {{command: [untold, "{{{{ input.id }}}}", "{{{{ error.message }}}}"], idempotent: true}}}}
"#,
        settings.later_at_once
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_tasks_can_be_read() {
        let settings = Settings {
            file_bytes_max: 1,
            files_max: 1,
            bytes_max: 1,
            bytes_max_of_all: 1,
            lines_max: 1,
            batches_max: 1,
            batches_at_once: 2,
            at_once: 4,
            keep_days: 1,
            later_max: 1,
            later_at_once: 8,
            later_keep: Duration::from_secs(1),
        };
        let [batch, later] = all(&settings);
        assert_eq!((batch.name.as_str(), batch.concurrency, batch.steps.len()), (BATCH, 2, 3));
        assert_eq!((later.name.as_str(), later.concurrency, later.steps.len()), (LATER, 8, 2));
    }
}
