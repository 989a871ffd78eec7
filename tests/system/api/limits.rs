//! Each limit of the table: the limit and one less are accepted, one more is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::model::limits;
use serde_json::{Value, json};

use crate::support::{Api, Reply, eventually};

async fn at_the_border<F: Future<Output = Reply>>(what: &str, limit: usize, send: impl Fn(usize) -> F) {
    for n in [limit - 1, limit] {
        let reply = send(n).await;
        assert!(reply.status.is_success(), "{what}, {n}: {reply:?}");
    }
    let reply = send(limit + 1).await;
    assert!(reply.status.is_client_error(), "{what}, {} are too many: {reply:?}", limit + 1);
    reply.slug();
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn texts_are_limited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, _) = api.agent("edge", json!({})).await;
    at_the_border("description", limits::DESCRIPTION_CHARACTERS, |n| {
        api.send("PUT", "/stacks/by-name/web", json!({"description": text(n)}))
    })
    .await;
    at_the_border("message", limits::MESSAGE_CHARACTERS, |n| {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("n{n}")}});
        let (api, path) = (&api, format!("/stacks/{stack}/deployment-objects"));
        async move { api.send("POST", &path, json!({"manifests": [manifest], "message": text(n)})).await }
    })
    .await;
    at_the_border("cluster name", limits::SHORT_TEXT_CHARACTERS, |n| {
        api.send("POST", "/agents", json!({"name": format!("a{n}"), "cluster_name": text(n)}))
    })
    .await;
    at_the_border("selector", limits::SELECTOR_TERMS, |n| {
        let terms: Vec<Value> = (0..n).map(|n| json!({"key": format!("k{n}"), "operator": "Exists"})).collect();
        api.send("PUT", "/stacks/by-name/web", json!({"targeting": {"match_expressions": terms}}))
    })
    .await;
    at_the_border("values", limits::SELECTOR_TERMS, |n| {
        let values: Vec<String> = (0..n).map(|n| format!("v{n}")).collect();
        let term = json!({"key": "k", "operator": "In", "values": values});
        api.send("PUT", "/stacks/by-name/web", json!({"targeting": {"match_expressions": [term]}}))
    })
    .await;
    let path = format!("/agents/{agent}/rotate-pak");
    at_the_border("overlap", limits::ROTATION_OVERLAP_SECONDS as usize, |n| {
        let (api, path) = (&api, path.clone());
        async move { api.send("POST", &path, json!({"overlap_seconds": n})).await }
    })
    .await;
}

#[tokio::test]
async fn bodies_are_limited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let padded = |text: String, bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    let post = async |path: &str, kind: &str, body: String| {
        api.call(&api.admin, "POST", &format!("/api/v1{path}"), &[("content-type", kind)], Body::from(body)).await
    };
    at_the_border("small body", limits::SMALL_BODY_BYTES, |n| {
        post("/stacks", "application/json", padded(format!(r#"{{"name":"s{n}"}}"#), n))
    })
    .await;
    let path = format!("/stacks/{stack}/deployment-objects");
    let manifest = |n: usize| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\n#");
    at_the_border("YAML", limits::BODY_BYTES, |n| post(&path, "application/yaml", padded(manifest(n), n))).await;
    let manifests = |n: usize| json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("j{n}")}}]});
    at_the_border("JSON", limits::BODY_BYTES, |n| post(&path, "application/json", padded(manifests(n).to_string(), n)))
        .await;
}

