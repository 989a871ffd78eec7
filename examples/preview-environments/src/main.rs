#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "prints a request to try")]

mod close;
mod clusters;
mod environment;
#[cfg(test)]
mod tests;

use std::error::Error;

use brokkr::api::axum::{Json, Router, extract::State, routing::post};
use brokkr::prelude::*;
use brokkr::secrecy::ExposeSecret as _;
use brokkr::serde_json::Value;
use brokkr::tokio;

use crate::close::CloseIdle;
use crate::clusters::PreviewClusters;
use crate::environment::{Preview, PreviewEnvironment};

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
    let broker = Broker::builder(MemoryStore::new())
        .also_match(PreviewClusters)
        .generator(PreviewEnvironment)
        .controller(close::PRINCIPAL, CloseIdle)
        .start()
        .await?;
    if let Some(key) = broker.ensure_admin_key(None).await? {
        println!("export KEY={}", key.expose_secret());
    }
    let server = Server::builder(broker.clone()).merge(routes(broker)).bind("127.0.0.1:3000").await?;
    println!("curl -X POST http://{}/pulls/7 -H \"authorization: Bearer $KEY\" \\", server.local_addr()?);
    println!("  -H 'content-type: application/json' -d '{{\"image\": \"web:pr-7\"}}'");
    Ok(server.run(shutdown_signal()).await?)
}
