//! What agents should hold: random histories of publications, releases, pins, suspensions, protections, labels and removals, on
//! both stores, beside a model that knows the broker's operations only by their description.

mod history;
mod model;

use std::sync::Arc;
use std::time::Instant;

use brokkr_control::Broker;
use brokkr_core::store::MemoryStore;

use self::history::History;
use crate::agent::rounds::Rounds;
use crate::postgres::Database;
use crate::{Result, chosen, tell};

/// The checks, each with its histories and the steps of each history.
const ALL: [(&str, u64, u32); 2] = [("memory", 60, 80), ("postgresql", 12, 60)];

/// Runs all checks or one of them. Returns true if a step went wrong.
pub(crate) async fn run(only: Option<&str>) -> Result<bool> {
    let mut wrong = false;
    for name in chosen(&ALL.map(|(name, ..)| name), only)? {
        let began = Instant::now();
        let (_, histories, steps) = ALL.into_iter().find(|(it, ..)| *it == name).unwrap_or(ALL[0]);
        let database = if name == "memory" { None } else { Some(Database::start("desired").await?) };
        let broker = match &database {
            Some(database) => database.broker().await?,
            None => Broker::builder(Arc::new(MemoryStore::new())).start().await?,
        };
        let mut rounds = Rounds::of(name);
        for seed in 0..histories {
            let mut history = History::begin(&broker, seed).await?;
            for _ in 0..steps {
                let (what, defects) = history.step().await?;
                rounds.add(format!("history {seed}: {what}"), defects);
            }
            history.end().await?;
        }
        broker.shutdown().await;
        wrong |= tell(name, Ok(rounds.end(Vec::new())));
        println!("==> {name}: {} s", began.elapsed().as_secs());
    }
    Ok(wrong)
}
