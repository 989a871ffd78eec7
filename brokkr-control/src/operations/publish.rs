//! Publishes and reads deployment objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::manifest::{ManifestSet, parsing_weight};
use brokkr_core::model::{
    Change, DeploymentObject, DeploymentObjectId, EntityKey, Provenance, Quota, ReleaseMode, Revision, Stack, StackId,
    StackPhase,
};
use brokkr_core::store::{Listing, Page, Precondition, Scope, StoreError, StoreExt as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::changes::Update;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::preparation::{Content, Preparation, Prepared};
use crate::operations::publication_changes::NewContent;
use crate::view::CATCH_UP;

/// The result of a publication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// The newest deployment object.
    pub object: DeploymentObject,
    /// Whether the publication created a revision. If not, the newest revision already had the same bytes.
    pub created: bool,
}

/// Input of [`Broker::rollback`].
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The revision to return to.
    pub revision: Revision,
    /// The environment whose gated agents return, by name. `None`: for a gated stack the agents without an environment, for
    /// other stacks all agents that are not gated.
    pub environment: Option<String>,
    /// The reason, for people. May be empty.
    pub reason: String,
}

impl Rollback {
    /// A rollback to this revision, without an environment and a reason.
    pub fn to(revision: Revision) -> Self {
        Self { revision, environment: None, reason: String::new() }
    }
}

/// Whether a revision has frozen the present policies and dependencies of its stack.
fn is_frozen_as(object: &DeploymentObject, stack: &Stack) -> bool {
    object.policies == stack.policies && object.depends_on == stack.depends_on
}

impl Broker {
    /// The result of publishing this content on top of `latest`, with the bytes to store.
    pub(crate) async fn publication(
        &self,
        actor: &Actor,
        stack: &Stack,
        latest: Option<&DeploymentObject>,
        content: &Preparation,
    ) -> BrokerResult<(Published, Option<Bytes>)> {
        let mut prepared = self.prepare(actor, stack, content).await?;
        let bytes = prepared.bytes.take();
        Ok((self.next_revision(actor, stack, latest, prepared), bytes))
    }

    fn next_revision(
        &self,
        actor: &Actor,
        stack: &Stack,
        latest: Option<&DeploymentObject>,
        prepared: Prepared,
    ) -> Published {
        let digest = prepared.digest;
        let revision = latest.map_or(Revision::FIRST, |it| it.revision.next());
        if let Some(object) = latest
            && object.digest == digest
            && is_frozen_as(object, stack)
        {
            return Published { object: object.clone(), created: false };
        }
        let object = DeploymentObject {
            id: self.new_id(),
            stack_id: stack.id,
            generator_id: stack.generator_id,
            revision,
            digest,
            size: prepared.size,
            object_count: u32::try_from(prepared.object_count).unwrap_or(u32::MAX),
            message: prepared.message,
            provenance: prepared.provenance,
            policies: stack.policies.clone(),
            depends_on: stack.depends_on.clone(),
            warnings: prepared.warnings,
            created_by: actor.reference(),
            created_at: self.now(),
        };
        Published { object, created: true }
    }

