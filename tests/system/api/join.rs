//! Join tokens: what they give, to whom, how often and until when.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::entropy::SystemEntropy;
use brokkr_core::model::KeyKind;
use brokkr_core::pak::Pak;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SYSTEM: &str = "00000000-0000-7000-8000-000000000001";

/// Creates a join token that expires in a day. Returns its id and its text.
async fn token(api: &Api, name: &str, more: Value) -> (String, String) {
    let mut body = json!({"name": name, "expires_at": SystemClock.now().plus(DAY)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = api.send("POST", "/join-tokens", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.text("/join_token/id"), made.text("/token"))
}

async fn join(api: &Api, token: &str, name: &str, key: Option<&Pak>) -> Reply {
    let mut body = json!({"name": name, "cluster_name": "eu", "cluster_uid": format!("uid-of-{name}")});
    if let Some(key) = key {
        body["key_hash"] = json!(key.key_hash().to_string());
    }
    api.send_as(token, "POST", "/join", body).await
}

fn key() -> Pak {
    Pak::generate(KeyKind::Agent, &SystemEntropy).unwrap()
}

async fn uses(api: &Api, id: &str) -> u64 {
    api.get(&format!("/join-tokens/{id}")).await.json()["uses"].as_u64().unwrap()
}

#[tokio::test]
async fn token_gives_an_agent_what_it_fixes_and_a_key_of_its_own() {
    let api = Api::new().await;
    let generator = api.send("POST", "/generators", json!({"name": "shop"})).await.text("/generator/id");
    let grant = api.send("POST", "/grants", json!({"name": "databases"})).await.text("/id");
    api.send("POST", "/environments", json!({"name": "staging"})).await;
    let more = json!({
        "max_uses": 2,
        "environment": "staging",
        "labels": {"site": "edge"},
        "annotations": {"team": "Team Web"},
        "registrations": [{"generator_id": generator, "grant_id": grant}, {"generator_id": SYSTEM}],
    });
    let (id, secret) = token(&api, "edge", more).await;
    assert!(secret.starts_with("brokkr_join_"), "secret scanners find it");
    let joined = join(&api, &secret, "edge-1", None).await;
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_eq!(joined.headers["cache-control"], "no-store");
    let agent = joined.json()["agent"].clone();
    assert_eq!(joined.headers["location"], format!("/api/v1/agents/{}", agent["id"].as_str().unwrap()));
    assert_eq!((&agent["name"], &agent["cluster_name"]), (&json!("edge-1"), &json!("eu")));
    assert_eq!(agent["labels"], json!({"brokkr.io/environment": "staging", "site": "edge"}));
    assert_eq!(agent["annotations"], json!({"team": "Team Web"}));
    let registrations = agent["registrations"].as_array().unwrap();
    assert_eq!(registrations.len(), 2);
    assert!(registrations.contains(&json!({"generator_id": generator, "grant_id": grant})), "{agent}");
    let who = api.send_as(&joined.text("/pak"), "POST", "/auth/pak", json!({})).await.json();
    assert_eq!(
        (&who["kind"], &who["principal_id"], &who["scopes"]),
        (&json!("agent"), &agent["id"], &json!(["agent"]))
    );
    assert_eq!(who["expires_at"], json!(null));

    let read = api.get(&format!("/join-tokens/{id}")).await;
    let secret_part = secret.split('_').nth(3).unwrap();
    assert!(!String::from_utf8_lossy(&read.body).contains(secret_part), "the secret is shown once");
    assert_eq!((&read.json()["uses"], &read.json()["created_by"]["kind"]), (&json!(1), &json!("admin")));
    let audit = api.get("/audit?action=agent.join").await.json();
    let record = &audit["items"][0];
    assert_eq!((&record["actor"]["kind"], &record["actor"]["id"]), (&json!("join-token"), &json!(id)));
    assert_eq!((&record["object_id"], &record["outcome"]), (&agent["id"], &json!("success")));
    assert_eq!(record["detail"], format!("join token {id}, cluster uid-of-edge-1"));
    let feed = api.get("/changes?limit=500").await;
    assert!(!String::from_utf8_lossy(&feed.body).contains("sha256"), "the feed has no hashes");
    assert_eq!(api.get("/join-tokens").await.json()["items"], json!([read.json()]));
}

#[tokio::test]
async fn joins_are_counted_and_no_more_are_admitted() {
    let api = Api::new().await;
    let (id, secret) = token(&api, "edge", json!({"max_uses": 7})).await;
    let joins = (0..20).map(|n| {
        let (api, secret) = (api.clone(), secret.clone());
        tokio::spawn(async move {
            loop {
                let reply = join(&api, &secret, &format!("edge-{n}"), None).await;
                if reply.status != 503 {
                    return reply;
                }
                assert_eq!(
                    (reply.slug().as_str(), &reply.headers["retry-after"]),
                    ("overloaded", &"1".parse().unwrap())
                );
                tokio::task::yield_now().await;
            }
        })
    });
    let mut created = 0;
    for one in joins.collect::<Vec<_>>() {
        let reply = one.await.unwrap();
        match reply.status.as_u16() {
            201 => created += 1,
            _ => assert_eq!(reply.slug(), "unauthenticated"),
        }
    }
    let agents = api.get("/agents").await.json()["items"].as_array().unwrap().len();
    assert_eq!((created, agents, uses(&api, &id).await), (7, 7, 7));
}

#[tokio::test]
async fn unusable_tokens_get_the_same_401_and_are_audited() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let api = Api::with(|builder| builder.clock(clock.clone())).await;
    let (used_id, used) = token(&api, "used", json!({})).await;
    assert_eq!(join(&api, &used, "first", None).await.status, 201);
    let (deleted_id, deleted) = token(&api, "deleted", json!({})).await;
    assert_eq!(api.send("DELETE", &format!("/join-tokens/{deleted_id}"), json!({})).await.status, 204);
    assert_eq!(api.get(&format!("/join-tokens/{deleted_id}")).await.slug(), "not-found");
    let (expired_id, expired) = token(&api, "expired", json!({"expires_at": clock.now().plus(DAY / 2)})).await;
    clock.advance(DAY / 2);
    let mistyped = format!("{}0", &used[..used.len() - 1]);
    let stranger = Pak::generate(KeyKind::JoinToken, &SystemEntropy).unwrap().into_secret();
    let mut texts = Vec::new();
    for (what, secret) in [
        ("used up", used.as_str()),
        ("deleted", &deleted),
        ("expired", &expired),
        ("mistyped", &mistyped),
        ("unknown", stranger.expose_secret()),
    ] {
        let refused = join(&api, secret, "second", None).await;
        assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (401, "unauthenticated"), "{what}");
        texts.push(refused.json()["detail"].clone());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "no text tells which of them it was");
    assert_eq!(api.get("/agents").await.json()["items"].as_array().unwrap().len(), 1);
    eventually("the audit names the tokens that the broker knows", || async {
        let audit = api.get("/audit?outcome=denied").await.json();
        let records = audit["items"].as_array().unwrap().clone();
        let has = |action: &str, id: &str| {
            records.iter().any(|it| it["action"] == action && it["actor"] == json!({"kind": "join-token", "id": id}))
        };
        if has("agent.join", &used_id) && has("authenticate", &expired_id) { Ok(()) } else { Err(records) }
    })
    .await;
}

