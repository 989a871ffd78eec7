//! Which objects of a stack wait for others of it.

use std::collections::BTreeSet;

use brokkr_core::model::{Health, ObjectRef};

use crate::apply::decide::Step;
use crate::apply::progress::Applying;
use crate::desired::prepare::Prepared;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::Unhealthy;
use crate::ownership::objects::Objects;

type Planned<'p> = (&'p Prepared, Step);

/// Parts what may be written now from what waits for something else.
pub(crate) fn due<'p>(steps: Vec<Planned<'p>>, done: &Applying) -> (Vec<Planned<'p>>, Vec<Planned<'p>>) {
    let stands = |object: &ObjectRef| done.health.get(object).is_some_and(|it| it.health == Health::Healthy);
    steps.into_iter().partition(|(prepared, step)| !step.writes() || prepared.depends_on.iter().all(stands))
}

/// Why what is left waits: for something that takes its time, for something that is not in the stack, or for itself.
pub(crate) fn explain(left: &[Planned<'_>], wanted: &Objects, done: &Applying) -> Vec<ObjectProblem> {
    let explain = |(prepared, _): &Planned<'_>| {
        let object = prepared.object.clone();
        if let Some(stranger) = prepared.depends_on.iter().find(|it| !wanted.contains(*it)) {
            let message = format!("it depends on {stranger}, which is not in this stack");
            return ObjectProblem::failed(object, Reason::DependencyUnknown, message)
                .with_remedy("add that object, or correct the annotation");
        }
        if reaches(prepared, &prepared.object, left) {
            return ObjectProblem::failed(
                object,
                Reason::DependencyCycle,
                "its dependencies are a cycle: what it depends on depends on it",
            )
            .with_remedy("take one of the references out of the annotation config.kubernetes.io/depends-on");
        }
        let is_pending = |it: &&ObjectRef| done.health.get(*it).is_none_or(|it| it.health != Health::Healthy);
        let message = match prepared.depends_on.iter().find(is_pending) {
            Some(awaited) => match done.health.get(awaited) {
                Some(health) => {
                    let unhealthy = Unhealthy { object: awaited.clone(), health: health.clone() };
                    format!("it waits until this is healthy: {unhealthy}")
                }
                None => format!("it waits until {awaited} is there"),
            },
            None => "it waits for what it depends on".to_owned(),
        };
        ObjectProblem::waiting(object, Reason::DependencyPending, message)
    };
    left.iter().map(explain).collect()
}

/// Whether one gets from an object's dependencies to `goal` by way of what is left.
fn reaches(from: &Prepared, goal: &ObjectRef, left: &[Planned<'_>]) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&ObjectRef> = from.depends_on.iter().collect();
    while let Some(object) = open.pop() {
        if object == goal {
            return true;
        }
        if seen.insert(object)
            && let Some((next, _)) = left.iter().find(|(it, _)| *it.object == *object)
        {
            open.extend(&next.depends_on);
        }
    }
    false
}
