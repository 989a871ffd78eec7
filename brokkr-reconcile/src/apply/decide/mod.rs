//! Decides the step for each desired object, from inventory and cluster.

use brokkr_core::model::{Adopt, AgentId, Drift, ObjectRef, Policies, StackId};

use crate::desired::prepare::Prepared;
use crate::health::JobEnd;
use crate::observed::job_ends::Gone;
use crate::observed::live::{Live, REPLICAS};
use crate::order::{is_namespace, is_namespace_or_crd};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::inventory::{Entry, EntryState};
use crate::ownership::labels::MANAGER_PREFIX;

/// The object in the cluster that a write changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExistingObject {
    pub(crate) uid: String,
    /// Whether the `scale` subresource set the number of replicas, which the write leaves unchanged.
    pub(crate) scaled: bool,
}

/// Why the stack takes over an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    /// The object belongs to this agent already.
    Over,
    /// No one manages the object, and the policy adopts it in any case.
    Adopt,
    /// No one manages the object, and the policy adopts it if applying the manifest changes nothing.
    AdoptIfEqual,
}

/// The step for one desired object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The object is in its desired state.
    Unchanged {
        /// The result, if the object is a finished Job.
        ended: Option<JobEnd>,
    },
    /// An autoscaler owns the number of replicas. Everything else is in the desired state.
    Yield { fields: FieldHashes },
    /// A finished Job was deleted. The agent does not create it again.
    Ended(JobEnd),
    /// The object does not exist.
    Create {
        /// Whether it existed, and another client deleted it.
        drifted: bool,
    },
    /// The object is ours, and its manifest changed.
    Update(ExistingObject),
    /// The object is ours, and another client changed it.
    Correct(ExistingObject),
    /// Another client changed or deleted the object, and the policy only reports drift.
    ReportDrift,
    /// The stack takes over the object, from another stack of this agent that no longer wants it or by adoption.
    Take { existing: ExistingObject, how: Taking },
    /// The object existed before. The stack uses it and never writes it.
    Use { uid: String },
    /// A problem prevents any step.
    Problem(ObjectProblem),
}

impl Step {
    /// Whether the step writes the object.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Update(_) | Self::Correct(_) | Self::Take { .. })
    }
}

/// Inputs of a decision besides the object.
pub(crate) struct Circumstances<'a> {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) policies: &'a Policies,
    /// Namespace of the agent's own records.
    pub(crate) own_namespace: &'a str,
    /// Whether the stack may have nothing in that namespace, rather than only none of the records.
    pub(crate) is_kept_out: bool,
    /// The stack of this agent that the object's labels name and whose inventory lists it.
    pub(crate) holder: Option<StackId>,
    /// The stack of this agent that should hold the object.
    pub(crate) owner: Option<StackId>,
    /// Whether the holder or the owner belongs to another generator.
    pub(crate) is_foreign: bool,
    /// The result of the Job in the inventory, if its object does not exist.
    pub(crate) gone_job: Option<Gone>,
}

pub(crate) fn step(prepared: &Prepared, entry: Option<&Entry>, live: Option<&Live>, at: &Circumstances<'_>) -> Step {
    let object = &prepared.object;
    let problem = |reason, message: String| Step::Problem(ObjectProblem::failed(object.clone(), reason, message));
    if at.is_kept_out && is_within(object, at.own_namespace) {
        let message = format!("the namespace {} is reserved for the agent", at.own_namespace);
        let remedy = "put the object into another namespace, or remove it from the stack";
        return Step::Problem(ObjectProblem::failed(object.clone(), Reason::Reserved, message).with_remedy(remedy));
    }
    if is_reserved(prepared, at.own_namespace) {
        return problem(Reason::Reserved, "its name is reserved for the agent's own records".to_owned());
    }
    if at.is_foreign {
        return foreign(prepared, live);
    }
    let Some(live) = live else {
        if at.owner.is_some_and(|owner| owner != at.stack) {
            return shared(prepared, at, None);
        }
        let was_there = entry.is_some_and(|entry| entry.state == EntryState::Held && entry.manifest.is_some());
        if !was_there || is_new_content(prepared, entry) {
            // A changed manifest creates a new object, whatever the result of the previous one.
            let drifted = was_there && !matches!(at.gone_job, Some(Gone::Ended(_)));
            return Step::Create { drifted };
        }
        return match &at.gone_job {
            Some(Gone::Ended(end)) => Step::Ended(end.clone()),
            Some(Gone::Unknown) => Step::Problem(ObjectProblem::waiting(
                object.clone(),
                Reason::JobGone,
                "the Job was deleted, and the watch event that says whether it completed has not arrived yet",
            )),
            Some(Gone::Unfinished) | None if at.policies.drift == Drift::Report => Step::ReportDrift,
            Some(Gone::Unfinished) | None => Step::Create { drifted: true },
        };
    };
    if at.owner.is_some_and(|owner| owner != at.stack) {
        return shared(prepared, at, Some(live));
    }
    if live.deleting {
        let held_by = if live.finalizers.is_empty() {
            String::new()
        } else {
            format!(", blocked by the finalizers {}", live.finalizers.join(", "))
        };
        return Step::Problem(ObjectProblem::waiting(
            object.clone(),
            Reason::Terminating,
            format!("the existing object of this name is being deleted{held_by}"),
        ));
    }
    let made_for = live.made_for(at.agent);
    let existing = || ExistingObject { uid: live.uid.clone(), scaled: live.scaled.is_some() };
    let take = |how| Step::Take { existing: existing(), how };
    match entry {
        // The UID proves that it is ours.
        Some(entry) if entry.is_ours() && entry.uid.as_ref() == Some(&live.uid) => {
            if is_new_content(prepared, Some(entry)) || made_for != Some(at.stack) {
                Step::Update(existing())
            } else if live.fields == entry.fields {
                Step::Unchanged { ended: live.ended.clone() }
            } else if live.scaled.is_some() && live.fields == entry.fields.without(REPLICAS) {
                Step::Yield { fields: live.fields.clone() }
            } else if at.policies.drift == Drift::Report {
                Step::ReportDrift
            } else {
                Step::Correct(existing())
            }
        }
        // A previous run created it and crashed before it recorded the UID.
        Some(Entry { state: EntryState::Intent, uid: None, .. }) if made_for == Some(at.stack) => {
            Step::Update(existing())
        }
        _ if at.holder.is_some_and(|holder| holder != at.stack) => take(Taking::Over),
        // It has all our labels and fields, but no inventory lists it: the inventory was lost.
        _ if made_for == Some(at.stack) && !is_another(entry, live, at.policies) => take(Taking::Over),
        _ if is_namespace_or_crd(object) => Step::Use { uid: live.uid.clone() },
        _ if live.others_in_fields => {
            problem(Reason::HeldByAnotherAgent, "another agent manages the object".to_owned())
        }
        _ => match at.policies.adopt {
            Adopt::Always => take(Taking::Adopt),
            Adopt::IfEqual => take(Taking::AdoptIfEqual),
            Adopt::Never if entry.is_some_and(|entry| entry.state == EntryState::Held) => {
                let message = format!("another object of the same name has replaced it{}", live.origin());
                Step::Problem(
                    ObjectProblem::failed(object.clone(), Reason::Replaced, message)
                        .with_remedy("delete that object, or set the policy adopt: always, which overwrites it"),
                )
            }
            Adopt::Never => {
                let message = format!("it exists and this agent did not create it{}", live.origin());
                Step::Problem(ObjectProblem::failed(object.clone(), Reason::NotOwned, message).with_remedy(
                    "rename it, delete the existing object, or set the policy adopt: always, which overwrites it",
                ))
            }
        },
    }
}