#[tokio::test]
async fn repeated_join_is_the_same_agent_and_another_key_never_is() {
    let api = Api::new().await;
    let (id, secret) = token(&api, "edge", json!({"max_uses": 2})).await;
    let own = key();
    let first = join(&api, &secret, "edge-1", Some(&own)).await;
    assert_eq!((first.status.as_u16(), &first.json()["pak"]), (201, &json!(null)), "the agent has its key");
    let again = join(&api, &secret, "edge-1", Some(&own)).await;
    assert_eq!((again.status.as_u16(), &again.json()["agent"]), (200, &first.json()["agent"]));
    assert_eq!((again.headers["cache-control"].as_bytes(), uses(&api, &id).await), (&b"no-store"[..], 1));
    for other in [Some(key()), None] {
        let refused = join(&api, &secret, "edge-1", other.as_ref()).await;
        assert_eq!(refused.slug(), "already-exists", "another cluster cannot take the agent's name");
        assert!(refused.json()["detail"].as_str().unwrap().contains("choose another name"), "{refused:?}");
    }
    // The key was stored as it was generated.
    let short_id = own.short_id().to_owned();
    let text = own.into_secret();
    let who = api.send_as(text.expose_secret(), "POST", "/auth/pak", json!({})).await;
    assert_eq!(who.text("/principal_id"), first.text("/agent/id"));
    // A short id that a key has already is never given to another agent.
    let forged = json!({"name": "edge-2", "key_hash": format!("{short_id}:sha256:{}", "ab".repeat(32))});
    let forged = api.send_as(&secret, "POST", "/join", forged).await;
    assert_eq!(forged.status, 409, "{forged:?}");

    assert_eq!(join(&api, &secret, "edge-2", None).await.status, 201);
    let last: Pak = key();
    assert_eq!(join(&api, &secret, "edge-3", Some(&last)).await.slug(), "unauthenticated");
    let agents = format!("/agents/{}", first.text("/agent/id"));
    let own =
        json!({"name": "edge-1", "key_hash": brokkr_core::pak::KeyHash::of(text.expose_secret()).unwrap().to_string()});
    let used_up = api.send_as(&secret, "POST", "/join", own.clone()).await;
    assert_eq!(used_up.status, 200, "a repetition uses nothing: {used_up:?}");
    assert_eq!(api.send("POST", &format!("{agents}/rotate-pak"), json!({})).await.status, 200);
    let rotated = api.send_as(&secret, "POST", "/join", own).await;
    assert_eq!(rotated.slug(), "unauthenticated", "a revoked key proves nothing");
    assert_eq!(uses(&api, &id).await, 2);
}

