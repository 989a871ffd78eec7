//! Writes one object: conflicts, adoption, immutable fields, and rollback of an accidental takeover.

use brokkr_core::model::Conflicts;
use serde_json::{Value, json};

use crate::applier::DesiredStack;
use crate::apply::adopt::{Takeover, is_tool};
use crate::apply::decide::{ExistingObject, Step, Taking};
use crate::cluster::{ApplyOptions, ApplyOutcome, ClusterError, FieldConflict, meta};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::health;
use crate::health::{JobEnd, ObjectHealth};
use crate::observed::job_ends::is_job;
use crate::observed::live::REPLICAS;
use crate::order::is_namespace_or_crd;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::inventory::Entry;
use crate::ownership::labels::{AGENT_LABEL, MANAGER_PREFIX, PART_OF_LABEL, STACK_LABEL};
use crate::remedy::remedy;
use crate::wording;

/// The result of one step.
pub(crate) enum Executed {
    Nothing,
    Written(Written),
    /// The object is not ours. The inventory forgets it.
    GivenUp(ObjectProblem),
    Problem(ObjectProblem),
}

/// The facts about a written object. The object itself is dropped, because a stack may have thousands.
pub(crate) struct Written {
    pub(crate) uid: Option<String>,
    /// The fields that our manager owns now, without the ignored ones.
    pub(crate) fields: FieldHashes,
    pub(crate) health: ObjectHealth,
    /// The result, if the object is a finished Job.
    pub(crate) ended: Option<JobEnd>,
}

pub(crate) enum WriteError {
    Api(ClusterError),
    Conflicts(Vec<FieldConflict>),
}

/// Parameters of a write. Default: create an object that no inventory lists.
#[derive(Default, Clone, Copy)]
pub(crate) struct WriteOptions<'a> {
    /// The object's inventory entry.
    pub(crate) entry: Option<&'a Entry>,
    /// The object in the cluster; `None` to create it.
    pub(crate) existing: Option<&'a ExistingObject>,
    /// Whether to validate only.
    pub(crate) dry_run: bool,
}

