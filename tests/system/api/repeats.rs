//! Repeated requests with the same Idempotency-Key.

use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

async fn create(api: &Api, pak: &str, key: &str, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    api.call(pak, "POST", &format!("/api/v1{path}"), &headers, body.to_string()).await
}

fn replayed(reply: &Reply) -> bool {
    reply.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn repeated_request_gets_the_same_answer_and_no_second_effect() {
    let api = Api::new().await;
    let stack = json!({"name": "web"});
    let first = create(&api, &api.admin, "k1", "/stacks", &stack).await;
    let again = create(&api, &api.admin, "k1", "/stacks", &stack).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.json(), again.json());
    assert_eq!(first.headers.get("location"), again.headers.get("location"));
    assert!(!replayed(&first) && replayed(&again));
    let other = create(&api, &api.admin, "k1", "/stacks", &json!({"name": "other"})).await;
    assert_eq!(other.slug(), "idempotency-key-reused");
    let elsewhere = create(&api, &api.admin, "k1", "/generators", &stack).await;
    assert_eq!(elsewhere.slug(), "idempotency-key-reused", "the path is part of the request");
    assert_eq!(create(&api, &api.admin, "k2", "/stacks", &stack).await.slug(), "already-exists");
    let admin = api.send("POST", "/keys", json!({"name": "second", "kind": "admin"})).await.text("/pak");
    assert_eq!(create(&api, &admin, "k1", "/stacks", &json!({"name": "mine"})).await.status, 201, "a caller's own");
    // A later publication does not change the answer.
    let id = first.text("/id");
    let manifest = json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]});
    let path = format!("/stacks/{id}/deployment-objects");
    let published = create(&api, &api.admin, "p1", &path, &manifest).await;
    let again = create(&api, &api.admin, "p1", &path, &manifest).await;
    assert_eq!((again.status, again.json()), (published.status, published.json()));
    assert_eq!(api.get(&path).await.json()["items"].as_array().unwrap().len(), 1);
    // The answer of a request that changed nothing also stays the same after a later publication.
    let known = create(&api, &api.admin, "p2", &path, &manifest).await;
    assert_eq!((known.status.as_u16(), replayed(&known)), (200, false));
    let next = json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}]});
    assert_eq!(create(&api, &api.admin, "p3", &path, &next).await.status, 201);
    let again = create(&api, &api.admin, "p2", &path, &manifest).await;
    assert_eq!((again.status, again.json(), replayed(&again)), (known.status, known.json(), true));
    assert_eq!(api.get(&path).await.json()["items"].as_array().unwrap().len(), 2);
    eventually("the refusal is recorded", || async {
        let audit = api.get("/audit?limit=100").await.json();
        let has = audit.to_string().contains("idempotency-key-reused");
        if has { Ok(()) } else { Err(audit) }
    })
    .await;
}

#[tokio::test]
async fn repeated_answer_omits_the_secret() {
    let api = Api::new().await;
    for (path, body) in [
        ("/agents", json!({"name": "edge"})),
        ("/generators", json!({"name": "ci"})),
        ("/keys", json!({"name": "key", "kind": "admin"})),
    ] {
        let first = create(&api, &api.admin, "once", path, &body).await;
        let again = create(&api, &api.admin, "once", path, &body).await;
        // Each path needs its own idempotency key.
        if path == "/agents" {
            let secret = first.text("/pak");
            assert_eq!(again.json()["pak"], Value::Null);
            assert_eq!(again.json()["agent"], first.json()["agent"]);
            assert!(!String::from_utf8_lossy(&again.body).contains(secret.split('_').nth(3).unwrap()));
            assert_eq!(api.send_as(&secret, "POST", "/auth/pak", json!({})).await.status, 200);
        } else {
            assert_eq!(again.slug(), "idempotency-key-reused");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_repeats_take_effect_once() {
    let api = Api::new().await;
    for round in 0..10 {
        let body = json!({"name": format!("s{round}")});
        let twins = (0..8).map(|_| {
            let (api, body) = (api.clone(), body.clone());
            tokio::spawn(async move { create(&api, &api.admin, &format!("twin{round}"), "/stacks", &body).await })
        });
        let mut answers = Vec::new();
        for twin in twins.collect::<Vec<_>>() {
            answers.push(twin.await.unwrap());
        }
        assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
        assert!(answers.iter().all(|answer| answer.json() == answers[0].json()));
        assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
    }
}

#[tokio::test]
async fn malformed_idempotency_keys_are_refused() {
    let api = Api::new().await;
    for key in ["", " ", "with space", "ä", &"x".repeat(256)] {
        assert_eq!(create(&api, &api.admin, key, "/stacks", &json!({"name": "a"})).await.slug(), "header-invalid");
    }
    assert_eq!(create(&api, &api.admin, &"x".repeat(255), "/stacks", &json!({"name": "a"})).await.status, 201);
}
