//! Keys: scopes, expiry, networks, rotation, and the last admin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_control::KeyHash;
use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::model::{Timestamp, limits};
use http::Request;
use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock.now()))
}

async fn api_at(clock: &Arc<ManualClock>) -> Api {
    Api::with(|builder| builder.clock(clock.clone())).await
}

async fn admin_key(api: &Api, body: Value) -> (String, String) {
    let reply = api.send("POST", "/keys", body).await;
    (reply.text("/key/id"), reply.text("/pak"))
}

fn end(reply: &Reply) -> Option<Timestamp> {
    serde_json::from_value(reply.json()["key"]["expires_at"].clone()).unwrap()
}

async fn is_valid(api: &Api, key: &str) -> bool {
    api.send_as(key, "POST", "/auth/pak", json!({})).await.status == 200
}

#[tokio::test]
async fn finding_08_key_without_the_scope_keys_makes_no_key() {
    let api = Api::new().await;
    let made = api.send("POST", "/generators", json!({"name": "ci"})).await;
    let (id, ci) = (made.text("/generator/id"), made.text("/pak"));
    let own = api.get_as(&ci, &format!("/generators/{id}/keys")).await.json();
    assert_eq!(own["items"][0]["scopes"], json!(["stacks:read", "stacks:write"]), "a generator is a publisher");
    let key_id = own["items"][0]["id"].as_str().unwrap().to_owned();
    let (_, operator) = admin_key(&api, json!({"name": "op", "preset": "operator"})).await;
    let operators = api.get_as(&operator, "/keys").await.json()["items"].clone();
    assert_eq!(operators.as_array().unwrap().len(), 2, "the metadata of keys is readable");
    for (key, path) in [
        (&ci, format!("/generators/{id}/keys")),
        (&ci, format!("/generators/{id}/rotate-pak")),
        (&ci, format!("/generators/{id}/keys/{key_id}/rotate")),
        (&ci, "/keys".to_owned()),
        (&operator, format!("/generators/{id}/keys")),
        (&operator, "/keys".to_owned()),
        (&operator, "/agents".to_owned()),
        (&operator, "/generators".to_owned()),
        (&operator, format!("/keys/{}/rotate", operators[0]["id"].as_str().unwrap())),
    ] {
        let body = if path.contains("rotate") { json!({}) } else { json!({"name": "more"}) };
        let reply = api.send_as(key, "POST", &path, body).await;
        assert_eq!(reply.slug(), "forbidden", "{path}");
    }
    let delete = api.send_as(&ci, "DELETE", &format!("/generators/{id}/keys/{key_id}"), json!({})).await;
    assert_eq!(delete.slug(), "forbidden");
}

#[tokio::test]
async fn finding_08_key_never_outlives_its_maker() {
    let clock = clock();
    let api = api_at(&clock).await;
    let now = clock.now();
    let ends = now.plus(DAY);
    let scopes = json!(["stacks:read", "stacks:write", "keys"]);
    let new = json!({"name": "ci", "key": {"scopes": scopes, "expires_at": ends, "subject": "ci@example.com"}});
    let made = api.send("POST", "/generators", new).await;
    let (id, ci) = (made.text("/generator/id"), made.text("/pak"));
    let keys = format!("/generators/{id}/keys");
    let capped = api.send_as(&ci, "POST", &keys, json!({"name": "more"})).await;
    assert_eq!(end(&capped), Some(ends), "{capped:?}");
    let longer = api.send_as(&ci, "POST", &keys, json!({"name": "more", "expires_at": now.plus(DAY * 2)})).await;
    assert_eq!((longer.slug(), longer.text("/pointer")), ("field-invalid".to_owned(), "/expires_at".to_owned()));
    // Rotation by the holder at any time gives no more.
    clock.advance(DAY / 2);
    let rotated =
        api.send_as(&ci, "POST", &format!("/generators/{id}/rotate-pak"), json!({"overlap_seconds": 60})).await;
    assert_eq!(end(&rotated), Some(ends), "{rotated:?}");
    // A key that has been replaced makes no key that outlives its overlap.
    let minute = Some(clock.now().plus(Duration::from_secs(60)));
    assert_eq!(end(&api.send_as(&ci, "POST", &keys, json!({"name": "late"})).await), minute);
    let second = rotated.text("/pak");
    let first = api.get_as(&second, &keys).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let replaced = api.send_as(&second, "POST", &format!("{keys}/{first}/rotate"), json!({})).await;
    assert_eq!(end(&replaced), Some(ends), "{replaced:?}");
    let newest = replaced.text("/pak");
    assert!(!is_valid(&api, &ci).await && is_valid(&api, &newest).await);
    // By an admin's key without an end, the lifetime begins again.
    let by_admin = api.send("POST", &format!("/generators/{id}/rotate-pak"), json!({})).await;
    assert_eq!(end(&by_admin), Some(clock.now().plus(DAY / 2 + Duration::from_secs(60))), "{by_admin:?}");
    clock.advance(DAY);
    for key in [&ci, &newest, &capped.text("/pak"), &rotated.text("/pak"), &by_admin.text("/pak")] {
        assert!(!is_valid(&api, key).await, "nothing outlives the first key");
    }
    assert!(is_valid(&api, &api.admin).await);
}

