//! The audit of an update says what changed: the patch of its record leads from the entity before to the entity after.

use serde_json::{Value, json};

use crate::support::Api;

/// What updates one entity, and how the audit names it.
struct Case<'a> {
    path: String,
    method: &'a str,
    at: String,
    body: Value,
    action: &'a str,
}

async fn read(api: &Api, path: &str) -> Value {
    let mut shown = api.get(path).await.json();
    // A list of keys has no read of one key.
    if let Some(items) = shown.get_mut("items") {
        shown = items[0].take();
    }
    shown
}

/// The record of the newest `action` on an entity.
async fn record(api: &Api, action: &str, id: &str) -> Value {
    let found = api.get(&format!("/audit?action={action}&object={id}&limit=1")).await.json();
    found["items"][0].clone()
}

async fn check(api: &Api, case: Case<'_>) {
    let before = read(api, &case.path).await;
    let mut headers = vec![("content-type", "application/json")];
    let tag = format!("\"{}\"", before["version"]);
    if case.method == "PATCH" {
        headers = vec![("content-type", "application/merge-patch+json"), ("if-match", tag.as_str())];
    }
    let body = if case.method == "DELETE" { String::new() } else { case.body.to_string() };
    let reply = api.call(&api.admin, case.method, &format!("/api/v1{}", case.at), &headers, body).await;
    assert!(reply.status.is_success(), "{} {}: {reply:?}", case.method, case.at);
    let after = read(api, &case.path).await;
    let found = record(api, case.action, before["id"].as_str().unwrap()).await;
    assert_eq!(found["changes"]["truncated"], false, "{}: {found}", case.action);
    let patch: json_patch::Patch = serde_json::from_value(found["changes"]["patch"].clone()).unwrap();
    let mut patched = before.clone();
    json_patch::patch(&mut patched, &patch).unwrap_or_else(|error| panic!("{}: {error}: {found}", case.action));
    assert_eq!(patched, after, "{}", case.action);
    assert_ne!(before, after, "{}", case.action);
}

#[tokio::test]
async fn patch_of_every_update_leads_from_before_to_after() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, _) = api.agent("edge", json!({"env": "test"})).await;
    let made = api.send("POST", "/generators", json!({"name": "ci"})).await;
    let generator = made.text("/generator/id");
    let grant = api.send("POST", "/grants", json!({"name": "some", "rules": {}})).await.text("/id");
    let environment = api.send("POST", "/environments", json!({"name": "prod", "rank": 1})).await.text("/id");
    let of = |noun: &str, id: &str, method, below: &str, body, action| Case {
        path: format!("/{noun}/{id}"),
        method,
        at: format!("/{noun}/{id}{below}"),
        body,
        action,
    };
    let registration = format!("/generators/{generator}");
    let keys = format!("/agents/{agent}/keys");
    let rules = json!({"rules": {"namespaces": ["a", "b"], "pod_security": "restricted"}});
    let cases = [
        of(
            "stacks",
            &stack,
            "PATCH",
            "",
            json!({"labels": {"env": "prod", "a/b": "x"}, "annotations": {"a/b": "~1"}, "description": "é"}),
            "stack.update",
        ),
        of(
            "stacks",
            &stack,
            "PATCH",
            "",
            json!({"labels": {"env": null}, "targeting": {"match_labels": {}}}),
            "stack.update",
        ),
        Case {
            at: "/stacks/by-name/web".to_owned(),
            ..of("stacks", &stack, "PUT", "", json!({"description": "b"}), "stack.apply")
        },
        of("agents", &agent, "PATCH", "", json!({"labels": {"env": null}, "status": "cordoned"}), "agent.update"),
        of("agents", &agent, "PUT", &registration, json!({}), "agent.register"),
        of("agents", &agent, "PUT", &registration, json!({"grant_id": grant}), "agent.register"),
        of("agents", &agent, "DELETE", &registration, json!({}), "agent.unregister"),
        of("agents", &agent, "POST", "/confirm-epoch", json!({}), "agent.confirm-epoch"),
        of("generators", &generator, "PATCH", "", json!({"description": "builds"}), "generator.update"),
        of("grants", &grant, "PATCH", "", rules, "grant.update"),
        of(
            "environments",
            &environment,
            "PATCH",
            "",
            json!({"rank": 2, "values": {"a": [1, {"b": null}]}}),
            "environment.update",
        ),
        Case {
            path: keys,
            method: "POST",
            at: format!("/agents/{agent}/rotate-pak"),
            body: json!({"overlap_seconds": 60}),
            action: "key.rotate",
        },
    ];
    for case in cases {
        check(&api, case).await;
    }
}

#[tokio::test]
async fn further_entities_of_one_operation_have_records_of_their_own() {
    let api = Api::new().await;
    let made = api.send("POST", "/generators", json!({"name": "ci"})).await;
    let generator = made.text("/generator/id");
    let (agent, _) = api.agent("edge", json!({})).await;
    api.send("PUT", &format!("/agents/{agent}/generators/{generator}"), json!({})).await;
    assert_eq!(api.send("DELETE", &format!("/generators/{generator}"), json!({})).await.status, 204);
    let of_generator = record(&api, "generator.delete", &generator).await;
    let of_agent = record(&api, "generator.delete", &agent).await;
    assert_eq!(of_generator["changes"], json!(null), "a deletion is no update");
    assert_eq!(of_agent["object_kind"], "agent");
    assert_eq!(of_agent["request_id"], of_generator["request_id"]);
    let patch = of_agent["changes"]["patch"].as_array().unwrap();
    assert!(
        patch.iter().any(|it| it["op"] == "remove" && it["path"].as_str().unwrap().starts_with("/registrations/")),
        "{of_agent}"
    );
}

