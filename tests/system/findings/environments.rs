//! A generator that is limited to `dev` reaches no agent of `prod`, whatever targets it. Each way is tried at the agent's poll.

use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
use serde_json::{Value, json};

use crate::support::{Api, config_map};

/// An agent and its key.
type Agent = (String, String);

/// A generator and an agent in each environment that is registered with it. The generator is limited to `dev` when the story
/// says so.
struct Scene {
    api: Api,
    generator: String,
    key: String,
    dev: Agent,
    prod: Agent,
}

impl Scene {
    async fn new(api: Api) -> Self {
        for name in ["dev", "prod"] {
            api.environment(name).await;
        }
        let (generator, key) = api.generator("shop").await;
        let (dev, prod) = (api.agent_in("dev", "dev-1").await, api.agent_in("prod", "prod-1").await);
        for (agent, _) in [&dev, &prod] {
            let patched = api.patch(&format!("/agents/{agent}"), json!({"labels": {"site": "edge"}})).await;
            assert_eq!(patched.status, 200, "{patched:?}");
            let registered = api.send("PUT", &format!("/agents/{agent}/generators/{generator}"), json!({})).await;
            assert_eq!(registered.status, 204, "{registered:?}");
        }
        Self { api, generator, key, dev, prod }
    }

    async fn limit(&self) {
        let path = format!("/generators/{}", self.generator);
        let limited = self.api.patch(&path, json!({"environments": ["dev"]})).await;
        assert_eq!((limited.status.as_u16(), &limited.json()["environments"]), (200, &json!(["dev"])), "{limited:?}");
    }

    /// Creates a stack with content. Returns its id.
    async fn stack(&self, name: &str, mut body: Value) -> String {
        body["manifests"] = json!([config_map("shop", name, "first")]);
        let applied = self.api.send_as(&self.key, "PUT", &format!("/stacks/by-name/{name}"), body).await;
        assert_eq!(applied.status, 201, "{applied:?}");
        applied.text("/stack/id")
    }

    async fn target(&self, stack: &str, agent: &Agent) -> (u16, String) {
        let path = format!("/stacks/{stack}/targets/{}", agent.0);
        let reply = self.api.send_as(&self.key, "PUT", &path, json!({})).await;
        let slug = if reply.status == 200 { String::new() } else { reply.slug() };
        (reply.status.as_u16(), slug)
    }

    async fn applied(&self, agent: &Agent) -> Vec<String> {
        self.api.polled(&agent.0, &agent.1).await.0
    }

    async fn removed(&self, agent: &Agent) -> Vec<String> {
        self.api.polled(&agent.0, &agent.1).await.1
    }
}