#[tokio::test]
async fn finding_08_expiring_admin_makes_only_expiring_keys() {
    let clock = clock();
    let api = api_at(&clock).await;
    let ends = clock.now().plus(DAY);
    let (_, admin) = admin_key(&api, json!({"name": "jane", "preset": "admin", "expires_at": ends})).await;
    let agent = api.send_as(&admin, "POST", "/agents", json!({"name": "edge"})).await;
    let generator = api.send_as(&admin, "POST", "/generators", json!({"name": "ci"})).await;
    let more = api.send_as(&admin, "POST", "/keys", json!({"name": "more", "preset": "admin"})).await;
    let own = more.text("/key/id");
    let rotated = api.send_as(&admin, "POST", &format!("/keys/{own}/rotate"), json!({})).await;
    let made = [agent.text("/pak"), generator.text("/pak"), rotated.text("/pak")];
    for key in &made {
        assert!(is_valid(&api, key).await);
    }
    clock.advance(DAY);
    for key in made.iter().chain([&admin]) {
        assert!(!is_valid(&api, key).await);
    }
}

#[tokio::test]
async fn finding_08_key_never_exceeds_the_scopes_of_its_maker() {
    let api = Api::new().await;
    let scopes = json!(["keys", "stacks:read", "fleet:write", "gate:tests"]);
    let (_, limited) = admin_key(&api, json!({"name": "limited", "scopes": scopes})).await;
    let agent = api.agent("edge", json!({})).await.0;
    let generator = api.send("POST", "/generators", json!({"name": "ci"})).await.text("/generator/id");
    for (path, body, status) in [
        ("/keys".to_owned(), json!({"name": "k", "scopes": ["stacks:read", "gate:tests"]}), 201),
        ("/keys".to_owned(), json!({"name": "k", "scopes": ["keys"]}), 201),
        ("/keys".to_owned(), json!({"name": "k", "preset": "admin"}), 422),
        ("/keys".to_owned(), json!({"name": "k", "kind": "admin"}), 422),
        ("/keys".to_owned(), json!({"name": "k", "scopes": ["secrets:read"]}), 422),
        ("/keys".to_owned(), json!({"name": "k", "scopes": ["gate:*"]}), 422),
        ("/keys".to_owned(), json!({"name": "k", "scopes": []}), 422),
        ("/keys".to_owned(), json!({"name": "k", "scopes": ["agent"]}), 422),
        (format!("/generators/{generator}/keys"), json!({"name": "k", "scopes": ["stacks:read"]}), 201),
        (format!("/generators/{generator}/keys"), json!({"name": "k"}), 422),
        (format!("/generators/{generator}/rotate-pak"), json!({}), 422),
        // An agent's key reads the values of Secrets.
        (format!("/agents/{agent}/keys"), json!({"name": "k"}), 422),
        (format!("/agents/{agent}/rotate-pak"), json!({}), 422),
        ("/agents".to_owned(), json!({"name": "other"}), 422),
    ] {
        let reply = api.send_as(&limited, "POST", &path, body.clone()).await;
        assert_eq!(reply.status.as_u16(), status, "{path} {body}: {reply:?}");
    }
    for scope in ["fleet:read", "fleet:write", "audit:read", "break-glass", "agent"] {
        let reply =
            api.send("POST", &format!("/generators/{generator}/keys"), json!({"name": "k", "scopes": [scope]})).await;
        assert_eq!(reply.text("/pointer"), "/scopes", "a generator has no rights beyond its rows: {scope}");
    }
}