#[tokio::test]
async fn retired_agent_cannot_repeat_its_join() {
    let api = Api::new().await;
    let (_, secret) = token(&api, "edge", json!({})).await;
    let own = key();
    let agent = join(&api, &secret, "edge-1", Some(&own)).await.text("/agent/id");
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let path = format!("/api/v1/agents/{agent}");
    let retired = api.call(&api.admin, "PATCH", &path, &headers, r#"{"status":"retired"}"#).await;
    assert_eq!(retired.status, 200);
    assert_eq!(join(&api, &secret, "edge-1", Some(&own)).await.slug(), "agent-retired");
}

#[tokio::test]
async fn token_is_no_key_and_a_key_is_no_token() {
    let api = Api::new().await;
    let (id, secret) = token(&api, "edge", json!({})).await;
    for (method, path) in [
        ("POST", "/auth/pak".to_owned()),
        ("GET", "/agents".to_owned()),
        ("GET", "/stacks".to_owned()),
        ("GET", "/join-tokens".to_owned()),
        ("GET", "/audit".to_owned()),
        ("GET", "/changes".to_owned()),
        ("GET", "/keys".to_owned()),
        ("DELETE", format!("/join-tokens/{id}")),
        ("POST", "/agents".to_owned()),
        ("POST", "/join-tokens".to_owned()),
        ("POST", "/stacks".to_owned()),
    ] {
        assert_eq!(api.send_as(&secret, method, &path, json!({})).await.slug(), "unauthenticated", "{method} {path}");
    }
    let (_, agent) = api.agent("existing", json!({})).await;
    for key in [&api.admin, &agent] {
        assert_eq!(join(&api, key, "edge-1", None).await.slug(), "unauthenticated", "only a join token joins");
    }
}

#[tokio::test]
async fn token_gives_no_more_than_its_maker_has() {
    let api = Api::new().await;
    let end = SystemClock.now().plus(DAY);
    let made = async |body: Value| api.send("POST", "/keys", body).await.text("/pak");
    let operator = made(json!({"name": "operator", "preset": "operator"})).await;
    let auditor = made(json!({"name": "auditor", "preset": "auditor"})).await;
    let blind = made(json!({"name": "blind", "scopes": ["fleet:write", "keys", "stacks:read"]})).await;
    let ending = made(json!({"name": "ending", "preset": "admin", "expires_at": end})).await;
    let create = async |key: &str, body: Value| api.send_as(key, "POST", "/join-tokens", body).await;
    let body = |name: &str, end| json!({"name": name, "expires_at": end});
    assert_eq!(create(&operator, body("a", end)).await.slug(), "forbidden", "a token makes keys");
    assert_eq!(create(&auditor, body("a", end)).await.slug(), "forbidden");
    assert_eq!(api.get_as(&auditor, "/join-tokens").await.status, 200);
    let refused = create(&blind, body("a", end)).await;
    assert_eq!((refused.slug(), refused.json()["pointer"].clone()), ("field-invalid".into(), json!("/scopes")));
    let refused = create(&ending, body("a", end.plus(DAY))).await;
    assert_eq!(refused.json()["pointer"], "/expires_at", "{refused:?}");
    let token = create(&ending, body("a", end)).await;
    assert_eq!(token.json()["join_token"]["keys_expire_at"], json!(end), "{token:?}");
    let joined = join(&api, &token.text("/token"), "edge-1", None).await;
    let who = api.send_as(&joined.text("/pak"), "POST", "/auth/pak", json!({})).await;
    assert_eq!(who.json()["expires_at"], json!(end), "the agent's key ends with the maker's");
}

#[tokio::test]
async fn invalid_tokens_and_joins_are_refused_at_the_field() {
    let api = Api::new().await;
    let end = SystemClock.now().plus(DAY);
    let missing = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    for (more, pointer) in [
        (json!({"max_uses": 0}), "/max_uses"),
        (json!({"max_uses": 10_001}), "/max_uses"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"environment": "staging"}), "/environment"),
        (json!({"labels": {"brokkr.io/environment": "production"}}), "/labels"),
        (json!({"registrations": [{"generator_id": missing}]}), "/registrations/0/generator_id"),
        (json!({"registrations": [{"generator_id": SYSTEM, "grant_id": missing}]}), "/registrations/0/grant_id"),
        (
            json!({"registrations": [{"generator_id": SYSTEM}, {"generator_id": SYSTEM}]}),
            "/registrations/1/generator_id",
        ),
        (json!({"uses": 3}), "/uses"),
    ] {
        let mut body = json!({"name": "edge", "expires_at": end});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = api.send("POST", "/join-tokens", body.clone()).await;
        assert!(matches!(refused.status.as_u16(), 409 | 422), "{body}: {refused:?}");
        assert_eq!(refused.json()["pointer"], pointer, "{body}");
    }
    assert_eq!(api.send("POST", "/join-tokens", json!({"name": "edge"})).await.status, 422, "an end is required");
    let (_, secret) = token(&api, "edge", json!({})).await;
    for (body, pointer) in [
        (json!({"name": "Edge"}), "/name"),
        (json!({"name": "edge", "key_hash": "abc"}), "/key_hash"),
        (json!({"name": "edge", "labels": {}}), "/labels"),
    ] {
        let refused = api.send_as(&secret, "POST", "/join", body.clone()).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert_eq!(join(&api, &secret, "edge", None).await.status, 201, "refused joins use nothing");
}