impl PassContext<'_> {
    pub(crate) async fn execute(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        step: &Step,
    ) -> Executed {
        let existing = match step {
            Step::Create { .. } => None,
            Step::Update(existing) | Step::Correct(existing) => Some(existing),
            Step::Take { existing, .. } => Some(existing),
            _ => return Executed::Nothing,
        };
        if let Some(problem) = self.without_namespace(stack, &prepared.object) {
            return Executed::Problem(problem);
        }
        if let Step::Take { existing, how: how @ (Taking::Adopt | Taking::AdoptIfEqual) } = step {
            return self.adopt(stack, prepared, entry, existing, *how).await;
        }
        if let (Step::Update(existing), Some(entry)) = (step, entry)
            && let Err(error) = self.leave_replicas_to_autoscaler(prepared, existing, entry).await
        {
            return Executed::Problem(self.problem(prepared, WriteError::Api(error)));
        }
        match self.write(stack, prepared, WriteOptions { entry, existing, dry_run: false }).await {
            // If other managers wrote the object, it is theirs. If only our manager did, another run of the agent created
            // it.
            Ok(applied) if existing.is_none() && !applied.created && self.is_others(&applied.object) => {
                self.give_up(prepared, &applied.object).await
            }
            Ok(applied) => Executed::Written(self.written(prepared, &applied.object)),
            Err(WriteError::Api(ClusterError::Invalid(message)))
                if matches!(step, Step::Update(_) | Step::Correct(_)) =>
            {
                self.replace(stack, prepared, entry, existing, message).await
            }
            // The server wrote nothing. An intent that stays would claim the object.
            Err(error @ WriteError::Conflicts(_)) if existing.is_none() && entry.is_none_or(Entry::is_bare) => {
                Executed::GivenUp(if is_namespace_or_crd(&prepared.object) {
                    let message =
                        "another client created the object at the same time; this stack uses it without changing it";
                    ObjectProblem::waiting(prepared.object.clone(), Reason::Changed, message)
                } else {
                    self.problem(prepared, error)
                })
            }
            Err(error) => Executed::Problem(self.problem(prepared, error)),
        }
    }

    /// Adopts an object that no inventory lists.
    async fn adopt(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        existing: &ExistingObject,
        how: Taking,
    ) -> Executed {
        let adopted = async {
            let takeover = if how == Taking::AdoptIfEqual {
                if self.would_change(stack, prepared, Some(existing)).await? {
                    return Ok(None);
                }
                Takeover::Applied
            } else {
                // A rejected write leaves the object unchanged.
                match self.write(stack, prepared, WriteOptions { entry, existing: Some(existing), dry_run: true }).await
                {
                    // The adoption takes over the fields of tools.
                    Err(WriteError::Conflicts(conflicts)) if conflicts.iter().all(|it| is_tool(&it.manager)) => {}
                    // A webhook does not support dry runs, which says nothing about the object.
                    Err(WriteError::Api(ClusterError::Other { .. })) => {}
                    tried => drop(tried?),
                }
                self.take_fields_over(prepared, existing, Takeover::All).await.map_err(WriteError::Api)?;
                Takeover::All
            };
            let applied =
                self.write(stack, prepared, WriteOptions { entry, existing: Some(existing), dry_run: false }).await?;
            if takeover == Takeover::Applied {
                self.take_fields_over(prepared, existing, takeover).await.map_err(WriteError::Api)?;
            }
            Ok(Some(applied))
        };
        match adopted.await {
            Ok(Some(applied)) => Executed::Written(self.written(prepared, &applied.object)),
            Ok(None) => {
                let message =
                    "the object already exists, this agent did not create it, and it differs from the manifest";
                let problem = ObjectProblem::failed(prepared.object.clone(), Reason::NotOwned, message);
                Executed::GivenUp(
                    problem.with_remedy("make the manifest equal to the object, rename the object in the manifest, or set the policy adopt: always, which overwrites it"),
                )
            }
            Err(error) => Executed::Problem(self.problem(prepared, error)),
        }
    }

    /// Applies an object. Forces conflicts only if the object is known by its UID, and all of them are drift or the
    /// policy forces them; never against another agent.
    pub(crate) async fn write(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        options: WriteOptions<'_>,
    ) -> Result<ApplyOutcome, WriteError> {
        let WriteOptions { entry, existing, dry_run } = options;
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let mut body = prepared.body();
        let mut takes_replicas = false;
        if let Some(existing) = existing {
            body["metadata"]["uid"] = json!(existing.uid);
            if existing.scaled {
                takes_replicas = self.takes_replicas_back(prepared, entry).await.map_err(WriteError::Api)?;
            }
            if existing.scaled
                && !takes_replicas
                && let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut)
            {
                spec.remove("replicas");
            }
            if !prepared.ignored.is_empty() {
                let live = self.cluster.get(&at).await.map_err(WriteError::Api)?;
                live.iter().for_each(|live| prepared.ignored.leave(&mut body, live));
            }
        }
        let options = ApplyOptions { field_manager: self.manager, force: false, dry_run };
        let writer = self.writer_of(&prepared.object);
        let conflicts = match writer.apply(&at, &body, &options).await {
            Err(ClusterError::Conflict(conflicts)) => conflicts,
            result => return result.map_err(WriteError::Api),
        };
        let is_drift = |it: &FieldConflict| {
            takes_replicas && it.field == REPLICAS || entry.is_some_and(|entry| entry.fields.contains(&it.field))
        };
        if existing.is_none() || !may_force(&conflicts, self.manager, stack.policies.conflicts, is_drift) {
            return Err(WriteError::Conflicts(conflicts));
        }
        let options = ApplyOptions { force: true, ..options };
        writer.apply(&at, &body, &options).await.map_err(WriteError::Api)
    }

    pub(crate) fn problem(&self, prepared: &Prepared, error: WriteError) -> ObjectProblem {
        let object = prepared.object.clone();
        match error {
            WriteError::Api(error @ (ClusterError::Precondition(_) | ClusterError::Terminating(_))) => {
                let remedy = remedy(&object, &error);
                ObjectProblem { remedy, ..ObjectProblem::waiting(object, Reason::from(&error), wording::of(&error)) }
            }
            WriteError::Api(error @ ClusterError::TooLarge(_)) => {
                let problem = ObjectProblem::api(object, &error);
                let message = format!(
                    "{} (its manifest has {} bytes of JSON, to which the API server adds its records of field ownership)",
                    problem.message,
                    prepared.size()
                );
                ObjectProblem { message, ..problem }
            }
            WriteError::Api(error) => ObjectProblem::api(object, &error),
            WriteError::Conflicts(conflicts) => {
                let agents = conflicts.iter().any(|it| it.manager.starts_with(MANAGER_PREFIX));
                let (reason, remedy) = if agents {
                    (
                        Reason::HeldByAnotherAgent,
                        "remove the object from this stack, or from the stack of the other agent",
                    )
                } else {
                    let remedy = match conflicts.len() {
                        1 => {
                            "remove this field from the manifest, or set the policy conflicts: force, which overwrites the other's value"
                        }
                        _ => {
                            "remove these fields from the manifest, or set the policy conflicts: force, which overwrites the others' values"
                        }
                    };
                    (Reason::Conflict, remedy)
                };
                let field = |it: &FieldConflict| format!("{} is set by the field manager \"{}\"", it.field, it.manager);
                let fields: Vec<String> = conflicts.iter().take(10).map(field).collect();
                ObjectProblem::failed(object, reason, fields.join(", ")).with_remedy(remedy)
            }
        }
    }

    pub(crate) fn written(&self, prepared: &Prepared, object: &Value) -> Written {
        Written {
            uid: meta::uid(object).map(str::to_owned),
            fields: FieldHashes::of(&prepared.ignored.applied_fields(object, self.manager)),
            health: health::of(&prepared.kind.group, &prepared.kind.kind, object),
            ended: if is_job(&prepared.object) { health::job_end(object) } else { None },
        }
    }

    pub(crate) fn is_others(&self, object: &Value) -> bool {
        meta::managers(object).any(|manager| manager != self.manager)
    }

    /// Gives up our fields after a create hit an object that another client created at the same time.
    pub(crate) async fn give_up(&self, prepared: &Prepared, object: &Value) -> Executed {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let nothing = skeleton(prepared, meta::uid(object));
        let options = ApplyOptions { field_manager: self.manager, force: false, dry_run: false };
        match self.writer_of(&prepared.object).apply(&at, &nothing, &options).await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Executed::GivenUp(ObjectProblem::failed(
                prepared.object.clone(),
                Reason::NotOwned,
                "another client created the object at the same time",
            )),
            // The intent stays, so that the next pass checks the object again.
            Err(error) => Executed::Problem(ObjectProblem::api(prepared.object.clone(), &error)),
        }
    }

    /// Whether applying would change more than ownership and our labels.
    async fn would_change(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        existing: Option<&ExistingObject>,
    ) -> Result<bool, WriteError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let Some(live) = self.cluster.get(&at).await.map_err(WriteError::Api)? else {
            return Ok(true);
        };
        let applied = match self.write(stack, prepared, WriteOptions { entry: None, existing, dry_run: true }).await {
            Err(WriteError::Conflicts(_)) => return Ok(true),
            result => result?,
        };
        Ok(without_ownership(live) != without_ownership(applied.object))
    }
}

