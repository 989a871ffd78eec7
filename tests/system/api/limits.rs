//! The table of limits at its borders: one below and the limit itself are taken, one more is refused.

use axum::body::Body;
use brokkr_core::model::limits;
use serde_json::{Value, json};

use crate::support::{Api, Reply};

async fn at_the_border<F: Future<Output = Reply>>(what: &str, limit: usize, send: impl Fn(usize) -> F) {
    for n in [limit - 1, limit] {
        let reply = send(n).await;
        assert!(reply.status.is_success(), "{what}, {n}: {reply:?}");
    }
    let reply = send(limit + 1).await;
    assert!(reply.status.is_client_error(), "{what}, {} are too many: {reply:?}", limit + 1);
    reply.slug();
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn texts() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, _) = api.agent("edge", json!({})).await;
    at_the_border("description", limits::DESCRIPTION_BYTES, |n| {
        api.send("PUT", "/stacks/by-name/web", json!({"description": text(n)}))
    })
    .await;
    at_the_border("message", limits::MESSAGE_BYTES, |n| {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("n{n}")}});
        let (api, path) = (&api, format!("/stacks/{stack}/deployment-objects"));
        async move { api.send("POST", &path, json!({"manifests": [manifest], "message": text(n)})).await }
    })
    .await;
    at_the_border("cluster name", limits::SHORT_TEXT_BYTES, |n| {
        api.send("POST", "/agents", json!({"name": format!("a{n}"), "cluster_name": text(n)}))
    })
    .await;
    at_the_border("selector", limits::SELECTOR_TERMS, |n| {
        let terms: Vec<Value> = (0..n).map(|n| json!({"key": format!("k{n}"), "operator": "Exists"})).collect();
        api.send("PUT", "/stacks/by-name/web", json!({"targeting": {"match_expressions": terms}}))
    })
    .await;
    at_the_border("values", limits::SELECTOR_TERMS, |n| {
        let values: Vec<String> = (0..n).map(|n| format!("v{n}")).collect();
        let term = json!({"key": "k", "operator": "In", "values": values});
        api.send("PUT", "/stacks/by-name/web", json!({"targeting": {"match_expressions": [term]}}))
    })
    .await;
    let path = format!("/agents/{agent}/rotate-pak");
    at_the_border("overlap", limits::ROTATION_OVERLAP_SECONDS as usize, |n| {
        let (api, path) = (&api, path.clone());
        async move { api.send("POST", &path, json!({"overlap_seconds": n})).await }
    })
    .await;
}

#[tokio::test]
async fn bodies() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let padded = |text: String, bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    let post = async |path: &str, kind: &str, body: String| {
        api.call(&api.admin, "POST", &format!("/api/v1{path}"), &[("content-type", kind)], Body::from(body)).await
    };
    at_the_border("small body", limits::SMALL_BODY_BYTES, |n| {
        post("/stacks", "application/json", padded(format!(r#"{{"name":"s{n}"}}"#), n))
    })
    .await;
    let path = format!("/stacks/{stack}/deployment-objects");
    let manifest = |n: usize| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\n#");
    at_the_border("YAML", limits::BODY_BYTES, |n| post(&path, "application/yaml", padded(manifest(n), n))).await;
    let manifests = |n: usize| json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("j{n}")}}]});
    at_the_border("JSON", limits::BODY_BYTES, |n| post(&path, "application/json", padded(manifests(n).to_string(), n)))
        .await;
}

#[tokio::test]
async fn keys_registrations_and_waits() {
    let api = Api::new().await;
    let id = api.send("POST", "/generators", json!({"name": "ci"})).await.text("/generator/id");
    // One exists from the beginning.
    for n in 2..=limits::KEYS_PER_PRINCIPAL + 1 {
        let reply = api.send("POST", &format!("/generators/{id}/keys"), json!({"name": format!("k{n}")})).await;
        assert_eq!(reply.status.is_success(), n <= limits::KEYS_PER_PRINCIPAL, "{n}: {reply:?}");
    }
    let mut generators = Vec::new();
    for n in 0..=limits::REGISTRATIONS {
        generators.push(api.send("POST", "/generators", json!({"name": format!("g{n}")})).await.text("/generator/id"));
    }
    at_the_border("registrations", limits::REGISTRATIONS, |n| {
        api.send("POST", "/agents", json!({"name": format!("a{n}"), "generator_ids": generators[..n]}))
    })
    .await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    at_the_border("wait", limits::POLL_WAIT_SECONDS as usize, |n| {
        let (api, pak, path) = (&api, &pak, format!("/agents/{agent}/target-state?wait={n}"));
        async move { api.get_as(pak, &path).await }
    })
    .await;
}

#[tokio::test]
async fn reports() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    let path = format!("/agents/{agent}/reports");
    let id = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    let now = "2026-01-01T00:00:00Z";
    let object = json!({"group": "", "kind": "ConfigMap", "namespace": "default", "name": "a"});
    let event = |number: usize, objects: usize| {
        json!({"id": format!("01a1fcd4-803a-75bf-9d5b-{number:012x}"), "stack_id": stack, "action": "apply", "outcome": "failure",
            "objects": vec![object.clone(); objects], "started_at": now, "finished_at": now})
    };
    let condition = |n: usize| json!({"type": format!("C{n}"), "status": "True", "reason": "R", "message": "", "last_transition_at": now});
    let status = |conditions: usize| json!({"stack_id": stack, "conditions": (0..conditions).map(condition).collect::<Vec<_>>()});
    let report = |fields: Value| {
        let mut body = json!({"instance_id": id, "sequence": 1, "cluster_uid": "c"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (api, pak, path) = (&api, &pak, &path);
        async move { api.send_as(pak, "POST", path, body).await }
    };
    at_the_border("events", limits::REPORT_ENTRIES, |n| {
        report(json!({"events": (0..n).map(|n| event(n, 0)).collect::<Vec<_>>()}))
    })
    .await;
    at_the_border("status", limits::REPORT_ENTRIES, |n| report(json!({"status": vec![status(0); n]}))).await;
    at_the_border("held", limits::HELD_STACKS, |n| report(json!({"held": vec![id; n]}))).await;
    at_the_border("capabilities", limits::CAPABILITIES, |n| report(json!({"capabilities": vec!["x"; n]}))).await;
    at_the_border("bytes", limits::REPORT_BYTES, |n| {
        let text = json!({"instance_id": id, "sequence": 1, "cluster_uid": "c"}).to_string();
        let body = format!("{text}{}", " ".repeat(n - text.len()));
        let (api, pak, path) = (&api, &pak, format!("/api/v1{path}"));
        async move { api.call(pak, "POST", &path, &[("content-type", "application/json")], body).await }
    })
    .await;
    at_the_border("objects", limits::EVENT_OBJECTS, |n| report(json!({"events": [event(1, n)]}))).await;
    at_the_border("retained", limits::EVENT_OBJECTS, |n| {
        let mut event = event(1, 0);
        event["retained"] = json!(vec![&object; n]);
        report(json!({"events": [event]}))
    })
    .await;
    at_the_border("conditions", limits::CONDITIONS, |n| report(json!({"status": [status(n)]}))).await;
}
