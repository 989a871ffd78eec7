//! What a stack may depend on.

use std::collections::BTreeSet;

use super::{Broker, BrokerResult};
use crate::error::{Invalid, InvalidCode};
use crate::model::{Stack, StackId, limits};
use crate::store::{Scope, StoreError};

/// Stacks that are followed when looking for a circle.
const FOLLOWED: usize = 1_000;

impl Broker {
    /// Refuses dependencies that the actor cannot see, too many of them, and circles. Those that were there already need not be
    /// there any more: agents say what they wait for.
    pub(super) async fn check_dependencies(
        &self,
        scope: &Scope,
        stack: &Stack,
        before: &[StackId],
    ) -> BrokerResult<()> {
        if stack.depends_on == before {
            return Ok(());
        }
        let invalid = |problem: String| Invalid::new(InvalidCode::FieldInvalid, problem);
        if stack.depends_on.len() > limits::DEPENDENCIES {
            let problem = format!("a stack depends on {} others at the most", limits::DEPENDENCIES);
            return Err(invalid(problem).within("depends_on").into());
        }
        let mut seen = BTreeSet::new();
        for (number, id) in stack.depends_on.iter().enumerate() {
            let at = |problem: &str| invalid(problem.to_owned()).within(&number.to_string()).within("depends_on");
            if *id == stack.id {
                return Err(at("a stack cannot depend on itself").into());
            }
            if !seen.insert(*id) {
                return Err(at("it is named twice").into());
            }
            if before.contains(id) {
                continue;
            }
            match self.parts.store.stack_get(scope, *id).await {
                Ok(there) if there.is_active() => {}
                Ok(_) | Err(StoreError::NotFound) => return Err(at("there is no such stack").into()),
                Err(error) => return Err(error.into()),
            }
            if self.leads_to(*id, stack.id).await? {
                return Err(at("that stack depends on this one").into());
            }
        }
        Ok(())
    }

    /// Whether one gets from a stack to another by its dependencies.
    async fn leads_to(&self, from: StackId, goal: StackId) -> BrokerResult<bool> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(id) = open.pop() {
            if id == goal {
                return Ok(true);
            }
            if !seen.insert(id) || seen.len() > FOLLOWED {
                continue;
            }
            match self.parts.store.stack_get(&Scope::All, id).await {
                Ok(stack) => open.extend(stack.depends_on),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}
