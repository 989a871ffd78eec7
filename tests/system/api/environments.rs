//! Environments, the example of an entity that stores keep as a document.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn environment_is_created_changed_listed_and_deleted() {
    let api = Api::new().await;
    let body = json!({"name": "staging", "rank": 1, "values": {"domain": "staging.example.com", "tier": 2}});
    let created = api.send("POST", "/environments", body.clone()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/environments/{}", created.text("/id"));
    assert_eq!(api.send("POST", "/environments", body).await.slug(), "already-exists");
    let patch = json!({"rank": 2, "values": {"tier": null, "region": "eu"}});
    let headers = [("if-match", "\"1\""), ("content-type", "application/merge-patch+json")];
    let patched = api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &headers, patch.to_string()).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(patched.json()["values"], json!({"domain": "staging.example.com", "region": "eu"}));
    assert_eq!(api.get(&path).await.json(), patched.json());
    assert_eq!(api.get("/environments").await.json()["items"], json!([patched.json()]));
    let audit = api.get("/audit?action=environment.update").await.json();
    assert_eq!(audit["items"][0]["detail"], "changed: rank, values");
    let too_much = json!({"name": "big", "values": {"a": "x".repeat(70_000)}});
    let refused = api.send("POST", "/environments", too_much).await;
    assert_eq!((refused.status.as_u16(), refused.json()["pointer"].clone()), (422, json!("/values")), "{refused:?}");
    let too_high = api.send("POST", "/environments", json!({"name": "far", "rank": 1_000_001})).await;
    assert_eq!((too_high.status.as_u16(), too_high.json()["pointer"].clone()), (422, json!("/rank")), "{too_high:?}");
    assert_eq!(api.send("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(api.get(&path).await.slug(), "not-found");
    let feed = api.get("/changes?limit=500").await.json()["items"].as_array().unwrap().clone();
    let states: Vec<_> = feed.iter().filter(|it| it["kind"] == "environment").map(|it| &it["deleted"]).collect();
    assert_eq!(states, [&json!(false), &json!(false), &json!(true)]);
}
