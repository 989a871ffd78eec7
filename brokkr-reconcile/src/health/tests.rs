use serde_json::{Value, json};

use crate::health::*;

fn samples() -> Vec<(String, Value)> {
    let samples: Vec<Value> = serde_saphyr::from_str(include_str!("samples.yaml")).expect("the samples are YAML");
    samples
        .into_iter()
        .map(|mut sample| {
            (sample["expected"].as_str().expect("an expected health").to_owned(), sample["object"].take())
        })
        .collect()
}

fn group_kind(object: &Value) -> (&str, &str) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    (text("apiVersion").split_once('/').map_or("", |(group, _)| group), text("kind"))
}

fn assess_sample(object: &Value) -> ObjectHealth {
    let (group, kind) = group_kind(object);
    assess(group, kind, object)
}

fn state_and_reason(health: &ObjectHealth) -> String {
    let word = serde_json::to_value(health.health).expect("a word");
    format!("{} {}", word.as_str().unwrap_or_default(), health.reason).trim().to_owned()
}

#[test]
fn samples_have_the_expected_health() {
    let samples = samples();
    assert!(samples.len() >= 60, "{} samples", samples.len());
    for (expected, object) in samples {
        let health = assess_sample(&object);
        let (kind, name) = (object["kind"].as_str(), object["metadata"]["name"].as_str());
        assert_eq!(state_and_reason(&health), expected, "{kind:?} {name:?}: {health:?}");
    }
}

#[test]
fn kinds_without_status_are_healthy() {
    let mut qualifying = 0;
    for (_, object) in samples() {
        let (group, kind) = group_kind(&object);
        if !has_health(group, kind) && !meta::is_deleting(&object) && object["status"]["observedGeneration"].is_null() {
            assert_eq!(assess_sample(&object).health, Health::Healthy, "{object}");
            qualifying += 1;
        }
    }
    assert!(qualifying > 0, "no sample has a kind without status");
}

#[test]
fn malformed_status_does_not_panic() {
    let strange = [json!(null), json!(7), json!("x"), json!([[]]), json!({"a": {}}), json!(-1), json!(u64::MAX)];
    for (_, object) in samples() {
        for value in &strange {
            for field in ["status", "spec", "metadata"] {
                let mut object = object.clone();
                object[field] = value.clone();
                assess_sample(&object);
            }
            for member in object["status"].as_object().into_iter().flat_map(|status| status.keys()) {
                let mut object = object.clone();
                object["status"][member] = value.clone();
                assess_sample(&object);
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
fn crash_loop_reports_the_exit_code_and_the_log() {
    let pod = |last: Value, message: &str| {
        let waiting = json!({"reason": "CrashLoopBackOff", "message": message});
        let container = json!({"name": "web", "restartCount": 4, "state": {"waiting": waiting}, "lastState": last});
        let status = json!({"phase": "Running", "containerStatuses": [container]});
        assess_sample(
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "status": status}),
        )
        .message
    };
    let log = "Fix: read the log: `kubectl logs -n n p -c web --previous`.";
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no config"}});
    let exits = |message: &str| format!("container web {message}. {log}");
    assert_eq!(pod(ended, "back-off 10s"), exits("exited with code 3 (Error): no config, 4 restarts"));
    assert_eq!(pod(json!({"terminated": {"exitCode": 1}}), "back-off"), exits("exited with code 1, 4 restarts"));
    assert_eq!(pod(json!({}), "back-off"), exits("exits soon after each start, 4 restarts"));
}

#[test]
fn pod_problems_have_a_fix() {
    let pod = |status: Value| {
        assess_sample(
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "status": status}),
        )
        .message
    };
    let waits = |reason: &str, message: &str| {
        let container = json!({"name": "web", "state": {"waiting": {"reason": reason, "message": message}}});
        pod(json!({"phase": "Pending", "containerStatuses": [container]}))
    };
    let ended = json!({"name": "web", "state": {"terminated": {"exitCode": 7, "reason": "Error"}}});
    let nodes = "0/1 nodes are available: ";
    let unscheduled = |message: &str| {
        let message = format!("{nodes}{message}");
        pod(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}),
        )
    };
    let eviction = ". no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    for (message, expected) in [
        (
            waits("CreateContainerConfigError", "configmap \"c\" not found"),
            "container web: ConfigMap n/c does not exist. Fix: add it to the stack, or correct the reference.".to_owned(),
        ),
        (
            waits("CreateContainerConfigError", "secret \"s\" not found"),
            "container web: Secret n/s does not exist. Fix: add it to the stack, or correct the reference.".to_owned(),
        ),
        (
            waits("ErrImagePull", "pull of r.example/a: denied"),
            "container web: pull of r.example/a: denied. Fix: correct the image, or give the cluster access to the registry.".to_owned(),
        ),
        (waits("CreateContainerError", ""), "container web: CreateContainerError".to_owned()),
        (
            pod(json!({"phase": "Failed", "containerStatuses": [ended]})),
            "container web exited with code 7 (Error). Fix: read the log: `kubectl logs -n n p -c web`.".to_owned(),
        ),
        (
            unscheduled(&format!("1 Insufficient memory{eviction}")),
            format!("{nodes}1 Insufficient memory. Fix: lower the requests, or add a node."),
        ),
        (
            unscheduled(&format!("1 node(s) didn't match Pod's node affinity/selector{eviction}")),
            format!("{nodes}1 node(s) didn't match Pod's node affinity/selector. Fix: correct nodeSelector or affinity, or label a node."),
        ),
        (
            unscheduled("pod has unbound immediate PersistentVolumeClaims. not found"),
            format!("{nodes}pod has unbound immediate PersistentVolumeClaims"),
        ),
    ] {
        assert_eq!(message, expected);
    }
}

#[test]
fn controller_problems_have_a_fix() {
    let assessed = |api_version: &str, kind: &str, spec: Value, condition: (&str, &str, &str)| {
        let (condition, reason, message) = condition;
        let status =
            json!({"conditions": [{"type": condition, "status": "False", "reason": reason, "message": message}]});
        let metadata = json!({"name": "a", "namespace": "n"});
        assess_sample(
            &json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": status}),
        )
        .message
    };
    let scaler = |condition: (&str, &str, &str)| {
        let spec = json!({"scaleTargetRef": {"kind": "Deployment", "name": "gone"}});
        assessed("autoscaling/v2", "HorizontalPodAutoscaler", spec, condition)
    };
    let metrics = "unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)";
    for (message, expected) in [
        (
            scaler(("AbleToScale", "FailedGetScale", "cannot: deployments.apps \"gone\" not found")),
            "its target Deployment n/gone does not exist. Fix: correct scaleTargetRef, or create it.",
        ),
        (
            scaler(("ScalingActive", "FailedGetResourceMetric", metrics)),
            "the cluster does not serve metrics.k8s.io. Fix: install metrics-server.",
        ),
        (scaler(("ScalingActive", "Other", "who knows")), "who knows"),
        (
            assessed(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({}),
                ("NamesAccepted", "PluralConflict", "\"things\" is already in use"),
            ),
            "\"things\" is already in use. Fix: change spec.names.plural, or remove the CustomResourceDefinition of this group that uses the name.",
        ),
        (
            assessed(
                "apiregistration.k8s.io/v1",
                "APIService",
                json!({"service": {"namespace": "n", "name": "s"}}),
                ("Available", "ServiceNotFound", "service/s in \"n\" is not present"),
            ),
            "service/s in \"n\" is not present. Fix: create the Service n/s, or remove the APIService.",
        ),
    ] {
        assert_eq!(message, expected);
    }
}
