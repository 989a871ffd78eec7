//! Releases by environment, pins and suspensions.

use serde_json::{Value, json};

use crate::support::{Api, Reply};

const STATUS: &str = "2026-01-01T00:00:00Z";

fn config_map(value: u32) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{n: \"{value}\"}}\n")
}

/// An API with the environments `staging` and `production`.
struct Scene {
    api: Api,
    environments: [String; 2],
}

struct Agent {
    id: String,
    key: String,
}

impl Scene {
    async fn new() -> Self {
        let api = Api::new().await;
        let create = async |name: &str, rank: u32| {
            api.send("POST", "/environments", json!({"name": name, "rank": rank})).await.text("/id")
        };
        let environments = [create("staging", 1).await, create("production", 2).await];
        Self { api, environments }
    }

    async fn agent(&self, name: &str, environment: &str) -> Agent {
        let body = json!({"name": name, "environment": environment, "labels": {"tier": "web"}});
        let reply = self.api.send("POST", "/agents", body).await;
        Agent { id: reply.text("/agent/id"), key: reply.text("/pak") }
    }

    async fn stack(&self, release: &str) -> String {
        let body = json!({"name": "web", "labels": {"tier": "web"}, "release": release});
        let stack = self.api.send("POST", "/stacks", body).await.text("/id");
        self.publish(&stack, 1).await;
        stack
    }

