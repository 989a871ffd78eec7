//! Pages of lists, and the summaries beside them.

use serde_json::{Value, json};

use crate::support::Api;

const INSTANCE: &str = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";

async fn report(api: &Api, (agent, pak): &(String, String), fields: Value) {
    let mut body = json!({"instance_id": INSTANCE, "sequence": 1, "cluster_uid": "c"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    // Reports only count for stacks that the agent's target state has listed.
    assert_eq!(api.get_as(pak, &format!("/agents/{agent}/target-state")).await.status, 200);
    let reply = api.send_as(pak, "POST", &format!("/agents/{agent}/reports"), body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn ids(items: &Value, key: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
}

/// Creates a stack, publishes it, and targets it at every agent.
async fn everywhere(api: &Api, name: &str) -> String {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let body = json!({"targeting": {"match_labels": {}}, "manifests": [manifest]});
    api.send("PUT", &format!("/stacks/by-name/{name}"), body).await.text("/stack/id")
}

#[tokio::test]
async fn status_counts_all_agents_and_returns_a_page() {
    let api = Api::new().await;
    let stack = everywhere(&api, "web").await;
    let mut agents = Vec::new();
    for n in 0..5 {
        agents.push(api.agent(&format!("a{n}"), json!({})).await);
    }
    let applied = json!({"status": [{"stack_id": stack, "applied_revision": 1, "conditions": []}]});
    report(&api, &agents[4], applied).await;
    let now = "2026-01-01T00:00:00Z";
    let event = json!({"id": INSTANCE, "stack_id": stack, "action": "apply", "outcome": "failure", "reason": "Refused",
        "objects": [], "started_at": now, "finished_at": now});
    report(&api, &agents[0], json!({"events": [event]})).await;
    let counted = json!({"agents": 5, "applied": 1, "pending": 3, "failed": 1, "held": 0, "removing": 0});

    let path = format!("/stacks/{stack}/status");
    let whole = api.get(&path).await.json();
    assert_eq!((&whole["summary"], &whole["next"]), (&counted, &Value::Null), "{whole}");
    let mut wanted: Vec<String> = agents.iter().map(|(id, _)| id.clone()).collect();
    wanted.sort();
    assert_eq!(ids(&whole["agents"], "agent_id"), wanted);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for length in [2, 2, 1] {
        let page = api.get(&format!("{path}?limit=2{cursor}")).await.json();
        assert_eq!(page["summary"], counted, "the summary counts all agents on every page");
        assert_eq!(page["agents"].as_array().unwrap().len(), length);
        seen.extend(page["agents"].as_array().unwrap().clone());
        cursor = format!("&cursor={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!((cursor.as_str(), &json!(seen)), ("&cursor=", &whole["agents"]), "the pages form the whole list");

    let next = api.get(&format!("{path}?limit=1")).await.text("/next");
    let other = everywhere(&api, "other").await;
    for (path, slug) in [
        (format!("/stacks/{other}/status?cursor={next}"), "cursor-invalid"),
        (format!("{path}?limit=0"), "query-invalid"),
        (format!("{path}?limit=501"), "query-invalid"),
        (format!("{path}?labels=a"), "query-invalid"),
    ] {
        assert_eq!(api.get(&path).await.slug(), slug, "{path}");
    }
}

#[tokio::test]
async fn status_page_has_500_agents_by_default() {
    let api = Api::new().await;
    let stack = everywhere(&api, "web").await;
    for n in 0..500 {
        api.agent(&format!("a{n}"), json!({})).await;
    }
    let path = format!("/stacks/{stack}/status");
    let whole = api.get(&path).await.json();
    assert_eq!((whole["agents"].as_array().unwrap().len(), &whole["next"]), (500, &Value::Null));
    api.agent("one-more", json!({})).await;
    let page = api.get(&path).await.json();
    assert_eq!((page["agents"].as_array().unwrap().len(), &page["summary"]["agents"]), (500, &json!(501)));
    let rest = api.get(&format!("{path}?cursor={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!((rest["agents"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
}

#[tokio::test]
async fn agent_list_includes_capabilities() {
    let api = Api::new().await;
    let one = api.agent("one", json!({})).await;
    let two = api.agent("two", json!({})).await;
    api.agent("silent", json!({})).await;
    report(&api, &one, json!({"capabilities": ["watch", "dry-run"]})).await;
    report(&api, &two, json!({"capabilities": ["watch"]})).await;
    let list = api.get("/agents").await.json();
    let of = |name: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|it| it["name"] == name).unwrap()["capabilities"].clone()
    };
    assert_eq!((of("one"), of("two"), of("silent")), (json!(["dry-run", "watch"]), json!(["watch"]), json!([])));
    let alone = api.get(&format!("/agents/{}", one.0)).await.json();
    assert_eq!(alone["capabilities"], of("one"), "the list equals the single agent");
    // A generator sees the capabilities of agents that are registered with it only.
    let mine = api.send("POST", "/generators", json!({"name": "mine"})).await;
    let path = format!("/agents/{}/generators/{}", one.0, mine.text("/generator/id"));
    assert_eq!(api.send("PUT", &path, json!({})).await.status, 204);
    let list = api.get_as(&mine.text("/pak"), "/agents").await.json();
    assert_eq!((ids(&list["items"], "name"), &list["items"][0]["capabilities"]), (vec!["one".to_owned()], &of("one")));
}
