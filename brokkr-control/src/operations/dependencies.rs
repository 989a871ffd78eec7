//! Validates the dependencies between stacks.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{EntityKey, Stack, StackId, Version, limits};
use brokkr_core::store::{Precondition, Scope, StoreError, StoreExt as _};

use crate::broker::Broker;
use crate::error::BrokerResult;

/// Limit of visited stacks in the cycle search.
const VISITED_MAX: usize = 1_000;

impl Broker {
    /// Refuses dependencies that the actor cannot see, too many dependencies, and cycles. Returns the preconditions under which
    /// there is no cycle. Existing dependencies may refer to deleted stacks: agents report what they wait for.
    pub(crate) async fn check_dependencies(
        &self,
        scope: &Scope,
        stack: &Stack,
        before: &[StackId],
    ) -> BrokerResult<Vec<Precondition>> {
        if stack.depends_on == before {
            return Ok(Vec::new());
        }
        let mut followed = BTreeMap::new();
        let invalid = |problem: String| Invalid::new(InvalidCode::FieldInvalid, problem);
        if stack.depends_on.len() > limits::DEPENDENCIES {
            let problem = format!("a stack can have at most {} dependencies", limits::DEPENDENCIES);
            return Err(invalid(problem).within("depends_on").into());
        }
        let mut seen = BTreeSet::new();
        for (number, id) in stack.depends_on.iter().enumerate() {
            let place = |problem: Invalid| problem.within(&number.to_string()).within("depends_on");
            let at = |problem: &str| place(Invalid::new(InvalidCode::ReferenceInvalid, problem));
            if *id == stack.id {
                return Err(at("a stack cannot depend on itself").into());
            }
            if !seen.insert(*id) {
                return Err(place(invalid("duplicate dependency; remove it".to_owned())).into());
            }
            if before.contains(id) {
                continue;
            }
            match self.parts.store.get::<Stack>(scope, *id).await {
                Ok(there) if there.is_active() => {}
                Ok(_) | Err(StoreError::NotFound) => {
                    return Err(at("the stack does not exist, or this key has no access to it").into());
                }
                Err(error) => return Err(error.into()),
            }
            if self.leads_to(*id, stack.id, &mut followed).await? {
                return Err(at("circular dependency: that stack depends on this one").into());
            }
        }
        let version = |(id, version)| Precondition::Version(EntityKey::Stack(id), version);
        Ok(followed.into_iter().map(version).collect())
    }

    /// Whether the dependencies of `from` lead to `goal`. Records the visited stacks and their versions.
    async fn leads_to(
        &self,
        from: StackId,
        goal: StackId,
        followed: &mut BTreeMap<StackId, Version>,
    ) -> BrokerResult<bool> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(id) = open.pop() {
            if id == goal {
                return Ok(true);
            }
            if !seen.insert(id) || seen.len() > VISITED_MAX {
                continue;
            }
            match self.parts.store.get::<Stack>(&Scope::All, id).await {
                Ok(stack) => {
                    followed.insert(id, stack.version);
                    open.extend(stack.depends_on);
                }
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}
