//! The admin keys without which nobody could administer the broker: the first one, and one after a loss.

use std::time::Duration;

use brokkr_core::model::{Change, KeyId, KeyOwner, Timestamp};
use brokkr_core::pak::KeyHash;
use brokkr_core::store::Scope;
use secrecy::SecretString;

use crate::access::key_terms::{KeyTerms, last_admin};
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::keys::{NewPak, keys_of};

/// The time before the end of the last admin key from which the broker warns.
const WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long the broker can still be administered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminAccess {
    /// The broker has never had an admin key: the host authenticates callers itself.
    Unused,
    /// The last admin key does not expire, or not soon.
    Lasting,
    /// The last admin key expires within 14 days.
    Ending(Timestamp),
    /// No usable admin key exists.
    Lost,
}

impl Broker {
    /// Ensures that the store has an admin key. Without `given`, creates one on the first start and returns its secret. With
    /// `given`, stores that key and returns `None`.
    ///
    /// Pass the secret to a person, on a terminal or in a file that only its owner can read; never write it to a log.
    pub async fn ensure_admin_key(&self, given: Option<KeyHash>) -> BrokerResult<Option<SecretString>> {
        const NAME: &str = "key.create";
        let actor = self.system_actor();
        if let Some(given) = &given
            && matches!(self.parts.view.key(given.short_id()), Ok(Some(_)))
        {
            return Ok(None);
        }
        let made = self
            .decide(&actor, NAME, None, || async {
                let keys = keys_of(self, &Scope::All, &[KeyOwner::Admin]).await?;
                let now = self.now();
                match &given {
                    Some(given) if keys.iter().any(|key| key.short_id == given.short_id()) => {
                        Ok(Decision::nothing(None))
                    }
                    None if !keys.is_empty() => Ok(Decision::nothing(None)),
                    Some(given) => {
                        let mut key = self.mint_admin("configured", now)?.key;
                        key.short_id = given.short_id().to_owned();
                        key.hash = given.hash();
                        Ok(Decision::commit(None, vec![Change::Key(key)]))
                    }
                    None => {
                        let mut pak = self.mint_admin("initial", now)?;
                        pak.key.id = KeyId::INITIAL;
                        Ok(Decision::commit(pak.pak, vec![Change::Key(pak.key)]))
                    }
                }
            })
            .await;
        match made {
            // The key existed and was revoked; it stays revoked.
            Err(BrokerError::Contention) => {
                if matches!(self.admin_access(), AdminAccess::Unused | AdminAccess::Lost) {
                    log_lost_access();
                }
                Ok(None)
            }
            made => made,
        }
    }

    /// Whether [`ensure_admin_key`](Self::ensure_admin_key) without a given key would create one.
    pub async fn needs_admin_key(&self) -> BrokerResult<bool> {
        Ok(keys_of(self, &Scope::All, &[KeyOwner::Admin]).await?.is_empty())
    }

    /// Creates an admin key although others exist: for an operator with access to the store who has lost every admin key.
    /// The audit records it as `key.recover`.
    pub async fn recover_admin_key(&self) -> BrokerResult<NewPak> {
        self.decide(&self.system_actor(), "key.recover", None, || async {
            let pak = self.mint_admin("recovered", self.now())?;
            let key = Change::Key(pak.key.clone());
            Ok(Decision::commit(pak, vec![key]))
        })
        .await
    }

    /// A key that does not expire, whatever the configured lifetime: it is the way back in.
    fn mint_admin(&self, name: &str, now: Timestamp) -> BrokerResult<NewPak> {
        let mut pak = self.mint(&self.system_actor(), KeyOwner::Admin, name, KeyTerms::default(), now)?;
        pak.key.expires_at = None;
        Ok(pak)
    }

    /// How long the broker can still be administered, according to the view.
    pub(crate) fn admin_access(&self) -> AdminAccess {
        let (keys, now) = (self.parts.view.admin_keys(), self.now());
        match last_admin(keys.iter().map(|key| &**key), now) {
            None if keys.is_empty() => AdminAccess::Unused,
            None => AdminAccess::Lost,
            Some(key) => match key.expires_at {
                Some(end) if end.since(now) <= WARNING => AdminAccess::Ending(end),
                _ => AdminAccess::Lasting,
            },
        }
    }

    /// Seconds until the last admin key expires: infinite if it does not, 0 if there is none.
    pub(crate) fn admin_access_seconds(&self) -> f64 {
        let (keys, now) = (self.parts.view.admin_keys(), self.now());
        match last_admin(keys.iter().map(|key| &**key), now) {
            None => 0.0,
            Some(key) => key.expires_at.map_or(f64::INFINITY, |end| end.since(now).as_secs_f64()),
        }
    }

    /// Logs that the broker can no longer be administered, or soon.
    pub(crate) fn warn_of_lost_access(&self) {
        match self.admin_access() {
            AdminAccess::Unused | AdminAccess::Lasting => {}
            AdminAccess::Ending(end) => tracing::error!(
                %end,
                "the last admin key expires within 14 days; create another one: POST /api/v1/keys with the preset admin"
            ),
            AdminAccess::Lost => log_lost_access(),
        }
    }
}

fn log_lost_access() {
    tracing::error!(
        "no admin key is usable, so nobody can administer this broker; make one: brokkr-broker keys recover"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
    use brokkr_core::store::{MemoryStore, Page};

    use super::*;
    use crate::operations::keys::NewKey;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test]
    async fn end_of_the_last_admin_key_is_foreseen() {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let broker = Broker::builder(MemoryStore::new()).clock(clock.clone()).start().await.expect("started");
        let system = broker.system_actor();
        assert_eq!((broker.admin_access(), broker.admin_access_seconds()), (AdminAccess::Unused, 0.0));
        broker.ensure_admin_key(None).await.expect("made");
        assert_eq!((broker.admin_access(), broker.admin_access_seconds()), (AdminAccess::Lasting, f64::INFINITY));

        let end = clock.now().plus(DAY * 30);
        let terms = KeyTerms { expires_at: Some(end), ..KeyTerms::default() };
        let new = NewKey { name: "ends".to_owned(), terms };
        broker.key_create(&system, KeyOwner::Admin, new).await.expect("made");
        assert_eq!(broker.admin_access(), AdminAccess::Lasting, "the other key does not expire");
        broker.key_delete(&system, &[KeyOwner::Admin], KeyId::INITIAL).await.expect("another key is left");
        let keys = broker.key_list(&system, &[KeyOwner::Admin], &Page::default()).await.expect("listed").items;
        assert_eq!(keys.len(), 1);

        assert_eq!((broker.admin_access(), broker.admin_access_seconds()), (AdminAccess::Lasting, 30.0 * 86_400.0));
        clock.advance(DAY * 16);
        assert_eq!(broker.admin_access(), AdminAccess::Ending(end));
        clock.advance(DAY * 14);
        assert_eq!((broker.admin_access(), broker.admin_access_seconds()), (AdminAccess::Lost, 0.0));
        assert!(!broker.needs_admin_key().await.expect("readable"), "a restart makes no key");
        broker.recover_admin_key().await.expect("made");
        assert_eq!(broker.admin_access(), AdminAccess::Lasting);
        broker.shutdown().await;
    }
}
