//! Operations on join tokens.

use std::collections::BTreeMap;
use std::fmt;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Change, ENVIRONMENT_LABEL, EntityKey, Environment, GeneratorId, GrantId, JoinToken, JoinTokenId, KeyKind, Labels,
    Name, Timestamp, Version, limits, validate_text,
};
use brokkr_core::pak::Pak;
use brokkr_core::store::{EntityQuery, Listing, Page, Precondition, Scope, StoreExt as _};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::key_terms::KeyTerms;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::agents::{default_grant, unknown_generator};

/// Input of [`Broker::join_token_create`].
#[derive(Debug, Clone)]
pub struct NewJoinToken {
    /// A DNS label, unique among join tokens.
    pub name: String,
    /// A description for readers.
    pub description: String,
    /// How many agents the token may create: 1 to 10,000.
    pub max_uses: u32,
    /// Expiry time, in the future.
    pub expires_at: Timestamp,
    /// The name of the environment of the new agents; they get it as the label [`ENVIRONMENT_LABEL`].
    pub environment: Option<String>,
    /// Labels of the new agents.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the new agents.
    pub annotations: BTreeMap<String, String>,
    /// The generators whose stacks the new agents serve, with the grant of each; without a grant, [`default_grant`] decides.
    /// `None`: the system generator.
    pub registrations: Option<Vec<(GeneratorId, Option<GrantId>)>>,
}

impl NewJoinToken {
    /// A token for one agent that serves the system generator, without labels.
    pub fn named(name: impl Into<String>, expires_at: Timestamp) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            max_uses: 1,
            expires_at,
            environment: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            registrations: None,
        }
    }
}

/// A new join token with its secret, which is available only once.
#[derive(Serialize, Deserialize)]
pub struct NewToken {
    /// What the store keeps.
    pub join_token: JoinToken,
    /// The secret; `None` in the response to a repeated request.
    #[serde(skip)]
    pub token: Option<SecretString>,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("join_token", &self.join_token).finish_non_exhaustive()
    }
}

/// The labels of the new agents must leave their environment to the token's field.
fn labels_beside_environment(labels: BTreeMap<String, String>) -> Result<Labels, Invalid> {
    if labels.contains_key(ENVIRONMENT_LABEL) {
        let message = format!("the token sets the label {ENVIRONMENT_LABEL}; name the environment in its own field");
        return Err(Invalid::new(InvalidCode::LabelInvalid, message).within("labels"));
    }
    labels.try_into().map_err(|error: Invalid| error.within("labels"))
}

fn check_uses(uses: u32) -> Result<(), Invalid> {
    if (1..=limits::JOIN_TOKEN_USES).contains(&uses) {
        return Ok(());
    }
    let message = format!("a join token has 1 to {} uses, not {uses}", limits::JOIN_TOKEN_USES);
    Err(Invalid::new(InvalidCode::FieldInvalid, message).within("max_uses"))
}

