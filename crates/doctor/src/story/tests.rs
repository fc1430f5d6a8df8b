//! Stories of records that are made up: their stretches, who ran beside, and the shape that programs get.

use super::*;

fn story(end: &Value) -> Story {
    let mut record = json!({"kind": "request", "request_id": "r", "@timestamp": "2026-01-27T10:00:10.000Z"});
    for (name, value) in end.as_object().unwrap() {
        record[name] = value.clone();
    }
    Story::new("r", vec![json!({"kind": "request.start", "request_id": "r"}), record])
}

fn phases(end: &Value) -> Vec<(&'static str, f64, f64)> {
    story(end).phases().iter().map(|phase| (phase.name, phase.start_ms, phase.duration_ms)).collect()
}

#[test]
fn the_time_is_cut_into_stretches_that_add_up() {
    let whole = json!({"duration_ms": 1000.0, "attempts": 1, "queue_ms": 100.0, "connect_ms": 10.0, "load_ms": 200.0,
                       "prefill_ms": 50.0, "ttft_ms": 400.0, "decode_ms": 550.0});
    assert_eq!(
        phases(&whole),
        [
            ("queue", 0.0, 100.0),
            ("connect", 100.0, 10.0),
            ("server", 110.0, 40.0),
            ("load", 150.0, 200.0),
            ("read", 350.0, 50.0),
            ("write", 400.0, 550.0),
            ("rest", 950.0, 50.0),
        ]
    );
    let mut own = whole;
    own["gateway_ms"] = 30.0.into();
    assert_eq!(
        phases(&own)[..4],
        [("gateway", 0.0, 30.0), ("queue", 30.0, 100.0), ("connect", 130.0, 10.0), ("server", 140.0, 10.0)]
    );
    let no_token = json!({"duration_ms": 1000.0, "attempts": 1, "queue_ms": 100.0, "connect_ms": 10.0});
    assert_eq!(phases(&no_token), [("queue", 0.0, 100.0), ("connect", 100.0, 10.0), ("server", 110.0, 890.0)]);
    assert_eq!(phases(&json!({"duration_ms": 2.0, "attempts": 0})), [("rest", 0.0, 2.0)]);
}

#[test]
fn only_requests_that_ran_meanwhile_are_around() {
    let mut story = story(&json!({"duration_ms": 5000.0, "model_name": "a", "upstream": "local"}));
    let other = |id: &str, at: &str, duration_ms: f64, model: &str, load_ms: f64| {
        json!({"kind": "request", "request_id": id, "@timestamp": at, "duration_ms": duration_ms, "model_name": model,
               "load_ms": load_ms})
    };
    story.meet(&[
        other("r", "2026-01-27T10:00:10.000Z", 5000.0, "a", 0.0),
        other("before", "2026-01-27T10:00:05.000Z", 1000.0, "b", 0.0),
        other("meanwhile", "2026-01-27T10:00:06.000Z", 3000.0, "b", 900.0),
        other("longer", "2026-01-27T10:01:00.000Z", 58_000.0, "a", 1.0),
        other("after", "2026-01-27T10:01:00.000Z", 1000.0, "c", 0.0),
    ]);
    let around = story.around();
    assert_eq!((around.requests, &around.other_models[..], around.loads), (2, &["b".to_owned()][..], 1));
    let told = |other: &Neighbour| (other.request_id.clone(), other.start_ms, other.duration_ms);
    let expected = [("meanwhile".to_owned(), -2000.0, 3000.0), ("longer".to_owned(), -3000.0, 58_000.0)];
    assert_eq!(around.neighbours.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn programs_get_the_documented_shape() {
    let story = story(&json!({"duration_ms": 10.0, "http_status": 200, "attempts": 1, "upstream": "local"}));
    let told = story.to_json();
    let names: Vec<&String> = told.as_object().unwrap().keys().collect();
    for name in ["request_id", "found", "verdict", "phases", "attempts", "records", "lines", "neighbours", "resources"]
    {
        assert!(names.iter().any(|known| *known == name), "{name}");
    }
    assert_eq!(told["verdict"]["cause"], "ok");
    assert_eq!(told["records"].as_array().unwrap().len(), 2);
}
