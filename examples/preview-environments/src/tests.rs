//! Tests without Kubernetes and without a network.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use brokkr::api::axum::body::{Body, to_bytes};
use brokkr::api::axum::http::{Request, StatusCode, header};
use brokkr::testing::{ControlPlane, agent, pair, stack};
use tower::ServiceExt as _;

use super::*;

/// Sends a request to the host's route, wrapped in the API's layer as `Server` does.
async fn post_pull(broker: &Broker, path: &str, key: Option<&str>, body: Value) -> (StatusCode, Value) {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let served = routes(broker.clone()).layer(brokkr::api::ApiLayer::new(broker.clone()));
    let response = served.oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, brokkr::serde_json::from_slice(&body).unwrap())
}

async fn plane() -> ControlPlane {
    let eu = agent("eu-1").label("region", "eu");
    let us = agent("us-1").label("region", "us");
    let builder = ControlPlane::builder().agent(eu).agent(us);
    builder.broker(|broker| broker.also_match(SameRegion).generator(PreviewEnvironment)).start().await
}

#[test]
fn policy_sends_environments_to_their_region_only() {
    let eu = agent("edge").label("region", "eu");
    assert!(pair(stack("pull-7").label("region", "eu"), eu.clone()).matches(&SameRegion));
    assert!(!pair(stack("pull-7").label("region", "us"), eu.clone()).matches(&SameRegion));
    assert!(!pair(stack("pull-7"), eu).matches(&SameRegion));
}

#[tokio::test(crate = "brokkr::tokio")]
async fn opened_environment_reaches_the_clusters_of_its_region() {
    let plane = plane().await;
    let key = plane.broker().ensure_admin_key(None).await.unwrap().unwrap();
    let preview = json!({"image": "web:pr-7"});
    let (status, answer) = post_pull(plane.broker(), "/pulls/7", Some(key.expose_secret()), preview).await;
    assert_eq!((status, &answer["revision"]), (StatusCode::OK, &json!(1)), "{answer}");
    let stack: StackId = answer["stack"].as_str().unwrap().parse().unwrap();
    let status = plane.converged(stack).await;
    assert_eq!(status.summary.agents, 1);
    let [eu, us] = plane.agents() else { panic!("two agents") };
    let web = eu.object("Deployment", "pull-7", "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "web:pr-7");
    assert_eq!(us.object("Namespace", None, "pull-7"), None);
}

#[tokio::test(crate = "brokkr::tokio")]
async fn refused_requests_get_problem_documents() {
    let plane = plane().await;
    let key = plane.broker().ensure_admin_key(None).await.unwrap().unwrap();
    let preview = json!({"image": "web:pr-7"});
    let many = json!({"image": "web:pr-7", "replicas": 50});
    for (path, key, body, expected) in [
        ("/pulls/7", None, &preview, "unauthenticated"),
        ("/pulls/seven", Some(key.expose_secret()), &preview, "not-found"),
        ("/pulls/7", Some(key.expose_secret()), &json!({"image": 7}), "field-invalid"),
        ("/pulls/7", Some(key.expose_secret()), &many, "params-invalid"),
    ] {
        let (status, problem) = post_pull(plane.broker(), path, key, body.clone()).await;
        assert_eq!(problem["type"], format!("/problems/{expected}"), "{problem}");
        assert_eq!(problem["status"], status.as_u16());
        assert!(problem["request_id"].is_string(), "{problem}");
    }
}

#[tokio::test(crate = "brokkr::tokio")]
async fn direct_target_matches_beside_the_policy() {
    let plane = plane().await;
    let preview = Preview { image: "web:pr-8".into(), replicas: 1 };
    let stack = plane.generate::<PreviewEnvironment>(StackSpec::named("pull-8"), preview).await;
    assert_eq!(plane.converged(stack).await.summary.agents, 2);
    plane.delete(stack).await;
    assert_eq!(plane.agents()[1].object("Deployment", "pull-8", "web"), None);
}
