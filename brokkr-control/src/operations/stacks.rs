//! Operations on stacks.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Annotations, Change, EntityKey, GeneratorId, GeneratorPrincipal, Labels, Name, Policies, Quota, ReleaseMode, Stack,
    StackId, StackPhase, StackSpec, Version,
};
use brokkr_core::store::{EntityQuery, Listing, Page, Precondition, Scope, StoreError, StoreExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::changes::Update;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::generate::Generator;
use crate::operations::generators::expect_version;
use crate::operations::preparation::{Content, Preparation};
use crate::operations::publication_changes::NewContent;
use crate::operations::publish::Published;

/// The result of creating or updating a stack and its content in one commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Applied {
    /// The stack after the operation.
    pub stack: Stack,
    /// Whether the operation created the stack.
    pub created: bool,
    /// The publication; `None` if the request has no content.
    pub published: Option<Published>,
}

impl Broker {
    /// The generator that owns the stacks which this actor creates.
    async fn stack_owner(
        &self,
        actor: &Actor,
        scope: &Scope,
        wanted: Option<GeneratorId>,
    ) -> BrokerResult<(GeneratorId, Precondition)> {
        let id = match (actor.generator_id(), wanted) {
            (Some(own), None) => own,
            (Some(own), Some(wanted)) if own == wanted => own,
            (Some(_), Some(_)) => return Err(BrokerError::NotFound),
            (None, wanted) => wanted.unwrap_or(GeneratorId::SYSTEM),
        };
        let generator = self.parts.store.get::<GeneratorPrincipal>(scope, id).await?;
        Ok((id, Precondition::Version(EntityKey::Generator(id), generator.version)))
    }

    fn new_stack(&self, owner: GeneratorId, spec: StackSpec) -> Result<Stack, Invalid> {
        let now = self.now();
        let mut stack = Stack {
            id: self.new_id(),
            generator_id: owner,
            name: spec.name.parse().map_err(|error: Invalid| error.within("name"))?,
            description: String::new(),
            labels: Labels::default(),
            annotations: Annotations::default(),
            targeting: None,
            policies: Policies::default(),
            depends_on: Vec::new(),
            release: ReleaseMode::Immediate,
            suspended: None,
            deletion_protection: false,
            expires_at: None,
            expiry_announced_at: None,
            phase: StackPhase::Active,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        spec.write_to(&mut stack)?;
        self.refuse_past_end(&stack)?;
        self.refuse_ungranted_policies(&stack)?;
        Ok(stack)
    }

    /// A past end would delete the stack at once: more likely a mistake than an order.
    fn refuse_past_end(&self, stack: &Stack) -> Result<(), Invalid> {
        if stack.expires_at.is_some_and(|end| end <= self.now()) {
            let message = "the time is in the past; to remove the stack now, delete it";
            return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("expires_at"));
        }
        Ok(())
    }

