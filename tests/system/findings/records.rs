//! What one request or one row could do to records.

use brokkr_control::Broker;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::{Api, Database};

/// A null in a rule that the stack did not have made an empty rule, and its agents were told to remove the stack.
#[tokio::test]
async fn f10_null_in_an_absent_rule_changes_nothing() {
    let api = Api::new().await;
    let (agent, key) = api.agent("edge", json!({"env": "prod"})).await;
    let stack = api.send("POST", "/stacks", json!({"name": "web", "labels": {"env": "prod"}})).await.text("/id");
    api.publish(&stack, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").await;
    let actions = async || {
        let state = api.get_as(&key, &format!("/agents/{agent}/target-state")).await.json();
        state["entries"].as_array().unwrap().iter().map(|it| it["action"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(actions().await, ["apply"]);
    let patch = async |body: serde_json::Value| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
        api.call(&api.admin, "PATCH", &format!("/api/v1/stacks/{stack}"), &headers, body.to_string()).await
    };
    for nothing in [
        json!({"targeting": {"exclude": null}}),
        json!({"targeting": {"match_labels": null, "exclude": null}}),
        json!({"targeting": {"exclude": {"match_labels": null}}}),
        json!({"targeting": null}),
    ] {
        let reply = patch(nothing.clone()).await;
        assert_eq!(reply.status, 200, "{nothing}: {reply:?}");
        assert_eq!(reply.json()["targeting"], json!(null), "{nothing}");
        assert_eq!(actions().await, ["apply"], "{nothing}");
    }
    for unknown in [json!({"targeting": {"excluded": null}}), json!({"targeting": {"exclude": {"labels": null}}})] {
        let reply = patch(unknown.clone()).await;
        assert_eq!(reply.slug(), "unknown-field", "{unknown}: {reply:?}");
    }
}

/// One row that cannot be read made every page of the audit fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_damaged_audit_record_is_skipped_and_named() {
    let database = Database::new();
    let broker = Broker::builder(database.store().await).start().await.unwrap();
    let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
    let api = Api::over(broker.clone(), admin);
    let damaged = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    database.query(&format!(
        "INSERT INTO brokkr.audit (id, at, actor, actor_text, action, request_id, outcome, count)
        VALUES ('{damaged}', now(), '{{\"kind\": \"martian\"}}', 'martian', 'stack.create', '{damaged}', 'success', 1)"
    ));
    let stack = api.stack("web").await;
    let page = api.get("/audit?limit=100").await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.json()["unreadable"], json!([damaged]));
    assert!(page.json()["items"].to_string().contains(&stack), "the other records are read: {page:?}");
    broker.shutdown().await;
}
