#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "prints a request to try")]

#[cfg(test)]
mod tests;

use std::error::Error;

use brokkr::api::axum::{Json, Router, extract::State, routing::post};
use brokkr::prelude::*;
use brokkr::secrecy::ExposeSecret as _;
use brokkr::serde_json::Value;
use brokkr::tokio;

/// The webhook's payload: one pull request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "brokkr::serde", deny_unknown_fields)]
#[schemars(crate = "brokkr::schemars", deny_unknown_fields)]
struct Preview {
    /// The container image of the pull request's build.
    image: String,
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    replicas: u8,
}

fn one() -> u8 {
    1
}

/// Generates the manifests of one preview environment.
#[derive(Debug)]
struct PreviewEnvironment;

#[async_trait]
impl Generator for PreviewEnvironment {
    type Params = Preview;

    fn name(&self) -> &str {
        "preview-environment"
    }

    async fn generate(&self, ctx: &GenerateContext<'_>, preview: Preview) -> Result<Manifests, GenerateError> {
        let name = &ctx.stack.name;
        let labels = json!({"app.kubernetes.io/name": name});
        let pod =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": preview.image}]}});
        let spec = json!({"replicas": preview.replicas, "selector": {"matchLabels": labels}, "template": pod});
        let metadata = json!({"name": "web", "namespace": name});
        Ok(Manifests::new([
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}),
        ]))
    }
}

/// Matches environments with the clusters of their region, except those for production.
#[derive(Debug)]
struct PreviewClusters;

impl TargetingPolicy for PreviewClusters {
    fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        if pair.agent.labels.get("tier") == Some("production") {
            return Ok(Verdict::unmatched("the cluster is for production"));
        }
        Ok(match (pair.stack.labels.get("region"), pair.agent.labels.get("region")) {
            (Some(wanted), Some(here)) if wanted == here => Verdict::matched(format!("both are in {here}")),
            _ => Verdict::unmatched("the regions differ"),
        })
    }
}

/// `POST /pulls/{number}` with a `Preview` and a Brokkr key: the endpoint for the code host's webhook.
async fn open(
    State(broker): State<Broker>,
    Caller(actor): Caller,
    ApiPath(number): ApiPath<u32>,
    ApiJson(preview): ApiJson<Preview>,
) -> Result<Json<Value>, Problem> {
    // Without a rule, the default policy would match every agent with region=eu, also in production.
    let spec = StackSpec::named(format!("pull-{number}")).label("region", "eu").targeting(TargetingRule::none());
    let applied = broker.generate::<PreviewEnvironment>(&actor, spec, preview).await?;
    let revision = applied.published.map(|published| published.object.revision);
    Ok(Json(json!({"stack": applied.stack.id, "revision": revision})))
}

fn routes(broker: Broker) -> Router {
    Router::new().route("/pulls/{number}", post(open)).with_state(broker)
}

#[tokio::main(crate = "brokkr::tokio")]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker =
        Broker::builder(MemoryStore::new()).also_match(PreviewClusters).generator(PreviewEnvironment).start().await?;
    if let Some(key) = broker.ensure_admin_key(None).await? {
        println!("export KEY={}", key.expose_secret());
    }
    let server = Server::builder(broker.clone()).merge(routes(broker)).bind("127.0.0.1:3000").await?;
    println!("curl -X POST http://{}/pulls/7 -H \"authorization: Bearer $KEY\" \\", server.local_addr()?);
    println!("  -H 'content-type: application/json' -d '{{\"image\": \"web:pr-7\"}}'");
    Ok(server.run(shutdown_signal()).await?)
}
