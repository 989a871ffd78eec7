//! The whole server freezes: no connection closes, and no answer arrives.

use std::time::{Duration, Instant};

use brokkr_control::{Broker, BrokerError, Content};
use brokkr_core::model::{StackId, StackSpec};
use futures::future::join_all;
use serde_json::json;

use super::fixture::{Database, text};
use crate::{Outcome, Result};

const FROZEN: Duration = Duration::from_secs(25);
/// Time limit for `/readyz` to fail during the freeze, and to succeed after it.
const NOTICED: Duration = Duration::from_secs(5);
/// Number of concurrent writes, more than the pool has connections.
const WRITES: usize = 30;
/// Time limit of each write: the statement timeout, and the wait for a connection.
const ANSWERED: Duration = Duration::from_secs(20);

async fn publish(broker: &Broker, stack: StackId, number: usize) -> std::result::Result<(), BrokerError> {
    let name = format!("c{number}");
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let content = Content::Documents { documents: vec![manifest], message: String::new() };
    broker.publish(&broker.system_actor(), stack, content).await.map(drop)
}

/// Waits until the broker is ready or not ready. Returns the time.
async fn until_ready(broker: &Broker, ready: bool) -> Duration {
    let began = Instant::now();
    while broker.ready().await.is_ok() != ready && began.elapsed() < 4 * NOTICED {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

pub(crate) async fn run() -> Result<Outcome> {
    let database = Database::start("silent").await?;
    let broker = database.broker().await?;
    let mut stacks = Vec::new();
    for n in 0..WRITES {
        let stack = broker.stack_create(&broker.system_actor(), None, StackSpec::named(format!("s{n}"))).await?;
        stacks.push(stack.id);
    }
    database.server.freeze().map_err(text)?;
    let began = Instant::now();
    let timed = stacks.iter().enumerate().map(|(n, stack)| {
        let broker = &broker;
        async move { (publish(broker, *stack, n).await, began.elapsed()) }
    });
    let (noticed, writes) = tokio::join!(until_ready(&broker, false), join_all(timed));
    let slowest = writes.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let is_told = |(result, took): &&(std::result::Result<(), BrokerError>, Duration)| {
        matches!(result, Err(BrokerError::Unavailable(_) | BrokerError::Stale)) && *took <= ANSWERED
    };
    let told = writes.iter().filter(is_told).count();
    tokio::time::sleep(FROZEN.saturating_sub(began.elapsed())).await;
    database.server.thaw().map_err(text)?;
    let back = until_ready(&broker, true).await;
    let mut written = 0;
    for (n, stack) in stacks.iter().enumerate() {
        written += usize::from(publish(&broker, *stack, n).await.is_ok());
    }
    println!(
        "not ready after {:.1} s, {told} of {WRITES} writes told within {:.1} s, ready {:.1} s after the end, {written} written then",
        noticed.as_secs_f64(),
        slowest.as_secs_f64(),
        back.as_secs_f64()
    );
    let wrong = usize::from(noticed > NOTICED) + usize::from(back > NOTICED) + 2 * WRITES - told - written;
    broker.shutdown().await;
    Ok(Outcome::of(2 + 2 * WRITES as u64, wrong as u64))
}
