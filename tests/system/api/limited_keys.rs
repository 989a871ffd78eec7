//! Keys that are limited to environments: they see and change only agents of them, and make only keys that are limited alike.

use serde_json::{Value, json};

use crate::support::{Api, Reply, config_map};

/// An agent in `dev` and one in `prod`, both with a stack of the system generator, and a key of an admin that is limited to `dev`.
struct Scene {
    api: Api,
    limited: String,
    limited_id: String,
    dev: (String, String),
    prod: (String, String),
    stack: String,
}

impl Scene {
    async fn new(api: Api) -> Self {
        for name in ["dev", "prod"] {
            api.environment(name).await;
        }
        let (dev, prod) = (api.agent_in("dev", "dev-1").await, api.agent_in("prod", "prod-1").await);
        let body = json!({"targeting": {"match_labels": {}}, "manifests": [config_map("default", "a", "x")]});
        let stack = api.send("PUT", "/stacks/by-name/web", body).await.text("/stack/id");
        for (agent, key) in [&dev, &prod] {
            assert_eq!(api.polled(agent, key).await.0, ["web"]);
        }
        let made = api.send("POST", "/keys", json!({"name": "jane", "preset": "admin", "environments": ["dev"]})).await;
        assert_eq!(made.json()["key"]["environments"], json!(["dev"]), "{made:?}");
        let (limited, limited_id) = (made.text("/pak"), made.text("/key/id"));
        Self { api, limited, limited_id, dev, prod, stack }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.api.send_as(&self.limited, method, path, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.api.get_as(&self.limited, path).await
    }
}

fn names(reply: &Reply, pointer: &str, field: &str) -> Vec<String> {
    let body = reply.json();
    let items = body.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{reply:?}"));
    items.iter().map(|it| it[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_key_sees_only_agents_of_its_environments() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        let (dev, prod, stack) = (&scene.dev.0, &scene.prod.0, &scene.stack);
        for agent in [dev, prod] {
            let set = scene.api.send("PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await;
            assert_eq!(set.status, 200);
        }
        assert_eq!(names(&scene.get("/agents").await, "/items", "name"), ["dev-1"]);
        for (path, pointer, field) in [
            (format!("/stacks/{stack}/status"), "/agents", "agent_id"),
            (format!("/stacks/{stack}/placement"), "/items", "agent_id"),
            (format!("/stacks/{stack}/targets"), "/items", "agent_id"),
        ] {
            assert_eq!(names(&scene.get(&path).await, pointer, field), [dev.clone()], "{path}");
        }
        assert_eq!(scene.get(&format!("/stacks/{stack}/status")).await.json()["summary"]["agents"], 1);
        for path in ["", "/target-state", "/placement", "/events", "/keys"] {
            assert_eq!(scene.get(&format!("/agents/{dev}{path}")).await.status, 200, "{path}");
            assert_eq!(scene.get(&format!("/agents/{prod}{path}")).await.slug(), "not-found", "{path}");
        }
        let leaving = scene.api.patch(&format!("/agents/{dev}"), json!({"environment": "prod"})).await;
        assert_eq!(leaving.status, 200);
        assert_eq!(scene.get(&format!("/agents/{dev}")).await.slug(), "not-found", "it has left");
    })
    .await;
}

#[tokio::test]
async fn limited_key_changes_only_agents_of_its_environments() {
    let scene = Scene::new(Api::new().await).await;
    let (dev, prod, stack) = (&scene.dev.0, &scene.prod.0, &scene.stack);
    let patch =
        async |agent: &str, patch: Value| scene.api.patch_as(&scene.limited, &format!("/agents/{agent}"), patch).await;
    assert_eq!(patch(dev, json!({"labels": {"a": "b"}})).await.status, 200);
    assert_eq!(patch(prod, json!({"labels": {"a": "b"}})).await.slug(), "not-found");
    for environment in [json!("prod"), json!(null)] {
        let refused = patch(dev, json!({"environment": environment})).await;
        assert_eq!(
            (refused.slug().as_str(), refused.text("/pointer").as_str()),
            ("outside-environments", "/environment")
        );
    }
    for environment in [json!("prod"), json!(null)] {
        let refused = scene.send("POST", "/agents", json!({"name": "new", "environment": environment})).await;
        assert_eq!(refused.slug(), "outside-environments", "{environment}");
    }
    for (method, path) in [
        ("DELETE", format!("/agents/{prod}")),
        ("POST", format!("/agents/{prod}/confirm-epoch")),
        ("PUT", format!("/agents/{prod}/generators/00000000-0000-7000-8000-000000000001")),
        ("DELETE", format!("/agents/{prod}/generators/00000000-0000-7000-8000-000000000001")),
        ("PUT", format!("/stacks/{stack}/targets/{prod}")),
        ("DELETE", format!("/stacks/{stack}/targets/{prod}")),
        ("POST", format!("/agents/{prod}/keys")),
        ("POST", format!("/agents/{prod}/rotate-pak")),
    ] {
        let body = if path.ends_with("keys") { json!({"name": "a"}) } else { json!({}) };
        assert_eq!(scene.send(method, &path, body).await.slug(), "not-found", "{method} {path}");
    }
    let abandon = scene.send("POST", &format!("/stacks/{stack}/targets/{prod}/abandon"), json!({"reason": "x"})).await;
    assert_eq!(abandon.slug(), "not-found");
    assert_eq!(scene.send("PUT", &format!("/stacks/{stack}/targets/{dev}"), json!({})).await.status, 200);
    assert_eq!(scene.api.polled(prod, &scene.prod.1).await.0, ["web"], "it is as it was");
}

#[tokio::test]
async fn limited_key_changes_nothing_that_other_environments_share() {
    let scene = Scene::new(Api::new().await).await;
    let stack = &scene.stack;
    for (method, path, body) in [
        ("POST", "/environments", json!({"name": "qa"})),
        ("POST", "/generators", json!({"name": "new"})),
        ("POST", "/grants", json!({"name": "new", "rules": {"kinds": ["ConfigMap"]}})),
        ("GET", "/audit", json!({})),
        ("GET", "/changes", json!({})),
        ("POST", "/stacks", json!({"name": "new"})),
        ("PUT", "/stacks/by-name/web", json!({"description": "new"})),
        (
            "POST",
            &format!("/stacks/{stack}/deployment-objects"),
            json!({"manifests": [config_map("default", "a", "y")]}),
        ),
        ("POST", &format!("/stacks/{stack}/rollback"), json!({"revision": 1})),
        ("DELETE", &format!("/stacks/{stack}"), json!({})),
    ] {
        let refused = scene.send(method, path, body).await;
        assert_eq!(refused.slug(), "forbidden", "{method} {path}: {refused:?}");
    }
    let patched = scene.api.patch_as(&scene.limited, &format!("/stacks/{stack}"), json!({"description": "new"})).await;
    assert_eq!(patched.slug(), "forbidden");
    // The stacks of a generator that is limited alike reach no other environment.
    let shop = scene.api.send("POST", "/generators", json!({"name": "shop", "environments": ["dev"]})).await;
    let shop = shop.text("/generator/id");
    let body = json!({"generator_id": shop, "manifests": [config_map("shop", "a", "x")]});
    let applied = scene.send("PUT", "/stacks/by-name/own", body).await;
    assert_eq!(applied.status, 201, "{applied:?}");
    let path = format!("/stacks/{}", applied.text("/stack/id"));
    assert_eq!(scene.api.patch_as(&scene.limited, &path, json!({"description": "new"})).await.status, 200);
    let body = json!({"manifests": [config_map("shop", "a", "y")]});
    assert_eq!(scene.send("POST", &format!("{path}/deployment-objects"), body).await.status, 201);
    assert_eq!(scene.send("DELETE", &path, json!({})).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_key_makes_only_keys_that_are_limited_alike() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        let (dev, (shop, shop_key)) = (&scene.dev.0, scene.api.generator("shop").await);
        for path in ["/keys".to_owned(), format!("/agents/{dev}/keys"), format!("/generators/{shop}/keys")] {
            let made = scene.send("POST", &path, json!({"name": "alike"})).await;
            assert_eq!(made.json()["key"]["environments"], json!(["dev"]), "{path}: {made:?}");
            for environments in [json!(["prod"]), json!(["dev", "prod"])] {
                let refused = scene.send("POST", &path, json!({"name": "wider", "environments": environments})).await;
                let found = (refused.slug(), refused.text("/pointer"));
                assert_eq!(found, ("outside-environments".to_owned(), "/environments".to_owned()), "{path}");
            }
        }
        let made = scene.send("POST", "/agents", json!({"name": "dev-2", "environment": "dev"})).await;
        let second = made.text("/agent/id");
        let keys = scene.get(&format!("/agents/{second}/keys")).await;
        assert_eq!(keys.json()["items"][0]["environments"], json!(["dev"]));
        assert_eq!(scene.api.polled(&second, &made.text("/pak")).await.0, ["web"]);
        // The key of an agent that leaves is refused.
        let moved = scene.api.patch(&format!("/agents/{second}"), json!({"environment": "prod"})).await;
        assert_eq!(moved.status, 200);
        let refused = scene.api.get_as(&made.text("/pak"), &format!("/agents/{second}/target-state")).await;
        assert_eq!(refused.slug(), "unauthenticated");
        // It neither sees nor ends keys that are not limited.
        let seen = names(&scene.get("/keys").await, "/items", "name");
        assert!(seen.contains(&"jane".to_owned()) && seen.contains(&"alike".to_owned()) && seen.len() == 2, "{seen:?}");
        let all = scene.api.get("/keys").await.json();
        let others = all["items"].as_array().unwrap().iter().filter(|it| it["environments"].is_null());
        for other in others {
            let path = format!("/keys/{}", other["id"].as_str().unwrap());
            assert_eq!(scene.send("DELETE", &path, json!({})).await.slug(), "not-found");
            assert_eq!(scene.send("POST", &format!("{path}/rotate"), json!({})).await.slug(), "not-found");
        }
        let rotated = scene.send("POST", &format!("/generators/{shop}/rotate-pak"), json!({})).await;
        assert_eq!(rotated.json()["key"]["environments"], json!(["dev"]), "{rotated:?}");
        assert_eq!(scene.api.get_as(&shop_key, "/stacks").await.status, 200, "its first key goes on");
        let own = scene.send("POST", &format!("/keys/{}/rotate", scene.limited_id), json!({})).await;
        assert_eq!(own.json()["key"]["environments"], json!(["dev"]), "{own:?}");
    })
    .await;
}

#[tokio::test]
async fn limited_key_of_a_generator_reaches_its_agents_of_the_environment() {
    let scene = Scene::new(Api::new().await).await;
    let (shop, _) = scene.api.generator("shop").await;
    for (agent, _) in [&scene.dev, &scene.prod] {
        let path = format!("/agents/{agent}/generators/{shop}");
        assert_eq!(scene.api.send("PUT", &path, json!({})).await.status, 204);
    }
    let body = json!({"name": "ci", "scopes": ["stacks:read", "stacks:write", "keys"], "environments": ["dev"]});
    let key = scene.api.send("POST", &format!("/generators/{shop}/keys"), body).await.text("/pak");
    assert_eq!(names(&scene.api.get_as(&key, "/agents").await, "/items", "name"), ["dev-1"]);
    let refused = scene.api.send_as(&key, "POST", "/stacks", json!({"name": "own"})).await;
    assert_eq!(refused.slug(), "forbidden", "the generator is not limited, so its stacks could reach prod");
    let path = format!("/generators/{shop}");
    assert_eq!(scene.api.patch(&path, json!({"environments": ["dev"]})).await.status, 200);
    let stack = scene.api.send_as(&key, "POST", "/stacks", json!({"name": "own"})).await.text("/id");
    let target = async |agent: &str| {
        scene.api.send_as(&key, "PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await.status.as_u16()
    };
    assert_eq!((target(&scene.dev.0).await, target(&scene.prod.0).await), (200, 404));
    assert_eq!(scene.api.get_as(&key, "/changes").await.slug(), "forbidden");
    assert_eq!(scene.api.get_as(&key, &format!("/stacks/{}", scene.stack)).await.slug(), "not-found");
}

#[tokio::test]
async fn limited_key_makes_join_tokens_for_its_environments() {
    let scene = Scene::new(Api::new().await).await;
    let new = |name: &str, environment: Value| json!({"name": name, "expires_at": "2999-01-01T00:00:00Z", "environment": environment});
    for environment in [json!("prod"), json!(null)] {
        let refused = scene.send("POST", "/join-tokens", new("no", environment)).await;
        assert_eq!(
            (refused.slug().as_str(), refused.text("/pointer").as_str()),
            ("outside-environments", "/environment")
        );
    }
    let made = scene.send("POST", "/join-tokens", new("yes", json!("dev"))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let joined = scene.api.send_as(&made.text("/token"), "POST", "/join", json!({"name": "dev-9"})).await;
    assert_eq!(joined.json()["agent"]["environment"], "dev", "{joined:?}");
    let keys = scene.get(&format!("/agents/{}/keys", joined.text("/agent/id"))).await;
    assert_eq!(keys.json()["items"][0]["environments"], json!(["dev"]), "its key is limited like the token's maker");
    let other = scene.api.send("POST", "/join-tokens", new("other", json!("prod"))).await.text("/join_token/id");
    assert_eq!(scene.send("DELETE", &format!("/join-tokens/{other}"), json!({})).await.slug(), "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_key_releases_pins_and_suspends_only_in_its_environments() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        let stack = format!("/stacks/{}", scene.stack);
        let stable = |environment: Value| json!({"environment": environment, "revision": 1, "reason": "why"});
        let why = json!({"reason": "why"});
        let of = |environment: Value| json!({"environment": environment, "reason": "why"});
        let pin = |agent: &(String, String)| format!("{stack}/pins/{}", agent.0);
        for agent in [&scene.dev, &scene.prod] {
            assert_eq!(scene.api.send("PUT", &pin(agent), json!({"revision": 1, "reason": "why"})).await.status, 200);
        }
        assert_eq!(scene.api.send("PUT", &format!("{stack}/stable"), stable(json!("prod"))).await.status, 200);
        for (method, path, body, status) in [
            ("PUT", format!("{stack}/stable"), stable(json!("prod")), 403),
            ("PUT", format!("{stack}/stable"), stable(json!(null)), 403),
            ("PUT", format!("{stack}/stable"), stable(json!("dev")), 200),
            ("POST", format!("{stack}/promote"), json!({"from": "dev", "to": "prod", "reason": "why"}), 403),
            ("POST", format!("{stack}/promote"), json!({"from": "prod", "to": "dev", "reason": "why"}), 403),
            ("POST", format!("{stack}/rollback"), json!({"revision": 1, "environment": "prod"}), 403),
            ("POST", format!("{stack}/rollback"), json!({"revision": 1}), 403),
            ("POST", format!("{stack}/suspend"), of(json!("prod")), 403),
            ("POST", format!("{stack}/suspend"), of(json!(null)), 403),
            ("POST", format!("{stack}/suspend"), of(json!("dev")), 204),
            ("POST", format!("{stack}/resume"), json!({"environment": "prod"}), 403),
            ("POST", format!("/agents/{}/suspend", scene.prod.0), why.clone(), 404),
            ("POST", format!("/agents/{}/suspend", scene.dev.0), why, 204),
            ("PUT", pin(&scene.prod), json!({"revision": 1, "reason": "why"}), 404),
            ("DELETE", pin(&scene.prod), json!({}), 404),
        ] {
            let reply = scene.send(method, &path, body.clone()).await;
            assert_eq!(reply.status, status, "{method} {path} {body}: {reply:?}");
        }
        assert_eq!(names(&scene.get(&format!("{stack}/releases")).await, "/items", "environment"), ["dev"]);
        assert_eq!(names(&scene.get(&format!("{stack}/pins")).await, "/items", "agent_id"), [scene.dev.0.clone()]);
        assert_eq!(scene.send("DELETE", &pin(&scene.dev), json!({})).await.status, 204);
    })
    .await;
}
