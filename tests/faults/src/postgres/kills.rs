//! The whole server is killed repeatedly under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brokkr_control::{Broker, BrokerError, Idempotency};
use brokkr_core::model::StackSpec;

use super::fixture::{Database, text};
use crate::{Outcome, Result};

const ROUNDS: u64 = 20;
const WRITERS: usize = 12;

pub(crate) async fn run() -> Result<Outcome> {
    let mut database = Database::start("kills").await?;
    let broker = database.broker().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let retries = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(broker.clone(), writer, stop.clone(), retries.clone()))).collect();
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(500 + fastrand::u64(0..700))).await;
        database.server.kill().map_err(text)?;
        database.server.start_again().map_err(text)?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut acknowledged, mut refused) = (BTreeSet::new(), 0);
    for writer in writers {
        let (names, wrong) = writer.await?;
        acknowledged.extend(names);
        refused += wrong;
    }
    let there: BTreeSet<String> =
        database.query("SELECT name FROM brokkr.stack WHERE name LIKE 'w%'")?.lines().map(str::to_owned).collect();
    let lost = acknowledged.difference(&there).count() as u64;
    let unaudited = database.count(
        "SELECT count(*) FROM brokkr.change c WHERE NOT EXISTS (SELECT FROM brokkr.audit a WHERE a.request_id = c.request_id)",
    )?;
    let twice = database.count(
        "SELECT count(*) FROM (SELECT 1 FROM brokkr.change WHERE kind = 'stack' GROUP BY entity ->> 'id' HAVING count(*) > 1) d",
    )?;
    println!(
        "{} acknowledged, {lost} lost, {} retries, {refused} refused as taken, {unaudited} changes without audit, {twice} changes twice",
        acknowledged.len(),
        retries.load(Ordering::SeqCst)
    );
    broker.shutdown().await;
    let enough = acknowledged.len() as u64 >= ROUNDS * 20 && retries.load(Ordering::SeqCst) >= ROUNDS;
    if !enough {
        return Err("too few requests for a meaningful result".into());
    }
    Ok(Outcome::of(ROUNDS, (lost + refused + unaudited + twice).min(ROUNDS)))
}

/// Creates stacks one after the other, and retries each until it is acknowledged. Returns their names, and the number of refusals
/// after an earlier attempt that had succeeded without an answer.
async fn write(broker: Broker, writer: usize, stop: Arc<AtomicBool>, retries: Arc<AtomicU64>) -> (Vec<String>, u64) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("w{writer}-{number}");
        loop {
            let idempotency = Arc::new(Idempotency::new(name.clone()));
            idempotency.add(name.as_bytes());
            let actor = broker.system_actor().repeating(idempotency);
            match broker.stack_create(&actor, None, StackSpec::named(&name)).await {
                Ok(_) => break acknowledged.push(name),
                Err(BrokerError::AlreadyExists(_)) => {
                    refused += 1;
                    break;
                }
                Err(_) => {
                    retries.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
    (acknowledged, refused)
}
