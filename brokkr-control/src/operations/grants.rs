//! Operations on grants.

use brokkr_core::error::Invalid;
use brokkr_core::model::{Agent, Change, EntityKey, Grant, GrantId, GrantRules, Version, limits, validate_text};
use brokkr_core::store::{EntityQuery, Listing, Page, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::generators::expect_version;

/// Input of [`Broker::grant_create`].
#[derive(Debug, Clone, Default)]
pub struct NewGrant {
    /// A DNS label, unique among grants.
    pub name: String,
    /// A description for readers.
    pub description: String,
    /// What the grant allows. Default: what the grant `default` allows in a new store.
    pub rules: GrantRules,
}

/// The mutable fields of a grant.
#[derive(Debug, Clone, Default)]
pub struct GrantPatch {
    /// A description for readers.
    pub description: String,
    /// What the grant allows.
    pub rules: GrantRules,
}

fn validate(grant: &Grant) -> Result<(), Invalid> {
    validate_text(&grant.description, limits::DESCRIPTION_CHARACTERS).map_err(|error| error.within("description"))?;
    grant.rules.validate().map_err(|error| error.within("rules"))
}

impl Broker {
    /// Creates a grant.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field, [`BrokerError::AlreadyExists`] if the name is taken.
    pub async fn grant_create(&self, actor: &Actor, new: NewGrant) -> BrokerResult<Grant> {
        const NAME: &str = "grant.create";
        self.authorise(actor, Action::GrantManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let now = self.now();
            let grant = Grant {
                id: self.new_id(),
                name: new.name.parse().map_err(|error: Invalid| error.within("name"))?,
                description: new.description.clone(),
                rules: new.rules.clone(),
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            validate(&grant)?;
            Ok(Decision::commit(grant.clone(), vec![grant.into()]))
        })
        .await
    }

    /// Returns a grant.
    pub async fn grant_get(&self, actor: &Actor, id: GrantId) -> BrokerResult<Grant> {
        let scope = self.authorise(actor, Action::GrantRead, "grant.read", Some(EntityKey::Grant(id)))?;
        Ok(self.parts.store.get::<Grant>(&scope, id).await?)
    }

    /// Lists all grants, ordered by id.
    pub async fn grant_list(&self, actor: &Actor, page: &Page<GrantId>) -> BrokerResult<Listing<Grant, GrantId>> {
        let scope = self.authorise(actor, Action::GrantRead, "grant.read", None)?;
        Ok(self.parts.store.list::<Grant>(&scope, &EntityQuery::default(), page).await?)
    }

    /// Updates a grant if it has the expected version. Agents follow with their next poll: objects that the grant allows no
    /// more stay as they are, and are not written again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InUse`] for the grant `unrestricted`, which cannot be changed.
    pub async fn grant_update(
        &self,
        actor: &Actor,
        id: GrantId,
        expected: Option<Version>,
        edit: impl Fn(&Grant) -> Result<GrantPatch, Invalid>,
    ) -> BrokerResult<Grant> {
        const NAME: &str = "grant.update";
        let scope = self.authorise(actor, Action::GrantManage, NAME, Some(EntityKey::Grant(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Grant(id)), || async {
            let before = self.parts.store.get::<Grant>(&scope, id).await?;
            expect_version(expected, before.version)?;
            let GrantPatch { description, rules } = edit(&before)?;
            let after = Grant { description, rules, ..before.clone() };
            validate(&after)?;
            if after == before {
                return Ok(Decision::nothing(before));
            }
            if id == GrantId::UNRESTRICTED {
                return Err(BrokerError::InUse("the grant unrestricted cannot be changed; create another one".into()));
            }
            let after = Grant { version: before.version.next(), updated_at: self.now(), ..after };
            Ok(Decision::update(after.clone(), &before, after))
        })
        .await
    }

    /// Deletes a grant. Its name can be used again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InUse`] for the grants `default` and `unrestricted`, and while registrations or usable join tokens name the grant.
    pub async fn grant_delete(&self, actor: &Actor, id: GrantId) -> BrokerResult<()> {
        const NAME: &str = "grant.delete";
        let scope = self.authorise(actor, Action::GrantManage, NAME, Some(EntityKey::Grant(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Grant(id)), || async {
            let before = self.parts.store.get::<Grant>(&scope, id).await?;
            if id == GrantId::UNRESTRICTED || id == GrantId::DEFAULT {
                return Err(BrokerError::InUse("the grants default and unrestricted cannot be deleted".into()));
            }
            // A registration that names the grant at the same time requires this version of it.
            if self.is_granted(&scope, id).await? {
                return Err(BrokerError::InUse(
                    "registrations of agents name the grant; give them another one first".into(),
                ));
            }
            if self.join_tokens_with(&scope, |token| token.registrations.values().any(|grant| *grant == id)).await? {
                return Err(BrokerError::InUse("join tokens name the grant; delete them first".into()));
            }
            let now = self.now();
            let after = Grant { version: before.version.next(), updated_at: now, deleted_at: Some(now), ..before };
            Ok(Decision::commit((), vec![Change::Grant(after)]))
        })
        .await
    }

    /// Whether a registration names a grant.
    async fn is_granted(&self, scope: &Scope, id: GrantId) -> BrokerResult<bool> {
        let mut page = Page::first(limits::PAGE_MAX);
        loop {
            let agents = self.parts.store.list::<Agent>(scope, &EntityQuery::default(), &page).await?;
            if agents.items.iter().any(|agent| agent.registrations.values().any(|grant| *grant == id)) {
                return Ok(true);
            }
            match agents.next {
                Some(next) => page.after = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// Creates the grants `default` and `unrestricted` in a new store. Succeeds if another replica creates them first.
    pub(crate) async fn ensure_built_in_grants(&self) -> BrokerResult<()> {
        let now = self.now();
        let built_in = |id, name: &str, description: &str, rules| -> BrokerResult<Grant> {
            Ok(Grant {
                id,
                name: name.parse()?,
                description: description.to_owned(),
                rules,
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            })
        };
        let grants = [
            built_in(
                GrantId::DEFAULT,
                "default",
                "What new registrations allow: built-in namespaced kinds in the generator's own namespaces",
                GrantRules::default(),
            )?,
            built_in(GrantId::UNRESTRICTED, "unrestricted", "Allows everything", GrantRules::unrestricted())?,
        ];
        let actor = self.system_actor();
        self.decide(&actor, "grant.create", None, || async {
            let mut missing = Vec::new();
            for grant in &grants {
                match self.parts.store.get::<Grant>(&Scope::All, grant.id).await {
                    Ok(_) => {}
                    Err(StoreError::NotFound) => missing.push(Change::Grant(grant.clone())),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(if missing.is_empty() { Decision::nothing(()) } else { Decision::commit((), missing) })
        })
        .await
    }
}
