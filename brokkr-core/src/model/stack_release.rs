//! Releases of stacks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::entity::Record;
use crate::model::{
    EnvironmentId, FrozenRevision, GeneratorId, Name, Revision, StackId, StackReleaseId, Suspension, Timestamp,
    Version, limits,
};

/// Whether agents get each revision of a stack at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReleaseMode {
    /// Agents get the newest revision, except in protected environments. The default.
    #[default]
    Immediate,
    /// Agents get the revision that is stable in their environment.
    Gated,
}

/// What is released of a stack in one environment, or on the agents without an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRelease {
    /// The id, which follows from stack and environment.
    pub id: StackReleaseId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The environment. Absent: the agents without one.
    pub environment_id: Option<EnvironmentId>,
    /// The name of the environment.
    pub environment: Option<Name>,
    /// The revision that gated agents of the environment hold. Absent: none is released yet.
    pub stable: Option<FrozenRevision>,
    /// Earlier stable revisions, the latest first; at most [`STABLE_KEPT`](limits::STABLE_KEPT).
    pub earlier: Vec<Revision>,
    /// Why the stack is suspended in the environment. Absent: it is not.
    pub suspended: Option<Suspension>,
    /// The reason of the last release, for people.
    pub reason: String,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of the first release or suspension.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl StackRelease {
    /// Whether a revision is or was stable here, as far as [`earlier`](Self::earlier) reaches.
    pub fn was_stable(&self, revision: Revision) -> bool {
        self.stable.as_ref().is_some_and(|it| it.revision == revision) || self.earlier.contains(&revision)
    }

    /// Makes a revision stable, and remembers the present one.
    pub fn release(&mut self, revision: FrozenRevision) {
        let number = revision.revision;
        if let Some(before) = self.stable.replace(revision).filter(|before| before.revision != number) {
            self.earlier.retain(|it| ![number, before.revision].contains(it));
            self.earlier.insert(0, before.revision);
            self.earlier.truncate(limits::STABLE_KEPT);
        }
    }
}

impl Record for StackRelease {
    type Id = StackReleaseId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }

    fn shown(&self) -> Value {
        json!({
            "stack_id": self.stack_id,
            "environment": self.environment,
            "stable": self.stable.as_ref().map(|it| it.revision),
            "earlier": self.earlier,
            "suspended": self.suspended,
            "reason": self.reason,
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample;

    fn revision(number: u64) -> FrozenRevision {
        FrozenRevision::from(&sample::object(&sample::stack("s"), number))
    }

    #[test]
    fn release_remembers_what_was_stable() {
        let mut release = sample::stack_release(&sample::stack("s"), None);
        release.stable = None;
        assert!(!release.was_stable(Revision::new(1)));
        for (number, earlier) in
            [(1, vec![]), (2, vec![1]), (2, vec![1]), (3, vec![2, 1]), (1, vec![3, 2]), (3, vec![1, 2])]
        {
            release.release(revision(number));
            assert_eq!(release.stable.as_ref().map(|it| it.revision.get()), Some(number));
            assert_eq!(release.earlier.iter().map(|it| it.get()).collect::<Vec<_>>(), earlier, "after {number}");
            assert!((1..=3).all(|it| release.was_stable(Revision::new(it)) == (it == number || earlier.contains(&it))));
        }
        let kept = limits::STABLE_KEPT as u64;
        (10..=10 + kept + 1).for_each(|number| release.release(revision(number)));
        assert_eq!(release.earlier.len(), limits::STABLE_KEPT);
        assert!(release.was_stable(Revision::new(11)) && !release.was_stable(Revision::new(10)));
    }
}
