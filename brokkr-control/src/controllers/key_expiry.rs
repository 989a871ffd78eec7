//! Revokes keys whose time is over.

use async_trait::async_trait;
use brokkr_core::model::{ApiKey, KeyId, KeyOwner, Timestamp};
use brokkr_core::store::{Scope, StoreError, StoreExt as _};

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;

/// Revokes expired keys. They are refused from their end on in any case; the revocation says so in the feed and the audit,
/// and frees the quota.
///
/// Admins' keys stay as they are: an installation whose last admin key has expired must not look like one without keys.
#[derive(Debug)]
pub(crate) struct KeyExpiry;

#[async_trait]
impl Controller for KeyExpiry {
    type Key = KeyId;
    type Facts = ApiKey;

    fn name(&self) -> &str {
        "key-expiry"
    }

    fn interest(&self) -> Interest<KeyId> {
        Interest::new().keys(|key| (ends(key) && key.deleted_at.is_none()).then_some(key.id))
    }

    async fn observe(&self, reads: &Reads, id: &KeyId) -> BrokerResult<Option<ApiKey>> {
        match reads.broker.parts.store.get::<ApiKey>(&Scope::All, *id).await {
            Ok(key) => Ok(Some(key)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn decide(&self, key: &ApiKey, now: Timestamp) -> Plan {
        match key.expires_at {
            Some(end) if ends(key) && now < end => Plan::nothing().wake_at(end),
            Some(_) if ends(key) => Plan::nothing().command(Command::own(Own::ExpireKey(key.id, key.version))),
            _ => Plan::nothing(),
        }
    }
}

fn ends(key: &ApiKey) -> bool {
    key.expires_at.is_some() && key.owner != KeyOwner::Admin
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::{AgentId, Version};

    use super::*;

    fn key(owner: KeyOwner, expires_at: Option<Timestamp>) -> ApiKey {
        ApiKey {
            id: KeyId::generate(),
            short_id: "abcdefgh".to_owned(),
            hash: brokkr_core::model::Digest::of(b"secret"),
            name: "test".parse().expect("a name"),
            owner,
            subject: None,
            scopes: owner.kind().default_scopes(),
            source_networks: Vec::new(),
            environments: None,
            expires_at,
            version: Version::FIRST,
            created_at: SystemClock.now(),
            deleted_at: None,
        }
    }

    #[test]
    fn expired_keys_are_revoked_except_those_of_admins() {
        let end = SystemClock.now();
        let (before, after) = (end.minus(Duration::from_micros(1)), end.plus(Duration::from_micros(1)));
        let agent = KeyOwner::Agent { id: AgentId::generate() };
        for (owner, expires_at, now, revoked, wake) in [
            (agent, Some(end), before, false, Some(end)),
            (agent, Some(end), end, true, None),
            (agent, Some(end), after, true, None),
            (agent, None, after, false, None),
            (KeyOwner::AdminReadOnly, Some(end), end, true, None),
            (KeyOwner::Admin, Some(end), before, false, None),
            (KeyOwner::Admin, Some(end), after, false, None),
        ] {
            let key = key(owner, expires_at);
            let plan = KeyExpiry.decide(&key, now);
            let command = Command::own(Own::ExpireKey(key.id, key.version));
            let expected = if revoked { vec![command] } else { vec![] };
            assert_eq!((plan.commands(), plan.next_wake()), (&expected[..], wake), "{owner:?} {expires_at:?} {now:?}");
        }
    }
}
