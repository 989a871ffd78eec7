//! Operations on releases: which revision gated agents of an environment hold.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, Change, DeploymentObject, EntityKey, Environment, FrozenRevision, Revision, Stack, StackId, StackPhase,
    StackRelease, StackReleaseId, Version, limits, validate_text,
};
use brokkr_core::store::{Listing, Page, Precondition, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::publish::{Published, Rollback};
use crate::view::CATCH_UP;

/// The release of a stack in an environment, before and after a decision.
pub(super) struct Place {
    pub(super) environment: Option<Environment>,
    pub(super) before: Option<StackRelease>,
    /// The release, ready to be changed.
    pub(super) after: StackRelease,
    stack: Precondition,
}

impl Place {
    /// Commits the changed release, provided that stack and environment stay as they are.
    pub(super) fn decision<T>(self, outcome: impl FnOnce(StackRelease) -> T) -> Decision<T> {
        let Self { environment, before, after, stack } = self;
        let result = outcome(after.clone());
        let decision = match before {
            Some(before) => Decision::update(result, &before, after),
            None => Decision::commit(result, vec![after.into()]),
        };
        let environment = environment.map(|it| Precondition::Version(EntityKey::Environment(it.id), it.version));
        environment.into_iter().fold(decision.provided(stack), Decision::provided)
    }

    /// The name of the environment, for people.
    fn name(&self) -> &str {
        self.environment.as_ref().map_or("no environment", |it| it.name.as_str())
    }

    /// Refuses a revision that was never stable in a protected environment, except to break the glass.
    pub(super) fn check_protected(&self, actor: &Actor, revision: Revision) -> BrokerResult<()> {
        let is_protected = self.environment.as_ref().is_some_and(|it| it.protected);
        if !is_protected || self.after.was_stable(revision) || actor.may(Action::BreakGlass) {
            return Ok(());
        }
        Err(BrokerError::EnvironmentProtected(
            "the revision was never stable there; promote it from an earlier environment, or use a key with break-glass",
        ))
    }
}

pub(super) fn check_reason(reason: &str) -> Result<(), Invalid> {
    validate_text(reason, limits::MESSAGE_CHARACTERS).map_err(|error| error.within("reason"))
}

impl Broker {
    /// An active stack in the scope.
    pub(super) async fn active_stack(&self, scope: &Scope, id: StackId) -> BrokerResult<Stack> {
        let stack = self.parts.store.get::<Stack>(scope, id).await?;
        if stack.phase == StackPhase::Deleting { Err(BrokerError::StackDeleting) } else { Ok(stack) }
    }

    /// The environment that the field of a request names. Generators do not read environments, but may name them.
    pub(super) async fn environment_in(&self, field: &str, name: &str) -> BrokerResult<Environment> {
        self.named::<Environment>(&Scope::All, name).await.map_err(|error| match error {
            BrokerError::NotFound => {
                Invalid::new(InvalidCode::ReferenceInvalid, "there is no environment with this name")
                    .within(field)
                    .into()
            }
            error => error,
        })
    }

    /// The release of a stack in an environment.
    pub(super) async fn place(&self, stack: &Stack, environment: Option<Environment>) -> BrokerResult<Place> {
        let id = StackReleaseId::of(stack.id, environment.as_ref().map(|it| it.id));
        let before = match self.parts.store.get::<StackRelease>(&Scope::All, id).await {
            Ok(release) => Some(release),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let now = self.now();
        let after = match &before {
            Some(before) => StackRelease { version: before.version.next(), updated_at: now, ..before.clone() },
            None => StackRelease {
                id,
                stack_id: stack.id,
                generator_id: stack.generator_id,
                environment_id: environment.as_ref().map(|it| it.id),
                environment: environment.as_ref().map(|it| it.name.clone()),
                stable: None,
                earlier: Vec::new(),
                suspended: None,
                reason: String::new(),
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            },
        };
        Ok(Place {
            environment,
            before,
            after,
            stack: Precondition::Version(EntityKey::Stack(stack.id), stack.version),
        })
    }

    /// Like [`place`](Self::place), of the environment that the field of a request names.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Forbidden`] if the actor's key is limited to other environments.
    pub(super) async fn place_named(
        &self,
        actor: &Actor,
        stack: &Stack,
        field: &str,
        name: Option<&str>,
    ) -> BrokerResult<Place> {
        let environment = match name {
            Some(name) => Some(self.environment_in(field, name).await?),
            None => None,
        };
        if !actor.reaches(environment.as_ref().map(|it| &it.name)) {
            return Err(BrokerError::Forbidden);
        }
        self.place(stack, environment).await
    }

    /// Like [`place`](Self::place), of the environment that an agent is in.
    pub(super) async fn place_of(&self, stack: &Stack, agent: &Agent) -> BrokerResult<Place> {
        let environment = match &agent.environment {
            Some(name) => Some(self.named::<Environment>(&Scope::All, name.as_str()).await?),
            None => None,
        };
        self.place(stack, environment).await
    }

    /// The decision to release an object.
    fn released<T>(
        &self,
        mut place: Place,
        object: &DeploymentObject,
        reason: &str,
        outcome: impl FnOnce(StackRelease) -> T,
    ) -> Decision<T> {
        if let Some(before) = &place.before
            && before.stable.as_ref().is_some_and(|stable| stable.object_id == object.id)
        {
            return Decision::nothing(outcome(before.clone()));
        }
        place.after.release(FrozenRevision::from(object));
        reason.clone_into(&mut place.after.reason);
        let detail = format!("revision {} in {}: {reason}", object.revision, place.name());
        place.decision(outcome).detail(detail)
    }

    /// Makes a revision of a stack stable in an environment; `None`: on the agents without one. Gated agents there then hold
    /// it. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] if the revision or the environment does not exist, [`BrokerError::EnvironmentProtected`] if
    /// the revision was never stable in a protected environment and the actor may not break the glass.
    pub async fn stable_set(
        &self,
        actor: &Actor,
        stack: StackId,
        environment: Option<&str>,
        revision: Revision,
        reason: &str,
    ) -> BrokerResult<StackRelease> {
        const NAME: &str = "stack.release";
        let scope = self.authorise(actor, Action::Release, NAME, Some(EntityKey::Stack(stack)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(stack)), || async {
            check_reason(reason)?;
            let found = self.active_stack(&scope, stack).await?;
            let object = self.named_revision(&scope, stack, revision).await?;
            let place = self.place_named(actor, &found, "environment", environment).await?;
            place.check_protected(actor, revision)?;
            Ok(self.released(place, &object, reason, |release| release))
        })
        .await
    }

    /// Makes the revision that an environment runs stable in a later one, if all its agents are healthy with it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotPromotable`], which says why not; [`BrokerError::Invalid`] if an environment does not exist or `to`
    /// comes before `from`.
    pub async fn stack_promote(
        &self,
        actor: &Actor,
        stack: StackId,
        from: &str,
        to: &str,
        reason: &str,
    ) -> BrokerResult<StackRelease> {
        const NAME: &str = "stack.promote";
        let scope = self.authorise(actor, Action::Release, NAME, Some(EntityKey::Stack(stack)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(stack)), || async {
            check_reason(reason)?;
            let found = self.active_stack(&scope, stack).await?;
            let source = self.place_named(actor, &found, "from", Some(from)).await?;
            let place = self.place_named(actor, &found, "to", Some(to)).await?;
            let (before, after) = (source.environment.as_ref(), place.environment.as_ref());
            if before.zip(after).is_some_and(|(from, to)| from.id == to.id || from.rank > to.rank) {
                let message = "a promotion goes to another environment, not to one of a lower rank";
                return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("to").into());
            }
            self.parts.view.check_fresh()?;
            let object = self.promotable(&found, &source).await?;
            let conditions = source.before.map(|it| Precondition::Version(EntityKey::StackRelease(it.id), it.version));
            let decision = self.released(place, &object, reason, |release| release);
            Ok(conditions.into_iter().fold(decision, Decision::provided))
        })
        .await
    }

    /// Lists what is released of a stack in each environment, ordered by id. Environments in which nothing was released or
    /// suspended are left out.
    pub async fn release_list(
        &self,
        actor: &Actor,
        stack: StackId,
        page: &Page<StackReleaseId>,
    ) -> BrokerResult<Listing<StackRelease, StackReleaseId>> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", Some(EntityKey::Stack(stack)))?;
        self.parts.store.get::<Stack>(&scope, stack).await?;
        self.parts.view.check_fresh()?;
        let all = self.parts.view.releases_of(stack).into_iter().map(|it| (*it).clone());
        let seen = all.filter(|it| actor.reaches(it.environment.as_ref()));
        let rest = seen.filter(|it| page.after.is_none_or(|after| it.id > after));
        Ok(Listing::collect(rest, page.limit, |it| it.id))
    }

    /// Returns gated agents to a revision that was stable.
    pub(super) async fn return_to(
        &self,
        actor: &Actor,
        stack: &Stack,
        object: DeploymentObject,
        rollback: &Rollback,
    ) -> BrokerResult<Decision<Published>> {
        check_reason(&rollback.reason)?;
        let place = self.place_named(actor, stack, "environment", rollback.environment.as_deref()).await?;
        if !place.after.was_stable(object.revision) {
            return Err(BrokerError::NeedsRollout);
        }
        let published = Published { object: object.clone(), created: false };
        Ok(self.released(place, &object, &rollback.reason, |_| published))
    }

    /// The releases and pins of a stack that is gone, as tombstones.
    pub(super) async fn releases_and_pins_gone(&self, stack: StackId) -> BrokerResult<Vec<Change>> {
        self.parts.view.refreshed(CATCH_UP).await?;
        let now = self.now();
        let releases = self.parts.view.releases_of(stack).into_iter().map(|it| {
            let version = it.version.next();
            Change::StackRelease(StackRelease { version, updated_at: now, deleted_at: Some(now), ..(*it).clone() })
        });
        let pins = self.parts.view.pins_of(stack);
        Ok(releases.chain(pins.iter().map(|pin| self.lifted(pin).into())).collect())
    }
}
