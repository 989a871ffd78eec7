//! Controllers, as the API shows what they do: expiry, silence, losses.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::model::Timestamp;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Api, eventually};

async fn with_clock() -> (Api, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    (Api::with(|builder| builder.clock(clock.clone())).await, clock)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Waits until what the path shows satisfies the condition.
async fn shows(api: &Api, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || async {
        let found = api.get(path).await.json();
        if is_so(&found) { Ok(found) } else { Err(found) }
    })
    .await
}

/// What the API shows of a controller.
fn controller<'a>(found: &'a Value, name: &str) -> &'a Value {
    found["items"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()
}

/// Waits until the controller waits for this time, so that nothing else is to be done.
async fn sleeps_until(api: &Api, name: &str, at: Option<Timestamp>) {
    shows(api, "/controllers", "the controller waits for its next time", |found| {
        let state = controller(found, name);
        state["queued"] == 0 && state["next_wake_at"] == json!(at)
    })
    .await;
}

/// All changes of entities of a kind.
async fn changes(api: &Api, kind: &str) -> Vec<Value> {
    let (mut found, mut path) = (Vec::new(), "/changes?limit=500".to_owned());
    loop {
        let page = api.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().filter(|it| it["kind"] == kind).map(|it| it["entity"].clone()));
        if items.is_empty() {
            return found;
        }
        path = format!("/changes?limit=500&after={}", page["next"].as_str().unwrap());
    }
}

