//! Tests without Kubernetes and without a network.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::time::Duration;

use brokkr::api::axum::http::{Request, header};
use brokkr::targeting::default_policy;
use brokkr::testing::{ControlPlane, ControlPlaneBuilder, TestResponse, agent, call, check_controller, pair, stack};

use super::*;

/// Sends a request to the router that `Server` serves.
async fn post_pull(broker: &Broker, path: &str, key: Option<&str>, body: Value) -> TestResponse {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let router = Server::builder(broker.clone()).merge(routes(broker.clone())).router();
    call(&router, request.body(body.to_string()).unwrap()).await
}

async fn plane() -> ControlPlane {
    builder().start().await
}

fn builder() -> ControlPlaneBuilder {
    let eu = agent("eu-1").label("region", "eu");
    let us = agent("us-1").label("region", "us");
    let production = agent("eu-production").label("region", "eu").label("tier", "production");
    let builder = ControlPlane::builder().agent(eu).agent(us).agent(production).with_controllers();
    builder.broker(|broker| {
        broker.also_match(PreviewClusters).generator(PreviewEnvironment).controller(close::PRINCIPAL, CloseIdle)
    })
}

#[test]
fn policy_sends_environments_to_their_region_except_production() {
    let pull = stack("pull-7").label("region", "eu");
    let (eu, us) = (agent("eu").label("region", "eu"), agent("us").label("region", "us"));
    let production = eu.clone().label("tier", "production");
    assert!(pair(pull.clone(), eu.clone()).matches(&PreviewClusters));
    assert!(!pair(pull.clone(), us).matches(&PreviewClusters));
    assert!(!pair(stack("pull-7"), eu).matches(&PreviewClusters));
    // The default policy stays in effect, so only a rule keeps the shared region from matching.
    let combined = default_policy().or(PreviewClusters);
    assert!(pair(pull.clone(), production.clone()).matches(&combined));
    assert!(!pair(pull.targeting(TargetingRule::none()), production).matches(&combined));
}

#[tokio::test(crate = "brokkr::tokio")]
async fn opened_environment_reaches_the_clusters_of_its_region() {
    let plane = plane().await;
    let key = plane.broker().ensure_admin_key(None).await.unwrap().unwrap();
    let preview = json!({"image": "web:pr-7"});
    let response = post_pull(plane.broker(), "/pulls/7", Some(key.expose_secret()), preview).await;
    let answer = response.json();
    assert_eq!((response.status.as_u16(), &answer["revision"]), (200, &json!(1)), "{answer}");
    let stack: StackId = answer["stack"].as_str().unwrap().parse().unwrap();
    let status = plane.healthy(stack).await;
    assert_eq!(status.summary.agents, 1);
    let [eu, us, production] = plane.agents() else { panic!("three agents") };
    let web = eu.object("Deployment", "pull-7", "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "web:pr-7");
    assert_eq!(us.object("Namespace", None, "pull-7"), None);
    assert_eq!(production.object("Namespace", None, "pull-7"), None);
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
        let response = post_pull(plane.broker(), path, key, body.clone()).await;
        let problem = response.json();
        assert_eq!(problem["type"], format!("/problems/{expected}"), "{problem}");
        assert_eq!(problem["status"], response.status.as_u16());
        assert!(problem["request_id"].is_string(), "{problem}");
    }
}

#[tokio::test(crate = "brokkr::tokio")]
async fn direct_target_matches_beside_the_policy() {
    let plane = plane().await;
    let preview = Preview { image: "web:pr-8".into(), replicas: 1 };
    let stack = plane.generate::<PreviewEnvironment>(StackSpec::named("pull-8"), preview).await;
    assert_eq!(plane.converged(stack).await.summary.agents, 3);
    plane.delete(stack).await;
    assert_eq!(plane.agents()[1].object("Deployment", "pull-8", "web"), None);
}

#[tokio::test(crate = "brokkr::tokio")]
async fn environment_is_closed_a_week_after_its_last_revision() {
    let plane = builder().paused_clock().start().await;
    let days = |n: u64| Duration::from_secs(n * 24 * 3600);
    let generate = async |name: &str, image: &str| {
        plane.generate::<PreviewEnvironment>(StackSpec::named(name), Preview { image: image.into(), replicas: 1 }).await
    };
    let (idle, active, other) =
        (generate("pull-1", "web:1").await, generate("pull-2", "web:1").await, generate("shop", "web:1").await);
    plane.advance(days(4)).await;
    generate("pull-2", "web:2").await;
    plane.advance(days(3)).await;
    plane.gone(idle).await;
    let eu = &plane.agents()[0];
    assert_eq!((eu.object("Deployment", "pull-1", "web"), eu.object("Namespace", None, "pull-1")), (None, None));
    for stack in [active, other] {
        assert!(plane.broker().stack_get(&plane.actor(), stack).await.is_ok());
    }
    plane.advance(days(4)).await;
    plane.gone(active).await;
    assert!(plane.broker().stack_get(&plane.actor(), other).await.is_ok());
}

#[tokio::test(crate = "brokkr::tokio")]
async fn closing_keeps_the_rules_of_controllers() {
    let plane = ControlPlane::builder().paused_clock().start().await;
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    let stack = plane.publish(StackSpec::named("pull-7"), [settings]).await;
    check_controller(&plane, &CloseIdle, &plane.actor(), [stack]).await;
    plane.advance(Duration::from_secs(7 * 24 * 3600)).await;
    check_controller(&plane, &CloseIdle, &plane.actor(), [stack]).await;
}
