//! Environments: the entity, the agents in them, and what names them.

use serde_json::json;

use crate::support::{Api, eventually};

#[tokio::test]
async fn environment_is_created_changed_listed_and_deleted() {
    let api = Api::new().await;
    let body = json!({"name": "staging", "rank": 1, "values": {"domain": "staging.example.com", "tier": 2}});
    let created = api.send("POST", "/environments", body.clone()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/environments/{}", created.text("/id"));
    assert_eq!(api.send("POST", "/environments", body).await.slug(), "already-exists");
    let patch = json!({"rank": 2, "values": {"tier": null, "region": "eu"}});
    let headers = [("if-match", "\"1\""), ("content-type", "application/merge-patch+json")];
    let patched = api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &headers, patch.to_string()).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(patched.json()["values"], json!({"domain": "staging.example.com", "region": "eu"}));
    assert_eq!(api.get(&path).await.json(), patched.json());
    assert_eq!(api.get("/environments").await.json()["items"], json!([patched.json()]));
    let audit = api.get("/audit?action=environment.update").await.json();
    assert_eq!(audit["items"][0]["detail"], "changed: rank, values");
    let too_much = json!({"name": "big", "values": {"a": "x".repeat(70_000)}});
    let refused = api.send("POST", "/environments", too_much).await;
    assert_eq!((refused.status.as_u16(), refused.json()["pointer"].clone()), (422, json!("/values")), "{refused:?}");
    let too_high = api.send("POST", "/environments", json!({"name": "far", "rank": 1_000_001})).await;
    assert_eq!((too_high.status.as_u16(), too_high.json()["pointer"].clone()), (422, json!("/rank")), "{too_high:?}");
    assert_eq!(api.send("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(api.get(&path).await.slug(), "not-found");
    let feed = api.get("/changes?limit=500").await.json()["items"].as_array().unwrap().clone();
    let states: Vec<_> = feed.iter().filter(|it| it["kind"] == "environment").map(|it| &it["deleted"]).collect();
    assert_eq!(states, [&json!(false), &json!(false), &json!(true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_is_in_at_most_one_environment() {
    Api::on_both(async |api| {
        for name in ["dev", "prod"] {
            api.environment(name).await;
        }
        let body = json!({"name": "edge", "environment": "dev", "labels": {"site": "a"}});
        let created = api.send("POST", "/agents", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        let agent = &created.json()["agent"];
        assert_eq!(agent["environment"], "dev");
        assert_eq!(agent["labels"], json!({"brokkr.io/environment": "dev", "site": "a"}));
        let path = format!("/agents/{}", created.text("/agent/id"));
        let moved = api.patch(&path, json!({"environment": "prod", "labels": {"zone": "b"}})).await;
        assert_eq!(moved.status, 200, "{moved:?}");
        let labels = json!({"brokkr.io/environment": "prod", "site": "a", "zone": "b"});
        assert_eq!((&moved.json()["environment"], &moved.json()["labels"]), (&json!("prod"), &labels));
        assert_eq!(api.get(&path).await.json()["labels"], labels);
        let audit = api.get("/audit?action=agent.update").await.json();
        assert_eq!(audit["items"][0]["detail"], "changed: environment, labels");
        let removed = api.patch(&path, json!({"environment": null})).await;
        assert_eq!(removed.json()["environment"], json!(null), "{removed:?}");
        assert_eq!(removed.json()["labels"], json!({"site": "a", "zone": "b"}));
    })
    .await;
}

#[tokio::test]
async fn only_admins_put_agents_into_environments_and_only_by_the_field() {
    let api = Api::new().await;
    api.environment("dev").await;
    for (body, pointer) in [
        (json!({"name": "a", "environment": "qa"}), "/environment"),
        (json!({"name": "a", "labels": {"brokkr.io/environment": "dev"}}), "/labels"),
        (json!({"name": "a", "labels": {"brokkr.io/other": "x"}}), "/labels"),
    ] {
        let refused = api.send("POST", "/agents", body.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.json()["pointer"].clone()), (422, json!(pointer)), "{body}");
    }
    let (agent, key) = api.agent_in("dev", "edge").await;
    let path = format!("/agents/{agent}");
    for (patch, pointer) in [
        (json!({"environment": "qa"}), "/environment"),
        (json!({"labels": {"brokkr.io/environment": "prod"}}), "/labels"),
    ] {
        let refused = api.patch(&path, patch.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.json()["pointer"].clone()), (422, json!(pointer)), "{patch}");
    }
    assert_eq!(api.patch_as(&key, &path, json!({"environment": null})).await.slug(), "forbidden");
    let kept = api.patch(&path, json!({"labels": {"brokkr.io/environment": null}})).await;
    assert_eq!(kept.json()["labels"], json!({"brokkr.io/environment": "dev"}), "the broker keeps it");
    assert_eq!(api.patch(&format!("/environments/{agent}"), json!({"name": "qa"})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_that_is_named_is_neither_deleted_nor_renamed() {
    Api::on_both(async |api| {
        let id = api.environment("dev").await;
        let path = format!("/environments/{id}");
        assert_eq!(api.patch(&path, json!({"name": "qa"})).await.slug(), "unknown-field");
        let (first, _) = api.agent_in("dev", "one").await;
        let (second, _) = api.agent_in("dev", "two").await;
        let generator = api.send("POST", "/generators", json!({"name": "shop", "environments": ["dev"]})).await;
        let generator = format!("/generators/{}", generator.text("/generator/id"));
        let key = json!({"name": "jane", "preset": "auditor", "environments": ["dev"]});
        let key = format!("/keys/{}", api.send("POST", "/keys", key).await.text("/key/id"));
        let token = json!({"name": "site", "expires_at": "2999-01-01T00:00:00Z", "environment": "dev"});
        let token = format!("/join-tokens/{}", api.send("POST", "/join-tokens", token).await.text("/join_token/id"));
        let refused = async |named: &str| {
            let reply = api.send("DELETE", &path, json!({})).await;
            assert_eq!((reply.status.as_u16(), reply.slug()), (409, "in-use".to_owned()), "{reply:?}");
            assert!(reply.text("/detail").contains(&format!("named by {named}; ")), "{reply:?}");
        };
        refused("2 agents, 1 generator, 1 key, 1 join token").await;
        assert_eq!(api.patch(&format!("/agents/{first}"), json!({"environment": null})).await.status, 200);
        refused("1 agent, 1 generator, 1 key, 1 join token").await;
        assert_eq!(api.send("DELETE", &format!("/agents/{second}"), json!({})).await.status, 204);
        assert_eq!(api.send("DELETE", &key, json!({})).await.status, 204);
        refused("1 generator, 1 join token").await;
        assert_eq!(api.patch(&generator, json!({"environments": null})).await.status, 200);
        assert_eq!(api.send("DELETE", &token, json!({})).await.status, 204);
        assert_eq!(api.send("DELETE", &path, json!({})).await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn rule_selects_the_agents_of_its_environments() {
    let api = Api::new().await;
    for name in ["dev", "prod"] {
        api.environment(name).await;
    }
    let (dev, dev_key) = api.agent_in("dev", "dev-1").await;
    let (prod, prod_key) = api.agent_in("prod", "prod-1").await;
    for environments in [json!(["qa"]), json!([]), json!(["Dev"])] {
        let body = json!({"name": "bad", "targeting": {"environments": environments}});
        let refused = api.send("POST", "/stacks", body).await;
        let pointer = refused.text("/pointer");
        assert!(refused.status == 422 && pointer.starts_with("/targeting/environments"), "{refused:?}");
    }
    let body =
        json!({"targeting": {"environments": ["dev"]}, "manifests": [crate::support::config_map("default", "a", "x")]});
    let applied = api.send("PUT", "/stacks/by-name/web", body).await;
    assert_eq!(applied.status, 201, "{applied:?}");
    let stack = format!("/stacks/{}", applied.text("/stack/id"));
    assert_eq!(api.polled(&dev, &dev_key).await.0, ["web"]);
    assert!(api.polled(&prod, &prod_key).await.0.is_empty());
    let moved = api.patch(&stack, json!({"targeting": {"environments": ["prod"]}})).await;
    assert_eq!(moved.json()["targeting"]["environments"], json!(["prod"]), "{moved:?}");
    eventually("the broker decides about the loss", || async {
        let (applied, removed) = api.polled(&dev, &dev_key).await;
        assert!(applied.is_empty(), "{applied:?}");
        if removed == ["web"] { Ok(()) } else { Err(removed) }
    })
    .await;
    assert_eq!(api.polled(&prod, &prod_key).await.0, ["web"]);
    let placement = api.get(&format!("{stack}/placement?environment=dev")).await.json();
    assert_eq!(placement["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        placement["items"][0]["reasons"],
        json!(["no direct target", "the agent is in none of the rule's environments"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_contain_the_rows_of_one_environment() {
    Api::on_both(async |api| {
        for name in ["dev", "prod", "empty"] {
            api.environment(name).await;
        }
        let token = json!({"name": "site", "expires_at": "2999-01-01T00:00:00Z", "environment": "dev"});
        assert_eq!(api.send("POST", "/join-tokens", token).await.status, 201);
        let stack = api.stack("web").await;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        assert_eq!(api.publish(&stack, map).await.status, 201);
        for environment in ["dev", "prod"] {
            let (agent, key) = api.agent_in(environment, &format!("{environment}-1")).await;
            assert_eq!(api.send("PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await.status, 200);
            assert_eq!(api.polled(&agent, &key).await.0, ["web"]);
            let event = json!({"id": agent, "stack_id": stack, "action": "apply", "outcome": "success",
                "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"});
            let report = json!({"instance_id": agent, "sequence": 1, "cluster_uid": environment, "events": [event]});
            assert_eq!(api.send_as(&key, "POST", &format!("/agents/{agent}/reports"), report).await.status, 200);
        }
        let lists = [
            ("/agents", "/items", 1),
            ("/events", "/items", 1),
            (&*format!("/stacks/{stack}/events"), "/items", 1),
            (&*format!("/stacks/{stack}/targets"), "/items", 1),
            (&*format!("/stacks/{stack}/placement"), "/items", 1),
            (&*format!("/stacks/{stack}/status"), "/agents", 1),
            ("/join-tokens", "/items", 0),
        ];
        for (list, pointer, of_prod) in lists {
            let count = async |environment: &str| {
                let reply = api.get(&format!("{list}?environment={environment}")).await;
                assert_eq!(reply.status, 200, "{list}: {reply:?}");
                reply.json().pointer(pointer).and_then(|it| it.as_array()).unwrap().len()
            };
            let counts = (count("dev").await, count("prod").await, count("empty").await, count("unknown").await);
            assert_eq!(counts, (1, of_prod, 0, 0), "{list}");
            let refused = api.get(&format!("{list}?environment=No")).await;
            assert_eq!(refused.slug(), "name-invalid", "{list}: {refused:?}");
        }
        let status = api.get(&format!("/stacks/{stack}/status?environment=dev")).await.json();
        assert_eq!(status["summary"]["agents"], 1);
    })
    .await;
}
