//! Grants: what generators may deploy.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn grant_is_created_changed_listed_and_deleted() {
    let api = Api::new().await;
    let body =
        json!({"name": "databases", "rules": {"kinds": ["*.postgresql.cnpg.io", "Secret"], "namespaces": ["db-*"]}});
    let created = api.send("POST", "/grants", body.clone()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let rules = created.json()["rules"].clone();
    assert_eq!(rules["kinds"], json!(["*.postgresql.cnpg.io", "Secret"]));
    assert_eq!((&rules["pod_security"], &rules["adopt"]), (&json!("baseline"), &json!("never")), "the defaults");
    let path = format!("/grants/{}", created.text("/id"));
    assert_eq!(api.send("POST", "/grants", body).await.slug(), "already-exists");
    let patch = json!({"rules": {"namespaces": null, "external_ips": true}});
    let headers = [("if-match", "\"1\""), ("content-type", "application/merge-patch+json")];
    let patched = api.call(&api.admin, "PATCH", &format!("/api/v1{path}"), &headers, patch.to_string()).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(patched.json()["rules"]["namespaces"], json!(["{generator}", "{generator}-*"]));
    assert_eq!(patched.json()["rules"]["kinds"], rules["kinds"]);
    assert_eq!(api.get(&path).await.json(), patched.json());
    let audit = api.get("/audit?action=grant.update").await.json();
    assert_eq!(audit["items"][0]["detail"], "changed: rules");
    assert_eq!(api.send("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(api.get(&path).await.slug(), "not-found");
}

#[tokio::test]
async fn invalid_patterns_are_refused() {
    let api = Api::new().await;
    for (rules, pointer) in [
        (json!({"kinds": ["Deploy*"]}), "/rules/kinds/0"),
        (json!({"kinds": ["a", "b c"]}), "/rules/kinds/1"),
        (json!({"namespaces": ["*-a"]}), "/rules/namespaces/0"),
        (json!({"pod_security": "open"}), "/rules/pod_security"),
        (json!({"everything": true}), "/rules/everything"),
        (json!({"kinds": (0..257).map(|n| format!("Kind{n}")).collect::<Vec<_>>()}), "/rules/kinds"),
    ] {
        let refused = api.send("POST", "/grants", json!({"name": "a", "rules": rules})).await;
        assert_eq!((refused.status.as_u16(), refused.json()["pointer"].clone()), (422, json!(pointer)), "{refused:?}");
    }
}

#[tokio::test]
async fn built_in_grants_exist_from_the_start() {
    let api = Api::new().await;
    let all = api.get("/grants").await.json();
    let named = |name: &str| {
        let items = all["items"].as_array().unwrap();
        items.iter().find(|it| it["name"] == name).cloned().unwrap_or_else(|| panic!("no grant {name}"))
    };
    let (default, unrestricted) = (named("default"), named("unrestricted"));
    assert_eq!(unrestricted["rules"]["kinds"], json!(["*"]));
    let headers = [("if-match", "\"1\""), ("content-type", "application/merge-patch+json")];
    let patch = async |grant: &serde_json::Value| {
        let path = format!("/api/v1/grants/{}", grant["id"].as_str().unwrap());
        api.call(&api.admin, "PATCH", &path, &headers, json!({"rules": {"adopt": "if-equal"}}).to_string()).await
    };
    assert_eq!(patch(&default).await.status, 200, "an admin may change what new registrations allow");
    assert_eq!(patch(&unrestricted).await.slug(), "in-use");
    for grant in [&default, &unrestricted] {
        let path = format!("/grants/{}", grant["id"].as_str().unwrap());
        assert_eq!(api.send("DELETE", &path, json!({})).await.slug(), "in-use");
    }
}

#[tokio::test]
async fn registration_names_a_grant() {
    let api = Api::new().await;
    let generator = api.send("POST", "/generators", json!({"name": "shop"})).await.text("/generator/id");
    let created = api.send("POST", "/agents", json!({"name": "edge-1"})).await;
    let agent = created.text("/agent/id");
    let all = api.get("/grants").await.json();
    let id_of = |name: &str| {
        all["items"].as_array().unwrap().iter().find(|it| it["name"] == name).expect("a built-in grant")["id"].clone()
    };
    let system = json!({"generator_id": "00000000-0000-7000-8000-000000000001", "grant_id": id_of("unrestricted")});
    assert_eq!(created.json()["agent"]["registrations"], json!([system]), "admins publish without limits");
    let path = format!("/agents/{agent}/generators/{generator}");
    let own = api.send("POST", "/grants", json!({"name": "shop-databases"})).await.text("/id");
    let registrations = async || api.get(&format!("/agents/{agent}")).await.json()["registrations"].clone();
    let with = |grant: &serde_json::Value| json!([system, {"generator_id": generator, "grant_id": grant}]);
    for (body, expected) in [
        (json!(null), id_of("default")),
        (json!({"grant_id": own}), json!(own)),
        // Without a grant, a registration stays as it is.
        (json!({}), json!(own)),
        (json!({"grant_id": id_of("unrestricted")}), id_of("unrestricted")),
        (json!({"grant_id": own}), json!(own)),
    ] {
        assert_eq!(api.send("PUT", &path, body.clone()).await.status, 204, "{body}");
        assert_eq!(registrations().await, with(&expected), "{body}");
    }
    let unknown = api.send("PUT", &path, json!({"grant_id": agent})).await;
    assert_eq!(
        (unknown.slug(), unknown.json()["pointer"].clone()),
        ("reference-invalid".to_owned(), json!("/grant_id"))
    );
    let unknown = json!({"name": "edge-2", "generator_ids": [generator, agent]});
    let unknown = api.send("POST", "/agents", unknown).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.slug(), unknown.json()["pointer"].clone()),
        (409, "reference-invalid".to_owned(), json!("/generator_ids/1"))
    );
    let grant = format!("/grants/{own}");
    assert_eq!(api.send("DELETE", &grant, json!({})).await.slug(), "in-use");
    assert_eq!(api.send("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(api.send("DELETE", &grant, json!({})).await.status, 204);
}

#[tokio::test]
async fn generators_that_would_share_namespaces_are_refused() {
    let api = Api::new().await;
    api.generator("shop").await;
    let (id, _) = api.generator("cart-eu").await;
    let create = async |name: &str| api.send("POST", "/generators", json!({"name": name})).await;
    for name in ["shop-jobs", "shop-", "cart"] {
        let reply = create(name).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["pointer"].clone()),
            (422, json!("/name")),
            "{name}: {reply:?}"
        );
    }
    for name in ["shopping", "jobs-shop", "system-jobs"] {
        assert_eq!(create(name).await.status, 201, "{name}");
    }
    assert_eq!(api.send("DELETE", &format!("/generators/{id}"), json!({})).await.status, 204);
    assert_eq!(create("cart").await.status, 201, "nothing of cart-eu is left");
}
