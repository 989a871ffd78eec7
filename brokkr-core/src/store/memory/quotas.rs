//! The use of quotas in the in-memory store.

use crate::clock::{Clock as _, SystemClock};
use crate::model::{ActorRef, GeneratorId, KeyOwner, Quota};
use crate::store::memory::state::State;

impl State {
    /// A generator's present use of a quota.
    pub(super) fn quota_used(&self, generator: GeneratorId, quota: Quota) -> u64 {
        let owned = || self.objects.values().filter(|it| it.generator_id == generator);
        match quota {
            Quota::Stacks => {
                let lives = |it: &&crate::model::Stack| it.generator_id == generator && it.deleted_at.is_none();
                self.stacks.values().filter(lives).count() as u64
            }
            Quota::Keys => {
                let owner = KeyOwner::Generator { id: generator };
                self.keys.values().filter(|it| it.owner == owner && it.deleted_at.is_none()).count() as u64
            }
            Quota::Revisions => owned().count() as u64,
            Quota::ManifestBytes => owned().map(|it| it.size).sum(),
            Quota::IdempotencyRecords => {
                let owner = ActorRef::Generator { id: generator, key_id: None }.to_string();
                self.answers.count(&owner, SystemClock.now()) as u64
            }
            // Not stored.
            Quota::OpenPolls => 0,
        }
    }
}
