//! A broker in memory with a generator for each kind of result. Contract tests run against it.
//!
//! `brokkr-contract serve --listen ADDRESS --admin-key-file FILE` behaves as `brokkr-broker serve`.
#![expect(clippy::print_stdout, reason = "prints the listen address")]

mod generators;

use std::error::Error;
use std::sync::Arc;

use brokkr_control::{Broker, GrantPatch};
use brokkr_core::model::{Grant, GrantId, GrantRules};
use brokkr_core::store::MemoryStore;
use brokkr_http::server::Server;
use generators::{Away, Broken, Greeting, Picky, Refusing};
use secrecy::ExposeSecret as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    const USAGE: &str = "usage: brokkr-contract serve --listen ADDRESS --admin-key-file FILE";
    let [serve, listen, address, key_file, file] = words.as_slice() else {
        return Err(USAGE.into());
    };
    if [serve, listen, key_file] != ["serve", "--listen", "--admin-key-file"] {
        return Err(USAGE.into());
    }
    let broker = Broker::builder(Arc::new(MemoryStore::new()))
        .generator(Greeting)
        .generator(Picky)
        .generator(Refusing)
        .generator(Away)
        .generator(Broken)
        .start()
        .await?;
    if let Some(key) = broker.ensure_admin_key(None).await? {
        std::fs::write(file, key.expose_secret())?;
    }
    // What is published in this check is arbitrary, and so are the owners of the stacks.
    let rules = GrantRules::unrestricted();
    let patch = |before: &Grant| Ok(GrantPatch { description: before.description.clone(), rules: rules.clone() });
    broker.grant_update(&broker.system_actor(), GrantId::DEFAULT, None, patch).await?;
    let server = Server::builder(broker).bind(address).await?;
    println!("listening on http://{}", server.local_addr()?);
    // Run until the parent process ends this one.
    Ok(server.run(std::future::pending()).await?)
}
