//! What to do about each desired object, decided from inventory and cluster.

use brokkr_core::model::{Adopt, AgentId, Drift, Policies, StackId};

use crate::desired::prepare::Prepared;
use crate::health::JobEnd;
use crate::observed::job_ends::Gone;
use crate::observed::live::{Live, REPLICAS};
use crate::order::is_foundation;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::inventory::{Entry, EntryState};
use crate::ownership::labels::MANAGER_PREFIX;

/// The object that a write is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uid: String,
    /// Whether the number of its replicas was set through the `scale` subresource, and is left as it is.
    pub(crate) scaled: bool,
}

/// On what grounds an object becomes this stack's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    /// It is this agent's already.
    Over,
    /// It was nobody's, and is adopted whatever it is like.
    Adopt,
    /// It was nobody's, and is adopted if applying the manifest changes nothing.
    AdoptIfEqual,
}

/// What to do about one desired object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as it should be.
    Unchanged {
        /// How it ended, if it is a Job that has.
        ended: Option<JobEnd>,
    },
    /// An autoscaler has taken over the number of its replicas; all else is as it should be.
    Yield { fields: FieldHashes },
    /// A Job that ended and was deleted afterwards: it is not created again.
    Ended(JobEnd),
    /// It is not there.
    Create {
        /// Whether it was, and somebody deleted it.
        drifted: bool,
    },
    /// It is ours and should be different.
    Update(Target),
    /// It is ours, and somebody else changed it.
    Correct(Target),
    /// Somebody else changed or deleted it, and the policy is to say so only.
    ReportDrift,
    /// It becomes this stack's: it was another stack's of this agent that no longer wants it, or nobody's and is adopted.
    Take { target: Target, how: Taking },
    /// It was there before us; we only use it.
    Use { uid: String },
    /// It cannot be as it should.
    Problem(ObjectProblem),
}

impl Step {
    /// Whether something is written to the object.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Update(_) | Self::Correct(_) | Self::Take { .. })
    }
}

/// The circumstances of a decision.
pub(crate) struct Circumstances<'a> {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) policies: &'a Policies,
    /// Where the agent keeps its records.
    pub(crate) own_namespace: &'a str,
    /// The stack of this agent whose marks the object carries and whose inventory has it.
    pub(crate) holder: Option<StackId>,
    /// The stack of this agent whose the object should be.
    pub(crate) owner: Option<StackId>,
    /// What is known of the Job that the inventory has, when its object is not there.
    pub(crate) gone_job: Option<Gone>,
}

pub(crate) fn step(prepared: &Prepared, entry: Option<&Entry>, live: Option<&Live>, at: &Circumstances<'_>) -> Step {
    let object = &prepared.object;
    let problem = |reason, message: String| Step::Problem(ObjectProblem::failed(object.clone(), reason, message));
    if is_reserved(prepared, at.own_namespace) {
        return problem(Reason::Reserved, "its name is one that the agent keeps its own records under".to_owned());
    }
    let Some(live) = live else {
        if at.owner.is_some_and(|owner| owner != at.stack) {
            return shared(prepared, at, None);
        }
        let was_there = entry.is_some_and(|entry| entry.state == EntryState::Held && entry.manifest.is_some());
        if !was_there || is_new_content(prepared, entry) {
            // What is published anew is created, whatever became of the former one.
            let drifted = was_there && !matches!(at.gone_job, Some(Gone::Ended(_)));
            return Step::Create { drifted };
        }
        return match &at.gone_job {
            Some(Gone::Ended(end)) => Step::Ended(end.clone()),
            Some(Gone::Unknown) => Step::Problem(ObjectProblem::waiting(
                object.clone(),
                Reason::JobGone,
                "its object is gone; the event that says whether it completed has not come yet",
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
            format!(", held by {}", live.finalizers.join(", "))
        };
        return Step::Problem(ObjectProblem::waiting(
            object.clone(),
            Reason::Terminating,
            format!("the object of this name is being deleted{held_by}"),
        ));
    }
    let made_for = live.made_for(at.agent);
    let target = || Target { uid: live.uid.clone(), scaled: live.scaled.is_some() };
    let take = |how| Step::Take { target: target(), how };
    match entry {
        // Ours, by UID.
        Some(entry) if entry.is_ours() && entry.uid.as_ref() == Some(&live.uid) => {
            if is_new_content(prepared, Some(entry)) || made_for != Some(at.stack) {
                Step::Update(target())
            } else if live.fields == entry.fields {
                Step::Unchanged { ended: live.ended.clone() }
            } else if live.scaled.is_some() && live.fields == entry.fields.without(REPLICAS) {
                Step::Yield { fields: live.fields.clone() }
            } else if at.policies.drift == Drift::Report {
                Step::ReportDrift
            } else {
                Step::Correct(target())
            }
        }
        // Created by a run that did not live to record it.
        Some(Entry { state: EntryState::Intent, uid: None, .. }) if made_for == Some(at.stack) => {
            Step::Update(target())
        }
        _ if at.holder.is_some_and(|holder| holder != at.stack) => take(Taking::Over),
        // It carries everything that we put on what is ours, and no inventory knows it: the inventory was lost.
        _ if made_for == Some(at.stack) && !is_another(entry, live, at.policies) => take(Taking::Over),
        _ if is_foundation(object) => Step::Use { uid: live.uid.clone() },
        _ if live.others_in_fields => problem(Reason::HeldByAnotherAgent, "another agent manages it".to_owned()),
        _ => match at.policies.adopt {
            Adopt::Always => take(Taking::Adopt),
            Adopt::IfEqual => take(Taking::AdoptIfEqual),
            Adopt::Never if entry.is_some_and(|entry| entry.state == EntryState::Held) => {
                let message = "another object of the same name has taken its place";
                Step::Problem(
                    ObjectProblem::failed(object.clone(), Reason::Replaced, message)
                        .with_remedy("delete that object, or set policy adopt: always"),
                )
            }
            Adopt::Never => {
                let message = "the object already exists, and this agent did not create it";
                Step::Problem(
                    ObjectProblem::failed(object.clone(), Reason::NotOwned, message)
                        .with_remedy("rename it, delete the existing object, or set policy adopt: always"),
                )
            }
        },
    }
}

/// Whether the inventory knows an object of this name, and it was another one: then nothing was lost, and all that this one
/// carries was copied. Where we replace objects ourselves, the new one may not have been recorded yet.
fn is_another(entry: Option<&Entry>, live: &Live, policies: &Policies) -> bool {
    let known = entry.filter(|entry| entry.is_ours()).and_then(|entry| entry.uid.as_ref());
    known.is_some_and(|uid| *uid != live.uid) && !policies.replace_immutable
}

/// What this stack makes of an object that is another stack's.
fn shared(prepared: &Prepared, at: &Circumstances<'_>, live: Option<&Live>) -> Step {
    let owner = at.owner.map(|owner| owner.to_string()).unwrap_or_default();
    match live {
        Some(live) if is_foundation(&prepared.object) => Step::Use { uid: live.uid.clone() },
        None if is_foundation(&prepared.object) => Step::Problem(ObjectProblem::waiting(
            prepared.object.clone(),
            Reason::HeldByStack,
            format!("it waits until stack {owner} creates it"),
        )),
        _ => Step::Problem(ObjectProblem::failed(
            prepared.object.clone(),
            Reason::HeldByStack,
            format!(
                "it belongs to stack {owner} of this agent; this stack takes it over when that stack no longer has it"
            ),
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

#[cfg(test)]
mod tests;
