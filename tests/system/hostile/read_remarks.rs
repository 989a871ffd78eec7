//! What was read in the sources: secrets in the output and in reads, and updates in the audit.

use brokkr_testbed::{BrokerProcess, ScratchFolder, free_port, program};
use serde_json::json;

use crate::support::Api;

#[test]
fn admin_key_is_never_printed() {
    let folder = ScratchFolder::new("remark-admin-key").unwrap();
    let log = folder.path().join("broker.log");
    let trace = ["--log-level", "trace"];
    let broker =
        BrokerProcess::start(&program("brokkr-broker").unwrap(), free_port().unwrap(), &trace, None, &log).unwrap();
    let key = broker.admin.clone().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("listening on") && !said.contains(&key), "{said}");
    let secret = key.split('_').nth(3).unwrap();
    assert!(secret.len() > 40 && !said.contains(secret), "{said}");
}

#[tokio::test]
async fn auditors_read_no_secret_values_and_reads_are_audited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n";
    let object = api.publish(&stack, yaml).await.text("/id");
    let auditor = api.send("POST", "/keys", json!({"name": "a", "kind": "admin-read-only"})).await.text("/pak");
    let path = format!("/api/v1/deployment-objects/{object}");
    for (key, shown) in [(&auditor, false), (&api.admin, true)] {
        let reply = api.call(key, "GET", &path, &[("accept", "application/yaml")], "").await;
        assert_eq!((reply.status.as_u16(), String::from_utf8_lossy(&reply.body).contains("hunter2")), (200, shown));
    }
    let audit = api.get("/audit?action=secret.read").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
    assert_eq!(audit["items"][0]["object_id"], json!(object));
}

#[tokio::test]
async fn audit_of_an_update_says_what_changed() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
    let body = json!({"description": "new", "labels": {"a": "b"}}).to_string();
    let patched = api.call(&api.admin, "PATCH", &format!("/api/v1/stacks/{stack}"), &headers, body).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    let audit = api.get("/audit?action=stack.update").await.json();
    let record = audit["items"][0].to_string();
    assert!(record.contains("description") && record.contains("labels"), "{record}");
}