    async fn publish(&self, stack: &str, value: u32) {
        let reply = self.api.publish(stack, &config_map(value)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    async fn poll(&self, agent: &Agent) -> Reply {
        self.api.get_as(&agent.key, &format!("/agents/{}/target-state?hold=true", agent.id)).await
    }

    /// The stack in the agent's target state.
    async fn held(&self, agent: &Agent) -> String {
        let state = self.poll(agent).await.json();
        match state["entries"].as_array().and_then(|it| it.first()) {
            None => "nothing".to_owned(),
            Some(entry) => match &entry["revision"] {
                Value::Null => entry["action"].as_str().unwrap().to_owned(),
                revision => format!("{} {revision}", entry["action"].as_str().unwrap()),
            },
        }
    }

    async fn stable(&self, stack: &str, environment: Option<&str>, revision: u32) -> Reply {
        let body = json!({"environment": environment, "revision": revision, "reason": "tested"});
        self.api.send("PUT", &format!("/stacks/{stack}/stable"), body).await
    }

    async fn promote(&self, stack: &str) -> Reply {
        let body = json!({"from": "staging", "to": "production", "reason": "release"});
        self.api.send("POST", &format!("/stacks/{stack}/promote"), body).await
    }

    async fn protect(&self, environment: usize, protected: bool) -> Reply {
        let path = format!("/api/v1/environments/{}", self.environments[environment]);
        let headers = [("if-match", "*"), ("content-type", "application/merge-patch+json")];
        self.api.call(&self.api.admin, "PATCH", &path, &headers, json!({"protected": protected}).to_string()).await
    }

    async fn report(&self, agent: &Agent, stack: &str, sequence: u32, revision: u32, health: &str) {
        let status = json!({"stack_id": stack, "applied_revision": revision, "observed_revision": revision,
            "health": health, "conditions": [{"type": "Applied", "status": "True", "reason": "Applied", "message": "",
                "observed_revision": revision, "last_transition_at": STATUS}]});
        let report = json!({"instance_id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d7", "sequence": sequence,
            "cluster_uid": agent.id, "status": [status], "capabilities": ["hold"]});
        let reply = self.api.send_as(&agent.key, "POST", &format!("/agents/{}/reports", agent.id), report).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// An admin key with these scopes only.
    async fn key(&self, scopes: &[&str]) -> String {
        let body = json!({"name": "limited", "scopes": scopes});
        self.api.send("POST", "/keys", body).await.text("/pak")
    }
}

#[tokio::test]
async fn first_gated_revision_reaches_nobody_until_it_is_stable() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "staging").await;
    let stack = scene.stack("gated").await;
    assert_eq!(scene.held(&agent).await, "nothing");
    let placement = scene.api.get(&format!("/stacks/{stack}/placement")).await.json()["items"][0].clone();
    assert_eq!(
        (&placement["matched"], &placement["action"], &placement["why"]),
        (&json!(true), &Value::Null, &json!("no_stable"))
    );
    assert_eq!(scene.stable(&stack, Some("production"), 1).await.status, 200);
    assert_eq!(scene.held(&agent).await, "nothing", "another environment");
    let release = scene.stable(&stack, Some("staging"), 1).await;
    assert_eq!((release.status.as_u16(), &release.json()["stable"]), (200, &json!(1)), "{release:?}");
    assert_eq!(scene.held(&agent).await, "apply 1");
    scene.publish(&stack, 2).await;
    assert_eq!(scene.held(&agent).await, "apply 1");
    let status = scene.api.get(&format!("/stacks/{stack}/status")).await.json();
    assert_eq!((&status["latest_revision"], &status["agents"][0]["desired_revision"]), (&json!(2), &json!(1)));
    assert_eq!(status["agents"][0]["why"], "stable");
    assert_eq!(scene.stable(&stack, Some("staging"), 1).await.json(), release.json(), "nothing changes");
    assert_eq!(scene.stable(&stack, Some("staging"), 2).await.json()["earlier"], json!([1]));
    assert_eq!(scene.held(&agent).await, "apply 2");
    let releases = scene.api.get(&format!("/stacks/{stack}/releases")).await.json();
    assert_eq!(releases["items"].as_array().map(Vec::len), Some(2), "{releases}");
    let audit = scene.api.get("/audit?action=stack.release").await.json()["items"].clone();
    assert_eq!(audit[0]["detail"], "revision 2 in staging: tested");
    for (body, slug) in [
        (json!({"environment": "nowhere", "revision": 1, "reason": "r"}), "reference-invalid"),
        (json!({"environment": "staging", "revision": 9, "reason": "r"}), "reference-invalid"),
        (json!({"environment": "staging", "revision": 1}), "field-invalid"),
    ] {
        assert_eq!(
            scene.api.send("PUT", &format!("/stacks/{stack}/stable"), body.clone()).await.slug(),
            slug,
            "{body}"
        );
    }
}

#[tokio::test]
async fn pin_beats_stable_and_newest() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "staging").await;
    let stack = scene.stack("immediate").await;
    scene.publish(&stack, 2).await;
    assert_eq!(scene.held(&agent).await, "apply 2");
    let path = format!("/stacks/{stack}/pins/{}", agent.id);
    let set = async |body: Value| scene.api.send("PUT", &path, body).await;
    let pin = set(json!({"revision": 1, "reason": "bug 7"})).await;
    assert_eq!((pin.status.as_u16(), &pin.json()["revision"]), (200, &json!(1)), "{pin:?}");
    assert_eq!(scene.held(&agent).await, "apply 1");
    assert_eq!(scene.api.get(&format!("/stacks/{stack}/pins")).await.json()["items"], json!([pin.json()]));
    let status = scene.api.get(&format!("/stacks/{stack}/status")).await.json();
    assert_eq!(status["agents"][0]["why"], "pinned");
    assert_eq!(scene.api.send("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(scene.api.send("DELETE", &path, json!({})).await.slug(), "not-found");
    assert_eq!(scene.held(&agent).await, "apply 2");
    let again = set(json!({"revision": 1, "reason": "again"})).await;
    assert_eq!((again.status.as_u16(), &again.json()["version"]), (200, &json!(3)), "{again:?}");
    let (other, _) = scene.api.agent("other", json!({"tier": "web"})).await;
    let pin = json!({"revision": 1, "reason": "r"});
    assert_eq!(scene.api.send("PUT", &format!("/stacks/{stack}/pins/{other}"), pin).await.status, 200);
    assert_eq!(scene.api.send("DELETE", &format!("/agents/{other}"), json!({})).await.status, 204);
    let pins = scene.api.get(&format!("/stacks/{stack}/pins")).await.json()["items"].clone();
    assert_eq!(pins.as_array().map(Vec::len), Some(1), "the pins of a deleted agent go with it");
    let past = set(json!({"revision": 1, "reason": "r", "expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!((past.slug().as_str(), &past.json()["pointer"]), ("field-invalid", &json!("/expires_at")));
    assert_eq!(set(json!({"revision": 9, "reason": "r"})).await.slug(), "reference-invalid");
    assert_eq!(scene.api.send("DELETE", &format!("/stacks/{stack}"), json!({})).await.status, 202);
    assert_eq!(scene.held(&agent).await, "remove", "a pin keeps no deleted stack");
}

#[tokio::test]
async fn suspension_freezes_what_agents_hold() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "staging").await;
    let stack = scene.stack("immediate").await;
    assert_eq!(scene.held(&agent).await, "apply 1");
    let send =
        async |path: &str, body: Value| assert_eq!(scene.api.send("POST", path, body).await.status, 204, "{path}");
    let reason = json!({"reason": "incident"});
    let here = json!({"environment": "staging"});
    for (of, suspend, resume, why) in [
        (format!("/stacks/{stack}"), reason.clone(), json!({}), "stack_suspended"),
        (
            format!("/stacks/{stack}"),
            json!({"environment": "staging", "reason": "incident"}),
            here,
            "environment_suspended",
        ),
        (format!("/agents/{}", agent.id), reason, json!({}), "agent_suspended"),
    ] {
        send(&format!("{of}/suspend"), suspend.clone()).await;
        send(&format!("{of}/suspend"), suspend).await;
        assert_eq!(scene.held(&agent).await, "hold", "{why}");
        let late = scene.agent(&format!("late-{}", why.len()), "staging").await;
        let expected = if why == "agent_suspended" { "apply 1" } else { "nothing" };
        assert_eq!(scene.held(&late).await, expected, "{why}: a new agent");
        let status = scene.api.get(&format!("/stacks/{stack}/status")).await.json();
        let row = status["agents"].as_array().unwrap().iter().find(|it| it["agent_id"] == agent.id.as_str());
        assert_eq!((&row.unwrap()["action"], &row.unwrap()["why"]), (&json!("hold"), &json!(why)));
        assert_eq!(status["summary"]["held"], 1);
        let outdated = scene.api.get_as(&agent.key, &format!("/agents/{}/target-state", agent.id)).await;
        assert_eq!((outdated.status.as_u16(), outdated.slug().as_str()), (409, "agent-outdated"));
        send(&format!("{of}/resume"), resume).await;
        assert_eq!(scene.held(&agent).await, "apply 1", "{why} ended");
        scene.api.send("DELETE", &format!("/agents/{}", late.id), json!({})).await;
    }
}

#[tokio::test]
async fn only_what_is_healthy_is_promoted() {
    let scene = Scene::new().await;
    let (early, late) = (scene.agent("early", "staging").await, scene.agent("late", "production").await);
    let stack = scene.stack("immediate").await;
    assert_eq!((scene.held(&early).await, scene.held(&late).await), ("apply 1".into(), "apply 1".into()));
    assert_eq!(scene.protect(1, true).await.status, 200);
    scene.publish(&stack, 2).await;
    assert_eq!((scene.held(&early).await, scene.held(&late).await), ("apply 2".into(), "apply 1".into()));
    let refused = async |expected: &str| {
        let reply = scene.promote(&stack).await;
        assert_eq!(reply.slug(), "not-promotable");
        assert!(reply.text("/detail").contains(expected), "{reply:?}");
    };
    refused("early has not reported yet").await;
    scene.report(&early, &stack, 1, 1, "healthy").await;
    refused("early has not applied it").await;
    scene.report(&early, &stack, 2, 2, "degraded").await;
    refused("early is degraded").await;
    scene.report(&early, &stack, 3, 2, "healthy").await;
    let promoted = scene.promote(&stack).await;
    assert_eq!((promoted.status.as_u16(), &promoted.json()["stable"]), (200, &json!(2)), "{promoted:?}");
    assert_eq!(scene.held(&late).await, "apply 2");
    let back = json!({"from": "production", "to": "staging", "reason": "r"});
    let back = scene.api.send("POST", &format!("/stacks/{stack}/promote"), back).await;
    assert_eq!((back.slug().as_str(), &back.json()["pointer"]), ("field-invalid", &json!("/to")));
}

#[tokio::test]
async fn rollback_of_gated_agents_returns_to_what_was_stable() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "staging").await;
    let stack = scene.stack("gated").await;
    for value in [2, 3] {
        scene.publish(&stack, value).await;
    }
    scene.stable(&stack, Some("staging"), 1).await;
    scene.stable(&stack, Some("staging"), 3).await;
    let rollback = async |body: Value| scene.api.send("POST", &format!("/stacks/{stack}/rollback"), body).await;
    let refused = rollback(json!({"environment": "staging", "revision": 2})).await;
    assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (409, "needs-rollout"));
    assert_eq!(rollback(json!({"revision": 1})).await.slug(), "needs-rollout", "on agents without an environment");
    let returned = rollback(json!({"environment": "staging", "revision": 1, "reason": "bug"})).await;
    assert_eq!((returned.status.as_u16(), &returned.json()["revision"]), (200, &json!(1)), "{returned:?}");
    assert_eq!(scene.held(&agent).await, "apply 1");
    let latest = scene.api.get(&format!("/stacks/{stack}/status")).await.json()["latest_revision"].clone();
    assert_eq!(latest, 3, "nothing is published");
}

