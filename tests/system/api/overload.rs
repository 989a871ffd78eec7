//! Limits of rates, and of requests of one kind at once.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use brokkr_core::model::limits;
use brokkr_http::server::WorkClass;
use http::Request;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{Api, Reply, eventually};

/// Sends reads from an address until one is refused, at most `most`. Without a key: an empty one.
async fn refused(api: &Api, key: &str, address: &str, most: u32) -> Option<Reply> {
    for _ in 0..most {
        let reply = from(api, key, address).await;
        if reply.status == 429 {
            return Some(reply);
        }
    }
    None
}

async fn from(api: &Api, key: &str, address: &str) -> Reply {
    let mut request = Request::get("/api/v1/stacks?limit=1");
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 1)));
    api.raw(request).await
}

fn limit_of(reply: &Reply) -> String {
    assert_eq!(reply.slug(), "rate-limited");
    let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&after), "{reply:?}");
    let name = reply.text("/limit/name");
    assert!(reply.text("/detail").contains(&name), "{reply:?}");
    name
}

const MANY: u32 = 5 * limits::RATE_BURST;

#[tokio::test]
async fn reads_of_one_key_have_a_rate_limit() {
    let api = Api::served(|broker| broker, |server| server.requests_per_second(1)).await;
    let (_, one) = api.generator("one").await;
    let (_, other) = api.generator("other").await;
    let reply = refused(&api, &one, "192.0.2.1", MANY).await.expect("the rate is limited");
    assert_eq!((limit_of(&reply), reply.json()["limit"]["maximum"].as_u64()), ("requests-per-key".to_owned(), Some(1)));
    assert_eq!(from(&api, &other, "192.0.2.1").await.status, 200, "another key from the same address");
}

#[tokio::test]
async fn all_keys_of_a_generator_share_a_rate_limit() {
    let api = Api::served(|broker| broker, |server| server.owner_requests_per_second(1)).await;
    let (id, first) = api.generator("one").await;
    let (_, other) = api.generator("other").await;
    let second = api.send("POST", &format!("/generators/{id}/keys"), json!({"name": "second"})).await.text("/pak");
    let reply = refused(&api, &first, "192.0.2.1", MANY).await.expect("the rate is limited");
    assert_eq!(limit_of(&reply), "requests-per-owner");
    assert_eq!(limit_of(&from(&api, &second, "192.0.2.2").await), "requests-per-owner");
    assert_eq!(from(&api, &other, "192.0.2.1").await.status, 200);
    assert_eq!(from(&api, &api.admin, "192.0.2.1").await.status, 200, "admins have keys of their own");
}

#[tokio::test]
async fn address_without_usable_key_has_a_rate_limit_and_its_agents_do_not_notice() {
    let api = Api::served(|broker| broker, |server| server.unauthenticated_per_second(1)).await;
    let (_, pak) = api.agent("edge", json!({})).await;
    let unknown = format!("brokkr_agent_{}", "x".repeat(60));
    for (key, address) in [("", "192.0.2.1"), ("nonsense", "192.0.2.2"), (unknown.as_str(), "192.0.2.3")] {
        let reply = refused(&api, key, address, MANY).await.expect("the rate is limited");
        assert_eq!(limit_of(&reply), "unauthenticated-requests-per-address");
        for _ in 0..MANY {
            assert_ne!(from(&api, &pak, address).await.status, 429, "a valid key from {address}");
        }
    }
    // A few addresses share a bucket.
    let mut others = Vec::new();
    for last in 4..8 {
        others.push(from(&api, "", &format!("192.0.2.{last}")).await.status);
    }
    assert!(others.iter().any(|it| *it == 401), "other addresses: {others:?}");
    let flooded = refused(&api, "", "192.0.2.1", MANY).await.expect("still limited");
    assert_eq!(flooded.slug(), "rate-limited");
}

