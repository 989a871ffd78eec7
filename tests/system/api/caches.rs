//! No response of the API may be stored: it may hold a secret.

use axum::body::Body;
use serde_json::json;

use super::access::{filled, operations};
use crate::support::{Api, Reply};

fn check(what: &str, reply: &Reply) {
    let controls: Vec<_> = reply.headers.get_all("cache-control").iter().collect();
    assert_eq!(controls, ["no-store"], "{what}: {reply:?}");
}

#[tokio::test]
async fn no_answer_of_any_operation_may_be_stored() {
    let api = Api::new().await;
    let mut seen = 0;
    for (method, path) in operations().iter().filter(|(_, path)| path.starts_with("/api/v1/")) {
        let body = if matches!(method.as_str(), "GET" | "DELETE") { "" } else { "{}" };
        for key in [&api.admin, "nothing"] {
            let reply = api.call(key, method, &filled(path), &[("content-type", "application/json")], body).await;
            check(&format!("{method} {path}"), &reply);
            seen += 1;
        }
    }
    assert!(seen > 90, "{seen}");
    check("unknown path", &api.get("/nothing").await);
    check("unknown method", &api.call(&api.admin, "PUT", "/api/v1/stacks", &[], Body::empty()).await);
}

#[tokio::test]
async fn no_answer_with_a_secret_may_be_stored() {
    let api = Api::new().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    for replayed in [false, true] {
        let body = json!({"name": "edge", "labels": {"env": "prod"}}).to_string();
        let created = api.call(&api.admin, "POST", "/api/v1/agents", &headers, body).await;
        assert_eq!((created.status.as_u16(), created.json()["pak"].is_null()), (201, replayed), "{created:?}");
        check("new agent", &created);
    }
    let (agent, key) = api.agent("other", json!({"env": "prod"})).await;
    check("new generator", &api.send("POST", "/generators", json!({"name": "ci"})).await);
    let made = api.send("POST", "/keys", json!({"name": "second"})).await;
    check("new key", &made);
    check("rotated", &api.send("POST", &format!("/keys/{}/rotate", made.text("/key/id")), json!({})).await);
    let stack = api.send("POST", "/stacks", json!({"name": "web", "labels": {"env": "prod"}})).await.text("/id");
    let yaml = "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {password: hunter2}}";
    let object = api.publish(&stack, yaml).await.text("/id");
    let path = format!("/api/v1/deployment-objects/{object}");
    let state = api.get_as(&key, &format!("/agents/{agent}/target-state")).await;
    check("target state", &state);
    for key in [&api.admin, &key] {
        let shown = api.call(key, "GET", &path, &[("accept", "application/yaml")], Body::empty()).await;
        assert!(String::from_utf8_lossy(&shown.body).contains("hunter2"), "{shown:?}");
        check("manifests", &shown);
        let etag = shown.headers["etag"].to_str().unwrap();
        let known = [("accept", "application/yaml"), ("if-none-match", etag)];
        let unchanged = api.call(key, "GET", &path, &known, Body::empty()).await;
        assert_eq!(unchanged.status, 304);
        check("unchanged manifests", &unchanged);
    }
}