#[tokio::test]
async fn controllers_are_listed_with_their_holder() {
    let api = Api::new().await;
    let names = ["key-expiry", "losses", "pin-expiry", "removals", "retention", "silence", "stack-expiry"];
    let found = shows(&api, "/controllers", "every controller has a holder", |found| {
        let items = found["items"].as_array().unwrap();
        items.len() == names.len() && items.iter().all(|it| it["holder"].is_string() && it["here"] == true)
    })
    .await;
    let listed: Vec<&str> = found["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    assert!(found["items"].as_array().unwrap().iter().all(|it| it["last_error"].is_null()), "{found}");
    let ready = api.raw(Request::get("/readyz").body(axum::body::Body::empty()).unwrap()).await;
    let text = String::from_utf8(ready.body).unwrap();
    assert!(text.starts_with("ready\n") && text.contains("controller stack-expiry: runs here\n"), "{text}");
    let (_, key) = api.generator("team").await;
    assert_eq!(api.get_as(&key, "/controllers").await.status, 403);
    assert_eq!(api.send("POST", "/controllers/confirm-epoch", json!({})).await.status, 204);
}

#[tokio::test]
async fn expired_stack_is_announced_then_deleted() {
    let (api, clock) = with_clock().await;
    let end = clock.now().plus(seconds(2 * 3600));
    let made = api.send("POST", "/stacks", json!({"name": "preview", "expires_at": end})).await;
    assert_eq!((made.status.as_u16(), &made.json()["expires_at"]), (201, &json!(end)), "{made:?}");
    let path = format!("/stacks/{}", made.text("/id"));
    sleeps_until(&api, "stack-expiry", Some(end.minus(seconds(3600)))).await;
    clock.advance(seconds(3600 - 1));
    sleeps_until(&api, "stack-expiry", Some(end.minus(seconds(3600)))).await;
    assert!(api.get(&path).await.json()["expiry_announced_at"].is_null());
    clock.advance(seconds(1));
    let announced = shows(&api, &path, "the end is announced", |it| !it["expiry_announced_at"].is_null()).await;
    assert_eq!(announced["phase"], "active");
    clock.advance(seconds(3600 - 1));
    sleeps_until(&api, "stack-expiry", Some(end)).await;
    assert_eq!(api.get(&path).await.status, 200);
    clock.advance(seconds(1));
    eventually("the stack is gone", || async {
        match api.get(&path).await.status.as_u16() {
            404 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // The feed has the announcement before the deletion.
    let states = changes(&api, "stack").await;
    let announced = |it: &Value| !it["expiry_announced_at"].is_null();
    let first = states.iter().position(announced).expect("announced");
    assert_eq!((&states[first]["phase"], &states[first + 1]["phase"]), (&json!("active"), &json!("deleting")));
}

#[tokio::test]
async fn protected_stack_stays_after_its_end() {
    let (api, clock) = with_clock().await;
    let body = json!({"name": "kept", "expires_at": clock.now().plus(seconds(600)), "deletion_protection": true});
    let path = format!("/stacks/{}", api.send("POST", "/stacks", body).await.text("/id"));
    shows(&api, &path, "the end is announced", |it| !it["expiry_announced_at"].is_null()).await;
    clock.advance(seconds(1_000));
    sleeps_until(&api, "stack-expiry", None).await;
    assert_eq!(api.get(&path).await.json()["phase"], "active");
    assert_eq!(api.patch(&path, json!({"deletion_protection": false})).await.status, 200);
    eventually("the stack is gone", || async {
        match api.get(&path).await.status.as_u16() {
            404 => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test]
async fn end_of_a_stack_can_be_moved_and_must_be_in_the_future() {
    let (api, clock) = with_clock().await;
    let at = |n: u64| clock.now().plus(seconds(n));
    for end in [clock.now(), clock.now().minus(seconds(1))] {
        let refused = api.send("POST", "/stacks", json!({"name": "past", "expires_at": end})).await;
        assert_eq!((refused.slug().as_str(), refused.text("/pointer").as_str()), ("field-invalid", "/expires_at"));
    }
    let made = api.send("PUT", "/stacks/by-name/preview", json!({"expires_at": at(600)})).await;
    let path = format!("/stacks/{}", made.text("/stack/id"));
    shows(&api, &path, "the end is announced", |it| !it["expiry_announced_at"].is_null()).await;
    let merge = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
    let body = json!({"expires_at": at(7200)}).to_string();
    let moved = api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &merge, body).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    assert!(moved.json()["expiry_announced_at"].is_null(), "the new end is announced again: {moved:?}");
    let next = at(7200 - 3600);
    sleeps_until(&api, "stack-expiry", Some(next)).await;
    clock.advance(seconds(3000));
    sleeps_until(&api, "stack-expiry", Some(next)).await;
    assert_eq!(api.get(&path).await.status, 200);
    let body = json!({"expires_at": null}).to_string();
    let endless = api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &merge, body).await;
    assert!(endless.json()["expires_at"].is_null(), "{endless:?}");
    clock.advance(seconds(100_000));
    sleeps_until(&api, "stack-expiry", None).await;
    assert_eq!(api.get(&path).await.status, 200);
}

#[tokio::test]
async fn many_stacks_expire_at_a_hundred_a_minute() {
    let (api, clock) = with_clock().await;
    let end = clock.now().plus(seconds(7200));
    for n in 0..150 {
        let made = api.send("POST", "/stacks", json!({"name": format!("s{n}"), "expires_at": end})).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let announced = async || {
        let states = changes(&api, "stack").await;
        let ids = states.iter().filter(|it| !it["expiry_announced_at"].is_null()).map(|it| it["id"].to_string());
        ids.collect::<std::collections::BTreeSet<_>>().len()
    };
    sleeps_until(&api, "stack-expiry", Some(end.minus(seconds(3600)))).await;
    clock.advance(seconds(3600));
    for second in 1..=60 {
        clock.advance(seconds(1));
        paced(&api, &clock).await;
        let count = announced().await;
        assert!(count <= 100, "{count} after {second} s");
    }
    let count = announced().await;
    assert!((80..=100).contains(&count), "{count} after a minute");
}

/// Waits until the expiry has nothing to do, or waits for its pace.
async fn paced(api: &Api, clock: &ManualClock) {
    shows(api, "/controllers", "the controller waits", |found| {
        let state = controller(found, "stack-expiry");
        let next: Option<Timestamp> = serde_json::from_value(state["next_wake_at"].clone()).unwrap();
        next.is_none_or(|next| next > clock.now())
    })
    .await;
}

#[tokio::test]
async fn expired_key_is_revoked_except_an_admins() {
    let (api, clock) = with_clock().await;
    let (id, _) = api.generator("team").await;
    let end = clock.now().plus(seconds(60));
    let of_team = (format!("/generators/{id}/keys"), json!({"name": "short", "expires_at": end}));
    let of_admin = ("/keys".to_owned(), json!({"name": "short", "expires_at": end, "scopes": ["fleet:write"]}));
    for (path, body) in [of_team, of_admin] {
        let made = api.send("POST", &path, body).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    sleeps_until(&api, "key-expiry", Some(end)).await;
    let count = |found: &Value| found["items"].as_array().unwrap().len();
    let path = format!("/generators/{id}/keys");
    assert_eq!(count(&api.get(&path).await.json()), 2);
    clock.advance(seconds(60));
    shows(&api, &path, "the key is revoked", |it| count(it) == 1).await;
    sleeps_until(&api, "key-expiry", None).await;
    assert_eq!(count(&api.get("/keys").await.json()), 2, "an admin sees that a key has expired");
}

#[tokio::test]
async fn agent_is_silent_until_it_polls_again() {
    let (api, clock) = with_clock().await;
    let (id, key) = api.agent("edge", json!({})).await;
    let path = format!("/agents/{id}");
    let poll = async || {
        let state = api.get_as(&key, &format!("/agents/{id}/target-state")).await;
        assert_eq!(state.status, 200);
    };
    // A change of the agent makes the controller look.
    let look = async |n: usize| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
        let body = json!({"annotations": {"look": n.to_string()}}).to_string();
        assert_eq!(api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &headers, body).await.status, 200);
        let now = json!(clock.now());
        let what = "the controller has looked";
        shows(&api, "/controllers", what, |found| controller(found, "silence")["last_run_at"] == now).await;
        api.get(&path).await.json()
    };
    poll().await;
    let seen = clock.now();
    shows(&api, &path, "the agent was seen", |it| !it["last_seen_at"].is_null()).await;
    // In steps: only time counts in which the broker was available.
    for n in 0..3 {
        clock.advance(seconds(59));
        assert!(look(n).await["silence"].is_null(), "step {n}");
    }
    clock.advance(seconds(3));
    look(3).await;
    let silent = shows(&api, &path, "the agent is silent", |it| !it["silence"].is_null()).await;
    assert_eq!(silent["silence"], json!({"since": seen, "correlated": false}));
    poll().await;
    clock.advance(seconds(30));
    look(4).await;
    shows(&api, &path, "the agent is back", |it| it["silence"].is_null()).await;
    // After a time without a broker, the agent gets the whole time to come back.
    clock.advance(seconds(3600));
    assert!(look(5).await["silence"].is_null());
    let silences = changes(&api, "agent-silence").await;
    assert_eq!(silences.len(), 2, "{silences:?}");
    assert!(silences[0]["ended_at"].is_null() && !silences[1]["ended_at"].is_null(), "{silences:?}");
}
