//! Removes objects that are no longer desired, in phases. Each phase starts when the objects of the previous one are
//! gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{Deletion, ObjectRef, StackId};
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::{ApiKind, ClusterError, ClusterResult, DeleteOptions, Patch, PropagationPolicy, meta};
use crate::context::PassContext;
use crate::observed::live::Live;
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::order::is_namespace_or_crd;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::Retained;
use crate::ownership::inventory::{Entry, EntryState, Inventory};
use crate::ownership::labels::{AGENT_LABEL, PART_OF_LABEL, STACK_LABEL};
use crate::ownership::objects::Objects;
use crate::prune::emptiness::Emptiness;
use crate::prune::removal_phase::removal_phase;

/// How long a pass waits for deletions to complete, over all phases, before it reports that it waits.
const DELETION_WAIT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const DELETING: &str = "the object is being deleted";
const CHANGED: &str = "the object changed while the agent was about to remove it";

/// The result of pruning a stack.
#[derive(Debug, Default)]
pub(crate) struct Pruning {
    pub(crate) problems: Vec<ObjectProblem>,
    pub(crate) retained: Vec<Retained>,
    pub(crate) writes: usize,
}

/// The result of one step of removing an object.
enum StepResult {
    /// The object does not exist, is not ours, or was released. The inventory forgets it.
    Forget,
    /// The agent requested the deletion.
    DeletionRequested,
    /// The object is being deleted, or changed meanwhile: the agent looks again. Contains what the removal waits for.
    Pending(String),
    /// The object cannot be removed yet.
    Problem(ObjectProblem),
    /// The object contains objects of others, which the text lists.
    Retained(String),
}

/// The next step of removing an object, as decided.
pub(crate) enum Removal<'a> {
    /// The object does not exist or is not ours.
    Forget,
    /// The object is being deleted, and the cluster needs no help: it has no finalizers, or is a Namespace or a
    /// CustomResourceDefinition. Contains what the deletion waits for.
    UnderWay(String),
    /// The object cannot be removed yet.
    Problem(ObjectProblem),
    /// The object contains objects of others, which the text lists.
    Retain(String),
    /// Leave the object in the cluster, and end our ownership.
    Release(&'a ApiKind, Live),
    /// Delete the object.
    Delete(&'a ApiKind, Live),
}

/// What the decisions about the objects of one stack depend on.
pub(crate) struct RemovalScope<'a> {
    pub(crate) deletion: Deletion,
    pub(crate) stack: StackId,
    /// UIDs of deleted objects. Their dependents do not count as objects of others.
    pub(crate) deleted_uids: &'a BTreeSet<String>,
    /// UIDs of objects that the stack wants. They may be in the inventory under another name, too.
    pub(crate) wanted_uids: &'a BTreeSet<String>,
}

/// The objects to remove.
struct ToRemove {
    now: Vec<Arc<ObjectRef>>,
    /// Objects that another stack is about to take over.
    pending: Vec<Arc<ObjectRef>>,
}