/// Whether to force conflicts on an object that is known by its UID: if the policy says so, or if all of them are drift.
/// Never against another agent.
fn may_force(
    conflicts: &[FieldConflict],
    manager: &str,
    policy: Conflicts,
    is_drift: impl Fn(&FieldConflict) -> bool,
) -> bool {
    let is_other_agent = |it: &FieldConflict| it.manager.starts_with(MANAGER_PREFIX) && it.manager != manager;
    (policy == Conflicts::Force || conflicts.iter().all(is_drift)) && !conflicts.iter().any(is_other_agent)
}

/// Returns only the identity of an object. Applying it owns no other field.
pub(crate) fn skeleton(prepared: &Prepared, uid: Option<&str>) -> Value {
    let mut body = json!({
        "apiVersion": prepared.kind.api_version(),
        "kind": prepared.kind.kind,
        "metadata": {"name": prepared.object.name, "uid": uid},
    });
    if let Some(namespace) = &prepared.object.namespace {
        body["metadata"]["namespace"] = json!(namespace);
    }
    body
}

/// Returns an object without the parts that adoption always changes.
fn without_ownership(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(field);
        }
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            for own in [AGENT_LABEL, STACK_LABEL, PART_OF_LABEL] {
                labels.remove(own);
            }
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drift_or_policy_forces_and_never_against_agents() {
        use Conflicts::{Fail, Force};
        for (managers, policy, drifted, expected) in [
            (&["kubectl-edit"][..], Fail, &["kubectl-edit"][..], true),
            (&["kubectl-edit"], Fail, &[], false),
            (&["kubectl-edit"], Force, &[], true),
            (&["kubectl-edit", "helm"], Fail, &["helm"], false),
            (&["kubectl-edit", "helm"], Fail, &["helm", "kubectl-edit"], true),
            (&["brokkr-other"], Force, &[], false),
            (&["brokkr-other"], Fail, &["brokkr-other"], false),
            (&["kubectl-edit", "brokkr-other"], Force, &[], false),
            // Our own manager, through an update.
            (&["brokkr-self"], Force, &[], true),
            (&["brokkr-self"], Fail, &["brokkr-self"], true),
        ] {
            let conflict = |it: &&str| FieldConflict { field: ".data.k".to_owned(), manager: (*it).to_owned() };
            let conflicts: Vec<FieldConflict> = managers.iter().map(conflict).collect();
            let is_drift = |it: &FieldConflict| drifted.contains(&it.manager.as_str());
            let forced = may_force(&conflicts, "brokkr-self", policy, is_drift);
            assert_eq!(forced, expected, "{managers:?} {policy:?} drifted: {drifted:?}");
        }
    }

    #[test]
    fn comparison_ignores_ownership() {
        let ours = json!({"metadata": {
            "name": "a", "resourceVersion": "2", "generation": 2, "managedFields": [{}],
            "labels": {AGENT_LABEL: "1", STACK_LABEL: "2", PART_OF_LABEL: "3"},
        }, "data": {"k": "1"}});
        let theirs = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "data": {"k": "1"}});
        assert_eq!(without_ownership(ours.clone()), without_ownership(theirs));
        let mut labelled = ours.clone();
        labelled["metadata"]["labels"]["app"] = json!("web");
        assert_ne!(without_ownership(labelled), without_ownership(ours));
    }
}
