//! What to do about each desired object, decided from inventory and cluster.

use super::inventory::{Entry, EntryState};
use super::live::Live;
use super::order::is_foundation;
use super::outcome::ObjectProblem;
use super::ownership::MANAGER_PREFIX;
use super::prepare::Prepared;
use crate::model::{Adopt, AgentId, Drift, Policies, StackId};

/// What to do about one desired object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is as it should be.
    Unchanged,
    /// It is not there.
    Create {
        /// Whether it was, and somebody deleted it.
        drifted: bool,
    },
    /// It is ours and should be different.
    Update { uid: String },
    /// It is ours, and somebody else changed it.
    Correct { uid: String },
    /// Somebody else changed or deleted it, and the policy is to say so only.
    ReportDrift,
    /// It becomes this stack's: it was another stack's of this agent that no longer wants it, or nobody's and is adopted.
    Take { uid: String, only_if_equal: bool },
    /// It was there before us; we only use it.
    Use { uid: String },
    /// It cannot be as it should.
    Problem(ObjectProblem),
}

/// The circumstances of a decision.
pub(super) struct Circumstances<'a> {
    pub(super) agent: AgentId,
    pub(super) stack: StackId,
    pub(super) policies: &'a Policies,
    /// Where the agent keeps its records.
    pub(super) own_namespace: &'a str,
    /// The stack of this agent that holds the object now.
    pub(super) holder: Option<StackId>,
    /// The stack of this agent whose the object should be.
    pub(super) owner: Option<StackId>,
}

pub(super) fn step(prepared: &Prepared, entry: Option<&Entry>, live: Option<&Live>, at: &Circumstances<'_>) -> Step {
    let object = &prepared.object;
    let problem = |reason, message: String| Step::Problem(ObjectProblem::failed(object.clone(), reason, message));
    if is_reserved(prepared, at.own_namespace) {
        return problem("Reserved", "its name is one that the agent keeps its own records under".to_owned());
    }
    let Some(live) = live else {
        if at.owner.is_some_and(|owner| owner != at.stack) {
            return shared(prepared, at, None);
        }
        let drifted = entry.is_some_and(|entry| entry.state == EntryState::Held && entry.manifest.is_some());
        if drifted && at.policies.drift == Drift::Report && !is_new_content(prepared, entry) {
            return Step::ReportDrift;
        }
        return Step::Create { drifted };
    };
    if at.owner.is_some_and(|owner| owner != at.stack) {
        return shared(prepared, at, Some(live));
    }
    if live.deleting {
        let held_by = if live.finalizers.is_empty() {
            String::new()
        } else {
            format!(", held by {}", live.finalizers.join(", "))
        };
        return Step::Problem(ObjectProblem::waiting(
            object.clone(),
            "Terminating",
            format!("it is being deleted{held_by}"),
        ));
    }
    let made_for = live.made_for(at.agent);
    let uid = live.uid.clone();
    match entry {
        // Ours, by UID.
        Some(entry) if entry.is_ours() && entry.uid.as_ref() == Some(&live.uid) => {
            if is_new_content(prepared, Some(entry)) || made_for != Some(at.stack) {
                Step::Update { uid }
            } else if live.fields == entry.fields {
                Step::Unchanged
            } else if at.policies.drift == Drift::Report {
                Step::ReportDrift
            } else {
                Step::Correct { uid }
            }
        }
        // Created by a run that did not live to record it.
        Some(Entry { state: EntryState::Intent, uid: None, .. }) if made_for == Some(at.stack) => Step::Update { uid },
        _ if at.holder.is_some_and(|holder| holder != at.stack) && made_for == at.holder => {
            Step::Take { uid, only_if_equal: false }
        }
        // It carries everything that we put on what is ours, and no inventory knows it: the inventory was lost.
        _ if made_for == Some(at.stack) => Step::Take { uid, only_if_equal: false },
        _ if live.others_in_fields => problem("HeldByAnotherAgent", "another agent holds it".to_owned()),
        _ if is_foundation(object) => Step::Use { uid },
        _ => match at.policies.adopt {
            Adopt::Always => Step::Take { uid, only_if_equal: false },
            Adopt::IfEqual => Step::Take { uid, only_if_equal: true },
            Adopt::Never if entry.is_some_and(|entry| entry.state == EntryState::Held) => {
                problem("Replaced", "somebody deleted it and made another one of the same name".to_owned())
            }
            Adopt::Never => {
                problem("NotOwned", "it exists and was not made by this agent; see the policy adopt".to_owned())
            }
        },
    }
}

/// What this stack makes of an object that is another stack's.
fn shared(prepared: &Prepared, at: &Circumstances<'_>, live: Option<&Live>) -> Step {
    let owner = at.owner.map(|owner| owner.to_string()).unwrap_or_default();
    match live {
        Some(live) if is_foundation(&prepared.object) => Step::Use { uid: live.uid.clone() },
        None if is_foundation(&prepared.object) => Step::Problem(ObjectProblem::waiting(
            prepared.object.clone(),
            "HeldByStack",
            format!("stack {owner} is about to create it"),
        )),
        _ => Step::Problem(ObjectProblem::failed(
            prepared.object.clone(),
            "HeldByStack",
            format!("stack {owner} of this agent holds it; this one takes over when that one drops it"),
        )),
    }
}

fn is_new_content(prepared: &Prepared, entry: Option<&Entry>) -> bool {
    entry.is_none_or(|entry| entry.manifest.as_ref() != Some(&prepared.hash))
}

/// Whether an object has the form of the agent's own records: no stack may be mistaken for them.
fn is_reserved(prepared: &Prepared, own_namespace: &str) -> bool {
    let object = &prepared.object;
    object.group.is_empty()
        && matches!(object.kind.as_str(), "Secret" | "ConfigMap")
        && object.namespace.as_deref() == Some(own_namespace)
        && object.name.starts_with(MANAGER_PREFIX)
}