impl PassContext<'_> {
    /// Removes the objects of the inventory that are not in `wanted`. Collects the UIDs of the deleted objects in
    /// `deleted_uids`, so that their dependents do not count as objects of others.
    pub(crate) async fn prune(
        &self,
        deletion: Deletion,
        wanted: &Objects,
        only_retained: bool,
        inventory: &mut Inventory,
        deleted_uids: &mut BTreeSet<String>,
    ) -> ClusterResult<Pruning> {
        let mut result = Pruning::default();
        let stack = inventory.stack;
        let deadline = Instant::now() + DELETION_WAIT;
        deleted_uids.extend(inventory.uids());
        // One object may have two entries, as an Event is in two API groups. An object that is wanted under one name must
        // not be deleted under the other.
        let wanted_uids = inventory.uids_of(wanted);
        let mut skipped = Objects::new();
        loop {
            let to_remove = self.to_remove(wanted, only_retained, &skipped, inventory, &mut result);
            skipped.extend(to_remove.pending);
            let Some(phase) = to_remove.now.iter().map(|it| removal_phase(it)).min() else {
                break;
            };
            let now: Vec<Arc<ObjectRef>> = to_remove.now.into_iter().filter(|it| removal_phase(it) == phase).collect();
            let steps = self
                .remove_all(&now, inventory, &RemovalScope { deletion, stack, deleted_uids, wanted_uids: &wanted_uids })
                .await;
            let mut pending = Vec::new();
            let mut blocked = false;
            for (object, step) in steps {
                match step {
                    StepResult::Forget => drop(inventory.entries.remove(&object)),
                    StepResult::DeletionRequested => {
                        result.writes += 1;
                        pending.push((object, DELETING.to_owned()));
                    }
                    StepResult::Pending(what) => pending.push((object, what)),
                    StepResult::Retained(why) => {
                        if let Some(entry) = inventory.entries.get_mut(&object) {
                            entry.state = EntryState::Retained;
                        }
                        skipped.insert(object.clone());
                        result.retained.push(Retained { object: Arc::unwrap_or_clone(object), why });
                    }
                    StepResult::Problem(problem) => {
                        blocked = true;
                        result.problems.push(problem);
                    }
                }
            }
            if blocked {
                break;
            }
            if pending.is_empty() {
                continue;
            }
            if Instant::now() >= deadline {
                let problem = |(object, what)| ObjectProblem::waiting(object, Reason::Deleting, what);
                result.problems.extend(pending.into_iter().map(problem));
                break;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.save_inventory(inventory).await?;
        Ok(result)
    }

    /// Takes the objects to remove. Forgets the objects that the stack only uses, and those that another stack holds
    /// already; reports those that another stack is about to take over.
    fn to_remove(
        &self,
        wanted: &Objects,
        only_retained: bool,
        skipped: &Objects,
        inventory: &mut Inventory,
        result: &mut Pruning,
    ) -> ToRemove {
        let stack = inventory.stack;
        let claims = self.claims();
        let mut to_remove = ToRemove { now: Vec::new(), pending: Vec::new() };
        inventory.entries.retain(|object, entry| {
            let is_removed = !wanted.contains(object) && (!only_retained || entry.state == EntryState::Retained);
            if !is_removed || skipped.contains(object) {
                return true;
            }
            if entry.state == EntryState::Used {
                return false;
            }
            let owner = claims.owner(object).filter(|owner| *owner != stack && !claims.are_strangers(*owner, stack));
            match owner {
                None => to_remove.now.push(object.clone()),
                Some(owner) if claims.holds(owner, object) => return false,
                Some(owner) => {
                    let message = format!("stack {owner} is about to take over the object");
                    result.problems.push(ObjectProblem::waiting(object.clone(), Reason::HandoverPending, message));
                    to_remove.pending.push(object.clone());
                }
            }
            true
        });
        to_remove
    }

    async fn remove_all(
        &self,
        objects: &[Arc<ObjectRef>],
        inventory: &Inventory,
        scope: &RemovalScope<'_>,
    ) -> Vec<(Arc<ObjectRef>, StepResult)> {
        let removals = objects.iter().map(|object| {
            async move {
                let step = match inventory.entries.get(object) {
                    None => StepResult::Forget,
                    Some(entry) => self
                        .remove(object, entry, scope)
                        .await
                        .unwrap_or_else(|error| StepResult::Problem(not_removed(object, &error))),
                };
                (object.clone(), step)
            }
            .boxed()
        });
        concurrently(removals, CONCURRENCY).await
    }

    /// Takes the next step of removing one object.
    async fn remove(&self, object: &ObjectRef, entry: &Entry, scope: &RemovalScope<'_>) -> ClusterResult<StepResult> {
        let (kind, live) = match self.decide_removal(object, entry, scope).await? {
            Removal::Forget => return Ok(StepResult::Forget),
            Removal::UnderWay(what) => return Ok(StepResult::Pending(what)),
            Removal::Problem(problem) => return Ok(StepResult::Problem(problem)),
            Removal::Retain(why) => return Ok(StepResult::Retained(why)),
            Removal::Release(kind, live) => return self.release(kind, object, &live).await,
            Removal::Delete(kind, live) => (kind, live),
        };
        let at = kind.at(object.namespace.as_deref(), &object.name);
        let options = DeleteOptions {
            uid: &live.uid,
            resource_version: Some(&live.resource_version),
            propagation: PropagationPolicy::Background,
        };
        match self.writer_of(object).delete(&at, &options).await {
            Ok(()) => Ok(StepResult::DeletionRequested),
            Err(ClusterError::Precondition(_)) => Ok(StepResult::Pending(CHANGED.to_owned())),
            Err(ClusterError::NotFound(_)) => Ok(StepResult::Forget),
            Err(error) => Err(error),
        }
    }

    /// Decides how to remove an object. Only reads.
    pub(crate) async fn decide_removal(
        &self,
        object: &ObjectRef,
        entry: &Entry,
        scope: &RemovalScope<'_>,
    ) -> ClusterResult<Removal<'_>> {
        if let Some(problem) = self.limits.refuse(object) {
            let problem = ObjectProblem::failed(object.clone(), Reason::NotAllowed, problem);
            return Ok(Removal::Problem(problem.with_remedy(self.limits.remedy(object))));
        }
        let Some(kind) = self.discovery.preferred(&object.group, &object.kind) else {
            let message = if !self.discovery.certainly_lacks(&object.group, &object.kind) {
                "the API server for its kind does not respond"
            } else if self.is_still_defined(&object.group, &object.kind).await? {
                // Its objects may exist, but cannot be read.
                "its CustomResourceDefinition exists, but the cluster does not serve the kind now"
            } else {
                return Ok(Removal::Forget);
            };
            return Ok(Removal::Problem(ObjectProblem::waiting(object.clone(), Reason::ApiUnavailable, message)));
        };
        let live = match self.observer.read(kind, object).await {
            Ok(Some(live)) => live,
            Ok(None) => return Ok(Removal::Forget),
            // The kind is no longer served, although discovery listed it a moment ago.
            Err(ClusterError::NotFound(message)) => {
                return Ok(Removal::Problem(ObjectProblem::waiting(object.clone(), Reason::ApiUnavailable, message)));
            }
            Err(error) => return Err(error),
        };
        if !self.is_ours(entry, &live, scope.stack) || scope.wanted_uids.contains(&live.uid) {
            return Ok(Removal::Forget);
        }
        if live.deleting {
            if live.finalizers.is_empty() || is_namespace_or_crd(object) {
                return Ok(Removal::UnderWay(live.health.message));
            }
            let message = format!("the deletion waits for the finalizers {}", live.finalizers.join(", "));
            let remedy = "let the controller that set the finalizers finish, or remove them from the object by hand";
            let problem = ObjectProblem::waiting(object.clone(), Reason::Finalizers, message);
            return Ok(Removal::Problem(problem.with_remedy(remedy)));
        }
        if live.keep || scope.deletion == Deletion::Orphan {
            return Ok(Removal::Release(kind, live));
        }
        if is_namespace_or_crd(object) {
            match self.emptiness(object, scope.deleted_uids).await? {
                Emptiness::Empty => {}
                Emptiness::HasOthers(why) => return Ok(Removal::Retain(why)),
                Emptiness::Pending(what) => {
                    let message = format!("the agent deletes it once it is empty: {what}");
                    return Ok(Removal::Problem(ObjectProblem::waiting(object.clone(), Reason::NotEmptyYet, message)));
                }
            }
        }
        Ok(Removal::Delete(kind, live))
    }

    /// Whether the object in the cluster is the one that the agent created. With a recorded UID: the UID matches, our
    /// manager owns fields in it, and its labels name no other stack. Without, as for an intent: the object was made for
    /// this stack by its labels and owned fields.
    fn is_ours(&self, entry: &Entry, live: &Live, stack: StackId) -> bool {
        match &entry.uid {
            Some(uid) => {
                let ours = live.made_for(self.agent).is_none_or(|made_for| made_for == stack);
                *uid == live.uid && live.ours_in_fields && ours
            }
            None => live.made_for(self.agent) == Some(stack),
        }
    }

    /// Ends our ownership of an object that stays. Edits labels and managed fields, and applies nothing.
    async fn release(&self, kind: &ApiKind, object: &ObjectRef, live: &Live) -> ClusterResult<StepResult> {
        let at = kind.at(object.namespace.as_deref(), &object.name);
        let Some(body) = self.cluster.get(&at).await?.filter(|body| meta::uid(body) == Some(&live.uid)) else {
            return Ok(StepResult::Forget);
        };
        let others: Vec<Value> = meta::managed_fields(&body)
            .filter(|entry| entry.get("manager").and_then(Value::as_str) != Some(self.manager))
            .map(|entry| Value::Object(entry.clone()))
            .collect();
        // The API server ignores an empty list; a list with one empty entry resets the managed fields.
        let managed_fields = if others.is_empty() { json!([{}]) } else { json!(others) };
        let patch = json!({"metadata": {
            "uid": live.uid,
            "resourceVersion": meta::resource_version(&body),
            "labels": {AGENT_LABEL: null, STACK_LABEL: null, PART_OF_LABEL: null},
            "managedFields": managed_fields,
        }});
        match self.writer_of(object).patch(&at, &Patch::Merge(patch), "orphaned-by-brokkr").await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Ok(StepResult::Forget),
            Err(ClusterError::Precondition(_)) => Ok(StepResult::Pending(CHANGED.to_owned())),
            Err(error) => Err(error),
        }
    }
}

