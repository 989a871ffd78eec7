//! Replaces an object when an immutable field changes, if the policy allows it.

use std::time::Duration;

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::applier::DesiredStack;
use crate::apply::decide::ExistingObject;
use crate::apply::immutable;
use crate::apply::immutable::{looks_immutable, obstacle};
use crate::apply::write::{Executed, WriteOptions};
use crate::cluster::{ApplyOptions, ClusterError, DeleteOptions, PropagationPolicy, meta};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::Entry;
use crate::remedy::remedy;

/// How long a pass waits for the deletion of the old object.
const DELETION_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

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
        let described = |live: Option<&Value>| immutable::describe(object, &prepared.body(), live, &refusal);
        let failed = |reason, message: String, remedy: &str| {
            let problem = ObjectProblem::failed(object.clone(), reason, message);
            let refusal = Some(ClusterError::Invalid(refusal.clone()));
            Executed::Problem(ObjectProblem { refusal, ..problem.with_remedy(remedy) })
        };
        let Some(existing) = existing.filter(|existing| entry.is_some_and(|it| it.uid.as_ref() == Some(&existing.uid)))
        else {
            return failed(Reason::Refused, described(None), &correct_it(object, &refusal));
        };
        if !stack.policies.replace_immutable {
            if !looks_immutable(&refusal) {
                return failed(Reason::Refused, described(None), &correct_it(object, &refusal));
            }
            // The object only completes the text.
            let live = self.live_of(prepared, &existing.uid).await;
            return failed(Reason::Immutable, described(live.as_ref()), &immutable::remedy(object, live.as_ref()));
        }
        let live = match self.cluster.get(&prepared.kind.at(object.namespace.as_deref(), &object.name)).await {
            Ok(Some(live)) if meta::uid(&live) == Some(&existing.uid) => live,
            Ok(_) => {
                let message = format!("{}; the object was deleted or replaced meanwhile", described(None));
                return failed(Reason::Changed, message, "no action needed; the next pass reads the object again");
            }
            Err(error) => return Executed::Problem(ObjectProblem::api(object.clone(), &error)),
        };
        if let Some(obstacle) = obstacle(object, &live) {
            let message =
                format!("{}; the agent does not replace the object, because {obstacle}", described(Some(&live)));
            let remedy = match immutable::is_unbound_claim(object, &live) {
                true => immutable::DELETE_CLAIM,
                false => "publish the previous value, or replace the object by hand",
            };
            return failed(Reason::NotReplaceable, message, remedy);
        }
        match self.would_be_created(prepared).await {
            Ok(()) => {}
            // The server rejects a new object too, so the manifest itself is wrong.
            Err(ClusterError::Invalid(_) | ClusterError::Denied(_)) => {
                return failed(Reason::Refused, described(None), &correct_it(object, &refusal));
            }
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
        match self.write(stack, prepared, WriteOptions::default()).await {
            Ok(applied) if !applied.created && self.is_others(&applied.object) => {
                self.give_up(prepared, &applied.object).await
            }
            Ok(applied) => Executed::Written(self.written(prepared, &applied.object)),
            Err(error) => Executed::Problem(self.problem(prepared, error)),
        }
    }

    /// The problem of an update that a dry run rejects, with the fields that cannot be changed.
    pub(crate) async fn invalid_update(&self, prepared: &Prepared, uid: &str, refusal: &str) -> ObjectProblem {
        let object = &prepared.object;
        let problem = ObjectProblem::api(object.clone(), &ClusterError::Invalid(refusal.to_owned()));
        if !looks_immutable(refusal) {
            return problem;
        }
        let live = self.live_of(prepared, uid).await;
        let message = immutable::describe(object, &prepared.body(), live.as_ref(), refusal);
        ObjectProblem { message, ..problem.with_remedy(immutable::remedy(object, live.as_ref())) }
    }

    /// Reads the object with a UID; `None` if it cannot be read.
    async fn live_of(&self, prepared: &Prepared, uid: &str) -> Option<Value> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        self.cluster.get(&at).await.ok().flatten().filter(|live| meta::uid(live) == Some(uid))
    }

    /// Checks with a dry run whether the server would create the object. Uses another name, because its own is taken.
    pub(crate) async fn would_be_created(&self, prepared: &Prepared) -> Result<(), ClusterError> {
        let name = probe_name(&prepared.object.name);
        let mut body = prepared.body();
        body["metadata"]["name"] = json!(name);
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &name);
        let options = ApplyOptions { field_manager: self.manager, force: false, dry_run: true };
        self.writer_of(&prepared.object).apply(&at, &body, &options).await.map(drop)
    }

    async fn delete_and_wait(&self, prepared: &Prepared, live: &Value, uid: &str) -> Result<bool, ClusterError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let resource_version = meta::resource_version(live);
        let options = DeleteOptions { uid, resource_version, propagation: PropagationPolicy::Background };
        match self.writer_of(&prepared.object).delete(&at, &options).await {
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

/// Returns how to fix a change that the API server rejects for another reason than an immutable field.
fn correct_it(object: &ObjectRef, refusal: &str) -> String {
    remedy(object, &ClusterError::Invalid(refusal.to_owned())).unwrap_or_default()
}

/// Returns a name of the same syntax that is unlikely to be in use. At most 54 characters.
fn probe_name(name: &str) -> String {
    let kept: String = name.chars().take(40).collect();
    format!("{}-brokkr-probe", kept.trim_end_matches(['-', '.']))
}