#[tokio::test]
async fn configured_lifetime_limits_new_keys_of_people_and_systems() {
    let clock = clock();
    let api = Api::with(|builder| builder.clock(clock.clone()).key_lifetime(DAY * 90)).await;
    let longest = Some(clock.now().plus(DAY * 90));
    let jane = api.send("POST", "/keys", json!({"name": "jane", "preset": "operator"})).await;
    assert_eq!(end(&jane), longest);
    let beyond = json!({"name": "jane", "preset": "operator", "expires_at": clock.now().plus(DAY * 91)});
    assert_eq!(api.send("POST", "/keys", beyond).await.text("/pointer"), "/expires_at");
    let (agent, _) = api.agent("edge", json!({})).await;
    let of_agent = api.send("POST", &format!("/agents/{agent}/keys"), json!({"name": "second"})).await;
    assert_eq!(end(&of_agent), None, "an agent without a key could no longer be reached");
    assert!(is_valid(&api, &api.admin).await);
}

#[tokio::test]
async fn finding_11_last_admin_key_stays() {
    let clock = clock();
    let api = api_at(&clock).await;
    let first = api.get("/keys").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let delete = async |key: &str, id: &str| api.send_as(key, "DELETE", &format!("/keys/{id}"), json!({})).await;
    // Keys that could not make another admin do not count.
    admin_key(&api, json!({"name": "op", "preset": "operator"})).await;
    admin_key(&api, json!({"name": "auditor", "preset": "auditor"})).await;
    let (expiring, _) =
        admin_key(&api, json!({"name": "old", "preset": "admin", "expires_at": clock.now().plus(DAY)})).await;
    clock.advance(DAY);
    let refused = delete(&api.admin, &first).await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (409, "last-admin-key".to_owned()));
    let detail = refused.text("/detail");
    assert!(detail.contains("POST /api/v1/keys") && detail.contains("keys recover"), "{detail}");
    assert!(is_valid(&api, &api.admin).await);
    assert_eq!(delete(&api.admin, &expiring).await.status, 204, "an expired key may go");
    // A successor makes it possible.
    let (second, successor) = admin_key(&api, json!({"name": "next", "preset": "admin"})).await;
    assert_eq!(delete(&successor, &first).await.status, 204);
    assert!(!is_valid(&api, &api.admin).await);
    assert_eq!(delete(&successor, &second).await.slug(), "last-admin-key");
    // Rotation makes the successor itself.
    let rotated = api.send_as(&successor, "POST", &format!("/keys/{second}/rotate"), json!({})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert!(!is_valid(&api, &successor).await && is_valid(&api, &rotated.text("/pak")).await);
    assert_eq!(delete(&rotated.text("/pak"), &rotated.text("/key/id")).await.slug(), "last-admin-key");
}

#[tokio::test]
async fn rotated_admin_key_overlaps_with_its_successor() {
    let clock = clock();
    let api = api_at(&clock).await;
    let network = "192.0.2.0/24";
    let body = json!({"name": "jane", "subject": "jane@example.com", "preset": "operator", "source_networks": [network],
        "expires_at": clock.now().plus(DAY * 30)});
    let created = api.send("POST", "/keys", body).await.json()["key"].clone();
    let id = created["id"].as_str().unwrap();
    clock.advance(DAY * 20);
    let rotated = api.send("POST", &format!("/keys/{id}/rotate"), json!({"overlap_seconds": 3600})).await;
    let new = rotated.json()["key"].clone();
    for field in ["name", "subject", "scopes", "source_networks", "kind"] {
        assert_eq!(new[field], created[field], "{field}");
    }
    assert_eq!(end(&rotated), Some(clock.now().plus(DAY * 30)), "the lifetime begins again");
    let listed = api.get("/keys").await.json()["items"].clone();
    let old = listed.as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
    assert_eq!(old["expires_at"], json!(clock.now().plus(Duration::from_secs(3600))));
    clock.advance(Duration::from_secs(3600));
    let again = api.send("POST", &format!("/keys/{id}/rotate"), json!({})).await;
    assert_eq!(again.slug(), "not-found", "an expired key has no successor");
    let too_long = json!({"overlap_seconds": limits::ROTATION_OVERLAP_SECONDS + 1});
    let too_long = api.send("POST", &format!("/keys/{}/rotate", new["id"].as_str().unwrap()), too_long).await;
    assert_eq!(too_long.text("/pointer"), "/overlap_seconds");
}

