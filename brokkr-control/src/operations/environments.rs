//! Operations on environments.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{Change, EntityKey, Environment, EnvironmentId, Version, limits, validate_text};
use brokkr_core::store::{EntityQuery, Listing, Page, Precondition, StoreExt as _};
use serde_json::{Map, Value};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::generators::expect_version;
use crate::view::CATCH_UP;

/// Input of [`Broker::environment_create`].
#[derive(Debug, Clone, Default)]
pub struct NewEnvironment {
    /// A DNS label, unique among environments. It cannot be changed later.
    pub name: String,
    /// A description for readers.
    pub description: String,
    /// Position in the promotion order; 0 comes first.
    pub rank: u32,
    /// Values for templates, at most 64 KiB of JSON. Not for secrets.
    pub values: Map<String, Value>,
    /// Whether agents of the environment get only revisions that are stable in it.
    pub protected: bool,
}

/// The mutable fields of an environment.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentPatch {
    /// A description for readers.
    pub description: String,
    /// Position in the promotion order; 0 comes first.
    pub rank: u32,
    /// Values for templates, at most 64 KiB of JSON. Not for secrets.
    pub values: Map<String, Value>,
    /// Whether agents of the environment get only revisions that are stable in it.
    pub protected: bool,
}

fn validate(environment: &Environment) -> Result<(), Invalid> {
    validate_text(&environment.description, limits::DESCRIPTION_CHARACTERS)
        .map_err(|error| error.within("description"))?;
    if environment.rank > limits::RANK_MAX {
        let message = format!("the rank {} is too high; the highest is {}", environment.rank, limits::RANK_MAX);
        return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("rank"));
    }
    let size = serde_json::to_string(&environment.values).map_or(usize::MAX, |text| text.len());
    if size > limits::VALUES_BYTES {
        let message = format!("the values have {size} bytes of JSON; at most {} are allowed", limits::VALUES_BYTES);
        return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("values"));
    }
    Ok(())
}

impl Broker {
    /// Creates an environment.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`](crate::BrokerError::Invalid) for an invalid field,
    /// [`BrokerError::AlreadyExists`](crate::BrokerError::AlreadyExists) if the name is taken.
    pub async fn environment_create(&self, actor: &Actor, new: NewEnvironment) -> BrokerResult<Environment> {
        const NAME: &str = "environment.create";
        self.authorise(actor, Action::EnvironmentManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let now = self.now();
            let environment = Environment {
                id: self.new_id(),
                name: new.name.parse().map_err(|error: Invalid| error.within("name"))?,
                description: new.description.clone(),
                rank: new.rank,
                values: new.values.clone(),
                protected: new.protected,
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            validate(&environment)?;
            let mut decision = Decision::commit(environment.clone(), vec![environment.clone().into()]);
            if environment.protected {
                for present in self.present_if_protected(&environment).await? {
                    present.add_to(&mut decision.changes, &mut decision.updates);
                }
            }
            Ok(decision)
        })
        .await
    }

    /// Returns an environment.
    pub async fn environment_get(&self, actor: &Actor, id: EnvironmentId) -> BrokerResult<Environment> {
        let key = EntityKey::Environment(id);
        let scope = self.authorise(actor, Action::EnvironmentRead, "environment.read", Some(key))?;
        Ok(self.parts.store.get::<Environment>(&scope, id).await?)
    }

    /// Returns the environment with this name.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`](crate::BrokerError::NotFound) if there is none, also for a text that is no valid name.
    pub async fn environment_by_name(&self, actor: &Actor, name: &str) -> BrokerResult<Environment> {
        let scope = self.authorise(actor, Action::EnvironmentRead, "environment.read", None)?;
        self.named::<Environment>(&scope, name).await
    }

    /// Lists all environments, ordered by id.
    pub async fn environment_list(
        &self,
        actor: &Actor,
        page: &Page<EnvironmentId>,
    ) -> BrokerResult<Listing<Environment, EnvironmentId>> {
        let scope = self.authorise(actor, Action::EnvironmentRead, "environment.read", None)?;
        Ok(self.parts.store.list::<Environment>(&scope, &EntityQuery::default(), page).await?)
    }

    /// Updates an environment if it has the expected version. After a lost race `edit` runs again on the newer state.
    ///
    /// When the environment becomes protected, the newest revision of each stack that its agents follow becomes stable in it
    /// in the same commit: the agents keep what they hold.
    ///
    /// # Errors
    ///
    /// [`BrokerError::LimitReached`] if more than [`limits::PROTECTED_STACKS`] stacks would have to become stable.
    pub async fn environment_update(
        &self,
        actor: &Actor,
        id: EnvironmentId,
        expected: Option<Version>,
        edit: impl Fn(&Environment) -> Result<EnvironmentPatch, Invalid>,
    ) -> BrokerResult<Environment> {
        const NAME: &str = "environment.update";
        let key = EntityKey::Environment(id);
        let scope = self.authorise(actor, Action::EnvironmentManage, NAME, Some(key))?;
        self.decide(actor, NAME, Some(key), || async {
            let before = self.parts.store.get::<Environment>(&scope, id).await?;
            expect_version(expected, before.version)?;
            let EnvironmentPatch { description, rank, values, protected } = edit(&before)?;
            let after = Environment { description, rank, values, protected, ..before.clone() };
            validate(&after)?;
            if after == before {
                return Ok(Decision::nothing(before));
            }
            let after = Environment { version: before.version.next(), updated_at: self.now(), ..after };
            let mut decision = Decision::update(after.clone(), &before, after.clone());
            if after.protected && !before.protected {
                for present in self.present_if_protected(&after).await? {
                    present.add_to(&mut decision.changes, &mut decision.updates);
                }
            }
            Ok(decision)
        })
        .await
    }

    /// Deletes an environment. Its name can be used again. Targeting rules that name it select no agent then.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InUse`] while agents, generators, usable keys or usable join tokens name it, and while it is protected: its
    /// agents would get the newest revisions.
    pub async fn environment_delete(&self, actor: &Actor, id: EnvironmentId) -> BrokerResult<()> {
        const NAME: &str = "environment.delete";
        let key = EntityKey::Environment(id);
        let scope = self.authorise(actor, Action::EnvironmentManage, NAME, Some(key))?;
        self.decide(actor, NAME, Some(key), || async {
            let before = self.parts.store.get::<Environment>(&scope, id).await?;
            if before.protected {
                return Err(BrokerError::InUse("the environment is protected; end its protection first".into()));
            }
            let now = self.now();
            // The view names them; the precondition decides.
            self.parts.view.refreshed(CATCH_UP).await?;
            if let Some(named) = self.parts.view.names_of(&before.name, now).told() {
                return Err(BrokerError::InUse(
                    format!("the environment is named by {named}; change them first").into(),
                ));
            }
            let after =
                Environment { version: before.version.next(), updated_at: now, deleted_at: Some(now), ..before };
            Ok(Decision::commit((), vec![Change::Environment(after)]).provided(Precondition::NamedByNothing(id)))
        })
        .await
    }
}