#[tokio::test]
async fn references_of_a_token_are_kept_or_left_out() {
    let api = Api::new().await;
    let generator = api.send("POST", "/generators", json!({"name": "shop"})).await.text("/generator/id");
    let grant = api.send("POST", "/grants", json!({"name": "databases"})).await.text("/id");
    let registrations = json!([{"generator_id": SYSTEM}, {"generator_id": generator, "grant_id": grant}]);
    let (id, secret) = token(&api, "edge", json!({"registrations": registrations})).await;
    let grants = format!("/grants/{grant}");
    assert_eq!(api.send("DELETE", &grants, json!({})).await.slug(), "in-use");
    assert_eq!(api.send("DELETE", &format!("/generators/{generator}"), json!({})).await.status, 204);
    let joined = join(&api, &secret, "edge-1", None).await;
    let left = joined.json()["agent"]["registrations"].clone();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["generator_id"]), (1, &json!(SYSTEM)), "{joined:?}");
    assert_eq!(api.send("DELETE", &format!("/join-tokens/{id}"), json!({})).await.status, 204);
    assert_eq!(api.send("DELETE", &grants, json!({})).await.status, 204);
    let who = api.send_as(&joined.text("/pak"), "POST", "/auth/pak", json!({})).await;
    assert_eq!(who.status, 200, "an agent outlives its token");
}

