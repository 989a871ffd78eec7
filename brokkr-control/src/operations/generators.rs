//! Operations on generators.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Change, Entity, EntityKey, GeneratorId, GeneratorPrincipal, KeyOwner, Name, Stack, Timestamp, Version, limits,
    validate_text,
};
use brokkr_core::store::{EntityQuery, Listing, Page, Precondition, Scope, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::key_terms::KeyTerms;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::keys::{NewPak, revoke_all};
use crate::view::CATCH_UP;

/// Input of [`Broker::generator_create`].
#[derive(Debug, Clone, Default)]
pub struct NewGenerator {
    /// A DNS label, unique among generators.
    pub name: String,
    /// A description for readers.
    pub description: String,
    /// What its first key permits. Default: the scopes of a publisher.
    pub key: KeyTerms,
}

/// Changes to a generator; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct GeneratorPatch {
    /// A description for readers.
    pub description: Option<String>,
}

impl Broker {
    /// Creates a generator and its first key.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field, and for a name that begins with another generator's name and a hyphen, or
    /// the reverse: both would have the same namespaces. [`BrokerError::AlreadyExists`] if the name is taken.
    pub async fn generator_create(
        &self,
        actor: &Actor,
        new: NewGenerator,
    ) -> BrokerResult<(GeneratorPrincipal, NewPak)> {
        const NAME: &str = "generator.create";
        self.authorise(actor, Action::GeneratorManage, NAME, None)?;
        self.permit(actor, Action::KeyManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let now = self.now();
            let generator = self.new_generator(&new.name, &new.description, now).await?;
            let owner = KeyOwner::Generator { id: generator.id };
            let key = self.mint(actor, owner, "initial", new.key.clone(), now);
            let pak = key.map_err(|error| match error {
                BrokerError::Invalid(invalid) => invalid.within("key").into(),
                error => error,
            })?;
            let changes = vec![Change::Generator(generator.clone()), Change::Key(pak.key.clone())];
            Ok(Decision::commit((generator, pak), changes))
        })
        .await
    }

    /// Returns the generator with this name, and creates it without a key if there is none. A host calls it at every start
    /// for the generator that owns its stacks, and acts as the generator with [`generator_actor`](Self::generator_actor).
    ///
    /// An existing generator keeps its description. Agents serve its stacks once they are
    /// [registered](Self::agent_register) with it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use brokkr_control::Broker;
    /// use brokkr_core::store::MemoryStore;
    ///
    /// let broker = Broker::builder(MemoryStore::new()).start().await?;
    /// let system = broker.system_actor();
    /// let platform = broker.ensure_generator(&system, "platform", "The platform's workspaces").await?;
    /// assert_eq!(broker.ensure_generator(&system, "platform", "").await?.id, platform.id);
    /// let actor = broker.generator_actor(platform.id)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn ensure_generator(
        &self,
        actor: &Actor,
        name: &str,
        description: &str,
    ) -> BrokerResult<GeneratorPrincipal> {
        const NAME: &str = "generator.create";
        let scope = self.authorise(actor, Action::GeneratorManage, NAME, None)?;
        let ensured = || async {
            let valid: Name = name.parse().map_err(|error: Invalid| error.within("name"))?;
            match self.named::<GeneratorPrincipal>(&scope, valid.as_str()).await {
                Ok(found) => return Ok(Decision::nothing(found)),
                Err(BrokerError::NotFound) => {}
                Err(error) => return Err(error),
            }
            let generator = self.new_generator(valid.as_str(), description, self.now()).await?;
            Ok(Decision::commit(generator.clone(), vec![Change::Generator(generator)]))
        };
        match self.decide_unrecorded(actor, NAME, ensured).await {
            // Another broker has created it since.
            Err(BrokerError::AlreadyExists(_)) => self.decide(actor, NAME, None, ensured).await,
            Err(error) => {
                self.failed(actor, NAME, None, &error);
                Err(error)
            }
            Ok(generator) => Ok(generator),
        }
    }

    async fn new_generator(&self, name: &str, description: &str, now: Timestamp) -> BrokerResult<GeneratorPrincipal> {
        validate_text(description, limits::DESCRIPTION_CHARACTERS).map_err(|error| error.within("description"))?;
        let name: Name = name.parse().map_err(|error: Invalid| error.within("name"))?;
        self.refuse_shared_namespaces(&name).await?;
        Ok(GeneratorPrincipal {
            id: self.new_id(),
            name,
            description: description.to_owned(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        })
    }

    /// Refuses a name with which two generators would have the same namespaces by default.
    async fn refuse_shared_namespaces(&self, name: &Name) -> BrokerResult<()> {
        self.parts.view.refreshed(CATCH_UP).await?;
        match self.parts.view.generator_beside(name) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "{name} and the generator {other} would share namespaces, because by default a generator has those that \
                     begin with its name and a hyphen; choose a name of which neither begins with the other and a hyphen"
                );
                Err(Invalid::new(InvalidCode::FieldInvalid, message).within("name").into())
            }
        }
    }

    /// The entity with this name, of a kind with unique names.
    pub(crate) async fn named<E: Entity>(&self, scope: &Scope, name: &str) -> BrokerResult<E> {
        let name: Name = name.parse().map_err(|_| BrokerError::NotFound)?;
        let query = EntityQuery { name: Some(name), ..EntityQuery::default() };
        let found = self.parts.store.list::<E>(scope, &query, &Page::first(1)).await?;
        found.items.into_iter().next().ok_or(BrokerError::NotFound)
    }

    /// Returns a generator.
    pub async fn generator_get(&self, actor: &Actor, id: GeneratorId) -> BrokerResult<GeneratorPrincipal> {
        let scope = self.authorise(actor, Action::GeneratorRead, "generator.read", Some(EntityKey::Generator(id)))?;
        Ok(self.parts.store.get::<GeneratorPrincipal>(&scope, id).await?)
    }

    /// Lists the generators that the actor may see.
    pub async fn generator_list(
        &self,
        actor: &Actor,
        page: &Page<GeneratorId>,
    ) -> BrokerResult<Listing<GeneratorPrincipal, GeneratorId>> {
        let scope = self.authorise(actor, Action::GeneratorRead, "generator.read", None)?;
        Ok(self.parts.store.list::<GeneratorPrincipal>(&scope, &EntityQuery::default(), page).await?)
    }

    /// Updates a generator if it has the expected version.
    pub async fn generator_update(
        &self,
        actor: &Actor,
        id: GeneratorId,
        expected: Option<Version>,
        patch: GeneratorPatch,
    ) -> BrokerResult<GeneratorPrincipal> {
        const NAME: &str = "generator.update";
        let scope = self.authorise(actor, Action::GeneratorManage, NAME, Some(EntityKey::Generator(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Generator(id)), || async {
            let before = self.parts.store.get::<GeneratorPrincipal>(&scope, id).await?;
            expect_version(expected, before.version)?;
            let mut after = before.clone();
            if let Some(description) = &patch.description {
                validate_text(description, limits::DESCRIPTION_CHARACTERS)
                    .map_err(|error| error.within("description"))?;
                after.description.clone_from(description);
            }
            if after == before {
                return Ok(Decision::nothing(before));
            }
            after.version = before.version.next();
            after.updated_at = self.now();
            Ok(Decision::update(after.clone(), &before, after))
        })
        .await
    }

    /// Deletes a generator, with its keys and registrations.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InUse`] if it owns stacks, or for the system generator.
    pub async fn generator_delete(&self, actor: &Actor, id: GeneratorId) -> BrokerResult<()> {
        const NAME: &str = "generator.delete";
        let scope = self.authorise(actor, Action::GeneratorManage, NAME, Some(EntityKey::Generator(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Generator(id)), || async {
            let mut generator = self.parts.store.get::<GeneratorPrincipal>(&scope, id).await?;
            if id == GeneratorId::SYSTEM {
                return Err(BrokerError::InUse("the system generator cannot be deleted"));
            }
            let owned = EntityQuery { generator: Some(id), ..EntityQuery::default() };
            if !self.parts.store.list::<Stack>(&scope, &owned, &Page::first(1)).await?.items.is_empty() {
                return Err(BrokerError::InUse("the generator owns stacks; delete them first"));
            }
            let now = self.now();
            generator.version = generator.version.next();
            generator.updated_at = now;
            generator.deleted_at = Some(now);
            let mut changes = vec![Change::Generator(generator)];
            changes.extend(revoke_all(self, &scope, KeyOwner::Generator { id }, now).await?);
            // A stack may be created concurrently.
            let mut decision = Decision::commit((), changes).provided(Precondition::OwnsNoStacks(id));
            for (before, after) in self.unregister_all(&scope, id, now).await? {
                decision = decision.and_update(&before, after);
            }
            Ok(decision)
        })
        .await
    }
}

/// Fails unless the entity has the expected version; `None` accepts any version.
pub(crate) fn expect_version(expected: Option<Version>, actual: Version) -> BrokerResult<()> {
    match expected {
        Some(expected) if expected != actual => Err(BrokerError::PreconditionFailed),
        _ => Ok(()),
    }
}