#[tokio::test]
async fn protection_over_a_running_fleet_removes_nothing() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "production").await;
    let stack = scene.stack("immediate").await;
    let before = scene.poll(&agent).await.json();
    assert_eq!(scene.protect(1, true).await.status, 200);
    assert_eq!(scene.poll(&agent).await.json()["digest"], before["digest"], "the agent is not disturbed");
    let release = scene.api.get(&format!("/stacks/{stack}/releases")).await.json()["items"][0].clone();
    assert_eq!((&release["environment"], &release["stable"]), (&json!("production"), &json!(1)));
    scene.publish(&stack, 2).await;
    assert_eq!(scene.held(&agent).await, "apply 1");
    let environment = format!("/environments/{}", scene.environments[1]);
    assert_eq!(scene.api.send("DELETE", &environment, json!({})).await.slug(), "in-use");
    let changed = scene.api.get("/audit?action=environment.update").await.json()["items"].clone();
    assert_eq!(changed.as_array().map(Vec::len), Some(1), "{changed}");
}

#[tokio::test]
async fn protected_environment_needs_promotion_or_broken_glass() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "production").await;
    let stack = scene.stack("immediate").await;
    assert_eq!(scene.held(&agent).await, "apply 1");
    scene.protect(1, true).await;
    scene.publish(&stack, 2).await;
    let operator = scene.key(&["stacks:read", "stacks:write", "environments:promote"]).await;
    let send = async |method: &str, path: &str, body: Value| {
        scene.api.send_as(&operator, method, &format!("/stacks/{stack}{path}"), body).await
    };
    let stable = |revision: u32| json!({"environment": "production", "revision": revision, "reason": "r"});
    let pin = format!("/pins/{}", agent.id);
    for (method, path, body) in [
        ("PUT", "/stable", stable(2)),
        ("PUT", pin.as_str(), json!({"revision": 2, "reason": "r"})),
        ("DELETE", "", json!({})),
    ] {
        let refused = send(method, path, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.slug().as_str()),
            (403, "environment-protected"),
            "{method} {path}"
        );
    }
    assert_eq!(send("PUT", "/stable", stable(1)).await.status, 200, "what was stable may be stable again");
    assert_eq!(send("PUT", &pin, json!({"revision": 1, "reason": "r"})).await.status, 200);
    let publisher = scene.key(&["stacks:write"]).await;
    let path = format!("/stacks/{stack}/stable");
    assert_eq!(scene.api.send_as(&publisher, "PUT", &path, stable(1)).await.slug(), "forbidden");
    assert_eq!(scene.stable(&stack, Some("production"), 2).await.status, 200, "an admin breaks the glass");
    assert_eq!(scene.held(&agent).await, "apply 1", "the pin is still there");
    assert_eq!(scene.api.send("DELETE", &format!("/stacks/{stack}"), json!({})).await.status, 202);
    let audit = scene.api.get("/audit?action=stack.delete&outcome=success").await.json()["items"].clone();
    assert_eq!(audit[0]["detail"], "break-glass: removes from production");
}