impl Broker {
    /// Creates a join token. It cannot outlive the actor's key, and neither can the keys of its agents.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field, and for terms beyond those of the actor's key;
    /// [`BrokerError::AlreadyExists`] if the name is taken; [`BrokerError::LimitReached`] if there are 256 tokens that have not
    /// expired.
    pub async fn join_token_create(&self, actor: &Actor, new: NewJoinToken) -> BrokerResult<NewToken> {
        const NAME: &str = "join-token.create";
        let scope = self.authorise(actor, Action::JoinTokenManage, NAME, None)?;
        self.permit(actor, Action::KeyManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let now = self.now();
            let (living, expired): (Vec<_>, Vec<_>) =
                self.all_join_tokens(&scope).await?.into_iter().partition(|token| token.is_usable(now));
            if living.len() >= limits::JOIN_TOKENS {
                return Err(BrokerError::LimitReached("there can be at most 256 join tokens; delete one first"));
            }
            let (registrations, preconditions) = self.checked_registrations(&scope, new.registrations.clone()).await?;
            let environment = self.checked_environment(&scope, new.environment.as_deref()).await?;
            let secret = self.new_secret(KeyKind::JoinToken)?;
            let token = self.checked_token(actor, &new, &secret, now)?;
            let token = JoinToken { environment, registrations, ..token };
            token.agent_labels().map_err(|error| error.within("labels"))?;
            let mut changes = vec![Change::JoinToken(token.clone())];
            changes.extend(expired.into_iter().map(|token| Change::JoinToken(deleted(token, now))));
            let made = NewToken { join_token: token, token: Some(secret.into_secret()) };
            Ok(preconditions.into_iter().fold(Decision::commit(made, changes), Decision::provided))
        })
        .await
    }

    /// Checks everything that does not refer to other entities.
    fn checked_token(
        &self,
        actor: &Actor,
        new: &NewJoinToken,
        secret: &Pak,
        now: Timestamp,
    ) -> BrokerResult<JoinToken> {
        validate_text(&new.description, limits::DESCRIPTION_CHARACTERS).map_err(|error| error.within("description"))?;
        check_uses(new.max_uses)?;
        let terms = KeyTerms { expires_at: Some(new.expires_at), ..KeyTerms::default() };
        self.maker(actor).grant(KeyKind::JoinToken, terms, now)?;
        Ok(JoinToken {
            id: self.new_id(),
            name: new.name.parse().map_err(|error: Invalid| error.within("name"))?,
            description: new.description.clone(),
            short_id: secret.short_id().to_owned(),
            hash: secret.hash(),
            max_uses: new.max_uses,
            uses: 0,
            expires_at: new.expires_at,
            environment: None,
            labels: labels_beside_environment(new.labels.clone())?,
            annotations: new.annotations.clone().try_into().map_err(|error: Invalid| error.within("annotations"))?,
            registrations: BTreeMap::new(),
            keys_expire_at: actor.ends_at(),
            created_by: actor.who,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        })
    }

    async fn checked_registrations(
        &self,
        scope: &Scope,
        wanted: Option<Vec<(GeneratorId, Option<GrantId>)>>,
    ) -> BrokerResult<(BTreeMap<GeneratorId, GrantId>, Vec<Precondition>)> {
        let wanted = wanted.unwrap_or_else(|| vec![(GeneratorId::SYSTEM, None)]);
        if wanted.len() > limits::REGISTRATIONS {
            return Err(BrokerError::LimitReached("an agent can serve at most 256 generators; name fewer"));
        }
        let (mut registrations, mut preconditions) = (BTreeMap::new(), Vec::new());
        for (n, (generator, grant)) in wanted.into_iter().enumerate() {
            let grant = grant.unwrap_or(default_grant(generator));
            let at = |invalid: Invalid| invalid.within(&n.to_string()).within("registrations");
            let found =
                self.registrable(scope, generator, grant).await.map_err(|error| match unknown_generator(error) {
                    Ok(invalid) => at(invalid.within("generator_id")).into(),
                    Err(BrokerError::Invalid(invalid)) => at(invalid).into(),
                    Err(error) => error,
                });
            preconditions.extend(found?);
            if registrations.insert(generator, grant).is_some() {
                let invalid = Invalid::new(InvalidCode::FieldInvalid, "the generator is named twice; name it once");
                return Err(at(invalid.within("generator_id")).into());
            }
        }
        Ok((registrations, preconditions))
    }

    async fn checked_environment(&self, scope: &Scope, name: Option<&str>) -> BrokerResult<Option<Name>> {
        let Some(name) = name else { return Ok(None) };
        match self.named::<Environment>(scope, name).await {
            Ok(found) => Ok(Some(found.name)),
            Err(BrokerError::NotFound) => {
                let message = "there is no environment with this name; create it first";
                Err(Invalid::new(InvalidCode::ReferenceInvalid, message).within("environment").into())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a join token.
    pub async fn join_token_get(&self, actor: &Actor, id: JoinTokenId) -> BrokerResult<JoinToken> {
        let key = EntityKey::JoinToken(id);
        let scope = self.authorise(actor, Action::JoinTokenRead, "join-token.read", Some(key))?;
        Ok(self.parts.store.get::<JoinToken>(&scope, id).await?)
    }

    /// Lists the join tokens that are not deleted, ordered by id.
    pub async fn join_token_list(
        &self,
        actor: &Actor,
        page: &Page<JoinTokenId>,
    ) -> BrokerResult<Listing<JoinToken, JoinTokenId>> {
        let scope = self.authorise(actor, Action::JoinTokenRead, "join-token.read", None)?;
        Ok(self.parts.store.list::<JoinToken>(&scope, &EntityQuery::default(), page).await?)
    }

    /// Deletes a join token. Agents that have joined with it keep their keys.
    pub async fn join_token_delete(&self, actor: &Actor, id: JoinTokenId) -> BrokerResult<()> {
        const NAME: &str = "join-token.delete";
        let key = EntityKey::JoinToken(id);
        let scope = self.authorise(actor, Action::JoinTokenManage, NAME, Some(key))?;
        self.decide(actor, NAME, Some(key), || async {
            let token = self.parts.store.get::<JoinToken>(&scope, id).await?;
            Ok(Decision::commit((), vec![Change::JoinToken(deleted(token, self.now()))]))
        })
        .await
    }

    async fn all_join_tokens(&self, scope: &Scope) -> BrokerResult<Vec<JoinToken>> {
        let (mut tokens, mut page) = (Vec::new(), Page::first(limits::PAGE_MAX));
        loop {
            let listing = self.parts.store.list::<JoinToken>(scope, &EntityQuery::default(), &page).await?;
            tokens.extend(listing.items);
            match listing.next {
                Some(next) => page.after = Some(next),
                None => return Ok(tokens),
            }
        }
    }

    /// Whether there is a usable join token of this sort.
    pub(super) async fn join_tokens_with(
        &self,
        scope: &Scope,
        is_such: impl Fn(&JoinToken) -> bool,
    ) -> BrokerResult<bool> {
        let now = self.now();
        let tokens = self.all_join_tokens(scope).await?;
        Ok(tokens.iter().any(|token| token.is_usable(now) && is_such(token)))
    }
}

fn deleted(token: JoinToken, now: Timestamp) -> JoinToken {
    JoinToken { version: token.version.next(), updated_at: now, deleted_at: Some(now), ..token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_within_the_limits() {
        for (uses, valid) in
            [(0, false), (1, true), (limits::JOIN_TOKEN_USES, true), (limits::JOIN_TOKEN_USES + 1, false)]
        {
            assert_eq!(check_uses(uses).is_ok(), valid, "{uses}");
        }
    }

    #[test]
    fn environment_is_named_in_its_own_field() {
        let site = BTreeMap::from([("site".to_owned(), "edge".to_owned())]);
        assert!(labels_beside_environment(site).is_ok());
        let named = BTreeMap::from([(ENVIRONMENT_LABEL.to_owned(), "production".to_owned())]);
        assert!(labels_beside_environment(named).is_err());
    }
}
