//! What a change would give to the agents of an environment, and take from them.

use serde_json::{Value, json};

use crate::support::{Api, Reply, config_map};

struct Scene {
    api: Api,
    shop: String,
    agents: Vec<String>,
}

impl Scene {
    /// Five stacks that the label `tier` places, a generator with two more, and two agents in `dev` and in `prod` each.
    async fn new() -> Self {
        let api = Api::new().await;
        for name in ["dev", "prod"] {
            api.environment(name).await;
        }
        let shop = api.send("POST", "/generators", json!({"name": "shop"})).await.text("/generator/id");
        let mut agents = Vec::new();
        for name in ["dev-1", "dev-2", "prod-1", "prod-2"] {
            let environment = name.split('-').next().unwrap();
            let (agent, _) = api.agent_in(environment, name).await;
            let path = format!("/agents/{agent}/generators/{shop}");
            assert_eq!(api.send("PUT", &path, json!({})).await.status, 204);
            agents.push(agent);
        }
        for n in 0..5 {
            let rule = json!({"match_labels": {"tier": "web"}});
            let body = json!({"name": format!("w{n}"), "targeting": rule});
            assert_eq!(api.send("POST", "/stacks", body).await.status, 201);
        }
        for (name, rule) in [("all", json!({"match_labels": {}})), ("dev", json!({"environments": ["dev"]}))] {
            let body = json!({"targeting": rule, "generator_id": shop, "manifests": [config_map("shop", name, "x")]});
            let applied = api.send("PUT", &format!("/stacks/by-name/{name}"), body).await;
            assert_eq!(applied.status, 201, "{applied:?}");
        }
        Self { api, shop, agents }
    }

    async fn ask(&self, path: &str, body: &Value) -> Reply {
        self.api.send("POST", &format!("/environments/{path}"), body.clone()).await
    }

    /// All pages, as `agent effect stack`.
    async fn impact(&self, environment: &str, limit: usize, body: Value) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let reply = self.ask(&format!("{environment}/impact?limit={limit}{cursor}"), &body).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let page = reply.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit && items.iter().all(|it| !it["reasons"].as_array().unwrap().is_empty()));
            let text = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
            found.extend(
                items
                    .iter()
                    .map(|it| format!("{} {} {}", text(it, "agent_name"), text(it, "effect"), text(it, "stack_name"))),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        found.sort();
        found
    }
}

#[tokio::test]
async fn impact_of_an_agent_lists_what_it_gains_and_loses() {
    let scene = Scene::new().await;
    let agent = &scene.agents[0];
    let before = scene.api.get(&format!("/agents/{agent}")).await.json();
    let web = ["w0", "w1", "w2", "w3", "w4"].map(|stack| format!("dev-1 gain {stack}"));
    let labels = json!({"agent": {"id": agent, "labels": {"tier": "web"}}});
    assert_eq!(scene.impact("dev", 2, labels).await, web);
    let leaves = json!({"agent": {"id": agent, "environment": "prod"}});
    for environment in ["dev", "prod"] {
        assert_eq!(scene.impact(environment, 100, leaves.clone()).await, ["dev-1 loss dev"]);
    }
    let alone = json!({"agent": {"id": agent, "environment": null, "labels": {"tier": "web"}}});
    let expected: Vec<String> = web.into_iter().chain(["dev-1 loss dev".to_owned()]).collect();
    assert_eq!(scene.impact("dev", 3, alone).await, expected);
    assert!(scene.impact("dev", 3, json!({"agent": {"id": agent}})).await.is_empty(), "nothing changes");
    let after = scene.api.get(&format!("/agents/{agent}")).await.json();
    assert_eq!(before["version"], after["version"], "it writes nothing");
}

#[tokio::test]
async fn impact_of_a_generators_environments_lists_its_agents_in_the_environment() {
    let scene = Scene::new().await;
    let change = |environments: Value| json!({"generator": {"id": scene.shop, "environments": environments}});
    let lost = ["prod-1 loss all", "prod-2 loss all"];
    for limit in [1, 2, 100] {
        assert_eq!(scene.impact("prod", limit, change(json!(["dev"]))).await, lost);
    }
    assert!(scene.impact("dev", 100, change(json!(["dev"]))).await.is_empty());
    let lost = ["dev-1 loss all", "dev-1 loss dev", "dev-2 loss all", "dev-2 loss dev"];
    for limit in [1, 3] {
        assert_eq!(scene.impact("dev", limit, change(json!(["prod"]))).await, lost);
    }
    let path = format!("/generators/{}", scene.shop);
    assert_eq!(scene.api.patch(&path, json!({"environments": ["dev"]})).await.status, 200);
    assert_eq!(scene.impact("prod", 1, change(json!(null))).await, ["prod-1 gain all", "prod-2 gain all"]);
}

#[tokio::test]
async fn impact_refuses_changes_that_make_no_sense() {
    let scene = Scene::new().await;
    let (agent, missing) = (&scene.agents[0], "01a1fcd4-803a-75bf-9d5b-27edfd6611d6");
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"agent": {"id": agent}, "generator": {"id": scene.shop}}), ""),
        (json!({"agent": {"id": missing}}), "/agent/id"),
        (json!({"generator": {"id": missing}}), "/generator/id"),
        (json!({"generator": {"id": scene.shop, "environments": ["qa"]}}), "/generator/environments/0"),
        (json!({"agent": {"id": agent, "environment": "qa"}}), "/agent/environment"),
        (json!({"agent": {"id": agent, "labels": {"brokkr.io/environment": "prod"}}}), "/agent/labels"),
        (json!({"agent": {"id": scene.agents[2]}}), "/agent/environment"),
    ] {
        let refused = scene.ask("dev/impact", &body).await;
        let found = refused.json()["pointer"].as_str().unwrap_or_default().to_owned();
        assert_eq!(found, pointer, "{body}: {refused:?}");
        let status = if body.to_string().contains(missing) { 409 } else { 422 };
        assert_eq!(refused.status, status, "{body}: {refused:?}");
    }
    assert_eq!(scene.ask("qa/impact", &json!({"agent": {"id": agent}})).await.slug(), "not-found");
    let page = scene.ask("dev/impact?limit=1", &json!({"agent": {"id": agent, "labels": {"tier": "web"}}})).await;
    let path = format!("dev/impact?limit=1&cursor={}", page.text("/next"));
    let other = scene.ask(&path, &json!({"agent": {"id": agent}})).await;
    assert_eq!(other.slug(), "cursor-invalid", "a cursor is for one change");
}