#[tokio::test]
async fn idempotency_key_repeats_the_answer_without_the_secret() {
    let api = Api::new().await;
    let call = async |key: &str, path: &str, body: &Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        api.call(key, "POST", path, &headers, body.to_string()).await
    };
    let body = json!({"name": "edge", "max_uses": 5, "expires_at": SystemClock.now().plus(DAY)});
    let first = call(&api.admin, "/api/v1/join-tokens", &body).await;
    let again = call(&api.admin, "/api/v1/join-tokens", &body).await;
    assert_eq!((again.status.as_u16(), &again.json()["token"]), (201, &json!(null)));
    assert_eq!(first.json()["join_token"], again.json()["join_token"]);
    let secret = first.text("/token");
    let joined = call(&secret, "/api/v1/join", &json!({"name": "edge-1"})).await;
    let repeated = call(&secret, "/api/v1/join", &json!({"name": "edge-1"})).await;
    assert_eq!((repeated.status.as_u16(), &repeated.json()["pak"]), (201, &json!(null)));
    assert_eq!(joined.json()["agent"], repeated.json()["agent"]);
    assert_eq!(uses(&api, &first.text("/join_token/id")).await, 1);
}

#[tokio::test]
async fn join_with_a_key_keeps_no_answer_and_repeats_by_itself() {
    let api = Api::new().await;
    let (id, secret) = token(&api, "edge", json!({"max_uses": 2})).await;
    let own = key();
    let call = async |idempotency: &str, name: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", idempotency)];
        let body = json!({"name": name, "key_hash": own.key_hash().to_string()});
        api.call(&secret, "POST", "/api/v1/join", &headers, body.to_string()).await
    };
    let first = call("once", "edge-1").await;
    assert_eq!(first.status, 201);
    for idempotency in ["once", "twice"] {
        let again = call(idempotency, "edge-1").await;
        assert_eq!((again.status.as_u16(), &again.json()["agent"]), (200, &first.json()["agent"]));
        assert!(!again.headers.contains_key("idempotency-replayed"), "{again:?}");
    }
    let other = call("once", "edge-2").await;
    assert_ne!(other.slug(), "idempotency-key-reused", "no answer was kept");
    assert_eq!(uses(&api, &id).await, 1);
}

#[tokio::test]
async fn expired_tokens_make_room_and_the_living_ones_are_limited() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let api = Api::with(|builder| builder.clock(clock.clone())).await;
    let create =
        async |name: String, end| api.send("POST", "/join-tokens", json!({"name": name, "expires_at": end})).await;
    for n in 0..256 {
        let made = create(format!("edge-{n}"), clock.now().plus(DAY)).await;
        assert_eq!(made.status, 201, "{n}: {made:?}");
    }
    assert_eq!(create("more".to_owned(), clock.now().plus(DAY)).await.slug(), "limit-reached");
    clock.advance(DAY);
    assert_eq!(create("edge-0".to_owned(), clock.now().plus(DAY)).await.status, 201);
    let left = api.get("/join-tokens?limit=500").await.json()["items"].as_array().unwrap().len();
    assert_eq!(left, 1, "expired tokens are deleted with the next creation");
}
