//! The exchange of a join token for an agent and its key.

use std::collections::BTreeMap;

use brokkr_core::error::Invalid;
use brokkr_core::model::{
    Agent, AgentStatus, ApiKey, Change, JoinToken, Name, Timestamp, Version, limits, validate_text,
};
use brokkr_core::pak::KeyHash;
use brokkr_core::store::{Scope, StoreError, StoreExt as _, UniqueKey};
use serde::{Deserialize, Serialize};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::key_terms::KeyTerms;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::metrics;
use crate::operations::keys::{NewPak, keys_of};

/// Input of [`Broker::agent_join`].
#[derive(Debug, Clone, Default)]
pub struct NewMember {
    /// The name of the agent: a DNS label, unique among agents.
    pub name: String,
    /// The name of the cluster that the agent serves. For display only.
    pub cluster_name: String,
    /// UID of the Namespace `kube-system`, which identifies the cluster, for the audit. May be empty.
    pub cluster_uid: String,
    /// The key that the agent has generated. Whoever repeats the join with it gets the same agent. `None`: the broker
    /// generates a key, and a join whose answer was lost cannot be repeated.
    pub key: Option<KeyHash>,
}

/// The result of [`Broker::agent_join`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Joined {
    /// The agent.
    pub agent: Agent,
    /// Its key. The secret is present only if the broker generated it now.
    pub key: NewPak,
    /// Whether this call created the agent. False if it repeats an earlier one with the same key.
    pub created: bool,
}

/// The agent's key that a repeated join presents, if it is the key with which the agent joined.
fn presented<'a>(keys: &'a [ApiKey], given: Option<&KeyHash>, now: Timestamp) -> Option<&'a ApiKey> {
    let given = given?;
    keys.iter().find(|key| key.short_id == given.short_id() && key.hash == given.hash() && key.is_usable(now))
}

impl Broker {
    /// Creates an agent for the holder of a join token, with everything that the token fixes, and counts the use. A repetition
    /// with the same agent's key returns the same agent, and uses nothing.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unauthenticated`] if the token has no use left, has expired, or is deleted;
    /// [`BrokerError::AlreadyExists`] if another agent has the name; [`BrokerError::AgentRetired`] for a repetition by a retired
    /// agent; [`BrokerError::Invalid`] for an invalid field.
    pub async fn agent_join(&self, actor: &Actor, new: NewMember) -> BrokerResult<Joined> {
        const NAME: &str = "agent.join";
        self.authorise(actor, Action::Join, NAME, None)?;
        let turn = self.parts.joins.lock().await;
        let joined = self.decide_once(actor, NAME, None, || self.join(actor, &new)).await;
        drop(turn);
        metrics::joined(match &joined {
            Ok(joined) if joined.created => "created",
            Ok(_) => "repeated",
            Err(error) if error.is_retryable() || matches!(error, BrokerError::Internal(_)) => "failed",
            Err(_) => "refused",
        });
        joined
    }

