//! Rights: every operation of the OpenAPI document with several kinds of keys.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::support::{Api, eventually};

/// Operations that need no key.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/api/v1/openapi.json"];

fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(brokkr_http::server::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let methods = ["get", "put", "post", "patch", "delete"];
    let of = |(path, item): (String, serde_json::Value)| {
        methods
            .into_iter()
            .filter(move |method| item.get(*method).is_some())
            .map(move |method| (method.to_uppercase(), path.clone()))
    };
    paths.into_iter().flat_map(of).collect()
}

/// Fills a path with a well-formed id that does not exist.
fn filled(path: &str) -> String {
    let missing = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    path.split('/').map(|part| if part.starts_with('{') { missing } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_without_a_valid_key_gets_the_same_401() {
    let api = Api::new().await;
    let (_, agent) = api.agent("edge", json!({})).await;
    let other = if agent.ends_with('x') { 'y' } else { 'x' };
    let mistyped = format!("{}{other}", &agent[..agent.len() - 1]);
    let wrong: Vec<Option<String>> = vec![
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer nothing".into()),
        Some(format!("Basic {agent}")),
        Some(format!("Bearer {mistyped}")),
        Some(format!("Bearer {agent}{}", "x".repeat(10_000))),
    ];
    let operations = operations();
    assert!(operations.len() > 45, "{operations:?}");
    for (method, path) in operations.iter().filter(|(_, path)| !PUBLIC.contains(&path.as_str())) {
        for authorization in &wrong {
            let mut request = Request::builder().method(method.as_str()).uri(filled(path));
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let reply = api.raw(request.body(Body::empty()).unwrap()).await;
            assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (401, "unauthenticated"), "{method} {path}");
            assert!(reply.headers.contains_key("www-authenticate"));
        }
    }
    let two = Request::builder().uri("/api/v1/stacks").header("authorization", format!("Bearer {}", api.admin));
    let two = two.header("authorization", format!("Bearer {agent}")).body(Body::empty()).unwrap();
    assert_eq!(api.raw(two).await.status, 401);
}

#[tokio::test]
async fn read_only_admin_cannot_write_and_agent_can_only_report() {
    let api = Api::new().await;
    let reader = api.send("POST", "/keys", json!({"name": "reader", "kind": "admin-read-only"})).await.text("/pak");
    let (_, agent) = api.agent("edge", json!({})).await;
    for (method, path) in operations()
        .iter()
        .filter(|(_, path)| path.starts_with("/api/v1/") && !path.contains("/auth/") && !path.contains("openapi"))
    {
        let call = async |key: &str| {
            let body = if matches!(method.as_str(), "GET" | "DELETE") { "" } else { "{}" };
            api.call(key, method, &filled(path), &[("content-type", "application/json")], body).await
        };
        let reply = call(&reader).await;
        let harmless =
            if method == "GET" { matches!(reply.status.as_u16(), 200 | 404) } else { reply.status.is_client_error() };
        assert!(harmless, "reader {method} {path}: {reply:?}");
        let reply = call(&agent).await;
        assert!(
            reply.status.is_client_error() || path.ends_with("/events") || path.ends_with("/agents"),
            "agent {method} {path}: {reply:?}"
        );
    }
    assert_eq!(api.get_as(&agent, "/stacks").await.slug(), "forbidden");
    assert_eq!(api.get_as(&agent, "/audit").await.slug(), "forbidden");
}

#[tokio::test]
async fn join_token_is_no_key_for_any_other_operation() {
    let api = Api::new().await;
    let body = json!({"name": "edge", "expires_at": "9026-01-01T00:00:00Z"});
    let token = api.send("POST", "/join-tokens", body).await.text("/token");
    for (method, path) in operations() {
        if PUBLIC.contains(&path.as_str()) || path == "/api/v1/join" {
            continue;
        }
        let body = if matches!(method.as_str(), "GET" | "DELETE") { "" } else { "{}" };
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        let reply = api.call(&token, &method, &filled(&path), &headers, body).await;
        assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (401, "unauthenticated"), "{method} {path}");
    }
}

