//! Definitions that come along, to begin with.

use tollhouse_console::TaskTemplate;

/// Name, and the file.
const TEMPLATES: [(&str, &str); 5] = [
    ("daily-report", include_str!("../../templates/daily-report.yaml")),
    ("nightly-quality", include_str!("../../templates/nightly-quality.yaml")),
    ("weekly-log-digest", include_str!("../../templates/weekly-log-digest.yaml")),
    ("model-warm-up", include_str!("../../templates/model-warm-up.yaml")),
    ("backup", include_str!("../../templates/backup.yaml")),
];

/// All of them. The first line of each says what it does.
pub(crate) fn all() -> Vec<TaskTemplate> {
    let template = |(name, text): (&str, &str)| TaskTemplate {
        name: name.to_owned(),
        title: text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned(),
        text: text.to_owned(),
    };
    TEMPLATES.map(template).to_vec()
}

#[cfg(test)]
mod tests {
    use tollhouse_tasks::Definition;

    use super::*;

    #[test]
    fn every_template_can_be_run_as_it_is() {
        for template in all() {
            let read = Definition::read(&format!("{}.yaml", template.name), &template.text);
            let definition = read.unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(definition.name, template.name);
            assert!(!template.title.is_empty() && definition.schedule.is_some(), "{}", template.name);
        }
    }
}
