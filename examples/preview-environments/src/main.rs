//! A control plane of its own: one environment per pull request, on clusters of the region that it asks for.
//!
//! Own generator, own targeting policy, own route; everything else is Brokkr's.
#![expect(clippy::print_stdout, reason = "an example prints what to try")]

use std::error::Error;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use brokkr_control::Broker;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use brokkr_core::model::StackSpec;
use brokkr_core::store::MemoryStore;
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
use brokkr_http::server::{Server, shutdown_signal};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize, JsonSchema)]
struct Preview {
    image: String,
    #[serde(default)]
    replicas: u8,
}

/// Makes the manifests of one environment.
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
        Ok(Manifests::new([
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": name}, "spec": {
                "replicas": preview.replicas.max(1),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": preview.image}]}},
            }}),
        ]))
    }
}

/// An environment goes to every agent of its region.
#[derive(Debug)]
struct SameRegion;

impl TargetingPolicy for SameRegion {
    fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        Ok(match (pair.stack.labels.get("region"), pair.agent.labels.get("region")) {
            (Some(wanted), Some(here)) if wanted == here => Verdict::matched(format!("both are in {here}")),
            _ => Verdict::unmatched("the regions differ"),
        })
    }
}

/// `POST /pulls/{number}` with `{"image": …}`: what a webhook of a code host would call.
async fn open(
    State(broker): State<Broker>,
    Path(number): Path<u32>,
    Json(preview): Json<Value>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let mut spec = StackSpec::named(format!("pull-{number}"));
    spec.labels.insert("region".to_owned(), "eu".to_owned());
    let applied = broker.generate_named(&broker.system_actor(), "preview-environment", spec, preview).await;
    let applied = applied.map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    Ok(Json(json!({"stack": applied.stack.id, "revision": applied.published.map(|it| it.object.revision)})))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker =
        Broker::builder(MemoryStore::new()).also_match(SameRegion).generator(PreviewEnvironment).start().await?;
    if let Some(key) = broker.ensure_admin_key(None).await? {
        println!("admin key: {}", key.expose_secret());
    }
    let own = Router::new().route("/pulls/{number}", post(open)).with_state(broker.clone());
    let server = Server::builder(broker).merge(own).bind("127.0.0.1:3000").await?;
    println!(
        "try: curl -X POST localhost:3000/pulls/7 -H 'content-type: application/json' -d '{{\"image\":\"web:pr-7\"}}'"
    );
    Ok(server.run(shutdown_signal()).await?)
}
