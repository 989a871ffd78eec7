//! Dependencies between the objects of a stack.

use std::collections::{BTreeMap, VecDeque};

use brokkr_core::model::{Health, ObjectRef};

use crate::apply::decide::Step;
use crate::apply::progress::Applying;
use crate::desired::prepare::Prepared;
use crate::observed::job_ends::{JOB_REMEDY, is_job};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::Unhealthy;
use crate::ownership::objects::Objects;

/// Maximum number of objects in the text of a cycle.
const CYCLE: usize = 8;

type Planned<'p> = (&'p Prepared, Step);

/// Splits steps into those that may be executed now, and those that wait for a dependency.
pub(crate) fn due<'p>(steps: Vec<Planned<'p>>, done: &Applying) -> (Vec<Planned<'p>>, Vec<Planned<'p>>) {
    let stands = |object: &ObjectRef| done.health.get(object).is_some_and(|it| it.health == Health::Healthy);
    steps.into_iter().partition(|(prepared, step)| !step.writes() || prepared.depends_on.iter().all(stands))
}

/// Explains why the remaining steps wait: for a dependency that is not healthy, for one outside the stack, or in a cycle.
pub(crate) fn explain(left: &[Planned<'_>], wanted: &Objects, done: &Applying) -> Vec<ObjectProblem> {
    let explain = |(prepared, _): &Planned<'_>| {
        let object = prepared.object.clone();
        if let Some(stranger) = prepared.depends_on.iter().find(|it| !wanted.contains(*it)) {
            let message = format!("the object depends on {stranger}, which is not in this stack");
            return ObjectProblem::failed(object, Reason::DependencyUnknown, message).with_remedy(
                "add that object to the stack, or correct the annotation config.kubernetes.io/depends-on",
            );
        }
        if let Some(cycle) = cycle(prepared, left) {
            let message = format!("its dependencies form a cycle: {cycle}");
            return ObjectProblem::failed(object, Reason::DependencyCycle, message)
                .with_remedy("remove one of the references from the annotation config.kubernetes.io/depends-on");
        }
        let is_pending = |it: &&ObjectRef| done.health.get(*it).is_none_or(|it| it.health != Health::Healthy);
        if let Some((message, remedy)) = prepared.depends_on.iter().filter(is_pending).find_map(|it| blocked(it, done))
        {
            return ObjectProblem::waiting(object, Reason::DependencyPending, message).with_remedy(remedy);
        }
        let message = match prepared.depends_on.iter().find(is_pending) {
            Some(awaited) => match done.health.get(awaited) {
                Some(health) => {
                    let unhealthy = Unhealthy { object: awaited.clone(), health: health.clone() };
                    format!("waiting for a dependency to become healthy: {unhealthy}")
                }
                None => format!("waiting until the dependency {awaited} exists"),
            },
            None => "waiting for its dependencies".to_owned(),
        };
        ObjectProblem::waiting(object, Reason::DependencyPending, message)
    };
    left.iter().map(explain).collect()
}

/// Returns the text and the remedy for a dependency that does not become healthy by itself.
fn blocked(awaited: &ObjectRef, done: &Applying) -> Option<(String, &'static str)> {
    if let Some(problem) = done.problems.iter().find(|it| *it.object == *awaited && it.is_lasting()) {
        let message = format!("blocked: it depends on {awaited}, which is not applied ({})", problem.reason);
        return Some((message, "correct that object; this one follows"));
    }
    let health = done.health.get(awaited).filter(|it| it.health == Health::Degraded)?;
    if is_job(awaited) {
        let message = format!(
            "blocked: it depends on {awaited}, which failed ({}) and does not run again by itself",
            health.reason
        );
        return Some((message, JOB_REMEDY));
    }
    let unhealthy = Unhealthy { object: awaited.clone(), health: health.clone() };
    Some((format!("blocked: it depends on {unhealthy}"), "correct that object; this one follows"))
}

