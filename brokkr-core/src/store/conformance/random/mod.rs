//! Random histories: two stores must agree on everything after the same commits.
//!
//! One of them is usually the in-memory store, which serves as the simple reference. The seed determines a history, so
//! a disagreement can be reproduced.

mod compare;
mod dice;
mod world;

use std::sync::Arc;

use compare::{Follower, compare};
use dice::Dice;
use world::World;

use crate::model::{ActorRef, AgentId, GeneratorId, KeyId, RequestId};
use crate::store::conformance::fixture::system;
use crate::store::conformance::sample::commit;
use crate::store::{Commit, Store, StoreError, StoreResult};

/// Two stores that receive the same histories.
pub struct Twins {
    stores: [Arc<dyn Store>; 2],
    followers: [Follower; 2],
}

impl Twins {
    /// Creates a pair from two empty stores.
    pub async fn new(left: Arc<dyn Store>, right: Arc<dyn Store>) -> Self {
        system(&left).await;
        system(&right).await;
        let followers = [Follower::begin(&left).await, Follower::begin(&right).await];
        Self { stores: [left, right], followers }
    }

    /// Applies one history of this many commits to both stores and compares their reads, views and feeds. Histories of
    /// different seeds do not interfere. Returns the number of accepted commits.
    ///
    /// # Panics
    ///
    /// If the stores disagree. The message contains the seed.
    pub async fn play(&mut self, seed: u64, commits: usize) -> usize {
        let mut dice = Dice::new(seed);
        let mut world = World::new(seed);
        let [left, right] = &self.stores;
        let (mut accepted, mut changes) = (0, 0);
        for step in 0..commits {
            let proposal = proposal(&mut world, &mut dice);
            let outcomes = [left.commit(proposal.clone()).await, right.commit(proposal.clone()).await];
            let kinds = outcomes.each_ref().map(kind);
            // If there are two reasons to refuse, a store may report either.
            let refused = |kind: &str| matches!(kind, "conflict" | "not unique");
            let same = kinds[0] == kinds[1] || (refused(kinds[0]) && refused(kinds[1]));
            assert!(same, "seed {seed}, commit {step}: {outcomes:?} for {proposal:#?}");
            if outcomes[0].is_ok() {
                accepted += 1;
                changes += proposal.changes.len();
                world.take(&proposal.changes);
            }
        }
        compare(left, right, &world, &mut dice, seed).await;
        let [one, other] = &mut self.followers;
        assert_eq!(one.news(left, changes).await, other.news(right, changes).await, "seed {seed}: view or feed differ");
        accepted
    }
}

/// Creates the next commit of a history.
fn proposal(world: &mut World, dice: &mut Dice) -> Commit {
    loop {
        let (changes, preconditions) = world.propose(dice);
        if changes.is_empty() {
            continue;
        }
        let proposal = commit(changes);
        let request_id = RequestId::generate();
        return Commit { actor: actor(dice), request_id, preconditions, ..proposal };
    }
}

fn kind<T>(result: &StoreResult<T>) -> &'static str {
    match result {
        Ok(_) => "committed",
        Err(StoreError::Conflict(_)) => "conflict",
        Err(StoreError::NotUnique(_)) => "not unique",
        Err(StoreError::Malformed(_)) => "malformed",
        Err(_) => "another error",
    }
}

fn actor(dice: &mut Dice) -> ActorRef {
    match dice.below(4) {
        0 => ActorRef::System,
        1 => ActorRef::Admin { key_id: KeyId::generate() },
        2 => ActorRef::Agent { id: AgentId::generate(), key_id: None },
        _ => ActorRef::Generator { id: GeneratorId::generate(), key_id: Some(KeyId::generate()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn equal_stores_agree_and_accept_most_commits() {
        let mut twins = Twins::new(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())).await;
        let mut accepted = 0;
        for seed in 0..50 {
            accepted += twins.play(seed, 40).await;
        }
        assert!((1_000..1_950).contains(&accepted), "{accepted} of 2000 were accepted; expected most, but not all");
    }
}