#[tokio::test]
async fn keys_registrations_and_waits_are_limited() {
    let api = Api::new().await;
    let id = api.send("POST", "/generators", json!({"name": "ci"})).await.text("/generator/id");
    // One key already exists.
    for n in 2..=limits::KEYS_PER_PRINCIPAL + 1 {
        let reply = api.send("POST", &format!("/generators/{id}/keys"), json!({"name": format!("k{n}")})).await;
        assert_eq!(reply.status.is_success(), n <= limits::KEYS_PER_PRINCIPAL, "{n}: {reply:?}");
    }
    let mut generators = Vec::new();
    for n in 0..=limits::REGISTRATIONS {
        generators.push(api.send("POST", "/generators", json!({"name": format!("g{n}")})).await.text("/generator/id"));
    }
    at_the_border("registrations", limits::REGISTRATIONS, |n| {
        api.send("POST", "/agents", json!({"name": format!("a{n}"), "generator_ids": generators[..n]}))
    })
    .await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    at_the_border("wait", limits::POLL_WAIT_SECONDS as usize, |n| {
        let (api, pak, path) = (&api, &pak, format!("/agents/{agent}/target-state?wait={n}"));
        async move { api.get_as(pak, &path).await }
    })
    .await;
}

#[tokio::test]
async fn reports_are_limited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, pak) = api.agent("edge", json!({})).await;
    let path = format!("/agents/{agent}/reports");
    let id = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    let now = "2026-01-01T00:00:00Z";
    let object = json!({"group": "", "kind": "ConfigMap", "namespace": "default", "name": "a"});
    let event = |number: usize, objects: usize| {
        json!({"id": format!("01a1fcd4-803a-75bf-9d5b-{number:012x}"), "stack_id": stack, "action": "apply", "outcome": "failure",
            "objects": vec![object.clone(); objects], "started_at": now, "finished_at": now})
    };
    let condition = |n: usize| json!({"type": format!("C{n}"), "status": "True", "reason": "R", "message": "", "last_transition_at": now});
    let status = |conditions: usize| json!({"stack_id": stack, "conditions": (0..conditions).map(condition).collect::<Vec<_>>()});
    let report = |fields: Value| {
        let mut body = json!({"instance_id": id, "sequence": 1, "cluster_uid": "c"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (api, pak, path) = (&api, &pak, &path);
        async move { api.send_as(pak, "POST", path, body).await }
    };
    at_the_border("events", limits::REPORT_ENTRIES, |n| {
        report(json!({"events": (0..n).map(|n| event(n, 0)).collect::<Vec<_>>()}))
    })
    .await;
    at_the_border("status", limits::REPORT_ENTRIES, |n| report(json!({"status": vec![status(0); n]}))).await;
    at_the_border("held", limits::HELD_STACKS, |n| report(json!({"held": vec![id; n]}))).await;
    at_the_border("capabilities", limits::CAPABILITIES, |n| report(json!({"capabilities": vec!["x"; n]}))).await;
    at_the_border("bytes", limits::REPORT_BYTES, |n| {
        let text = json!({"instance_id": id, "sequence": 1, "cluster_uid": "c"}).to_string();
        let body = format!("{text}{}", " ".repeat(n - text.len()));
        let (api, pak, path) = (&api, &pak, format!("/api/v1{path}"));
        async move { api.call(pak, "POST", &path, &[("content-type", "application/json")], body).await }
    })
    .await;
    at_the_border("objects", limits::EVENT_OBJECTS, |n| report(json!({"events": [event(1, n)]}))).await;
    at_the_border("retained", limits::EVENT_OBJECTS, |n| {
        let mut event = event(1, 0);
        event["retained"] = json!(vec![&object; n]);
        report(json!({"events": [event]}))
    })
    .await;
    at_the_border("conditions", limits::CONDITIONS, |n| report(json!({"status": [status(n)]}))).await;
}

#[tokio::test]
async fn yaml_is_limited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    // The document, its five scalars, `metadata` with two, `x`, and the list itself.
    let nodes = |n: usize| {
        let head = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\nx: ");
        format!("{head}[{}]", vec!["1"; n - 11].join(","))
    };
    at_the_border("nodes", limits::YAML_NODES, |n| {
        let (api, stack) = (&api, &stack);
        async move { api.publish(stack, &nodes(n)).await }
    })
    .await;
    assert_eq!(api.publish(&stack, &nodes(limits::YAML_NODES + 1)).await.slug(), "yaml-budget-exceeded");
    // No object is too large by itself; aliases expand the small request beyond the limit.
    const WORD: usize = 64 * 1024;
    let scalars = |n: usize| {
        let (mut text, mut left, mut count) = (String::new(), n, 0);
        while left > 0 {
            let name = format!("n{n}-{count}");
            left -= "apiVersionv1kindConfigMapmetadatanamexpad".len() + name.len();
            // The remaining budget has room for exactly one more document.
            let copies = (left.saturating_sub(2 * WORD) / WORD).min(14);
            left -= copies * WORD;
            let rest = if copies < 14 { left } else { 0 };
            let pads = [rest / 2, rest - rest / 2].map(|bytes| "z".repeat(bytes));
            left -= rest;
            let aliases = vec!["*w"; copies.saturating_sub(1)].join(",");
            let first = if copies > 0 { format!("&w {},", "x".repeat(WORD)) } else { String::new() };
            text += &format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\nx: [{first}{aliases}]\npad: [\"{}\",\"{}\"]\n",
                pads[0], pads[1]
            );
            count += 1;
        }
        text
    };
    at_the_border("scalars", limits::YAML_SCALAR_BYTES, |n| {
        let (api, stack) = (&api, &stack);
        async move { api.publish(stack, &scalars(n)).await }
    })
    .await;
    let over = api.publish(&stack, &scalars(limits::YAML_SCALAR_BYTES + 1)).await;
    assert_eq!(over.slug(), "yaml-budget-exceeded");
}

