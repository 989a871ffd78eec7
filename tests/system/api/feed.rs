//! The feed.

use serde_json::{Value, json};

use crate::support::Api;

async fn read(api: &Api, key: &str) -> (Vec<Value>, String) {
    let (mut items, mut next) = (Vec::new(), "0-0-0".to_owned());
    loop {
        let page = api.get_as(key, &format!("/changes?limit=3&after={next}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let more = page.json()["items"].as_array().unwrap().clone();
        if page.text("/next") == next {
            return (items, next);
        }
        next = page.text("/next");
        items.extend(more);
    }
}

#[tokio::test]
async fn feed_returns_each_visible_change_once_in_order() {
    let api = Api::new().await;
    let (mine, theirs) = (
        api.send("POST", "/generators", json!({"name": "mine"})).await.text("/pak"),
        api.send("POST", "/generators", json!({"name": "theirs"})).await.text("/pak"),
    );
    let (_, agent) = api.agent("edge", json!({})).await;
    let stack = api.send_as(&mine, "POST", "/stacks", json!({"name": "web"})).await.text("/id");
    api.send_as(&theirs, "POST", "/stacks", json!({"name": "web"})).await;
    assert_eq!(api.send_as(&mine, "DELETE", &format!("/stacks/{stack}"), json!({})).await.status, 204);
    let (all, end) = read(&api, &api.admin).await;
    let kinds: Vec<&str> = all.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert!(["generator", "key", "agent", "stack"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let text = Value::from(all.clone()).to_string();
    assert!(!text.contains("\"hash\""), "the feed must not contain hashes of keys");
    let (own, _) = read(&api, &mine).await;
    let of_stack: Vec<_> = own.iter().filter(|it| it["kind"] == "stack").collect();
    assert!(of_stack.iter().all(|it| it["entity"]["id"] == stack.as_str()), "{own:?}");
    let last = of_stack.last().unwrap();
    assert_eq!((&last["deleted"], last["version"].as_u64()), (&json!(true), Some(of_stack.len() as u64)));
    assert_eq!(api.get_as(&agent, "/changes").await.slug(), "forbidden");
    for query in ["after=x", "after=1-2", "after=%2B1-2-3", "limit=%2B5", "limit=0", "limit=501", "nonsense=1"] {
        assert_eq!(api.get(&format!("/changes?{query}")).await.slug(), "query-invalid", "{query}");
    }
    let (history, rest) = end.split_once('-').unwrap();
    let transaction: u64 = rest.split('-').next().unwrap().parse().unwrap();
    for ahead in [format!("{history}-{}-0", transaction + 1_000_000), format!("{history}-{}-0", u64::MAX)] {
        assert_eq!(api.get(&format!("/changes?after={ahead}")).await.slug(), "position-expired", "{ahead}");
    }
    let nothing = api.get(&format!("/changes?after={end}")).await;
    assert_eq!((nothing.json()["items"].clone(), nothing.text("/next")), (json!([]), end));
}