const REFUSED: (u16, &str) = (422, "outside-environments");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_label() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        scene.limit().await;
        scene.stack("shared", json!({"labels": {"site": "edge"}})).await;
        scene.stack("named", json!({"labels": {"brokkr.io/environment": "prod"}})).await;
        assert_eq!(scene.applied(&scene.dev).await, ["shared"]);
        assert!(scene.applied(&scene.prod).await.is_empty());
        let path = format!("/agents/{}/placement", scene.prod.0);
        let reasons = scene.api.get_as(&scene.key, &path).await.json()["items"][0]["reasons"].to_string();
        assert!(reasons.contains("limited to environments that the agent is not in"), "{reasons}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_selector() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        scene.limit().await;
        let requirement = json!({"key": "brokkr.io/environment", "operator": "In", "values": ["dev", "prod"]});
        for (name, rule) in [
            ("all", json!({"match_labels": {}})),
            ("expressed", json!({"match_expressions": [requirement]})),
            ("labelled", json!({"match_labels": {"brokkr.io/environment": "prod"}})),
            ("named", json!({"environments": ["dev", "prod"]})),
        ] {
            scene.stack(name, json!({"targeting": rule})).await;
        }
        assert_eq!(scene.applied(&scene.dev).await, ["all", "expressed", "named"]);
        assert!(scene.applied(&scene.prod).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_target() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        let stack = scene.stack("web", json!({"targeting": {}})).await;
        assert_eq!(scene.target(&stack, &scene.prod).await.0, 200, "not limited yet");
        assert_eq!(scene.applied(&scene.prod).await, ["web"]);
        scene.limit().await;
        assert!(scene.applied(&scene.prod).await.is_empty(), "the target gives nothing any more");
        assert_eq!(scene.removed(&scene.prod).await, ["web"]);
        let other = scene.stack("other", json!({"targeting": {}})).await;
        let (status, slug) = scene.target(&other, &scene.prod).await;
        assert_eq!((status, slug.as_str()), REFUSED);
        assert_eq!(scene.target(&other, &scene.dev).await.0, 200);
        assert_eq!(scene.applied(&scene.dev).await, ["other"]);
        assert!(scene.applied(&scene.prod).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_registration() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        scene.limit().await;
        scene.stack("all", json!({"targeting": {"match_labels": {}}})).await;
        let (alone, alone_key) = scene.api.agent("alone", json!({})).await;
        let (prod, prod_key) = scene.api.agent_in("prod", "prod-2").await;
        for agent in [&alone, &prod] {
            let path = format!("/agents/{agent}/generators/{}", scene.generator);
            let refused = scene.api.send("PUT", &path, json!({})).await;
            assert_eq!((refused.status.as_u16(), refused.slug().as_str()), REFUSED);
        }
        let body = json!({"name": "prod-3", "environment": "prod", "generator_ids": [scene.generator]});
        assert_eq!(scene.api.send("POST", "/agents", body).await.slug(), REFUSED.1);
        let registrations = json!([{"generator_id": scene.generator}]);
        let token = json!({"name": "t", "expires_at": "2999-01-01T00:00:00Z", "environment": "prod", "registrations": registrations});
        let refused = scene.api.send("POST", "/join-tokens", token).await;
        assert_eq!((refused.slug().as_str(), refused.text("/pointer").as_str()), (REFUSED.1, "/registrations/0/generator_id"));
        for agent in [&scene.prod, &(alone, alone_key), &(prod, prod_key)] {
            assert!(scene.applied(agent).await.is_empty());
        }
        assert_eq!(scene.applied(&scene.dev).await, ["all"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_a_change_of_environment() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        scene.limit().await;
        scene.stack("all", json!({"targeting": {"match_labels": {}}})).await;
        let stack = scene.stack("targeted", json!({"targeting": {}})).await;
        assert_eq!(scene.target(&stack, &scene.dev).await.0, 200);
        assert_eq!(scene.applied(&scene.dev).await, ["all", "targeted"]);
        for environment in [json!("prod"), json!(null)] {
            let path = format!("/agents/{}", scene.dev.0);
            let moved = scene.api.patch(&path, json!({"environment": environment})).await;
            assert_eq!(moved.status, 200, "{moved:?}");
            assert!(scene.applied(&scene.dev).await.is_empty(), "in {environment}");
            assert_eq!(scene.removed(&scene.dev).await, ["all", "targeted"]);
        }
        let path = format!("/agents/{}", scene.prod.0);
        assert_eq!(scene.api.patch(&path, json!({"environment": "dev"})).await.status, 200);
        assert_eq!(scene.applied(&scene.prod).await, ["all"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_generator_reaches_no_other_environment_by_rollback() {
    Api::on_both(async |api| {
        let scene = Scene::new(api).await;
        let stack = scene.stack("web", json!({"targeting": {"match_labels": {}}})).await;
        assert_eq!(scene.applied(&scene.prod).await, ["web"], "its first revision was there");
        scene.limit().await;
        let body = json!({"manifests": [config_map("shop", "web", "second")]});
        let path = format!("/stacks/{stack}");
        let published = scene.api.send_as(&scene.key, "POST", &format!("{path}/deployment-objects"), body).await;
        assert_eq!(published.status, 201, "{published:?}");
        let back = scene.api.send_as(&scene.key, "POST", &format!("{path}/rollback"), json!({"revision": 1})).await;
        assert_eq!((back.status.as_u16(), &back.json()["revision"]), (201, &json!(3)), "{back:?}");
        assert_eq!(scene.applied(&scene.dev).await, ["web"]);
        assert!(scene.applied(&scene.prod).await.is_empty());
        let object = format!("/deployment-objects/{}", back.text("/id"));
        assert_eq!(scene.api.get_as(&scene.prod.1, &object).await.slug(), "not-found");
    })
    .await;
}

/// Places every stack on every agent.
#[derive(Debug)]
struct Everything;

impl TargetingPolicy for Everything {
    fn evaluate(&self, _: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(Verdict::matched("everything"))
    }
}

#[tokio::test]
async fn limited_generator_reaches_no_other_environment_by_a_policy_of_the_host() {
    let scene = Scene::new(Api::with(|builder| builder.replace_policy(Everything)).await).await;
    scene.limit().await;
    scene.stack("web", json!({})).await;
    assert_eq!(scene.applied(&scene.dev).await, ["web"]);
    assert!(scene.applied(&scene.prod).await.is_empty());
}
