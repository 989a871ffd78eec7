//! The background work of a broker: following the store, and writing what may be written late.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::{AssignmentState, Change, InstanceId, StackId};
use brokkr_core::store::{Retention, Scope, StoreError, StoreResult};

use crate::broker::{Broker, Parts};

/// How often the view is brought up to date when no hint comes.
const TICK: Duration = Duration::from_millis(500);
/// How often attempts and activity are written.
const FLUSH: Duration = Duration::from_millis(250);
/// How often some of what is no longer kept is dropped.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
const PURGE_LEASE: &str = "purge";
/// Batches in one go: fewer than take as long as the lease is good for.
const PURGE_BATCHES: usize = 20;
/// Stacks whose removal is completed in one round.
const REMOVALS: usize = 100;

/// Follows the store until the broker stops: folds what is committed into the view.
pub(crate) async fn follow(parts: Arc<Parts>) {
    let mut hints = parts.store.subscribe();
    loop {
        let began = Instant::now();
        // Marked as seen before reading: a commit during the read makes the next wait end at once.
        hints.mark_unchanged();
        if let Err(error) = catch_up(&parts, began).await {
            tracing::warn!(%error, "cannot follow the store; answering agents stops when the view is too old");
            tokio::select! {
                () = parts.stopping.cancelled() => return,
                () = tokio::time::sleep(TICK / 5) => continue,
            }
        }
        tokio::select! {
            () = parts.stopping.cancelled() => return,
            hint = hints.changed() => if hint.is_err() { return },
            () = parts.view.asked() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Reads what came since the view's token and folds it in.
async fn catch_up(parts: &Parts, began: Instant) -> StoreResult<()> {
    match parts.store.view_tail(&parts.view.token()).await {
        Ok(tail) => {
            let has = |stack| parts.view.stack(stack).is_some();
            let entities = with_missing_stacks(parts, tail.entities, has).await?;
            parts.view.fold(entities, tail.token, began);
            Ok(())
        }
        Err(StoreError::Expired) => load(parts, began).await,
        Err(error) => Err(error),
    }
}

/// Reads everything.
pub(crate) async fn load(parts: &Parts, began: Instant) -> StoreResult<()> {
    let snapshot = parts.store.view_snapshot().await?;
    // What the view has goes with the rest of it.
    let entities = with_missing_stacks(parts, snapshot.entities, |_| false).await?;
    parts.view.reset(entities, snapshot.token, began);
    Ok(())
}

/// Tombstones are not part of a snapshot; those that somebody may still hold are fetched.
async fn with_missing_stacks(
    parts: &Parts,
    mut entities: Vec<Change>,
    has: impl Fn(StackId) -> bool,
) -> StoreResult<Vec<Change>> {
    let (mut coming, mut held) = (BTreeSet::new(), BTreeSet::new());
    for entity in &entities {
        match entity {
            Change::Stack(it) => drop(coming.insert(it.id)),
            Change::Assignment(it) if it.state != AssignmentState::Gone => drop(held.insert(it.stack_id)),
            _ => {}
        }
    }
    let missing: Vec<StackId> = held.into_iter().filter(|id| !coming.contains(id) && !has(*id)).collect();
    if !missing.is_empty() {
        let stacks = parts.store.stack_find_with_tombstones(&Scope::All, &missing).await?;
        entities.extend(stacks.into_iter().map(Change::Stack));
    }
    Ok(entities)
}

/// Drops what is no longer kept, on one broker at a time, until the broker stops.
pub(crate) async fn purge(parts: Arc<Parts>, keep: Retention) {
    let holder = InstanceId::from(parts.entropy.uuid(parts.clock.now()));
    loop {
        tokio::select! {
            () = parts.stopping.cancelled() => break,
            () = tokio::time::sleep(PURGE_INTERVAL) => {}
        }
        match parts.store.lease_take(PURGE_LEASE, holder, 3 * PURGE_INTERVAL).await {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(error) => {
                tracing::debug!(%error, "cannot take the lease to purge now");
                continue;
            }
        }
        let mut all = 0;
        for _ in 0..PURGE_BATCHES {
            match parts.store.purge(&keep).await {
                Ok(0) => break,
                Ok(gone) => all += gone,
                Err(error) => {
                    tracing::warn!(%error, "cannot drop all that is no longer kept");
                    break;
                }
            }
        }
        if all > 0 {
            tracing::info!(gone = all, "dropped what is no longer kept");
        }
    }
    let _ = parts.store.lease_release(PURGE_LEASE, holder).await;
}

/// Writes attempts and activity in batches until the broker stops, and then once more.
pub(crate) async fn flush(parts: Arc<Parts>) {
    loop {
        let stopping = tokio::select! {
            () = parts.stopping.cancelled() => true,
            () = tokio::time::sleep(FLUSH) => false,
        };
        let attempts = parts.attempts.take();
        if !attempts.is_empty()
            && let Err(error) = parts.store.record_attempts(attempts.values().cloned().collect()).await
        {
            tracing::warn!(%error, "cannot record attempts now; they are kept");
            parts.attempts.put_back(attempts);
        }
        if let Some(activity) = parts.activity.take()
            && let Err(error) = parts.store.record_activity(activity).await
        {
            tracing::debug!(%error, "cannot record activity now");
        }
        if stopping {
            return;
        }
    }
}

/// Completes removals that nobody is waited for any more, until the broker stops.
///
/// Reports complete them directly; this heals what a crash or a race between two last reports left behind.
pub(crate) async fn complete_removals(broker: Broker) {
    let stopping = broker.parts.stopping.clone();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        for stack in broker.parts.view.removable(REMOVALS) {
            if let Err(error) = broker.complete_removal(&broker.system_actor(), stack).await {
                tracing::debug!(%stack, %error, "removal not completed yet");
            }
        }
    }
}