#[tokio::test]
async fn foreign_and_missing_ids_get_the_same_404() {
    let api = Api::new().await;
    let mine = api.send("POST", "/generators", json!({"name": "mine"})).await;
    let theirs = api.send("POST", "/generators", json!({"name": "theirs"})).await;
    let (my_key, their_key) = (mine.text("/pak"), theirs.text("/pak"));
    let stack = api.send_as(&their_key, "POST", "/stacks", json!({"name": "secret"})).await.text("/id");
    let (agent, agent_key) = api.agent("edge", json!({})).await;
    let (other, _) = api.agent("other", json!({})).await;
    let missing = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    let strip = |reply: &crate::support::Reply| {
        let mut problem = reply.json();
        problem["request_id"] = json!(null);
        (reply.status, problem)
    };
    for (method, path) in [
        ("GET", "/stacks/{}"),
        ("GET", "/stacks/{}/status"),
        ("GET", "/stacks/{}/deployment-objects"),
        ("GET", "/stacks/{}/targets"),
        ("GET", "/stacks/{}/placement"),
        ("GET", "/stacks/{}/events"),
        ("DELETE", "/stacks/{}"),
    ] {
        let (foreign, absent) = (path.replace("{}", &stack), path.replace("{}", missing));
        let foreign = api.send_as(&my_key, method, &foreign, json!({})).await;
        let absent = api.send_as(&my_key, method, &absent, json!({})).await;
        assert_eq!(foreign.slug(), "not-found", "{method} {path}");
        assert_eq!(strip(&foreign), strip(&absent), "{method} {path}");
    }
    for id in [other.as_str(), missing] {
        assert_eq!(api.get_as(&agent_key, &format!("/agents/{id}/target-state")).await.slug(), "not-found");
        assert_eq!(api.get_as(&agent_key, &format!("/agents/{id}")).await.slug(), "not-found");
    }
    assert_eq!(api.get_as(&agent_key, &format!("/agents/{agent}")).await.status, 200);
    // The agent is registered with the system generator only.
    assert_eq!(api.get_as(&my_key, &format!("/agents/{agent}")).await.slug(), "not-found");
    assert_eq!(api.get_as(&my_key, "/stacks").await.json()["items"], json!([]));
    let everything = api.get_as(&my_key, "/stacks?limit=500").await;
    assert!(!String::from_utf8_lossy(&everything.body).contains("secret"));
}

#[tokio::test]
async fn revoked_and_rotated_keys_stop_working_at_once() {
    let api = Api::new().await;
    let (agent, first) = api.agent("edge", json!({})).await;
    let second =
        api.send("POST", &format!("/agents/{agent}/rotate-pak"), json!({"overlap_seconds": 60})).await.text("/pak");
    for key in [&first, &second] {
        assert_eq!(
            api.send_as(key, "POST", "/auth/pak", json!({})).await.status,
            200,
            "both keys work during the overlap"
        );
    }
    let third = api.send_as(&second, "POST", &format!("/agents/{agent}/rotate-pak"), json!({})).await.text("/pak");
    for key in [&first, &second] {
        assert_eq!(api.send_as(key, "POST", "/auth/pak", json!({})).await.slug(), "unauthenticated");
    }
    let who = api.send_as(&third, "POST", "/auth/pak", json!({})).await;
    assert_eq!(
        (who.text("/kind"), who.text("/principal_id"), who.text("/name")),
        ("agent".into(), agent.clone(), "edge".into())
    );
    let keys = api.get(&format!("/agents/{agent}/keys")).await.json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    assert!(!keys.to_string().contains(third.split('_').nth(3).unwrap()), "the secret is shown once");
    let id = keys["items"][0]["id"].as_str().unwrap();
    assert_eq!(api.send("DELETE", &format!("/agents/{agent}/keys/{id}"), json!({})).await.status, 204);
    assert_eq!(api.send_as(&third, "POST", "/auth/pak", json!({})).await.slug(), "unauthenticated");
}

#[tokio::test]
async fn refused_requests_are_audited_for_every_cause() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, agent_key) = api.agent("edge", json!({})).await;
    let path = format!("/stacks/{stack}");
    assert_eq!(api.send("POST", "/stacks", json!({"nonsense": 1})).await.slug(), "unknown-field");
    assert_eq!(api.send("PATCH", &path, json!({"description": "x"})).await.slug(), "precondition-required");
    assert_eq!(api.send_as(&agent_key, "DELETE", &path, json!({})).await.slug(), "forbidden");
    let tag = api.get(&format!("/agents/{agent}")).await.headers["etag"].to_str().unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let retire =
        api.call(&api.admin, "PATCH", &format!("/api/v1/agents/{agent}"), &headers, r#"{"status":"retired"}"#).await;
    assert_eq!(retire.status, 200, "{retire:?}");
    assert_eq!(api.get_as(&agent_key, "/agents").await.slug(), "agent-retired");
    let expected = [
        ("request", "POST /api/v1/stacks: unknown-field", "admin", None, "failed"),
        ("request", "PATCH /api/v1/stacks/{id}: precondition-required", "admin", None, "failed"),
        ("stack.delete", "forbidden", "agent", Some(&stack), "denied"),
        ("authenticate", "agent-retired", "agent", Some(&agent), "denied"),
    ];
    eventually("recorded", || async {
        let audit = api.get("/audit?limit=100").await.json();
        let records = audit["items"].as_array().unwrap().clone();
        let has = |(action, detail, actor, object, outcome): &(&str, &str, &str, Option<&String>, &str)| {
            records.iter().any(|it| {
                it["action"] == *action
                    && it["detail"] == *detail
                    && it["actor"]["kind"] == *actor
                    && it["object_id"].as_str() == object.map(String::as_str)
                    && it["outcome"] == *outcome
            })
        };
        if expected.iter().all(has) { Ok(()) } else { Err(records) }
    })
    .await;
}
