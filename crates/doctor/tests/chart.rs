//! Every check by a healthy installation with one thing changed (`chart.json`): that check says so, and no other one does.

use serde_json::{Value, json};
use tollhouse_doctor::{Facts, Findings, chart, security};

/// RFC 7396: what is named replaces, null takes away.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(target.as_object_mut().unwrap().entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn cases() -> Value {
    serde_json::from_str(include_str!("chart.json")).unwrap()
}

fn facts(cases: &Value, patch: &Value) -> Facts {
    let mut healthy = cases["healthy"].clone();
    merge(&mut healthy, patch);
    // One server is patched as an object, since a patch replaces lists whole.
    if let Some(server) = healthy.as_object_mut().unwrap().remove("server") {
        healthy["servers"] = json!([server]);
    }
    serde_json::from_value(healthy).unwrap_or_else(|error| panic!("{patch}: {error}"))
}

fn troubles(findings: &Findings) -> Vec<String> {
    findings.troubles().map(|check| format!("{} {} {}", check.id, check.code, check.status.as_str())).collect()
}

fn run(name: &str, judge: fn(&Facts) -> Findings) {
    const DOC: &str = include_str!("../../../docs/doctor.md");
    let cases = cases();
    assert_eq!(troubles(&judge(&facts(&cases, &json!({})))), [""; 0], "the healthy one");
    for case in cases[name].as_array().unwrap() {
        let findings = judge(&facts(&cases, &case["patch"]));
        let expected: Vec<&str> =
            case["expect"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(troubles(&findings), expected, "{}", case["case"]);
        for check in &findings.0 {
            assert!(DOC.contains(&format!("`{}`", check.id)), "{} is not in docs/doctor.md", check.id);
            if check.status >= tollhouse_doctor::Status::Warn {
                assert!(DOC.contains(&format!("`{}`", check.code)), "{} is not in docs/doctor.md", check.code);
                assert!(
                    check.fix.as_ref().is_some_and(|fix| !fix.text().is_empty() && !fix.said().is_empty()),
                    "{}",
                    check.id
                );
            }
        }
    }
}

#[test]
fn each_trouble_of_the_chart_is_named_alone() {
    run("chart", chart);
}

#[test]
fn each_trouble_of_the_defence_is_named_alone() {
    run("security", security);
}

#[test]
fn the_exit_status_is_that_of_the_worst() {
    let cases = cases();
    let of = |patch: Value| chart(&facts(&cases, &patch)).exit_status();
    assert_eq!(of(json!({})), 0);
    assert_eq!(of(json!({"book": {"dead": 1}})), 1);
    assert_eq!(of(json!({"book": {"dead": 1}, "gate": {"keys": 0}})), 2);
    let told = chart(&facts(&cases, &json!({"gate": {"keys": 0}}))).to_json();
    assert_eq!(told["status"], "fault");
    let check = told["checks"].as_array().unwrap().iter().find(|check| check["id"] == "gate.keys").unwrap();
    assert_eq!((&check["status"], &check["area"], &check["code"]), (&json!("fault"), &json!("gate"), &json!("none")));
}
