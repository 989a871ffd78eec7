//! The lifecycle of a stack through the API.

use serde_json::json;

use crate::support::Api;

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: \"1\"}\n# as it came\n";

#[tokio::test]
async fn revisions_are_numbered_immutable_and_restorable() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let first = api.publish(&stack, OBJECT).await;
    assert_eq!((first.status.as_u16(), first.json()["revision"].as_u64()), (201, Some(1)));
    let again = api.publish(&stack, OBJECT).await;
    assert_eq!(
        (again.status.as_u16(), again.text("/id")),
        (200, first.text("/id")),
        "the same bytes create no revision"
    );
    let body = json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}]});
    let second = api.send("POST", &format!("/stacks/{stack}/deployment-objects"), body).await;
    assert_eq!(second.json()["revision"], 2);
    let back = api.send("POST", &format!("/stacks/{stack}/rollback"), json!({"revision": 1})).await;
    assert_eq!((back.json()["revision"].as_u64(), back.text("/digest")), (Some(3), first.text("/digest")));
    assert_eq!(back.json()["provenance"], json!({"kind": "rollback", "of": 1}));
    let path = format!("/api/v1/deployment-objects/{}", back.text("/id"));
    let bytes = api.call(&api.admin, "GET", &path, &[("accept", "application/yaml")], "").await;
    assert_eq!(bytes.body, OBJECT.as_bytes(), "the content is stored byte for byte");
    let etag = bytes.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", first.text("/digest")));
    let known = [("accept", "application/yaml"), ("if-none-match", etag.as_str())];
    assert_eq!(api.call(&api.admin, "GET", &path, &known, "").await.status, 304);
    let listed = api.get(&format!("/stacks/{stack}/deployment-objects")).await.json();
    let revisions: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|it| it["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [3, 2, 1]);
    assert_eq!(api.get(&format!("/stacks/{stack}")).await.json()["version"], 1, "publishing does not change the stack");
}

#[tokio::test]
async fn put_by_name_creates_updates_or_does_nothing() {
    let api = Api::new().await;
    let manifests = json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]);
    let put = async |body| api.send("PUT", "/stacks/by-name/web", body).await;
    let first = put(json!({"labels": {"env": "prod"}, "manifests": manifests})).await;
    assert_eq!((first.status.as_u16(), first.json()["published"].as_bool()), (201, Some(true)));
    let again = put(json!({"labels": {"env": "prod"}, "manifests": manifests})).await;
    assert_eq!((again.status.as_u16(), again.json()["published"].as_bool()), (200, Some(false)));
    assert_eq!(again.json()["stack"]["version"], 1);
    let kept = put(json!({"description": "x"})).await.json();
    assert_eq!((&kept["stack"]["labels"], &kept["stack"]["version"]), (&json!({"env": "prod"}), &json!(2)));
    let reset = put(json!({"labels": null, "policies": {"adopt": "always"}})).await.json();
    assert_eq!(reset["stack"]["labels"], json!({}));
    assert_eq!(put(json!({"policies": null})).await.json()["stack"]["policies"]["adopt"], "never");
    assert_eq!(put(json!({"nonsense": 1})).await.slug(), "unknown-field");
    let audit = api.get("/audit?action=stack.apply&outcome=success").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 4, "an unchanged request commits nothing");
}

#[tokio::test]
async fn unassigned_stack_is_deleted_at_once() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    assert_eq!(api.send("DELETE", &format!("/stacks/{stack}"), json!({})).await.status, 204);
    assert_eq!(api.get(&format!("/stacks/{stack}")).await.slug(), "not-found");
    api.stack("web").await;
    assert_eq!(api.send("POST", "/stacks", json!({"name": "web"})).await.slug(), "already-exists");
}

#[tokio::test]
async fn successful_denied_and_failed_operations_are_audited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    api.send("POST", "/stacks", json!({"name": "web"})).await;
    let (_, agent) = api.agent("edge", json!({})).await;
    api.get_as(&agent, "/audit").await;
    for _ in 0..50 {
        api.get_as("nothing", "/stacks").await;
    }
    crate::support::eventually("attempts are recorded", || async {
        let audit = api.get("/audit").await.json();
        let items = audit["items"].as_array().unwrap().clone();
        let count = |action: &str, outcome: &str| -> u64 {
            let matching = items.iter().filter(|it| it["action"] == action && it["outcome"] == outcome);
            matching.map(|it| it["count"].as_u64().unwrap()).sum()
        };
        let counts = [
            count("stack.create", "success"),
            count("stack.create", "failed"),
            count("audit.read", "denied"),
            count("authenticate", "denied"),
        ];
        if counts == [1, 1, 1, 50] { Ok(()) } else { Err((counts, audit)) }
    })
    .await;
    let of_stack = api.get(&format!("/audit?object={stack}")).await.json();
    assert_eq!(of_stack["items"][0]["action"], "stack.create");
}

#[tokio::test]
async fn placement_gives_reasons() {
    let api = Api::new().await;
    let (edge, _) = api.agent("edge", json!({"env": "prod"})).await;
    let (other, _) = api.agent("other", json!({})).await;
    let stack = api.send("POST", "/stacks", json!({"name": "web", "labels": {"env": "prod"}})).await.text("/id");
    let placement = api.get(&format!("/stacks/{stack}/placement")).await.json();
    let of = |id: &str| placement["items"].as_array().unwrap().iter().find(|it| it["agent_id"] == id).unwrap().clone();
    assert_eq!((&of(&edge)["matched"], &of(&edge)["reasons"]), (&json!(true), &json!(["shares the label env=prod"])));
    assert_eq!(of(&other)["matched"], false);
    assert!(!of(&other)["reasons"].as_array().unwrap().is_empty());
    let of_agent = api.get(&format!("/agents/{edge}/placement")).await.json();
    assert_eq!(of_agent["items"][0]["stack_name"], "web");
}