/// Returns the shortest cycle of the object's dependencies through the remaining steps: `Kind/a -> Kind/b -> Kind/a`.
fn cycle(from: &Prepared, left: &[Planned<'_>]) -> Option<String> {
    let goal = &*from.object;
    let mut before: BTreeMap<&ObjectRef, &ObjectRef> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(prepared) = open.pop_front() {
        for next in &prepared.depends_on {
            if next == goal {
                let mut objects = vec![goal, &*prepared.object];
                while let Some(earlier) = objects.last().filter(|it| **it != goal).and_then(|it| before.get(*it)) {
                    objects.push(earlier);
                }
                objects.reverse();
                let mut names: Vec<String> = objects.iter().map(|it| format!("{}/{}", it.kind, it.name)).collect();
                if names.len() > CYCLE {
                    names.splice(CYCLE - 2..names.len() - 1, ["…".to_owned()]);
                }
                return Some(names.join(" -> "));
            }
            if !before.contains_key(next)
                && let Some((found, _)) = left.iter().find(|(it, _)| *it.object == *next)
            {
                before.insert(next, &prepared.object);
                open.push_back(found);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::desired::depends_on::DEPENDS_ON_ANNOTATION;
    use crate::health::ObjectHealth;
    use crate::samples::{Sample, manifest};

    /// ConfigMaps by name, each with the names of its dependencies.
    fn prepared(maps: &[(&str, &[&str])]) -> Vec<Prepared> {
        let sample = Sample::new();
        let prepare = |(name, on): &(&str, &[&str])| {
            let mut body = manifest("v1", "ConfigMap", name);
            let on: Vec<String> = on.iter().map(|it| format!("/namespaces/default/ConfigMap/{it}")).collect();
            body["metadata"]["annotations"] = json!({DEPENDS_ON_ANNOTATION: on.join(",")});
            sample.prepared(&body)
        };
        maps.iter().map(prepare).collect()
    }

    fn done(prepared: &[Prepared], health: &[(&str, ObjectHealth)]) -> Applying {
        let of = |name: &str| prepared.iter().find(|it| it.object.name == name).expect("a map").object.clone();
        let health = health.iter().map(|(name, health)| (of(name), health.clone())).collect();
        Applying { health, ..Applying::default() }
    }

    const CREATE: Step = Step::Create { drifted: false };

    #[test]
    fn writes_start_when_all_dependencies_are_healthy() {
        let prepared = prepared(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]);
        let (healthy, coming) = (ObjectHealth::healthy(), ObjectHealth::coming());
        for (health, step, expected) in [
            (vec![], CREATE, vec!["a"]),
            (vec![("a", coming)], CREATE, vec!["a"]),
            (vec![("a", healthy.clone())], CREATE, vec!["a", "b"]),
            (vec![("b", healthy.clone())], CREATE, vec!["a"]),
            (vec![("a", healthy.clone()), ("b", healthy)], CREATE, vec!["a", "b", "c"]),
            // Steps without a write need not wait.
            (vec![], Step::ReportDrift, vec!["a", "b", "c"]),
        ] {
            let steps = prepared.iter().map(|it| (it, step.clone())).collect();
            let (due, left) = due(steps, &done(&prepared, &health));
            let names: Vec<&str> = due.iter().map(|(it, _)| it.object.name.as_str()).collect();
            assert_eq!(names, expected, "{health:?} {step:?}");
            assert_eq!(due.len() + left.len(), prepared.len());
        }
    }

    #[test]
    fn waiting_objects_name_their_dependency() {
        let prepared = prepared(&[
            ("x", &["elsewhere"]),
            ("a", &["b"]),
            ("b", &["c"]),
            ("c", &["a"]),
            ("d", &["a"]),
            ("e", &["pending"]),
            ("pending", &[]),
        ]);
        let wanted: Objects = prepared.iter().map(|it| it.object.clone()).collect();
        let left: Vec<Planned<'_>> = prepared[..6].iter().map(|it| (it, CREATE)).collect();
        let problems = explain(&left, &wanted, &done(&prepared, &[("pending", ObjectHealth::progressing("Slow", ""))]));
        let cycle = (Reason::DependencyCycle, false);
        let expected = [
            (Reason::DependencyUnknown, false),
            cycle,
            cycle,
            cycle,
            (Reason::DependencyPending, true),
            (Reason::DependencyPending, true),
        ];
        let found: Vec<_> = problems.iter().map(|it| (it.reason, it.waiting)).collect();
        assert_eq!(found, expected, "{problems:?}");
        assert!(problems[4].message.ends_with("default/a exists"), "{}", problems[4].message);
        assert!(problems[5].message.ends_with("default/pending: Slow"), "{}", problems[5].message);
        let cycles: Vec<&str> =
            problems[1..4].iter().filter_map(|it| it.message.split_once(": ")).map(|it| it.1).collect();
        let map = |names: [&str; 4]| names.map(|it| format!("ConfigMap/{it}")).join(" -> ");
        assert_eq!(cycles, [map(["a", "b", "c", "a"]), map(["b", "c", "a", "b"]), map(["c", "a", "b", "c"])]);
        assert!(Arc::ptr_eq(&problems[5].object, &prepared[5].object));
    }
}
