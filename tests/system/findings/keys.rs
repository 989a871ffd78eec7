//! What keys could become, and how they could be lost.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_control::KeyHash;
use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::model::{StackId, limits};
use http::Request;
use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

async fn is_valid(api: &Api, key: &str) -> bool {
    api.send_as(key, "POST", "/auth/pak", json!({})).await.status == 200
}

/// A key that expires made one that does not, by creation and by rotation.
#[tokio::test]
async fn f08_expiring_key_makes_no_key_that_outlives_it() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let api = Api::with(|builder| builder.clock(clock.clone())).await;
    let ends = clock.now().plus(Duration::from_secs(4));
    let terms = json!({"scopes": ["stacks:read", "stacks:write", "keys"], "expires_at": ends});
    let made = api.send("POST", "/generators", json!({"name": "ci", "key": terms})).await;
    let (id, expiring) = (made.text("/generator/id"), made.text("/pak"));
    let keys = format!("/generators/{id}/keys");
    let longer = json!({"name": "longer", "expires_at": clock.now().plus(Duration::from_secs(3600))});
    assert_eq!(api.send_as(&expiring, "POST", &keys, longer).await.slug(), "field-invalid");
    let heir = api.send_as(&expiring, "POST", &keys, json!({"name": "heir"})).await.text("/pak");
    let rotate = format!("/generators/{id}/rotate-pak");
    let rotated = api.send_as(&expiring, "POST", &rotate, json!({"overlap_seconds": 3})).await.text("/pak");
    assert!(is_valid(&api, &rotated).await);
    clock.advance(Duration::from_secs(4));
    for key in [&expiring, &heir, &rotated] {
        assert!(!is_valid(&api, key).await, "a key outlives the one that made it");
    }
    // Without the scope `keys`, a key makes none at all.
    let made = api.send("POST", "/generators", json!({"name": "publisher"})).await;
    let (id, key) = (made.text("/generator/id"), made.text("/pak"));
    for path in [format!("/generators/{id}/keys"), format!("/generators/{id}/rotate-pak")] {
        let body = if path.ends_with("keys") { json!({"name": "more"}) } else { json!({}) };
        assert_eq!(api.send_as(&key, "POST", &path, body).await.slug(), "forbidden", "{path}");
    }
}

/// The last admin key could be deleted, and nobody could get in again.
#[tokio::test]
async fn f11_last_admin_key_cannot_be_deleted() {
    let api = Api::new().await;
    let id = api.get("/keys").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/keys/{id}");
    for preset in ["operator", "auditor", "publisher"] {
        api.send("POST", "/keys", json!({"name": preset, "preset": preset})).await;
    }
    let refused = api.send("DELETE", &path, json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (409, "last-admin-key"));
    let detail = refused.text("/detail");
    assert!(detail.contains("keys recover"), "says how to get a new one: {detail}");
    assert!(is_valid(&api, &api.admin).await);
    let other = api.send("POST", "/keys", json!({"name": "other", "preset": "admin"})).await.text("/pak");
    assert_eq!(api.send_as(&other, "DELETE", &path, json!({})).await.status, 204);
    assert!(!is_valid(&api, &api.admin).await && is_valid(&api, &other).await);
}

async fn from(api: &Api, key: &str, method: &str, path: String, peer: &str) -> Reply {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    api.raw(request).await
}

async fn records(api: &Api, query: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/audit?limit=500&{query}{cursor}")).await.json();
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// Under a flood of denials half were recorded as anonymous, many under another source, and one key added rows for ever.
#[tokio::test]
async fn f12_flood_of_denials_keeps_its_actor_and_source_and_is_bounded() {
    const FLOOD: u64 = 3_000;
    let api = Api::new().await;
    let (agent, key) = api.agent("edge", json!({})).await;
    for number in 0..FLOOD {
        // Each attempt names another object, so that none equals another.
        let path = format!("/api/v1/stacks/{}", StackId::generate());
        let peer = format!("192.0.2.{}:1234", number % 4);
        let reply = from(&api, &key, "DELETE", path, &peer).await;
        assert!(matches!(reply.status.as_u16(), 403 | 429), "{reply:?}");
    }
    for peer in ["198.51.100.1:1", "198.51.100.2:1"] {
        from(&api, "nonsense", "GET", "/api/v1/stacks".to_owned(), peer).await;
    }
    let strangers = async || records(&api, "action=authenticate").await;
    eventually("the attempts are recorded", || async {
        let sources: BTreeSet<String> = strangers().await.iter().map(|it| it["source"].to_string()).collect();
        if sources.len() == 2 { Ok(()) } else { Err(sources) }
    })
    .await;
    let of_agent = records(&api, "action=stack.delete").await;
    let most = limits::DENIALS_PER_ACTOR + 8;
    assert!(!of_agent.is_empty() && of_agent.len() <= most, "{} records of {FLOOD} attempts", of_agent.len());
    for record in &of_agent {
        assert_eq!((&record["actor"]["kind"], &record["actor"]["id"]), (&json!("agent"), &json!(agent)), "{record}");
    }
    let sourced = of_agent.iter().filter(|it| it["count"] == 1).filter_map(|it| it["source"].as_str());
    assert!(sourced.clone().count() > 0 && sourced.clone().all(|it| it.starts_with("192.0.2.")), "{of_agent:?}");
}

/// An admin key hash without a short id was accepted, and no key could match it.
#[test]
fn f16_hash_of_the_admin_key_is_validated() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    assert!(format!("0123456789ab:{digest}").parse::<KeyHash>().is_ok());
    for wrong in [
        format!(":{digest}"),
        format!("0123456789a:{digest}"),
        format!("0123456789abc:{digest}"),
        format!("0123456789-_:{digest}"),
        digest.clone(),
        "0123456789ab:".to_owned(),
        "0123456789ab:sha256:".to_owned(),
        format!("0123456789ab:sha256:{}", "g".repeat(64)),
        format!("0123456789ab:{digest}00"),
        String::new(),
    ] {
        assert!(wrong.parse::<KeyHash>().is_err(), "{wrong:?} is accepted");
    }
}