/// Whether the inventory lists a different object of this name. Then no inventory was lost, and the labels of this object
/// were copied. With `replace_immutable`, the agent may have replaced the object without recording the new UID yet.
fn is_another(entry: Option<&Entry>, live: &Live, policies: &Policies) -> bool {
    let known = entry.filter(|entry| entry.is_ours()).and_then(|entry| entry.uid.as_ref());
    known.is_some_and(|uid| *uid != live.uid) && !policies.replace_immutable
}

/// Decides about an object of another generator. Says nothing about it that the stack's owner may not know.
fn foreign(prepared: &Prepared, live: Option<&Live>) -> Step {
    match live {
        Some(live) if is_namespace_or_crd(&prepared.object) => Step::Use { uid: live.uid.clone() },
        _ => {
            let message = "another tenant holds the object".to_owned();
            let problem = ObjectProblem::failed(prepared.object.clone(), Reason::HeldByStack, message);
            Step::Problem(problem.with_remedy("give the object another name, or put it into another namespace"))
        }
    }
}

/// Decides about an object that another stack of the same generator holds.
fn shared(prepared: &Prepared, at: &Circumstances<'_>, live: Option<&Live>) -> Step {
    let owner = at.owner.map(|owner| owner.to_string()).unwrap_or_default();
    match live {
        Some(live) if is_namespace_or_crd(&prepared.object) => Step::Use { uid: live.uid.clone() },
        None if is_namespace_or_crd(&prepared.object) => Step::Problem(ObjectProblem::waiting(
            prepared.object.clone(),
            Reason::HeldByStack,
            format!("waiting until stack {owner} creates the object"),
        )),
        _ => {
            let message = format!("the object belongs to stack {owner} of this agent");
            let problem = ObjectProblem::failed(prepared.object.clone(), Reason::HeldByStack, message);
            Step::Problem(problem.with_remedy(
                "remove the object from one of the two stacks; when the other one drops it, this stack takes it over",
            ))
        }
    }
}

fn is_new_content(prepared: &Prepared, entry: Option<&Entry>) -> bool {
    entry.is_none_or(|entry| entry.manifest.as_ref() != Some(&prepared.hash))
}

/// Whether the object is in a namespace, or is the Namespace. The API server accepts no other spelling of the name; that it
/// does not is no reason to depend on it.
fn is_within(object: &ObjectRef, namespace: &str) -> bool {
    let place = if is_namespace(object) { Some(&object.name) } else { object.namespace.as_ref() };
    place.is_some_and(|place| place.trim().eq_ignore_ascii_case(namespace))
}

/// Whether the object has the name of one of the agent's own records, which no stack may overwrite.
fn is_reserved(prepared: &Prepared, own_namespace: &str) -> bool {
    let object = &prepared.object;
    let is_record = matches!(
        (object.group.as_str(), object.kind.as_str()),
        ("", "Secret" | "ConfigMap") | ("coordination.k8s.io", "Lease")
    );
    is_record && is_within(object, own_namespace) && object.name.starts_with(MANAGER_PREFIX)
}

#[cfg(test)]
mod tests;
