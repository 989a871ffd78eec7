//! Autoscalers and disruption budgets.

use std::collections::BTreeMap;

use brokkr_core::model::{LabelSelector, ObjectRef};
use serde_json::{Value, json};

use super::{Objects, condition, number, set_status, text, wanted_replicas};

/// Reports an autoscaler that keeps the current replicas of its target, because no load is measured here.
pub(super) fn autoscaler(key: &ObjectRef, object: &mut Value, objects: &Objects) {
    let target = ObjectRef {
        group: text(object, "/spec/scaleTargetRef/apiVersion").split_once('/').map_or("", |it| it.0).to_owned(),
        kind: text(object, "/spec/scaleTargetRef/kind").to_owned(),
        namespace: key.namespace.clone(),
        name: text(object, "/spec/scaleTargetRef/name").to_owned(),
    };
    let Some(target) = objects.get(&target) else {
        let message = format!("the HPA controller was unable to get the target's current scale: {target} not found");
        set_status(object, json!({"conditions": [condition("AbleToScale", false, "FailedGetScale", &message)]}));
        return;
    };
    let replicas = wanted_replicas(target);
    let active = if replicas == 0 {
        condition("ScalingActive", false, "ScalingDisabled", "scaling is disabled since the replica count is zero")
    } else {
        condition("ScalingActive", true, "ValidMetricFound", "the HPA was able to calculate a replica count")
    };
    let status = json!({
        "observedGeneration": object["metadata"]["generation"],
        "currentReplicas": replicas,
        "desiredReplicas": replicas,
        "conditions": [condition("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size"), active],
    });
    set_status(object, status);
}

/// Counts the pods of the workloads whose template matches the budget's selector.
pub(super) fn disruption_budget(key: &ObjectRef, object: &mut Value, objects: &Objects) {
    let selects =
        |workload: &Value| selects(&object["spec"]["selector"], workload.pointer("/spec/template/metadata/labels"));
    let workloads = objects.iter().filter(|(it, _)| it.group == "apps" && it.namespace == key.namespace);
    let selected: Vec<&Value> = workloads.map(|(_, workload)| workload).filter(|it| selects(it)).collect();
    let pods = |pointer: &str| selected.iter().filter_map(|it| number(it, pointer)).sum::<i64>();
    let expected = pods("/status/replicas") + pods("/status/desiredNumberScheduled");
    let healthy = pods("/status/readyReplicas") + pods("/status/numberReady");
    let desired = match (object.pointer("/spec/minAvailable"), object.pointer("/spec/maxUnavailable")) {
        (Some(least), _) => share(least, expected),
        (None, Some(most)) => (expected - share(most, expected)).max(0),
        (None, None) => (expected - 1).max(0),
    };
    let allowed = (healthy - desired).max(0);
    let disruption = if allowed > 0 {
        condition("DisruptionAllowed", true, "SufficientPods", "")
    } else {
        condition("DisruptionAllowed", false, "InsufficientPods", "")
    };
    let status = json!({
        "observedGeneration": object["metadata"]["generation"],
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "conditions": [disruption],
    });
    set_status(object, status);
}

/// Returns a number of pods, or a percentage of them, rounded up like Kubernetes.
fn share(value: &Value, of: i64) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    match (value.as_i64(), percent) {
        (Some(number), _) => number,
        (None, Some(percent)) => (percent.clamp(0, 100) * of + 99) / 100,
        (None, None) => 0,
    }
}

/// Whether a selector matches labels. As in `policy/v1`, an empty selector matches everything, an absent one nothing.
fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let Some(selector) = selector.as_object() else { return false };
    let texts = |value: Option<&Value>| -> BTreeMap<String, String> {
        let map = value.and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(key, it)| Some((key.clone(), it.as_str()?.to_owned()))).collect()
    };
    let labels = texts(labels);
    let mut requirements: Vec<String> =
        texts(selector.get("matchLabels")).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let values = expression["values"].as_array();
        let values: Vec<&str> = values.into_iter().flatten().filter_map(Value::as_str).collect();
        let (key, values) = (text(expression, "/key"), values.join(","));
        requirements.push(match text(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    requirements.join(",").parse::<LabelSelector>().is_ok_and(|selector| selector.matches(&labels))
}
