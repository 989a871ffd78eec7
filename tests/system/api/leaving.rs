//! Work ends with its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use brokkr_control::Broker;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use brokkr_core::model::StackSpec;
use brokkr_core::store::MemoryStore;
use brokkr_http::server::Server;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::eventually;

/// Counts runs that have begun, and those that were ended before their result.
#[derive(Debug, Clone, Default)]
struct Endless {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

struct CountsItsEnd(Arc<AtomicUsize>);

impl Drop for CountsItsEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Generator for Endless {
    type Params = std::collections::BTreeMap<String, String>;

    fn name(&self) -> &str {
        "endless"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Self::Params) -> Result<Manifests, GenerateError> {
        let _end = CountsItsEnd(self.ended.clone());
        self.begun.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test]
async fn publication_ends_when_its_client_leaves() {
    let endless = Endless::default();
    let broker = Broker::builder(MemoryStore::new()).generator(endless.clone()).start().await.unwrap();
    let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
    let stack = broker.stack_create(&broker.system_actor(), None, StackSpec::named("web")).await.unwrap();
    let server = Server::builder(broker).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.run(std::future::pending()));
    let body = json!({"generator": "endless", "params": {}}).to_string();
    let request = format!(
        "POST /api/v1/stacks/{}/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {admin}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        stack.id,
        body.len()
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let counts = || (endless.begun.load(Ordering::SeqCst), endless.ended.load(Ordering::SeqCst));
    eventually("it runs", || async { if counts() == (1, 0) { Ok(()) } else { Err(counts()) } }).await;
    drop(client);
    eventually("it ends", || async { if counts() == (1, 1) { Ok(()) } else { Err(counts()) } }).await;
}