#[tokio::test]
async fn joins_without_usable_token_have_the_same_rate_limit() {
    let api = Api::served(|broker| broker, |server| server.unauthenticated_per_second(1)).await;
    for (key, address) in [("", "192.0.2.1"), ("brokkr_join_0123456789ab", "192.0.2.9")] {
        let mut last = None;
        for _ in 0..MANY {
            let mut request = Request::post("/api/v1/join").header("content-type", "application/json");
            if !key.is_empty() {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let mut request = request.body(Body::from("{}")).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 1)));
            last = Some(api.raw(request).await);
            if last.as_ref().is_some_and(|reply| reply.status == 429) {
                break;
            }
        }
        assert_eq!(limit_of(&last.unwrap()), "unauthenticated-requests-per-address", "{key:?}");
    }
}

/// Generates once a permit is there.
#[derive(Debug, Clone)]
struct Slow(Arc<Semaphore>);

#[async_trait]
impl Generator for Slow {
    type Params = std::collections::BTreeMap<String, String>;

    fn name(&self) -> &str {
        "slow"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Self::Params) -> Result<Manifests, GenerateError> {
        let _ = self.0.acquire().await;
        Ok(Manifests::new([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})]))
    }
}

async fn generate(api: Api, key: String, stack: String) -> Reply {
    api.send_as(&key, "POST", &format!("/stacks/{stack}/generate"), json!({"generator": "slow", "params": {}})).await
}

#[tokio::test]
async fn full_class_of_writes_refuses_writes_alone() {
    let permits = Arc::new(Semaphore::new(0));
    let slow = Slow(permits.clone());
    let api = Api::served(|broker| broker.generator(slow), |server| server.concurrent(WorkClass::Writes, 2)).await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    let mut running = Vec::new();
    for name in ["one", "two"] {
        let (_, key) = api.generator(name).await;
        let stack = api.send_as(&key, "POST", "/stacks", json!({"name": "web"})).await.text("/id");
        running.push(tokio::spawn(generate(api.clone(), key, stack)));
    }
    let refused = eventually_refused(&api).await;
    assert_eq!(
        (refused.slug(), refused.text("/limit/name")),
        ("overloaded".to_owned(), "concurrent-writes".to_owned())
    );
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(api.get("/stacks").await.status, 200, "lists");
    assert_eq!(api.get(&format!("/agents/{agent}")).await.status, 200, "reads");
    assert_eq!(api.get_as(&pak, &format!("/agents/{agent}/target-state")).await.status, 200, "polls");
    let probe = api.raw(Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(probe.status, 200);
    permits.add_permits(2);
    for running in running {
        assert_eq!(running.await.unwrap().status, 201);
    }
    assert_eq!(api.send("POST", "/stacks", json!({"name": "later"})).await.status, 201, "there is room again");
}

/// Sends writes until one is refused: the slow ones may not have begun yet.
async fn eventually_refused(api: &Api) -> Reply {
    let refused = std::cell::RefCell::new(None);
    eventually("a write is refused", || async {
        let reply = api.send("POST", "/stacks", json!({"name": "-"})).await;
        if reply.status == 503 {
            refused.replace(Some(reply));
            return Ok(());
        }
        Err(reply)
    })
    .await;
    refused.take().unwrap()
}

#[tokio::test]
async fn waiting_polls_hold_no_place() {
    let api = Api::served(|broker| broker, |server| server.concurrent(WorkClass::Agents, 1)).await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    let path = format!("/agents/{agent}/target-state");
    let known = api.get_as(&pak, &path).await;
    let etag = known.headers["etag"].to_str().unwrap().to_owned();
    let mut polls = Vec::new();
    for _ in 0..8 {
        let (api, pak, path, etag) = (api.clone(), pak.clone(), format!("/api/v1{path}?wait=30"), etag.clone());
        polls.push(tokio::spawn(async move {
            api.call(&pak, "GET", &path, &[("if-none-match", etag.as_str())], Body::empty()).await
        }));
    }
    // With places held by waiting polls, these would be refused.
    for _ in 0..8 {
        tokio::task::yield_now().await;
        assert_eq!(api.get_as(&pak, &path).await.status, 200);
    }
    let stack = api.stack("web").await;
    api.publish(&stack, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}").await;
    api.send("PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await;
    for poll in polls {
        assert_eq!(poll.await.unwrap().status, 200);
    }
}