#[tokio::test]
async fn large_update_names_the_paths_only() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let annotations: serde_json::Map<_, _> =
        (0..20).map(|n| (format!("note-{n:02}"), json!("x".repeat(2_000)))).collect();
    let headers = [("content-type", "application/merge-patch+json"), ("if-match", "\"1\"")];
    let body = json!({"annotations": annotations}).to_string();
    let reply = api.call(&api.admin, "PATCH", &format!("/api/v1/stacks/{stack}"), &headers, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let found = record(&api, "stack.update", &stack).await;
    assert_eq!(found["changes"]["truncated"], true);
    let patch = found["changes"]["patch"].as_array().unwrap();
    let paths: Vec<_> = patch.iter().filter_map(|it| it["path"].as_str()).collect();
    assert!(paths.contains(&"/annotations/note-00") && paths.contains(&"/annotations/note-19"), "{paths:?}");
    assert!(patch.iter().all(|it| it.get("value").is_none()), "{found}");
}

fn secret(password: &str, other: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: db}}, stringData: {{password: {password}, other: {other}}}}}\n---\n\
         {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, namespace: shop}}, spec: {{replicas: 2}}}}\n"
    )
}

#[tokio::test]
async fn publication_names_the_changed_manifests_and_hides_secrets() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let publish = async |yaml: &str| {
        assert_eq!(api.publish(&stack, yaml).await.status, 201);
        record(&api, "deployment-object.publish", &stack).await["changes"].clone()
    };
    assert_eq!(publish(&secret("hunter2", "same")).await, json!(null), "the first revision is no update");
    let hidden = publish(&secret("hunter3", "same")).await;
    let patch = hidden["patch"].as_array().unwrap();
    assert_eq!(patch.len(), 1, "{hidden}");
    assert_eq!(patch[0]["path"], "/manifests/Secret~1db/stringData/password");
    let value = patch[0]["value"].as_str().unwrap();
    assert!(value.starts_with("(hmac-sha256:") && value.len() == 78, "{value}");
    publish(&secret("hunter2", "same")).await;
    let again = publish(&secret("hunter3", "same")).await;
    assert_eq!(again, hidden, "equal values have equal hashes");
    let scaled = publish(&secret("hunter3", "same").replace("replicas: 2", "replicas: 3")).await;
    let expected =
        json!([{"op": "replace", "path": "/manifests/Deployment.apps~1shop~1web/spec/replicas", "value": 3}]);
    assert_eq!(scaled, json!({"patch": expected, "truncated": false}));
    let rolled = api.send("POST", &format!("/stacks/{stack}/rollback"), json!({"revision": 1})).await;
    assert_eq!(rolled.status, 201, "{rolled:?}");
    let back = record(&api, "stack.rollback", &stack).await["changes"]["patch"].clone();
    assert_eq!(back.as_array().unwrap().len(), 2, "{back}");
    let manifests = json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]);
    let body = json!({"description": "both", "manifests": manifests});
    assert_eq!(api.send("PUT", "/stacks/by-name/web", body).await.status, 200);
    let both = record(&api, "stack.apply", &stack).await["changes"]["patch"].clone();
    let paths: Vec<_> = both.as_array().unwrap().iter().filter_map(|it| it["path"].as_str()).collect();
    assert!(paths.contains(&"/description") && paths.contains(&"/manifests/ConfigMap~1a"), "{paths:?}");
    assert!(!both.to_string().contains("hunter"), "{both}");
}

#[tokio::test]
async fn large_manifests_are_not_compared() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let map = |text: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{a: {}}}}}", text.repeat(140_000))
    };
    for text in ["a", "b"] {
        assert_eq!(api.publish(&stack, &map(text)).await.status, 201);
    }
    let found = record(&api, "deployment-object.publish", &stack).await["changes"].clone();
    assert_eq!(found, json!({"patch": [{"op": "replace", "path": "/manifests"}], "truncated": true}));
}

#[tokio::test]
async fn audit_holds_no_secret_and_no_hash_of_a_key() {
    let api = Api::new().await;
    let (agent, key) = api.agent("edge", json!({})).await;
    let rotated = api.send("POST", &format!("/agents/{agent}/rotate-pak"), json!({"overlap_seconds": 60})).await;
    let stack = api.stack("web").await;
    for password in ["hunter2", "hunter3"] {
        let yaml =
            format!("{{apiVersion: v1, kind: Secret, metadata: {{name: db}}, stringData: {{password: {password}}}}}");
        assert_eq!(api.publish(&stack, &yaml).await.status, 201);
    }
    let audit = String::from_utf8(api.get("/audit?limit=500").await.body).unwrap();
    for secret in ["hunter", "\"hash\"", &key, &rotated.text("/pak")] {
        assert!(!audit.contains(secret), "{secret}");
    }
}
