//! Bad input gets a problem with the location of the error.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let api = Api::new().await;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let post = async |kind: &str, body: Vec<u8>| {
        api.call(&api.admin, "POST", "/api/v1/stacks", &[("content-type", kind)], body).await
    };
    let json_type = "application/json";
    for (kind, body, status, slug) in [
        ("text/plain", br#"{"name":"a"}"#.to_vec(), 415, "unsupported-media-type"),
        ("application/json; charset=utf-7", br#"{"name":"a"}"#.to_vec(), 415, "unsupported-media-type"),
        (json_type, b"{".to_vec(), 400, "json-syntax"),
        (json_type, b"".to_vec(), 400, "json-syntax"),
        (json_type, b"\xff".to_vec(), 400, "body-not-utf8"),
        (json_type, br#"{"name":"a","name":"b"}"#.to_vec(), 400, "json-duplicate-key"),
        (json_type, deep.into_bytes(), 400, "json-too-deep"),
        (json_type, br#"{"name":"a","id":"x"}"#.to_vec(), 422, "unknown-field"),
        (json_type, br#"{"name":"a","policies":{"conflict":"fail"}}"#.to_vec(), 422, "unknown-field"),
        (json_type, br#"{}"#.to_vec(), 422, "field-invalid"),
        (json_type, br#"{"name":1}"#.to_vec(), 422, "field-invalid"),
        (json_type, br#"[]"#.to_vec(), 422, "field-invalid"),
        (json_type, br#"{"name":"A"}"#.to_vec(), 422, "name-invalid"),
        (json_type, "{\"name\":\"a\u{200b}\"}".as_bytes().to_vec(), 422, "name-invalid"),
        (json_type, br#"{"name":"a","description":"\u0000"}"#.to_vec(), 422, "text-contains-nul"),
        (json_type, br#"{"name":"a","labels":{"-":"x"}}"#.to_vec(), 422, "label-invalid"),
        (
            json_type,
            br#"{"name":"a","targeting":{"match_expressions":[{"key":"a","operator":"In"}]}}"#.to_vec(),
            422,
            "selector-invalid",
        ),
        (json_type, br#"{"name":"a","policies":{"default_namespace":"A B"}}"#.to_vec(), 422, "policy-invalid"),
        (json_type, vec![b' '; 1024 * 1024 + 1], 413, "body-too-large"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let reply = post(kind, body).await;
        assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (status, slug), "{kind} {shown}: {reply:?}");
    }
    let reply = api.send("POST", "/stacks", json!({"name": "a", "labels": {"ok": "no way"}})).await;
    assert_eq!(reply.json()["pointer"], "/labels/ok");
    assert_eq!(api.get("/stacks").await.json()["items"], json!([]));
}

#[tokio::test]
async fn malformed_queries_are_refused() {
    let api = Api::new().await;
    for query in
        ["limit=0", "limit=-1", "limit=501", "limit=abc", "limit=", "limit=1&limit=2", "nonsense=1", "generator=x"]
    {
        assert_eq!(api.get(&format!("/stacks?{query}")).await.slug(), "query-invalid", "{query}");
    }
    for cursor in ["x", "", "AAAA", &"A".repeat(100)] {
        assert_eq!(api.get(&format!("/stacks?cursor={cursor}")).await.slug(), "cursor-invalid", "{cursor}");
    }
    for n in 0..5 {
        api.stack(&format!("s{n}")).await;
    }
    let page = api.get("/stacks?limit=2").await;
    let cursor = page.text("/next");
    assert_eq!(api.get(&format!("/stacks?limit=2&cursor={cursor}")).await.status, 200);
    assert_eq!(api.get(&format!("/agents?cursor={cursor}")).await.slug(), "cursor-invalid", "another list's");
    let reader = api.send("POST", "/keys", json!({"name": "r", "kind": "admin-read-only"})).await.text("/pak");
    assert_eq!(api.get_as(&reader, &format!("/stacks?cursor={cursor}")).await.slug(), "cursor-invalid", "another's");
    assert_eq!(api.get("/stacks?labels=a%20b").await.slug(), "label-invalid");
    assert_eq!(api.get(&format!("/stacks?x={}", api.admin)).await.slug(), "credential-in-url");
    assert_eq!(api.get("/stacks?x=brokkr_join_0123").await.slug(), "credential-in-url");
    assert_eq!(api.get("/stacks?name=brokkr_joinery").await.slug(), "name-invalid");
}

#[tokio::test]
async fn unknown_paths_methods_and_ids_are_problems() {
    let api = Api::new().await;
    assert_eq!(api.get("/nothing").await.slug(), "not-found");
    let metrics = async |method: &str| api.call(&api.admin, method, "/metrics", &[], "").await;
    assert_eq!(metrics("GET").await.body, b"recorded");
    assert_eq!(metrics("POST").await.slug(), "method-not-allowed", "routes that a host adds have the same form");
    let reply = api.call(&api.admin, "DELETE", "/api/v1/stacks", &[], Body::empty()).await;
    assert_eq!(reply.slug(), "method-not-allowed");
    assert!(reply.headers.contains_key("allow"), "{reply:?}");
    let id = api.stack("web").await;
    for wrong in
        [id.to_uppercase(), format!("{{{id}}}"), id.replace('-', ""), "x".into(), "%00".into(), format!("{id}.")]
    {
        assert_eq!(api.get(&format!("/stacks/{wrong}")).await.slug(), "not-found", "{wrong}");
    }
}

#[tokio::test]
async fn updates_require_the_current_version() {
    let api = Api::new().await;
    let id = api.stack("web").await;
    let patch = async |if_match: Option<&str>| {
        let mut headers = vec![("content-type", "application/merge-patch+json")];
        headers.extend(if_match.map(|tag| ("if-match", tag)));
        api.call(&api.admin, "PATCH", &format!("/api/v1/stacks/{id}"), &headers, r#"{"description":"x"}"#).await
    };
    assert_eq!(patch(None).await.slug(), "precondition-required");
    for malformed in ["1", "\"x\"", "\"+1\"", "\"01\"", "\"0\"", "\"1", "", "\"1\", \"2\""] {
        let problem = patch(Some(malformed)).await;
        assert_eq!(
            (problem.slug().as_str(), &problem.json()["header"]),
            ("header-invalid", &json!("if-match")),
            "{malformed}"
        );
    }
    assert_eq!(patch(Some("\"7\"")).await.slug(), "precondition-failed");
    let reply = patch(Some("\"1\"")).await;
    assert_eq!((reply.status.as_u16(), reply.headers["etag"].to_str().unwrap()), (200, "\"2\""));
    assert_eq!(patch(Some("\"1\"")).await.slug(), "precondition-failed");
    let any = patch(Some("*")).await;
    assert_eq!(
        (any.status.as_u16(), any.headers["etag"].to_str().unwrap()),
        (200, "\"2\""),
        "any version matches, and the request changes nothing"
    );
    let missing = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let nothing = api.call(&api.admin, "PATCH", &format!("/api/v1/stacks/{missing}"), &headers, "{}").await;
    assert_eq!(nothing.slug(), "not-found", "a missing entity has no version");
    let delete = api.call(&api.admin, "DELETE", &format!("/api/v1/stacks/{id}"), &[("if-match", "*")], "").await;
    assert_eq!(delete.status, 204);
}

#[tokio::test]
async fn refused_manifests_name_their_class_and_publish_nothing() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for (yaml, slug) in [
        (String::new(), "manifest-empty"),
        ("# nothing\n---\n".into(), "manifest-empty"),
        ("null".into(), "manifest-empty"),
        ("[1]".into(), "manifest-invalid"),
        ("kind: ConfigMap".into(), "manifest-invalid"),
        (format!("{object}---\n{object}data: {{a: b}}\n"), "manifest-duplicate-object"),
        (format!("{object}kind: Secret\n"), "yaml-duplicate-key"),
        (format!("{object}data: {{a: .inf}}\n"), "number-out-of-range"),
        (format!("{object}data: {{a: 18446744073709551615}}\n"), "number-out-of-range"),
        (format!("{object}data: {{~: a}}\n"), "yaml-feature-not-allowed"),
        (format!("{object}...\n{object}"), "yaml-feature-not-allowed"),
        (format!("{object}data: !!python/name:x\n"), "yaml-feature-not-allowed"),
        (format!("{object}data: {{a: \"\\0\"}}\n"), "text-contains-nul"),
        ("[".repeat(1_000_000), "yaml-too-deep"),
        ("a: [".into(), "yaml-syntax"),
    ] {
        assert_eq!(api.publish(&stack, &yaml).await.slug(), slug, "{}", &yaml[..yaml.len().min(80)]);
    }
    let too_large = format!("{object}data: {{a: {}}}\n", "x".repeat(8 * 1024 * 1024));
    assert_eq!(api.publish(&stack, &too_large).await.slug(), "body-too-large");
    assert_eq!(api.get(&format!("/stacks/{stack}/deployment-objects")).await.json()["items"], json!([]));
    let reply = api.publish(&stack, &format!("{object}status: {{}}\n")).await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["warnings"][0].as_str()),
        (201, Some("ConfigMap a: dropped status"))
    );
}

#[tokio::test]
async fn manifests_are_read_as_kubectl_reads_them() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let object = "apiVersion: v1\nkind: Thing\nmetadata: {name: a}\n";
    let yaml =
        format!("{object}spec:\n  mode: 0640\n  on: yes\n---\n\u{feff}{object}spec: {{mode: 416, \"true\": true}}\n");
    let reply = api.publish(&stack, &yaml).await;
    let warnings = [
        "line 5: 0640 is read as octal, the number 416; write 416 or quote it",
        "line 6: the key on is read as a boolean and becomes the string \"true\"; quote it",
        "line 6: yes is read as the boolean true; write true or quote it",
        "duplicate object Thing a with equal contents; one is kept",
    ];
    assert_eq!((reply.status.as_u16(), &reply.json()["warnings"]), (201, &json!(warnings)), "{reply:?}");
    let post = async |manifest: &str| {
        let path = format!("/api/v1/stacks/{stack}/deployment-objects");
        let body = format!(r#"{{"manifests": [{manifest}]}}"#);
        api.call(&api.admin, "POST", &path, &[("content-type", "application/json")], body).await
    };
    let manifest = |number: &str| {
        format!(r#"{{"apiVersion": "v1", "kind": "Thing", "metadata": {{"name": "a"}}, "n": {number}}}"#)
    };
    for number in ["18446744073709551615", "9223372036854775808", "-9223372036854775809", "1e999"] {
        assert_eq!(post(&manifest(number)).await.slug(), "number-out-of-range", "{number}");
    }
    for number in ["9223372036854775807", "1e21", "1.0", "-0", "10000000000000000000"] {
        assert_eq!(post(&manifest(number)).await.status, 201, "{number}");
    }
}

/// A request, and the title, the pointer and a part of the detail of its problem.
type WrongBody<'a> = (&'static str, &'a str, Value, &'static str, &'static str, &'static str);

fn wrong_bodies<'a>(rotate: &'a str, rollback: &'a str, agent: &str) -> Vec<WrongBody<'a>> {
    let now = "2026-01-01T00:00:00Z";
    vec![
        ("POST", rotate, json!([]), "Invalid field", "", "expected an object"),
        (
            "POST",
            rotate,
            json!({"overlap_seconds": "x"}),
            "Invalid field",
            "/overlap_seconds",
            "expected a whole number",
        ),
        (
            "POST",
            rotate,
            json!({"overlap_seconds": -1}),
            "Invalid field",
            "/overlap_seconds",
            "expected a whole number",
        ),
        ("POST", rotate, json!({"overlap": 1}), "Unknown field", "/overlap", "unknown field \"overlap\""),
        (
            "POST",
            "/keys",
            json!({"name": "x", "kind": "agent"}),
            "Invalid field",
            "/kind",
            "one of: admin, admin-read-only",
        ),
        (
            "POST",
            "/keys",
            json!({"name": "x", "kind": "admin", "expires_at": "soon"}),
            "Invalid field",
            "/expires_at",
            "RFC 3339",
        ),
        (
            "POST",
            "/keys",
            json!({"name": "x", "kind": "admin", "expires_at": now}),
            "Invalid field",
            "/expires_at",
            "use a future time",
        ),
        ("POST", "/stacks", json!({"name": "A"}), "Invalid name", "/name", "lower-case"),
        ("POST", "/stacks", json!(["a"]), "Invalid field", "", "expected an object"),
        ("POST", "/stacks", json!({"name": "a", "labels": []}), "Invalid field", "/labels", "expected an object"),
        (
            "POST",
            "/stacks",
            json!({"name": "a", "targeting": [null, null]}),
            "Invalid field",
            "/targeting",
            "expected an object",
        ),
        ("POST", "/stacks", json!({"name": "a", "depends_on": ["x"]}), "Invalid field", "/depends_on/0", "a UUID"),
        (
            "POST",
            "/stacks",
            json!({"name": "a", "depends_on": [agent]}),
            "Reference does not hold",
            "/depends_on/0",
            "does not exist",
        ),
        (
            "POST",
            "/stacks",
            json!({"name": "a", "policies": {"adopt": 1}}),
            "Invalid field",
            "/policies/adopt",
            "expected",
        ),
        ("POST", rollback, json!({"revision": 7}), "Reference does not hold", "/revision", "no such revision"),
    ]
}

#[tokio::test]
async fn problems_name_location_and_expectation() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let (agent, _) = api.agent("edge", json!({})).await;
    let (rotate, rollback) = (format!("/agents/{agent}/rotate-pak"), format!("/stacks/{stack}/rollback"));
    for (method, path, body, title, pointer, detail) in wrong_bodies(&rotate, &rollback, &agent) {
        let problem = api.send(method, path, body.clone()).await.json();
        let said = problem["detail"].as_str().unwrap_or_default();
        assert_eq!(
            (problem["title"].as_str(), problem["pointer"].as_str()),
            (Some(title), Some(pointer)),
            "{body}: {problem}"
        );
        assert!(said.contains(detail), "{body}: {problem}");
    }
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=%2B5", "limit"),
        ("cursor=x", "cursor"),
        ("labels=a%20b", "labels"),
        ("x=1", "x"),
    ] {
        let problem = api.get(&format!("/stacks?{query}")).await.json();
        assert_eq!((&problem["parameter"], problem.get("pointer")), (&json!(parameter), None), "{query}: {problem}");
    }
    // JSON Schema counts 60.0 as an integer.
    assert_eq!(api.send("POST", &rotate, json!({"overlap_seconds": 60.0})).await.status, 200);
    assert_eq!(api.send("POST", &rotate, json!({"overlap_seconds": 60.5})).await.slug(), "field-invalid");
    assert_eq!(api.send("POST", &rotate, json!(null)).await.status, 200);
    // Limits count characters, as JSON Schema does, and not bytes.
    assert_eq!(api.send("POST", "/stacks", json!({"name": "b", "description": "ä".repeat(4096)})).await.status, 201);
    assert_eq!(
        api.send("POST", "/stacks", json!({"name": "c", "description": "ä".repeat(4097)})).await.slug(),
        "text-too-long"
    );
}
