#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "prints the address and the first token")]

mod auth;
mod customer_database;
mod customers;
mod service;
#[cfg(test)]
mod tests;
mod token;

use std::env;
use std::error::Error;

use brokkr::api::{Server, shutdown_signal};
use brokkr::postgres::{PostgresConfig, PostgresStore};

use service::Service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One database with two schemas and two roles: the service's own, and the broker's, which cannot change history.
    let service_url = env::var("SERVICE_DATABASE_URL")?;
    let broker_url = env::var("BROKKR_DATABASE_URL")?;
    let store = PostgresStore::connect(PostgresConfig::new(broker_url)).await?;
    let service = Service::start(store, &service_url).await?;
    let member = service.ensure_first_member().await?;
    let server =
        Server::builder(service.broker.clone()).merge(customers::routes(service)).bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", server.local_addr()?);
    if let Some(token) = member {
        println!("the first member's token (shown only once): {token}");
    }
    Ok(server.run(shutdown_signal()).await?)
}