#[tokio::test]
async fn warnings_are_limited() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    for (n, kept, last) in
        [(99, 99, None), (100, 100, None), (101, 101, Some("and 1 more")), (150, 101, Some("and 50 more"))]
    {
        let object = |k: usize| {
            format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}-{k}}}\nstatus: {{ready: true}}\n")
        };
        let published = api.publish(&stack, &(0..n).map(object).collect::<String>()).await.json();
        let warnings = published["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), kept, "{n}");
        let dropped = warnings.iter().filter(|it| it.as_str().unwrap().contains("dropped status")).count();
        assert_eq!(dropped, n.min(limits::WARNINGS));
        assert_eq!(warnings.last().and_then(Value::as_str).filter(|it| it.starts_with("and ")), last);
    }
}

/// Reads all denied attempts from the audit, page by page.
async fn denied(api: &Api) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/audit?outcome=denied&limit=500{cursor}")).await.json();
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

// Paused time: the broker writes nothing before every task waits.
#[tokio::test(start_paused = true)]
async fn denials_of_one_actor_are_limited_and_recorded() {
    const SHARE: usize = limits::DENIALS_PER_ACTOR;
    for n in [SHARE - 1, SHARE, SHARE + 1, SHARE + 5, limits::DENIALS_QUEUED + 5] {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let api = Api::with(|builder| builder.clock(clock.clone())).await;
        for k in 0..n {
            let path = format!("/stacks/01a1fcd4-803a-75bf-9d5b-{k:012x}");
            assert_eq!(api.send("DELETE", &path, json!({})).await.status, 404);
        }
        // Attempts beyond the share are written once a minute.
        clock.advance(Duration::from_secs(60));
        let one_by_one = n.min(SHARE);
        eventually("every denial is recorded", || async {
            let found = denied(&api).await;
            let sum = |items: &[&Value]| items.iter().map(|it| it["count"].as_u64().unwrap()).sum::<u64>() as usize;
            let (single, counted): (Vec<&Value>, Vec<&Value>) =
                found.iter().partition(|it| it["object_id"].is_string());
            let seen = (single.len(), sum(&single), counted.len(), sum(&counted));
            let rest = n - one_by_one;
            assert!(found.iter().all(|it| it["actor"]["kind"] == "admin"), "the actor is always named: {found:?}");
            if seen == (one_by_one, one_by_one, rest.min(1), rest) {
                Ok(())
            } else {
                Err((seen, found.first().cloned()))
            }
        })
        .await;
    }
}