    /// Creates a stack. `owner` defaults to the actor's generator, for admins to the system generator.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field, [`BrokerError::AlreadyExists`] if the owner has a stack with this
    /// name, [`BrokerError::StackDeleting`] if that stack is being deleted.
    pub async fn stack_create(
        &self,
        actor: &Actor,
        owner: Option<GeneratorId>,
        spec: StackSpec,
    ) -> BrokerResult<Stack> {
        const NAME: &str = "stack.create";
        let scope = self.authorise(actor, Action::StackManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let (owner, precondition) = self.stack_owner(actor, &scope, owner).await?;
            self.within_limit(actor, owner).await?;
            let stack = self.new_stack(owner, spec.clone())?;
            self.check_rule(&stack, None).await?;
            let mut preconditions = self.check_dependencies(&scope, &stack, &[]).await?;
            preconditions.push(precondition);
            preconditions.extend(self.within_quota(owner, Quota::Stacks, 1).await?);
            self.refuse_taken_name(owner, &stack.name).await?;
            Ok(Decision { preconditions, ..Decision::commit(stack.clone(), vec![Change::Stack(stack)]) })
        })
        .await
    }

    /// Refuses a taken name. The error tells an active stack from one that is being deleted, whose name becomes free.
    async fn refuse_taken_name(&self, owner: GeneratorId, name: &Name) -> BrokerResult<()> {
        match self.parts.store.stack_by_name(&Scope::All, owner, name).await {
            Ok(there) if there.phase == StackPhase::Deleting => Err(BrokerError::StackDeleting),
            Ok(_) => Err(BrokerError::AlreadyExists(brokkr_core::store::UniqueKey::StackName)),
            Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns a stack.
    pub async fn stack_get(&self, actor: &Actor, id: StackId) -> BrokerResult<Stack> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", Some(EntityKey::Stack(id)))?;
        Ok(self.parts.store.get::<Stack>(&scope, id).await?)
    }

    /// Returns the stack with this name: of the actor's generator, for admins of the system generator, as
    /// [`stack_apply`](Self::stack_apply) finds it. To find the stacks of other generators use
    /// [`stack_list`](Self::stack_list).
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] if there is none, also for a text that is no valid name.
    pub async fn stack_by_name(&self, actor: &Actor, name: &str) -> BrokerResult<Stack> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", None)?;
        let name: Name = name.parse().map_err(|_| BrokerError::NotFound)?;
        let owner = actor.generator_id().unwrap_or(GeneratorId::SYSTEM);
        Ok(self.parts.store.stack_by_name(&scope, owner, &name).await?)
    }

    /// Lists the stacks that the actor may see and that match the filter.
    pub async fn stack_list(
        &self,
        actor: &Actor,
        filter: &EntityQuery,
        page: &Page<StackId>,
    ) -> BrokerResult<Listing<Stack, StackId>> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", None)?;
        Ok(self.parts.store.list::<Stack>(&scope, filter, page).await?)
    }

    /// Updates a stack if it has the expected version. `edit` returns the new spec, given the current one; after a lost race
    /// it runs again.
    pub async fn stack_update(
        &self,
        actor: &Actor,
        id: StackId,
        expected: Option<Version>,
        edit: impl Fn(StackSpec) -> Result<StackSpec, Invalid>,
    ) -> BrokerResult<Stack> {
        const NAME: &str = "stack.update";
        let scope = self.authorise(actor, Action::StackManage, NAME, Some(EntityKey::Stack(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(id)), || async {
            let before = self.parts.store.get::<Stack>(&scope, id).await?;
            expect_version(expected, before.version)?;
            let limit = self.within_limit(actor, before.generator_id).await?;
            Ok(match self.edited(&before, &edit)? {
                None => Decision::nothing(before),
                Some(after) => {
                    self.check_rule(&after, Some(&before)).await?;
                    let mut preconditions = self.check_dependencies(&scope, &after, &before.depends_on).await?;
                    preconditions.extend(limit);
                    let latest = self.parts.store.deployment_object_latest(&scope, id).await?;
                    let resettled = latest.as_ref().and_then(|latest| self.resettled(actor, &after, latest));
                    let mut decision = Decision::update(after.clone(), &before, after.clone());
                    if let Some(object) = &resettled {
                        preconditions.extend(self.revision_quotas(object).await?);
                        decision.changes.push(Change::DeploymentObject(object.clone()));
                    }
                    for present in self.present_if_gated(&before, &after, latest.as_ref()).await? {
                        present.add_to(&mut decision.changes, &mut decision.updates);
                    }
                    Decision { preconditions, ..decision }
                }
            })
        })
        .await
    }

    /// The stack with the new spec; `None` if nothing differs.
    fn edited(
        &self,
        before: &Stack,
        edit: &impl Fn(StackSpec) -> Result<StackSpec, Invalid>,
    ) -> BrokerResult<Option<Stack>> {
        if before.phase == StackPhase::Deleting {
            return Err(BrokerError::StackDeleting);
        }
        let mut after = before.clone();
        edit(StackSpec::from(before))?.write_to(&mut after)?;
        if after == *before {
            return Ok(None);
        }
        if after.expires_at != before.expires_at {
            self.refuse_past_end(&after)?;
        }
        if after.policies != before.policies {
            self.refuse_ungranted_policies(&after)?;
        }
        after.version = before.version.next();
        after.updated_at = self.now();
        Ok(Some(after))
    }

    /// Creates or updates a stack by name and publishes its content, in one commit. Commits nothing if the stack and its
    /// content are already as requested. `edit` returns the new spec, given the current one.
    pub async fn stack_apply(
        &self,
        actor: &Actor,
        owner: Option<GeneratorId>,
        name: &str,
        edit: impl Fn(StackSpec) -> Result<StackSpec, Invalid>,
        content: Option<Content>,
    ) -> BrokerResult<Applied> {
        const NAME: &str = "stack.apply";
        let scope = self.authorise(actor, Action::StackManage, NAME, None)?;
        let content = content.map(Preparation::from);
        self.decide_once(actor, NAME, None, || async {
            let name: Name = name.parse().map_err(|error: Invalid| error.within("name"))?;
            let (owner, precondition) = self.stack_owner(actor, &scope, owner).await?;
            let mut preconditions: Vec<Precondition> = self.within_limit(actor, owner).await?.into_iter().collect();
            let mut update = None;
            let mut presents = Vec::new();
            let (stack, change, created) = match self.parts.store.stack_by_name(&scope, owner, &name).await {
                Ok(before) => match self.edited(&before, &edit)? {
                    None => (before, false, false),
                    Some(after) => {
                        self.check_rule(&after, Some(&before)).await?;
                        preconditions.extend(self.check_dependencies(&scope, &after, &before.depends_on).await?);
                        update = Some(Update::of(&before, &after));
                        let latest = self.parts.store.deployment_object_latest(&scope, after.id).await?;
                        presents = self.present_if_gated(&before, &after, latest.as_ref()).await?;
                        (after, true, false)
                    }
                },
                Err(StoreError::NotFound) => {
                    let spec = edit(StackSpec::named(name.as_str()))?;
                    if spec.name != name.as_str() {
                        let message = "the name differs from the stack's name, which cannot change; remove it";
                        return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("name").into());
                    }
                    let stack = self.new_stack(owner, spec)?;
                    self.check_rule(&stack, None).await?;
                    preconditions.extend(self.check_dependencies(&scope, &stack, &[]).await?);
                    (stack, true, true)
                }
                Err(error) => return Err(error.into()),
            };
            if created {
                preconditions.extend(self.within_quota(owner, Quota::Stacks, 1).await?);
            }
            let (mut changes, mut contents) = (Vec::new(), BTreeMap::new());
            if change {
                changes.push(Change::Stack(stack.clone()));
            }
            let published = match &content {
                None if change && !created => {
                    let latest = self.parts.store.deployment_object_latest(&scope, stack.id).await?;
                    if let Some(object) = latest.and_then(|latest| self.resettled(actor, &stack, &latest)) {
                        preconditions.extend(self.revision_quotas(&object).await?);
                        changes.push(Change::DeploymentObject(object));
                    }
                    None
                }
                None => None,
                Some(content) => {
                    let latest = if created {
                        None
                    } else {
                        self.parts.store.deployment_object_latest(&scope, stack.id).await?
                    };
                    let (published, bytes) = self.publication(actor, &stack, latest.as_ref(), content).await?;
                    if published.created {
                        preconditions.extend(self.revision_quotas(&published.object).await?);
                        let audited = change.then_some(EntityKey::Stack(stack.id));
                        let audited = audited.unwrap_or(EntityKey::DeploymentObject(published.object.id));
                        let new = bytes.clone().map(NewContent::Bytes);
                        let manifests = self.explained(actor, audited, latest.as_ref(), &published, new).await?;
                        update = match (update, manifests) {
                            (Some(update), Some(manifests)) => Some(update.and(manifests)),
                            (update, manifests) => update.or(manifests),
                        };
                        changes.push(Change::DeploymentObject(published.object.clone()));
                        contents.extend(bytes.map(|bytes| (published.object.digest, bytes)));
                    }
                    Some(published)
                }
            };
            let unchanged = Precondition::Version(EntityKey::Stack(stack.id), stack.version);
            let applied = Applied { created, published, stack };
            if changes.is_empty() {
                return Ok(Decision::nothing(applied));
            }
            if created {
                preconditions.push(precondition);
            } else if !change {
                preconditions.push(unchanged);
            }
            let mut updates = update.into_iter().collect();
            presents.into_iter().for_each(|present| present.add_to(&mut changes, &mut updates));
            Ok(Decision { contents, preconditions, updates, ..Decision::commit(applied, changes) })
        })
        .await
    }

    /// Creates or updates a stack and publishes the manifests that the registered generator `G` returns for `params`, in one
    /// commit.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Internal`] if no generator of this type is registered, or more than one. With several instances of one
    /// type use [`generate_named`](Self::generate_named), which also lists the other errors.
    pub async fn generate<G: Generator>(
        &self,
        actor: &Actor,
        spec: StackSpec,
        params: G::Params,
    ) -> BrokerResult<Applied>
    where
        G::Params: Serialize,
    {
        let defect = |what: String| BrokerError::Internal(what.into());
        let mut of_type = self.parts.generators.iter().filter(|(_, it)| it.of == TypeId::of::<G>());
        let (Some((name, _)), None) = (of_type.next(), of_type.next()) else {
            return Err(defect(format!(
                "the broker needs exactly one registered generator of type {}",
                type_name::<G>()
            )));
        };
        let params = serde_json::to_value(params)
            .map_err(|error| defect(format!("cannot serialize the parameters of the generator {name}: {error}")))?;
        self.generate_named(actor, name, spec, params).await
    }

    /// Creates or updates a stack and publishes the manifests that the generator `generator` returns for `params`, in one
    /// commit.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] if the generator is not registered or `params` do not match its schema;
    /// [`BrokerError::GeneratorRefused`] or [`BrokerError::GeneratorUnavailable`] if it fails. Nothing changes on an error.
    pub async fn generate_named(
        &self,
        actor: &Actor,
        generator: &str,
        spec: StackSpec,
        params: Value,
    ) -> BrokerResult<Applied> {
        let name = spec.name.clone();
        let content = Content::Generated { generator: generator.to_owned(), params };
        self.stack_apply(actor, None, &name, |_| Ok(spec.clone()), Some(content)).await
    }
}