/// The problem of an object that the API server refuses to delete. The server's message rarely mentions the deletion.
fn not_removed(object: &Arc<ObjectRef>, error: &ClusterError) -> ObjectProblem {
    let problem = ObjectProblem::api(object.clone(), error);
    ObjectProblem { message: format!("cannot remove the object: {}", problem.message), ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster as _;
    use crate::limits::LocalLimits;
    use crate::ownership::labels::KEEP_ANNOTATION;
    use crate::samples::{Fixture, manifest};

    /// An object that the agent created, with its inventory entry.
    struct Case {
        fixture: Fixture,
        kind: ApiKind,
        object: Arc<ObjectRef>,
        entry: Entry,
        deletion: Deletion,
        wanted_uids: BTreeSet<String>,
    }

    impl Case {
        async fn of(body: Value) -> Self {
            let fixture = Fixture::new().await;
            let prepared = fixture.sample.prepared(&body);
            let live = fixture.apply(&prepared, &fixture.manager).await;
            let mut entry = Entry::new(EntryState::Held);
            entry.uid = meta::uid(&live).map(str::to_owned);
            let (kind, object) = ((*prepared.kind).clone(), prepared.object.clone());
            Self { fixture, kind, object, entry, deletion: Deletion::Delete, wanted_uids: BTreeSet::new() }
        }

        async fn new() -> Self {
            Self::of(manifest("v1", "ConfigMap", "it")).await
        }

        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        /// Changes the object as another client.
        async fn patched(self, patch: Value) -> Self {
            let at = self.kind.at(self.object.namespace.as_deref(), &self.object.name);
            self.fixture.cluster.patch(&at, &Patch::Merge(patch), "another-client").await.expect("a patch");
            self
        }

        async fn deleted(self) -> Self {
            let at = self.kind.at(self.object.namespace.as_deref(), &self.object.name);
            let uid = self.entry.uid.as_deref().expect("a UID");
            let options = DeleteOptions { uid, resource_version: None, propagation: PropagationPolicy::Background };
            self.fixture.cluster.delete(&at, &options).await.expect("a deletion");
            self
        }

        async fn decided(&self) -> String {
            let observer = self.fixture.observer();
            let context = self.fixture.context(&observer);
            let (stack, gone) = (self.fixture.sample.stack, BTreeSet::new());
            let scope =
                RemovalScope { deletion: self.deletion, stack, deleted_uids: &gone, wanted_uids: &self.wanted_uids };
            let removal = context.decide_removal(&self.object, &self.entry, &scope);
            match removal.await.expect("a decision") {
                Removal::Forget => "forget".to_owned(),
                Removal::UnderWay(_) => "under way".to_owned(),
                Removal::Problem(problem) => {
                    format!("{} {}", if problem.waiting { "waits" } else { "fails" }, problem.reason)
                }
                Removal::Retain(_) => "retain".to_owned(),
                Removal::Release(..) => "release".to_owned(),
                Removal::Delete(..) => "delete".to_owned(),
            }
        }
    }

    #[tokio::test]
    async fn only_own_objects_are_removed() {
        let labels = |labels: Value| json!({"metadata": {"labels": labels}});
        let intent = |case: &mut Case| case.entry = Entry::new(EntryState::Intent);
        for (expected, case) in [
            ("delete", Case::new().await),
            ("forget", Case::new().await.deleted().await),
            ("forget", Case::new().await.with(|it| it.entry.uid = Some("another".to_owned()))),
            ("forget", Case::new().await.with(|it| it.wanted_uids.extend(it.entry.uid.clone()))),
            ("delete", Case::new().await.patched(labels(json!({STACK_LABEL: null}))).await),
            ("forget", Case::new().await.patched(labels(json!({STACK_LABEL: StackId::generate()}))).await),
            ("forget", Case::new().await.patched(json!({"metadata": {"managedFields": [{}]}})).await),
            // An intent has no UID, so the labels must match.
            ("delete", Case::new().await.with(intent)),
            ("forget", Case::new().await.patched(labels(json!({STACK_LABEL: null}))).await.with(intent)),
        ] {
            assert_eq!(case.decided().await, expected, "{:?}", case.fixture.cluster.objects().last());
        }
    }

    #[tokio::test]
    async fn removal_follows_policy_limits_and_what_is_served() {
        let keep = json!({"metadata": {"annotations": {KEEP_ANNOTATION: "true"}}});
        let do_not_keep = json!({"metadata": {"annotations": {KEEP_ANNOTATION: "false"}}});
        let finalizers = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        let limits = LocalLimits::default().only_kinds([]);
        let unserved = |case: &mut Case| case.fixture.discovery.kinds.retain(|it| it.kind != "ConfigMap");
        for (expected, case) in [
            ("release", Case::new().await.with(|it| it.deletion = Deletion::Orphan)),
            ("release", Case::new().await.patched(keep).await),
            ("delete", Case::new().await.patched(do_not_keep).await),
            ("waits Finalizers", Case::new().await.patched(finalizers).await.deleted().await),
            ("fails NotAllowed", Case::new().await.with(|it| it.fixture.limits = limits)),
            ("forget", Case::new().await.with(unserved)),
            ("waits ApiUnavailable", {
                Case::new().await.with(unserved).with(|it| it.fixture.discovery.failed.push(String::new()))
            }),
        ] {
            assert_eq!(case.decided().await, expected);
        }
    }

    #[tokio::test]
    async fn namespace_with_objects_of_others_is_retained() {
        let namespace = || Case::of(manifest("v1", "Namespace", "place"));
        assert_eq!(namespace().await.decided().await, "delete");
        let occupied = namespace().await;
        let mut theirs = manifest("v1", "ConfigMap", "theirs");
        theirs["metadata"]["namespace"] = json!("place");
        occupied.fixture.others_apply(&theirs).await;
        assert_eq!(occupied.decided().await, "retain");
    }
}