    async fn join(&self, actor: &Actor, new: &NewMember) -> BrokerResult<Decision<Joined>> {
        let (scope, now) = (Scope::All, self.now());
        for (text, field) in [(&new.cluster_name, "cluster_name"), (&new.cluster_uid, "cluster_uid")] {
            validate_text(text, limits::SHORT_TEXT_CHARACTERS).map_err(|error| error.within(field))?;
        }
        let name: Name = new.name.parse().map_err(|error: Invalid| error.within("name"))?;
        let token = self.token_of(actor, now).await?;
        let is_taken = match self.named::<Agent>(&scope, name.as_str()).await {
            Ok(agent) => match self.repeated(agent, new, now).await? {
                Some(joined) => return Ok(Decision::nothing(joined)),
                None => true,
            },
            Err(BrokerError::NotFound) => false,
            Err(error) => return Err(error),
        };
        if !token.has_uses_left() {
            return Err(BrokerError::Unauthenticated);
        }
        if is_taken {
            return Err(BrokerError::AlreadyExists(UniqueKey::AgentName));
        }
        let named = token.environment.as_ref().map(Name::as_str);
        let (environment, mut preconditions) = match self.wanted_environment(&scope, named).await {
            // Deleted when the token had just expired.
            Err(BrokerError::Invalid(_)) => return Err(BrokerError::Unauthenticated),
            found => found?,
        };
        let mut agent = Agent {
            id: self.new_id(),
            name,
            cluster_name: new.cluster_name.clone(),
            environment,
            labels: token.agent_labels()?,
            annotations: token.annotations.clone(),
            status: AgentStatus::Active,
            suspended: None,
            registrations: BTreeMap::new(),
            confirmed_epoch: None,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        for (generator, grant) in &token.registrations {
            match self.registrable(&scope, *generator, *grant).await {
                // A generator that has been limited to other environments since has nothing on the agent.
                Ok((_, versions)) => preconditions.extend(versions),
                // The generator is deleted, and its stacks with it.
                Err(BrokerError::NotFound) => continue,
                Err(error) => return Err(error),
            }
            agent.registrations.insert(*generator, *grant);
        }
        let terms = KeyTerms {
            expires_at: token.keys_expire_at,
            environments: token.keys_environments.clone(),
            ..KeyTerms::default()
        };
        let mut key = self.mint(actor, agent.id.into(), "joined", terms, now)?;
        preconditions.extend(self.environments_of(&key.key).await?);
        if let Some(given) = &new.key {
            key.key.short_id = given.short_id().to_owned();
            key.key.hash = given.hash();
            key.pak = None;
        }
        let detail = format!("join token {}, cluster {}", token.id, new.cluster_uid);
        let used = JoinToken { uses: token.uses + 1, version: token.version.next(), updated_at: now, ..token };
        // The token's new version makes concurrent joins conflict, so that each counts.
        let changes = vec![Change::Agent(agent.clone()), Change::Key(key.key.clone()), Change::JoinToken(used)];
        let decision = Decision::commit(Joined { agent, key, created: true }, changes).detail(detail);
        Ok(preconditions.into_iter().fold(decision, Decision::provided))
    }

    /// The token that authenticated the actor, as the store has it now.
    async fn token_of(&self, actor: &Actor, now: Timestamp) -> BrokerResult<JoinToken> {
        let id = actor.join_token_id().ok_or(BrokerError::Forbidden)?;
        match self.parts.store.get::<JoinToken>(&Scope::All, id).await {
            Ok(token) if token.is_usable(now) => Ok(token),
            Ok(_) | Err(StoreError::NotFound) => Err(BrokerError::Unauthenticated),
            Err(error) => Err(error.into()),
        }
    }

    /// The agent of this name, if the caller presents its key.
    async fn repeated(&self, agent: Agent, new: &NewMember, now: Timestamp) -> BrokerResult<Option<Joined>> {
        let keys = keys_of(self, &Scope::All, &[agent.id.into()]).await?;
        let Some(key) = presented(&keys, new.key.as_ref(), now).cloned() else { return Ok(None) };
        if agent.status == AgentStatus::Retired {
            return Err(BrokerError::AgentRetired);
        }
        Ok(Some(Joined { agent, key: NewPak { key, pak: None }, created: false }))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::entropy::SystemEntropy;
    use brokkr_core::model::{AgentId, KeyId, KeyKind, KeyOwner};
    use brokkr_core::pak::Pak;

    use super::*;

    #[test]
    fn only_the_usable_key_itself_proves_a_repetition() {
        let now = SystemClock.now();
        let pak = Pak::generate(KeyKind::Agent, &SystemEntropy).expect("randomness");
        let other = Pak::generate(KeyKind::Agent, &SystemEntropy).expect("randomness");
        let owner = KeyOwner::from(AgentId::generate());
        let key = ApiKey {
            id: KeyId::generate(),
            short_id: pak.short_id().to_owned(),
            hash: pak.hash(),
            name: "joined".parse().expect("a name"),
            owner,
            subject: None,
            scopes: owner.kind().default_scopes(),
            source_networks: Vec::new(),
            environments: None,
            expires_at: None,
            version: Version::FIRST,
            created_at: now,
            deleted_at: None,
        };
        let forged: KeyHash = format!("{}:{}", pak.short_id(), other.hash()).parse().expect("a hash");
        let expired = ApiKey { expires_at: Some(now), ..key.clone() };
        for (what, keys, given, proves) in [
            ("the key", vec![key.clone()], Some(pak.key_hash()), true),
            ("no key", vec![key.clone()], None, false),
            ("another key", vec![key.clone()], Some(other.key_hash()), false),
            ("another secret", vec![key], Some(forged), false),
            ("an expired key", vec![expired], Some(pak.key_hash()), false),
            ("a revoked key", vec![], Some(pak.key_hash()), false),
        ] {
            assert_eq!(presented(&keys, given.as_ref(), now).is_some(), proves, "{what}");
        }
    }
}
