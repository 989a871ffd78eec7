//! The values of Secrets: who sees them, and what the audit records.

use axum::body::Body;
use brokkr_core::model::GrantId;
use serde_json::{Value, json};

use crate::support::{Api, Reply};

const CANARY: &str = "hunter2";
const MANIFESTS: &str = "# rotate hunter2 in May\napiVersion: v1\nkind: Secret\nmetadata: {name: db, labels: {a: b}}\n\
    stringData: {password: hunter2}\ndata: {token: aHVudGVyMg==}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n\
    data: {mode: fast}\n";

async fn read(api: &Api, key: &str, object: &str) -> Reply {
    let path = format!("/api/v1/deployment-objects/{object}");
    api.call(key, "GET", &path, &[("accept", "application/yaml")], Body::empty()).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

async fn key_with(api: &Api, scopes: Value) -> String {
    let body = json!({"name": "reader", "subject": "jane@example.com", "scopes": scopes});
    api.send("POST", "/keys", body).await.text("/pak")
}

#[tokio::test]
async fn secret_values_are_shown_only_with_the_scope_and_to_the_agent() {
    let api = Api::new().await;
    let made = api.send("POST", "/generators", json!({"name": "ci"})).await;
    let (generator, ci) = (made.text("/generator/id"), made.text("/pak"));
    let (agent, agent_key) = api.agent("edge", json!({})).await;
    let unrestricted = json!({"grant_id": GrantId::UNRESTRICTED});
    let registered = api.send("PUT", &format!("/agents/{agent}/generators/{generator}"), unrestricted).await;
    assert!(registered.status.is_success(), "{registered:?}");
    let stack = api.send_as(&ci, "POST", "/stacks", json!({"name": "web"})).await.text("/id");
    let path = format!("/api/v1/stacks/{stack}/deployment-objects");
    let yaml = [("content-type", "application/yaml")];
    let object = api.call(&ci, "POST", &path, &yaml, MANIFESTS).await.text("/id");
    api.send_as(&ci, "PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await;
    assert_eq!(api.get_as(&agent_key, &format!("/agents/{agent}/target-state")).await.status, 200);

    let auditor = api.send("POST", "/keys", json!({"name": "a", "kind": "admin-read-only"})).await.text("/pak");
    let operator = api.send("POST", "/keys", json!({"name": "o", "preset": "operator"})).await.text("/pak");
    let reader = key_with(&api, json!(["stacks:read"])).await;
    for key in [&auditor, &operator, &reader, &ci] {
        let shown = read(&api, key, &object).await;
        let body = text(&shown);
        assert_eq!(shown.status, 200);
        assert!(!body.contains(CANARY) && !body.contains("aHVudGVyMg"), "{body}");
        assert!(body.contains(r#""password":"(redacted)""#) && body.contains("fast"), "{body}");
        let etag = shown.headers["etag"].to_str().unwrap();
        assert!(etag.ends_with("-redacted\"") && shown.headers["cache-control"] == "no-store", "{shown:?}");
    }
    let secret_reader = key_with(&api, json!(["stacks:read", "secrets:read"])).await;
    let body = json!({"name": "own", "scopes": ["stacks:read", "secrets:read"], "subject": "ci@example.com"});
    let own = api.send("POST", &format!("/generators/{generator}/keys"), body).await.text("/pak");
    for key in [&api.admin, &secret_reader, &own, &agent_key] {
        let shown = read(&api, key, &object).await;
        assert_eq!(text(&shown), MANIFESTS, "the stored bytes");
        assert!(!shown.headers["etag"].to_str().unwrap().contains("redacted"));
    }

    // Reads of values by the holders of keys are audited; those of agents and of hidden values are not.
    let audit = api.get("/audit?action=secret.read").await.json();
    let records = audit["items"].as_array().unwrap();
    let subjects: Vec<Option<&str>> = records.iter().rev().map(|it| it["subject"].as_str()).collect();
    assert_eq!(subjects, [None, Some("jane@example.com"), Some("ci@example.com")]);
    for record in records {
        assert_eq!((&record["object_id"], &record["outcome"]), (&json!(object), &json!("success")));
        assert!(record["detail"].as_str().unwrap().starts_with("1 Secrets"), "{record}");
    }
}

#[tokio::test]
async fn manifests_without_secrets_are_shown_as_stored_and_not_audited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let yaml = "# fast\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast}\n";
    let object = api.publish(&stack, yaml).await.text("/id");
    let auditor = key_with(&api, json!(["stacks:read"])).await;
    for key in [&api.admin, &auditor] {
        assert_eq!(text(&read(&api, key, &object).await), yaml);
    }
    assert_eq!(api.get("/audit?action=secret.read").await.json()["items"], json!([]));
}

#[tokio::test]
async fn hidden_values_cannot_be_published_over_the_real_ones() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let object = api.publish(&stack, MANIFESTS).await.text("/id");
    let auditor = key_with(&api, json!(["stacks:read"])).await;
    let hidden = text(&read(&api, &auditor, &object).await);
    let refused = api.publish(&stack, &hidden).await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (422, "manifest-invalid".to_owned()));
    assert!(refused.text("/detail").contains("secrets:read"), "{refused:?}");
}