async fn from(api: &Api, key: &str, peer: Option<&str>) -> Reply {
    let mut request = Request::builder()
        .method("POST")
        .uri("/api/v1/auth/pak")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap();
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    }
    api.raw(request).await
}

#[tokio::test]
async fn key_works_only_from_its_source_networks() {
    let api = Api::new().await;
    let networks = json!(["10.20.0.0/16", "2001:db8::/32"]);
    let (id, office) = admin_key(&api, json!({"name": "office", "preset": "admin", "source_networks": networks})).await;
    for (peer, status) in [
        (Some("10.20.3.4:5000"), 200),
        (Some("[::ffff:10.20.3.4]:5000"), 200),
        (Some("[2001:db8::1]:5000"), 200),
        (Some("10.21.0.1:5000"), 401),
        (Some("[2001:db9::1]:5000"), 401),
        (None, 401),
    ] {
        let reply = from(&api, &office, peer).await;
        assert_eq!(reply.status.as_u16(), status, "{peer:?}: {reply:?}");
    }
    assert_eq!(from(&api, &api.admin, Some("10.21.0.1:5000")).await.status, 200, "other keys work from everywhere");
    eventually("the refusals are audited with key and source", || async {
        let audit = api.get("/audit?action=authenticate&limit=100").await.json();
        let records = audit["items"].as_array().unwrap().clone();
        let of_key = |source: &str| {
            records.iter().any(|it| {
                it["detail"] == "source-network"
                    && it["object_id"] == *id
                    && it["source"] == source
                    && it["outcome"] == "denied"
            })
        };
        if of_key("10.21.0.1") && of_key("2001:db9::1") { Ok(()) } else { Err(records) }
    })
    .await;
    for wrong in ["10.20.0.0/33", "office", ""] {
        let reply = api.send("POST", "/keys", json!({"name": "k", "source_networks": [wrong]})).await;
        assert_eq!(reply.text("/pointer"), "/source_networks/0", "{wrong}");
    }
}

#[tokio::test]
async fn finding_12_denials_keep_their_source() {
    let api = Api::new().await;
    for n in 0..6 {
        let peer = format!("192.0.2.{}:1234", n % 3);
        assert_eq!(from(&api, "nonsense", Some(&peer)).await.status, 401);
    }
    eventually("each source has its record", || async {
        let audit = api.get("/audit?action=authenticate&limit=100").await.json();
        let records = audit["items"].as_array().unwrap().clone();
        let count = |n: u32| {
            let of = records
                .iter()
                .filter(|it| it["source"] == format!("192.0.2.{n}") && it["actor"]["kind"] == "anonymous");
            of.map(|it| it["count"].as_u64().unwrap()).sum::<u64>()
        };
        if (0..3).all(|n| count(n) == 2) { Ok(()) } else { Err(records) }
    })
    .await;
}