#[tokio::test]
async fn protected_stack_is_not_deleted() {
    let scene = Scene::new().await;
    let body = json!({"name": "db", "deletion_protection": true, "expires_at": "2999-01-01T00:00:00Z"});
    let stack = scene.api.send("POST", "/stacks", body).await;
    assert_eq!(stack.json()["expires_at"], "2999-01-01T00:00:00Z");
    let path = format!("/stacks/{}", stack.text("/id"));
    let refused = scene.api.send("DELETE", &path, json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (409, "deletion-protected"));
    let headers = [("if-match", "*"), ("content-type", "application/merge-patch+json")];
    let patch = json!({"deletion_protection": null}).to_string();
    let patched = scene.api.call(&scene.api.admin, "PATCH", &format!("/api/v1{path}"), &headers, patch).await;
    assert_eq!(patched.json()["deletion_protection"], false, "{patched:?}");
    assert_eq!(scene.api.send("DELETE", &path, json!({})).await.status, 204);
}

#[tokio::test]
async fn revision_freezes_policies_and_rollback_brings_them_back() {
    let scene = Scene::new().await;
    let agent = scene.agent("edge", "staging").await;
    let stack = scene.stack("immediate").await;
    let headers = [("if-match", "*"), ("content-type", "application/merge-patch+json")];
    let patch = async |body: Value| {
        let path = format!("/api/v1/stacks/{stack}");
        let reply = scene.api.call(&scene.api.admin, "PATCH", &path, &headers, body.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let drift = async || scene.poll(&agent).await.json()["entries"][0]["policies"]["drift"].clone();
    patch(json!({"description": "no revision"})).await;
    assert_eq!((scene.held(&agent).await.as_str(), drift().await), ("apply 1", json!("correct")));
    patch(json!({"policies": {"drift": "report"}})).await;
    assert_eq!((scene.held(&agent).await.as_str(), drift().await), ("apply 2", json!("report")));
    let objects = scene.api.get(&format!("/stacks/{stack}/deployment-objects")).await.json()["items"].clone();
    assert_eq!((&objects[0]["provenance"]["kind"], &objects[0]["digest"]), (&json!("settings"), &objects[1]["digest"]));
    let back = scene.api.send("POST", &format!("/stacks/{stack}/rollback"), json!({"revision": 1})).await;
    assert_eq!((back.status.as_u16(), &back.json()["revision"]), (201, &json!(3)), "{back:?}");
    assert_eq!((scene.held(&agent).await.as_str(), drift().await), ("apply 3", json!("correct")));
    assert_eq!(scene.api.get(&format!("/stacks/{stack}")).await.json()["policies"]["drift"], "correct");
    patch(json!({"release": "gated"})).await;
    assert_eq!(scene.held(&agent).await, "apply 3", "a stack that becomes gated keeps what agents hold");
    patch(json!({"policies": {"drift": "report"}})).await;
    assert_eq!((scene.held(&agent).await.as_str(), drift().await), ("apply 3", json!("correct")));
}
