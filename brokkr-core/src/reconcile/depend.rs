//! The order that manifests ask for: `config.kubernetes.io/depends-on`, as cli-utils defined it.
//!
//! See <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/object/dependson/doc.go>: references separated by
//! commas, each `<group>/namespaces/<namespace>/<kind>/<name>` or `<group>/<kind>/<name>`.

use std::collections::BTreeSet;

use super::apply::Applying;
use super::outcome::{ObjectProblem, Unhealthy};
use super::prepare::{Objects, Prepared};
use super::step::Step;
use crate::error::excerpt;
use crate::model::{Health, ObjectRef};

/// The annotation.
pub const DEPENDS_ON_ANNOTATION: &str = "config.kubernetes.io/depends-on";
/// References of one object at the most.
const REFERENCES: usize = 100;

/// Reads the annotation's value; the error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<ObjectRef>, String> {
    let references: Vec<&str> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    if references.len() > REFERENCES {
        return Err(format!("{DEPENDS_ON_ANNOTATION} names more than {REFERENCES} objects"));
    }
    references.into_iter().map(reference).collect()
}

fn reference(text: &str) -> Result<ObjectRef, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (group, namespace, kind, name) = match parts.as_slice() {
        [group, "namespaces", namespace, kind, name] => (*group, Some(*namespace), *kind, *name),
        [group, kind, name] => (*group, None, *kind, *name),
        _ => {
            return Err(format!(
                "cannot read the reference \"{}\" in the annotation {DEPENDS_ON_ANNOTATION}; write <group>/namespaces/<namespace>/<kind>/<name> or <group>/<kind>/<name>",
                excerpt(text)
            ));
        }
    };
    if kind.is_empty() || name.is_empty() || namespace.is_some_and(str::is_empty) {
        return Err(format!(
            "the reference \"{}\" in the annotation {DEPENDS_ON_ANNOTATION} has an empty part",
            excerpt(text)
        ));
    }
    let namespace = namespace.map(str::to_owned);
    Ok(ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() })
}

type Planned<'p> = (&'p Prepared, Step);

/// Parts what may be written now from what waits for something else.
pub(super) fn due<'p>(steps: Vec<Planned<'p>>, done: &Applying) -> (Vec<Planned<'p>>, Vec<Planned<'p>>) {
    let stands = |object: &ObjectRef| done.health.get(object).is_some_and(|it| it.health == Health::Healthy);
    steps.into_iter().partition(|(prepared, step)| !step.writes() || prepared.depends_on.iter().all(stands))
}

/// Why what is left waits: for something that takes its time, for something that is not in the stack, or for itself.
pub(super) fn explain(left: &[Planned<'_>], wanted: &Objects, done: &Applying) -> Vec<ObjectProblem> {
    let explain = |(prepared, _): &Planned<'_>| {
        let object = prepared.object.clone();
        if let Some(stranger) = prepared.depends_on.iter().find(|it| !wanted.contains(*it)) {
            let message = format!("it depends on {stranger}, which is not in this stack");
            return ObjectProblem::failed(object, "DependencyUnknown", message)
                .with_remedy("add that object, or correct the annotation");
        }
        if reaches(prepared, &prepared.object, left) {
            return ObjectProblem::failed(
                object,
                "DependencyCycle",
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
        ObjectProblem::waiting(object, "DependencyPending", message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_cli_utils_writes_them() {
        let read = parse(
            "/namespaces/db/ConfigMap/a, apps/namespaces/db/Deployment/b ,rbac.authorization.k8s.io/ClusterRole/c,",
        )
        .expect("references");
        let texts: Vec<_> =
            read.iter().map(|it| (it.group.as_str(), it.namespace.as_deref(), it.name.as_str())).collect();
        let expected = [("", Some("db"), "a"), ("apps", Some("db"), "b"), ("rbac.authorization.k8s.io", None, "c")];
        assert_eq!(texts, expected);
        for wrong in ["x", "a/b", "apps//x", "/namespaces//ConfigMap/a", "a/namespaces/b/c/d/e"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
