//! Quotas of generators.

use brokkr_control::Quotas;
use brokkr_core::model::Quota;
use futures::future::join_all;
use serde_json::json;

use crate::support::{Api, Reply};

async fn with(quota: Quota, maximum: u64) -> Api {
    Api::with(|builder| builder.quotas(Quotas::default().with(quota, maximum))).await
}

/// Asserts that a request was refused for a quota, and that the problem says so.
fn exceeds(reply: &Reply, quota: &str, used: u64, maximum: u64) {
    assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (409, "quota-exceeded"), "{reply:?}");
    assert_eq!(reply.json()["limit"], json!({"name": quota, "maximum": maximum, "used": used}));
    let detail = reply.text("/detail");
    assert!(detail.contains(quota) && detail.contains(&format!("{used} of {maximum}")), "{detail}");
}

fn manifest(name: &str) -> serde_json::Value {
    json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}]})
}

#[tokio::test]
async fn stacks_of_a_generator_are_limited_also_under_races() {
    let api = with(Quota::Stacks, 5).await;
    let ((id, one), (_, other)) = (api.generator("one").await, api.generator("other").await);
    let create = |n: usize| {
        let (api, one) = (&api, &one);
        async move {
            if n.is_multiple_of(2) {
                api.send_as(one, "POST", "/stacks", json!({"name": format!("s{n}")})).await
            } else {
                api.send_as(one, "PUT", &format!("/stacks/by-name/s{n}"), json!({})).await
            }
        }
    };
    let replies = join_all((0..16).map(create)).await;
    let (created, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|it| it.status == 201);
    assert_eq!(created.len(), 5);
    refused.iter().for_each(|it| exceeds(it, "stacks", 5, 5));
    let by_admin = api.send("POST", "/stacks", json!({"name": "for-it", "generator_id": id})).await;
    exceeds(&by_admin, "stacks", 5, 5);
    assert_eq!(api.send_as(&other, "POST", "/stacks", json!({"name": "web"})).await.status, 201);
    for n in 0..8 {
        assert_eq!(api.send("POST", "/stacks", json!({"name": format!("a{n}")})).await.status, 201, "no quota");
    }
    let there = api.get_as(&one, "/stacks?limit=1").await;
    let gone = there.text("/items/0/id");
    assert_eq!(api.send_as(&one, "DELETE", &format!("/stacks/{gone}"), json!({})).await.status, 204);
    assert_eq!(api.send_as(&one, "PUT", "/stacks/by-name/new", json!({})).await.status, 201);
    assert_eq!(api.send_as(&one, "PUT", "/stacks/by-name/new", json!({"description": "x"})).await.status, 200);
}

#[tokio::test]
async fn revisions_and_their_bytes_are_limited() {
    let api = with(Quota::Revisions, 3).await;
    let (_, key) = api.generator("one").await;
    let stack = api.send_as(&key, "POST", "/stacks", json!({"name": "web"})).await.text("/id");
    let path = format!("/stacks/{stack}/deployment-objects");
    for n in 0..3 {
        assert_eq!(api.send_as(&key, "POST", &path, manifest(&format!("m{n}"))).await.status, 201);
    }
    exceeds(&api.send_as(&key, "POST", &path, manifest("more")).await, "revisions", 3, 3);
    assert_eq!(api.send_as(&key, "POST", &path, manifest("m2")).await.status, 200, "creates no revision");
    let rollback = api.send_as(&key, "POST", &format!("/stacks/{stack}/rollback"), json!({"revision": 1})).await;
    exceeds(&rollback, "revisions", 3, 3);
    exceeds(&api.send_as(&key, "PUT", "/stacks/by-name/web", manifest("more")).await, "revisions", 3, 3);

    let api = with(Quota::ManifestBytes, 200).await;
    let (_, key) = api.generator("one").await;
    let stack = api.send_as(&key, "POST", "/stacks", json!({"name": "web"})).await.text("/id");
    let path = format!("/stacks/{stack}/deployment-objects");
    let size = api.send_as(&key, "POST", &path, manifest("m0")).await.json()["size"].as_u64().unwrap();
    let fit = 200 / size;
    for n in 1..fit {
        assert_eq!(api.send_as(&key, "POST", &path, manifest(&format!("m{n}"))).await.status, 201);
    }
    exceeds(&api.send_as(&key, "POST", &path, manifest("mm")).await, "manifest-bytes", fit * size, 200);
}

#[tokio::test]
async fn keys_of_a_generator_are_limited_also_under_races() {
    let api = with(Quota::Keys, 3).await;
    let (id, _) = api.generator("one").await;
    let path = format!("/generators/{id}/keys");
    let create = |n: usize| api.send("POST", &path, json!({"name": format!("k{n}")}));
    let replies = join_all((0..8).map(create)).await;
    assert_eq!(replies.iter().filter(|it| it.status == 201).count(), 2, "one exists from the start");
    replies.iter().filter(|it| it.status != 201).for_each(|it| exceeds(it, "keys", 3, 3));
}

#[tokio::test]
async fn answers_under_idempotency_keys_are_limited() {
    let api = with(Quota::IdempotencyRecords, 3).await;
    let (_, key) = api.generator("one").await;
    let put = async |n: usize| {
        let repeated = format!("key-{n}");
        let headers = [("content-type", "application/json"), ("idempotency-key", repeated.as_str())];
        api.call(&key, "PUT", "/api/v1/stacks/by-name/web", &headers, "{}").await
    };
    for n in 0..3 {
        assert!(put(n).await.status.is_success());
    }
    exceeds(&put(3).await, "idempotency-records", 3, 3);
    let again = put(1).await;
    assert_eq!(again.headers["idempotency-replayed"], "true", "repetitions need no new record");
    assert_eq!(api.send_as(&key, "PUT", "/stacks/by-name/web", json!({})).await.status, 200, "without a key");
}

#[tokio::test]
async fn waiting_polls_of_a_key_are_limited() {
    let api = with(Quota::OpenPolls, 2).await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    let path = format!("/agents/{agent}/target-state");
    let etag = api.get_as(&pak, &path).await.headers["etag"].to_str().unwrap().to_owned();
    let poll = |wait: u64| {
        let (api, pak, path, etag) = (api.clone(), pak.clone(), format!("/api/v1{path}?wait={wait}"), etag.clone());
        async move { api.call(&pak, "GET", &path, &[("if-none-match", etag.as_str())], String::new()).await }
    };
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(poll(60))).collect();
    for poll in &mut waiting {
        assert!(futures::poll!(poll).is_pending());
    }
    exceeds(&poll(60).await, "open-polls", 2, 2);
    assert_eq!(poll(0).await.status, 304, "a poll that does not wait");
    waiting.pop();
    assert_eq!(poll(1).await.status, 304, "one has ended");
}