#[test]
fn finding_16_admin_key_hash_needs_its_form() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    assert!(format!("0123456789ab:{digest}").parse::<KeyHash>().is_ok());
    for wrong in [format!(":{digest}"), format!("abc:{digest}"), digest.clone(), format!("0123456789-_:{digest}")] {
        assert!(wrong.parse::<KeyHash>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn operator_runs_the_fleet_and_auditor_reads_it() {
    let api = Api::new().await;
    let (agent, _) = api.agent("edge", json!({})).await;
    let (_, operator) =
        admin_key(&api, json!({"name": "op", "preset": "operator", "subject": "jane@example.com"})).await;
    let (_, auditor) = admin_key(&api, json!({"name": "audit", "kind": "admin-read-only"})).await;
    let (_, nothing_named) = admin_key(&api, json!({"name": "default"})).await;
    let who = api.send_as(&operator, "POST", "/auth/pak", json!({})).await;
    assert_eq!((who.text("/kind"), who.text("/subject")), ("admin".to_owned(), "jane@example.com".to_owned()));
    for key in [&auditor, &nothing_named] {
        let who = api.send_as(key, "POST", "/auth/pak", json!({})).await.json();
        assert_eq!(
            (&who["kind"], &who["scopes"]),
            (&json!("admin-read-only"), &json!(["stacks:read", "fleet:read", "audit:read"]))
        );
    }
    let gates = json!({"name": "gate", "scopes": ["gate:tests"]});
    let (_, gate) = admin_key(&api, gates).await;
    for (key, method, path, body, status) in [
        (&operator, "POST", "/stacks".to_owned(), json!({"name": "web"}), 201),
        (&operator, "POST", "/environments".to_owned(), json!({"name": "prod"}), 201),
        (&operator, "POST", format!("/agents/{agent}/confirm-epoch"), json!({}), 200),
        (&operator, "GET", "/audit".to_owned(), json!(null), 200),
        (&operator, "GET", "/changes".to_owned(), json!(null), 200),
        (&auditor, "GET", "/stacks".to_owned(), json!(null), 200),
        (&auditor, "GET", "/environments".to_owned(), json!(null), 200),
        (&auditor, "GET", "/keys".to_owned(), json!(null), 200),
        (&auditor, "GET", "/audit".to_owned(), json!(null), 200),
        (&auditor, "POST", "/stacks".to_owned(), json!({"name": "api"}), 403),
        (&auditor, "POST", format!("/agents/{agent}/confirm-epoch"), json!({}), 403),
        (&gate, "GET", "/stacks".to_owned(), json!(null), 403),
        (&gate, "GET", "/audit".to_owned(), json!(null), 403),
    ] {
        let reply = api.send_as(key, method, &path, body).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path}: {reply:?}");
    }
    let created = api.get("/audit?action=stack.create").await.json();
    assert_eq!(created["items"][0]["subject"], "jane@example.com", "the audit names the holder");
}

#[tokio::test]
async fn last_use_is_listed() {
    let clock = clock();
    let api = api_at(&clock).await;
    let (id, key) = admin_key(&api, json!({"name": "jane", "preset": "auditor"})).await;
    let last_used = async || {
        let keys = api.get("/keys").await.json()["items"].clone();
        let of = keys.as_array().unwrap().iter().find(|it| it["id"] == *id).unwrap().clone();
        of["last_used_at"].clone()
    };
    assert_eq!(last_used().await, json!(null));
    let first = clock.now();
    for (after, expected) in [(0, first), (59, first), (1, first.plus(Duration::from_secs(60)))] {
        clock.advance(Duration::from_secs(after));
        assert!(is_valid(&api, &key).await);
        eventually("the use is written", || async {
            let seen = last_used().await;
            if seen == json!(expected) { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

#[tokio::test]
async fn admin_keys_are_limited_together() {
    let api = Api::new().await;
    // One key already exists.
    for n in 2..=limits::ADMIN_KEYS + 1 {
        let preset = if n % 2 == 0 { "operator" } else { "auditor" };
        let reply = api.send("POST", "/keys", json!({"name": format!("k{n}"), "preset": preset})).await;
        assert_eq!(reply.status.is_success(), n <= limits::ADMIN_KEYS, "{n}: {reply:?}");
    }
    let scopes = |n: usize| (0..n).map(|n| format!("gate:g{n}")).collect::<Vec<_>>();
    let api = Api::new().await;
    for n in [limits::KEY_SCOPES - 1, limits::KEY_SCOPES, limits::KEY_SCOPES + 1] {
        let reply = api.send("POST", "/keys", json!({"name": "gates", "scopes": scopes(n)})).await;
        assert_eq!(reply.status.is_success(), n <= limits::KEY_SCOPES, "{n}: {reply:?}");
        let networks: Vec<String> = (0..n).map(|n| format!("10.0.{n}.0/24")).collect();
        let reply = api.send("POST", "/keys", json!({"name": "networks", "source_networks": networks})).await;
        assert_eq!(reply.status.is_success(), n <= limits::SOURCE_NETWORKS, "{n}: {reply:?}");
    }
}