    /// What a new revision changes in the manifests, under the audited object; `None` if it is the first, or if there is none.
    pub(super) async fn explained(
        &self,
        actor: &Actor,
        audited: EntityKey,
        latest: Option<&DeploymentObject>,
        published: &Published,
        content: Option<NewContent>,
    ) -> BrokerResult<Option<Update>> {
        match (latest, content) {
            (Some(latest), Some(content)) if published.created => {
                self.manifest_changes(actor, audited, latest, &published.object, content).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// An active stack and its newest deployment object according to the view; `None` if the view has no such stack.
    fn seen(&self, scope: &Scope, id: StackId) -> Option<(Arc<Stack>, Option<Arc<DeploymentObject>>)> {
        let seen = self.parts.view.stack_with_object(id)?;
        (seen.0.is_active() && scope.sees_stack(id, seen.0.generator_id)).then_some(seen)
    }

    /// Reads an active stack from the store.
    async fn publishable(&self, scope: &Scope, id: StackId) -> BrokerResult<Stack> {
        let stack = self.parts.store.get::<Stack>(scope, id).await?;
        if stack.phase == StackPhase::Deleting {
            return Err(BrokerError::StackDeleting);
        }
        Ok(stack)
    }

    /// Publishes content as the next revision of a stack. Creates no revision if the bytes equal the newest revision's.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for invalid manifests, [`BrokerError::StackDeleting`] for a stack that is being deleted, and
    /// the generator's errors for generated content.
    pub async fn publish(&self, actor: &Actor, id: StackId, content: Content) -> BrokerResult<Published> {
        const NAME: &str = "deployment-object.publish";
        let scope = self.authorise(actor, Action::Publish, NAME, Some(EntityKey::Stack(id)))?;
        let tries = AtomicUsize::new(0);
        let content = Preparation::from(content);
        self.decide_once(actor, NAME, Some(EntityKey::Stack(id)), || async {
            let decide = async |stack: &Stack, latest: Option<&DeploymentObject>| {
                let limit = self.within_limit(actor, stack.generator_id).await?;
                let (published, bytes) = self.publication(actor, stack, latest, &content).await?;
                let content = bytes.clone().map(NewContent::Bytes);
                let update = self.explained(actor, EntityKey::Stack(id), latest, &published, content).await?;
                let mut decision = self.published_decision(stack, published, bytes, update).await?;
                decision.preconditions.extend(limit);
                Ok(decision)
            };
            // Try the view first: the commit's preconditions detect a stale view. A decision without a commit has none, so
            // confirm it against the store.
            let seen = if tries.fetch_add(1, Ordering::Relaxed) == 0 { self.seen(&scope, id) } else { None };
            let mut decided = None;
            if let Some((stack, latest)) = seen {
                let decision = decide(&stack, latest.as_deref()).await?;
                if decision.outcome.created {
                    return Ok(decision);
                }
                decided = Some((stack, latest, decision));
            }
            let now = self.publishable(&scope, id).await?;
            let newest = self.parts.store.deployment_object_latest(&scope, id).await?;
            match decided {
                Some((stack, latest, decision)) if *stack == now && latest.as_deref() == newest.as_ref() => {
                    Ok(decision)
                }
                _ => decide(&now, newest.as_ref()).await,
            }
        })
        .await
    }

    /// The revision that a change of the stack's policies or dependencies makes of the newest one; `None` if neither differs.
    pub(super) fn resettled(
        &self,
        actor: &Actor,
        stack: &Stack,
        latest: &DeploymentObject,
    ) -> Option<DeploymentObject> {
        (!is_frozen_as(latest, stack)).then(|| DeploymentObject {
            id: self.new_id(),
            revision: latest.revision.next(),
            message: String::new(),
            provenance: Provenance::Settings,
            policies: stack.policies.clone(),
            depends_on: stack.depends_on.clone(),
            created_by: actor.reference(),
            created_at: self.now(),
            ..latest.clone()
        })
    }

    /// A revision of a stack that a request names.
    pub(super) async fn named_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> BrokerResult<DeploymentObject> {
        let found = self.parts.store.deployment_object_by_revision(scope, stack, revision).await;
        found.map_err(|error| match error {
            StoreError::NotFound => {
                let invalid = Invalid::new(InvalidCode::ReferenceInvalid, "the stack has no such revision");
                invalid.within("revision").into()
            }
            error => error.into(),
        })
    }

    /// Returns to an earlier revision, with its content, policies and dependencies.
    ///
    /// Agents that are gated in the environment return to a revision that was stable there: see
    /// [`Rollback::environment`]. For all others the earlier revision is published again as a new one.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NeedsRollout`] if the revision was never stable there.
    pub async fn rollback(&self, actor: &Actor, id: StackId, rollback: Rollback) -> BrokerResult<Published> {
        const NAME: &str = "stack.rollback";
        let scope = self.authorise(actor, Action::Publish, NAME, Some(EntityKey::Stack(id)))?;
        let to = rollback.revision;
        self.decide_once(actor, NAME, Some(EntityKey::Stack(id)), || async {
            let before = self.publishable(&scope, id).await?;
            let old = self.named_revision(&scope, id, to).await?;
            if rollback.environment.is_some() || before.release == ReleaseMode::Gated {
                return self.return_to(actor, &before, old, &rollback).await;
            }
            let limit = self.within_limit(actor, before.generator_id).await?;
            let mut stack = before.clone();
            (stack.policies, stack.depends_on) = (old.policies.clone(), old.depends_on.clone());
            let is_changed = stack != before;
            if is_changed {
                self.refuse_ungranted_policies(&stack)?;
                (stack.version, stack.updated_at) = (before.version.next(), self.now());
            }
            let latest = self.parts.store.deployment_object_latest(&scope, id).await?;
            // The grants may have become narrower since.
            if !self.restricting_grants(&stack).is_empty() {
                let (_, bytes) = self.parts.store.deployment_object_content(&scope, old.id).await?;
                let weight = parsing_weight(&bytes);
                let set = self.run_blocking(actor, weight, move || ManifestSet::parse_yaml(&bytes)).await?;
                self.refuse_ungranted(actor, &stack, &Arc::new(set), old.size).await?;
            }
            // The store already has the content.
            let prepared = Prepared {
                digest: old.digest,
                size: old.size,
                bytes: None,
                object_count: old.object_count as usize,
                warnings: old.warnings,
                message: format!("rollback to revision {to}"),
                provenance: Provenance::Rollback { of: to },
            };
            let published = self.next_revision(actor, &stack, latest.as_ref(), prepared);
            let content = Some(NewContent::Of(old.id));
            let update = self.explained(actor, EntityKey::Stack(id), latest.as_ref(), &published, content).await?;
            let mut decision = self.published_decision(&before, published, None, None).await?;
            let changed = is_changed.then(|| Update::of(&before, &stack));
            decision.updates.extend(match (changed, update) {
                (Some(changed), Some(update)) => Some(changed.and(update)),
                (changed, update) => changed.or(update),
            });
            if is_changed {
                // The change of the stack checks its version.
                decision.preconditions = self.check_dependencies(&scope, &stack, &before.depends_on).await?;
                decision.preconditions.extend(self.revision_quotas(&decision.outcome.object).await?);
                decision.changes.push(Change::Stack(stack));
                decision.object = Some(EntityKey::Stack(id));
            }
            decision.preconditions.extend(limit);
            Ok(decision)
        })
        .await
    }

    /// Returns the metadata of a deployment object.
    pub async fn deployment_object_get(&self, actor: &Actor, id: DeploymentObjectId) -> BrokerResult<DeploymentObject> {
        let scope = self.object_scope(actor, id).await?;
        Ok(self.parts.store.get::<DeploymentObject>(&scope, id).await?)
    }

    /// Returns a deployment object with its stored bytes, if the actor may see it.
    pub(super) async fn stored_content(
        &self,
        actor: &Actor,
        id: DeploymentObjectId,
    ) -> BrokerResult<(DeploymentObject, Bytes)> {
        let scope = self.object_scope(actor, id).await?;
        // The cache reads without a scope, for all callers; access is checked afterwards.
        let read = self.parts.store.deployment_object_content(&Scope::All, id);
        let found = match self.parts.contents.get_or_read(self.epoch(), id, read).await {
            Ok(found) if self.is_seen(&scope, found.0.stack_id) => return Ok(found),
            Ok(found) => Some(found),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        // The view cannot decide access to a stack that is being deleted, so ask the store. Ask it for missing objects too,
        // so that the response time does not reveal whether an object exists.
        self.parts.store.get::<DeploymentObject>(&scope, id).await?;
        found.ok_or(BrokerError::NotFound)
    }

    /// Authorises reading a deployment object, and returns the rows that the actor covers. An agent reads only what it
    /// should apply now: what it holds, or reports to hold, gives it no right.
    async fn object_scope(&self, actor: &Actor, id: DeploymentObjectId) -> BrokerResult<Scope> {
        let object = Some(EntityKey::DeploymentObject(id));
        let scope = self.authorise(actor, Action::DeploymentObjectRead, "deployment-object.read", object)?;
        let Some(agent) = actor.agent_id().filter(|agent| !self.parts.view.lists(*agent, id)) else {
            return Ok(scope);
        };
        // Another replica with a newer view may have listed it.
        self.parts.view.refreshed(CATCH_UP).await?;
        if self.parts.view.lists(agent, id) { Ok(self.scope(actor)) } else { Err(BrokerError::NotFound) }
    }

    /// Whether the view has the stack as active and in scope.
    fn is_seen(&self, scope: &Scope, stack: StackId) -> bool {
        let stack = self.parts.view.stack(stack).filter(|stack| stack.is_active());
        stack.is_some_and(|stack| scope.sees_stack(stack.id, stack.generator_id))
    }

    /// Lists the revisions of a stack, newest first.
    pub async fn deployment_object_list(
        &self,
        actor: &Actor,
        stack: StackId,
        page: &Page<Revision>,
    ) -> BrokerResult<Listing<DeploymentObject, Revision>> {
        let scope = self.authorise(actor, Action::StackRead, "deployment-object.read", None)?;
        Ok(self.parts.store.deployment_object_list(&scope, stack, page).await?)
    }
}

impl Broker {
    async fn published_decision(
        &self,
        stack: &Stack,
        published: Published,
        bytes: Option<Bytes>,
        update: Option<Update>,
    ) -> BrokerResult<Decision<Published>> {
        if !published.created {
            return Ok(Decision::nothing(published));
        }
        let object = published.object.clone();
        let mut decision = Decision::commit(published, vec![Change::DeploymentObject(object.clone())])
            .provided(Precondition::Version(EntityKey::Stack(stack.id), stack.version))
            .detail(format!("revision {} {}", object.revision, object.digest));
        decision.preconditions.extend(self.revision_quotas(&object).await?);
        decision.contents.extend(bytes.map(|bytes| (object.digest, bytes)));
        decision.object = Some(EntityKey::Stack(stack.id));
        decision.updates.extend(update);
        Ok(decision)
    }

    /// The quotas of a new revision.
    pub(crate) async fn revision_quotas(&self, object: &DeploymentObject) -> BrokerResult<Vec<Precondition>> {
        let owner = object.generator_id;
        let revisions = self.within_quota(owner, Quota::Revisions, 1).await?;
        let bytes = self.within_quota(owner, Quota::ManifestBytes, object.size).await?;
        Ok(revisions.into_iter().chain(bytes).collect())
    }
}
