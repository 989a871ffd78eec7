//! Follows the store: folds every commit into the fleet view.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::{AssignmentState, Change, StackId, Timestamp};
use brokkr_core::store::{Scope, StoreError, StoreResult};

use crate::broker::Parts;

/// Interval of view updates without a hint from the store.
const TICK: Duration = Duration::from_millis(500);

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
            observe(parts, tail.now);
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
    observe(parts, snapshot.now);
    // The snapshot replaces the view, so the view's own tombstones do not count.
    let entities = with_missing_stacks(parts, snapshot.entities, |_| false).await?;
    parts.view.reset(entities, snapshot.token, began);
    Ok(())
}

/// Takes over the store's time, unless the host has set a clock.
fn observe(parts: &Parts, now: Timestamp) {
    if let Some(clock) = &parts.store_clock {
        clock.observe(now);
    }
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
