use serde_json::{Value, json};

use crate::health::*;

fn samples() -> Vec<(String, Value)> {
    let samples: Vec<Value> = serde_saphyr::from_str(include_str!("samples.yaml")).expect("the samples are YAML");
    samples
        .into_iter()
        .map(|mut sample| (sample["is"].as_str().expect("a verdict").to_owned(), sample["object"].take()))
        .collect()
}

fn group_kind(object: &Value) -> (&str, &str) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    (text("apiVersion").split_once('/').map_or("", |(group, _)| group), text("kind"))
}

fn judge(object: &Value) -> ObjectHealth {
    let (group, kind) = group_kind(object);
    assess(group, kind, object)
}

fn state_and_reason(health: &ObjectHealth) -> String {
    let word = serde_json::to_value(health.health).expect("a word");
    format!("{} {}", word.as_str().unwrap_or_default(), health.reason).trim().to_owned()
}

#[test]
fn samples_get_their_documented_health() {
    let samples = samples();
    assert!(samples.len() >= 60, "{} samples", samples.len());
    for (expected, object) in samples {
        let verdict = judge(&object);
        let (kind, name) = (object["kind"].as_str(), object["metadata"]["name"].as_str());
        assert_eq!(state_and_reason(&verdict), expected, "{kind:?} {name:?}: {verdict:?}");
    }
}

#[test]
fn kinds_without_status_are_healthy() {
    for (_, object) in samples() {
        let (group, kind) = group_kind(&object);
        if !has_health(group, kind) && !meta::is_deleting(&object) && object["status"]["observedGeneration"].is_null() {
            assert_eq!(judge(&object).health, Health::Healthy, "{object}");
        }
    }
}

#[test]
fn malformed_status_does_not_panic() {
    let strange = [json!(null), json!(7), json!("x"), json!([[]]), json!({"a": {}}), json!(-1), json!(u64::MAX)];
    for (_, object) in samples() {
        for value in &strange {
            for field in ["status", "spec", "metadata"] {
                let mut object = object.clone();
                object[field] = value.clone();
                judge(&object);
            }
            for member in object["status"].as_object().into_iter().flat_map(|status| status.keys()) {
                let mut object = object.clone();
                object["status"][member] = value.clone();
                judge(&object);
            }
        }
    }
}

#[test]
fn worst_health_wins() {
    use Health::{Degraded, Healthy, Progressing, Suspended};
    assert_eq!(worst([].into_iter()), Healthy);
    assert_eq!(worst([Healthy, Suspended].into_iter()), Suspended);
    assert_eq!(worst([Progressing, Healthy, Suspended].into_iter()), Progressing);
    assert_eq!(worst([Progressing, Degraded, Healthy].into_iter()), Degraded);
}

#[test]
fn crashing_container_names_its_exit() {
    let pod = |last: Value, said: &str| {
        let waiting = json!({"reason": "CrashLoopBackOff", "message": said});
        let container = json!({"name": "web", "state": {"waiting": waiting}, "lastState": last});
        judge(&json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running", "containerStatuses": [container]}}))
            .message
    };
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no config"}});
    assert_eq!(pod(ended, "back-off 10s"), "container web ends with exit code 3 Error: no config");
    assert_eq!(pod(json!({"terminated": {"exitCode": 1}}), "back-off"), "container web ends with exit code 1");
    assert_eq!(pod(json!({}), "back-off"), "container web: back-off");
    assert_eq!(pod(json!({}), ""), "container web: CrashLoopBackOff");
}
