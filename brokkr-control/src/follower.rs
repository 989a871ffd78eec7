//! The background tasks of a broker: following the store and writing queued records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::{AssignmentState, Change, InstanceId, StackId};
use brokkr_core::store::{Retention, Scope, StoreError, StoreResult};

use crate::broker::{Broker, Parts};

/// Interval of view updates without a hint from the store.
const TICK: Duration = Duration::from_millis(500);
/// Interval of writing attempts and activity.
const FLUSH: Duration = Duration::from_millis(250);
/// Interval of purging expired records.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
const PURGE_LEASE: &str = "purge";
/// Limit of batches per purge: fewer than take as long as the lease lasts.
const PURGE_BATCHES: usize = 20;
/// Limit of stacks whose removal is completed per tick.
const REMOVALS: usize = 100;

/// Folds commits into the view until the broker stops.
pub(crate) async fn follow(parts: Arc<Parts>) {
    let mut hints = parts.store.subscribe();
    loop {
        let began = Instant::now();
        // Marked as seen before the read, so that a commit during the read ends the next wait immediately.
        hints.mark_unchanged();
        if let Err(error) = catch_up(&parts, began).await {
            tracing::warn!(%error, "cannot read the store; agents get no answers once the fleet view is too old");
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

/// Reads the changes since the view's token and folds them.
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

/// Loads a snapshot of the whole record.
pub(crate) async fn load(parts: &Parts, began: Instant) -> StoreResult<()> {
    let snapshot = parts.store.view_snapshot().await?;
    // The snapshot replaces the view, so the view's own tombstones do not count.
    let entities = with_missing_stacks(parts, snapshot.entities, |_| false).await?;
    parts.view.reset(entities, snapshot.token, began);
    Ok(())
}

/// Adds the tombstones of stacks that agents may still hold, because a snapshot has none.
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

/// Purges expired records until the broker stops. A lease limits this to one broker at a time.
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
                tracing::debug!(%error, "cannot acquire the purge lease; retrying");
                continue;
            }
        }
        let mut all = 0;
        for _ in 0..PURGE_BATCHES {
            match parts.store.purge(&keep).await {
                Ok(0) => break,
                Ok(gone) => all += gone,
                Err(error) => {
                    tracing::warn!(%error, "cannot purge all expired records; retrying");
                    break;
                }
            }
        }
        if all > 0 {
            tracing::info!(gone = all, "purged expired records");
        }
    }
    let _ = parts.store.lease_release(PURGE_LEASE, holder).await;
}

/// Writes attempts and activity in batches until the broker stops, then once more.
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
            tracing::warn!(%error, "cannot write audit records of refused attempts; retrying");
            parts.attempts.put_back(attempts);
        }
        if let Some(activity) = parts.activity.take()
            && let Err(error) = parts.store.record_activity(activity).await
        {
            tracing::debug!(%error, "cannot write the activity of agents and keys");
        }
        if stopping {
            return;
        }
    }
}

/// Completes removals without outstanding confirmations, until the broker stops.
///
/// Reports complete removals directly. This task repairs the leftovers of crashes and of races between two last reports.
pub(crate) async fn complete_removals(broker: Broker) {
    let stopping = broker.parts.stopping.clone();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        for stack in broker.parts.view.removable(REMOVALS) {
            if let Err(error) = broker.complete_removal(&broker.system_actor(), stack).await {
                tracing::debug!(%stack, %error, "cannot complete the removal of a stack; retrying");
            }
        }
    }
}
