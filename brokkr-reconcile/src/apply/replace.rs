//! Replaces an object when an immutable field changes, if the policy allows it.

use std::time::Duration;

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::applier::DesiredStack;
use crate::apply::decide::ExistingObject;
use crate::apply::write::Executed;
use crate::cluster::{ApplyOptions, ClusterError, DeleteOptions, Propagation, meta};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::order::is_foundation;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::Entry;

/// How long a pass waits for the deletion of the old object.
const DELETION_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const CORRECT_IT: &str = "correct the manifest and publish it again";

impl PassContext<'_> {
    /// Handles a rejected update. If the policy allows it, the object is safe to replace, and the server would accept a
    /// new one, the agent deletes the old object and creates the new one.
    pub(crate) async fn replace(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        existing: Option<&ExistingObject>,
        refusal: String,
    ) -> Executed {
        let object = &prepared.object;
        let refused = |reason, more: &str, remedy: &str| {
            // The server's message may quote the Secret.
            let said = if object.kind == "Secret" { "Invalid" } else { refusal.as_str() };
            let problem = ObjectProblem::failed(
                object.clone(),
                reason,
                format!("the API server rejected the change: {said}{more}"),
            );
            let refusal = Some(ClusterError::Invalid(refusal.clone()));
            Executed::Problem(ObjectProblem { refusal, ..problem.with_remedy(remedy) })
        };
        let Some(existing) = existing.filter(|existing| entry.is_some_and(|it| it.uid.as_ref() == Some(&existing.uid)))
        else {
            return refused(Reason::Refused, "", CORRECT_IT);
        };
        if !stack.policies.replace_immutable {
            return if looks_immutable(&refusal) {
                refused(
                    Reason::Immutable,
                    "",
                    "publish the previous value, rename the object, or set the policy replace_immutable: true, which deletes the object and creates it again",
                )
            } else {
                refused(Reason::Refused, "", CORRECT_IT)
            };
        }
        let live = match self.cluster.get(&prepared.kind.at(object.namespace.as_deref(), &object.name)).await {
            Ok(Some(live)) if meta::uid(&live) == Some(&existing.uid) => live,
            Ok(_) => {
                return refused(
                    Reason::Changed,
                    "; the object was deleted or replaced meanwhile",
                    "no action needed; the next pass reads the object again",
                );
            }
            Err(error) => return Executed::Problem(ObjectProblem::api(object.clone(), &error)),
        };
        if let Some(obstacle) = obstacle(object, &live) {
            let more = format!("; the agent does not replace the object, because {obstacle}");
            return refused(Reason::NotReplaceable, &more, "publish the previous value, or replace the object by hand");
        }
        match self.would_be_created(prepared).await {
            Ok(()) => {}
            // The server rejects a new object too, so the manifest itself is wrong.
            Err(ClusterError::Invalid(_) | ClusterError::Denied(_)) => return refused(Reason::Refused, "", CORRECT_IT),
            Err(error) => return Executed::Problem(ObjectProblem::api(object.clone(), &error)),
        }
        match self.delete_and_wait(prepared, &live, &existing.uid).await {
            Ok(true) => {}
            Ok(false) => {
                let message = "the agent deleted the object to replace it, and the deletion is not complete";
                return Executed::Problem(ObjectProblem::waiting(object.clone(), Reason::Replacing, message));
            }
            Err(error) => return Executed::Problem(ObjectProblem::api(object.clone(), &error)),
        }
        match self.write(stack, prepared, None, None, false).await {
            Ok(applied) if !applied.created && self.is_others(&applied.object) => {
                self.give_up(prepared, &applied.object).await
            }
            Ok(applied) => Executed::Written(self.written(prepared, &applied.object)),
            Err(error) => Executed::Problem(self.problem(prepared, error)),
        }
    }

    /// Checks with a dry run whether the server would create the object. Uses another name, because its own is taken.
    pub(crate) async fn would_be_created(&self, prepared: &Prepared) -> Result<(), ClusterError> {
        let name = probe_name(&prepared.object.name);
        let mut body = prepared.body();
        body["metadata"]["name"] = json!(name);
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &name);
        let options = ApplyOptions { manager: self.manager, force: false, dry_run: true };
        self.cluster.apply(&at, &body, &options).await.map(drop)
    }

    async fn delete_and_wait(&self, prepared: &Prepared, live: &Value, uid: &str) -> Result<bool, ClusterError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let resource_version = meta::resource_version(live);
        let options = DeleteOptions { uid, resource_version, propagation: Propagation::Background };
        match self.cluster.delete(&at, &options).await {
            Ok(()) | Err(ClusterError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let deadline = Instant::now() + DELETION_TIMEOUT;
        loop {
            match self.cluster.get(&at).await? {
                Some(live) if meta::uid(&live) == Some(uid) => {}
                _ => return Ok(true),
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Returns why an object must not be replaced under any policy: data would be lost, or objects of others affected.
fn obstacle(object: &ObjectRef, live: &Value) -> Option<&'static str> {
    if is_foundation(object) {
        return Some("the deletion would also delete every object in it");
    }
    match (object.group.as_str(), object.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => return Some("its data would be lost"),
        ("apps", "StatefulSet")
            if live
                .pointer("/spec/volumeClaimTemplates")
                .and_then(Value::as_array)
                .is_some_and(|it| !it.is_empty()) =>
        {
            return Some("it has volume claims, whose data would be lost");
        }
        _ => {}
    }
    meta::finalizers(live).next().is_some().then_some("it has finalizers")
}

/// Whether a rejection looks like one of an immutable field. Only selects the wording; no decision depends on it.
fn looks_immutable(message: &str) -> bool {
    ["immutable", "may not change", "updates to", "cannot be changed", "cannot change"]
        .iter()
        .any(|it| message.contains(it))
}

/// Returns a name of the same syntax that is unlikely to be in use. At most 54 characters.
fn probe_name(name: &str) -> String {
    let kept: String = name.chars().take(40).collect();
    format!("{}-brokkr-probe", kept.trim_end_matches(['-', '.']))
}
