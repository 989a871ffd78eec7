//! Operations on keys.

use std::fmt;
use std::time::Duration;

use brokkr_core::entropy::Entropy;
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, ApiKey, Change, Digest, EntityKey, GeneratorPrincipal, KeyId, KeyKind, KeyOwner, Timestamp, Version, limits,
};
use brokkr_core::store::{Listing, Page, Scope, StoreExt as _, StoreResult};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::pak::Pak;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};

/// Input of [`Broker::key_create`].
#[derive(Debug, Clone)]
pub struct NewKey {
    /// A DNS label, for display.
    pub name: String,
    /// Expiry time, in the future; `None` for no expiry.
    pub expires_at: Option<Timestamp>,
}

/// A new key with its secret, which is available only once.
#[derive(Serialize, Deserialize)]
pub struct NewPak {
    /// The metadata, which the store keeps.
    pub key: ApiKey,
    /// The secret; `None` in the response to a repeated request.
    #[serde(skip)]
    pub pak: Option<SecretString>,
}

impl fmt::Debug for NewPak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPak").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The actions for the keys of one kind of owner.
struct Rules {
    read: Action,
    manage: Action,
    rotate: Action,
}

fn rules(kind: KeyKind) -> Rules {
    use Action::{
        AdminKeyManage, AdminKeyRead, AgentKeyManage, AgentKeyRead, AgentKeyRotate, GeneratorKeyManage,
        GeneratorKeyRead,
    };
    match kind {
        KeyKind::Admin | KeyKind::AdminReadOnly => {
            Rules { read: AdminKeyRead, manage: AdminKeyManage, rotate: AdminKeyManage }
        }
        KeyKind::Agent => Rules { read: AgentKeyRead, manage: AgentKeyManage, rotate: AgentKeyRotate },
        KeyKind::Generator => Rules { read: GeneratorKeyRead, manage: GeneratorKeyManage, rotate: GeneratorKeyManage },
    }
}

pub(crate) fn new_key(
    entropy: &dyn Entropy,
    owner: KeyOwner,
    name: &str,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> BrokerResult<NewPak> {
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Invalid::new(InvalidCode::FieldInvalid, "the expiry time is in the past; use a future time")
            .within("expires_at")
            .into());
    }
    let pak = Pak::generate(owner.kind(), entropy).map_err(|error| BrokerError::Internal(Box::new(error)))?;
    let key = ApiKey {
        id: entropy.uuid(now).into(),
        short_id: pak.short_id().to_owned(),
        hash: pak.hash(),
        name: name.parse().map_err(|error: Invalid| error.within("name"))?,
        owner,
        expires_at,
        version: Version::FIRST,
        created_at: now,
        deleted_at: None,
    };
    Ok(NewPak { key, pak: Some(pak.into_secret()) })
}

fn revoked(mut key: ApiKey, now: Timestamp) -> Change {
    key.version = key.version.next();
    key.deleted_at = Some(now);
    Change::Key(key)
}

/// All valid keys of an owner, oldest first.
async fn keys_of(broker: &Broker, scope: &Scope, owner: KeyOwner) -> StoreResult<Vec<ApiKey>> {
    let (mut keys, mut page) = (Vec::new(), Page::first(limits::PAGE_MAX));
    loop {
        let listing = broker.parts.store.key_list(scope, &[owner], &page).await?;
        keys.extend(listing.items);
        match listing.next {
            Some(next) => page.after = Some(next),
            None => return Ok(keys),
        }
    }
}

/// Revokes all keys of an owner that is being deleted.
pub(crate) async fn revoke_all(
    broker: &Broker,
    scope: &Scope,
    owner: KeyOwner,
    now: Timestamp,
) -> StoreResult<Vec<Change>> {
    Ok(keys_of(broker, scope, owner).await?.into_iter().map(|key| revoked(key, now)).collect())
}

impl Broker {
    /// Fails with `NotFound` unless the actor may see the owner.
    async fn check_owner(&self, scope: &Scope, owner: KeyOwner) -> BrokerResult<()> {
        match owner {
            KeyOwner::Admin | KeyOwner::AdminReadOnly => {}
            KeyOwner::Agent { id } => drop(self.parts.store.get::<Agent>(scope, id).await?),
            KeyOwner::Generator { id } => drop(self.parts.store.get::<GeneratorPrincipal>(scope, id).await?),
        }
        Ok(())
    }

    /// Creates a key.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid name or expiry time, [`BrokerError::LimitReached`] if the owner already has
    /// 16 keys.
    pub async fn key_create(&self, actor: &Actor, owner: KeyOwner, new: NewKey) -> BrokerResult<NewPak> {
        const NAME: &str = "key.create";
        let scope = self.authorise(actor, rules(owner.kind()).manage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            self.check_owner(&scope, owner).await?;
            let now = self.now();
            let (expired, active): (Vec<_>, Vec<_>) = keys_of(self, &scope, owner)
                .await?
                .into_iter()
                .partition(|key| key.expires_at.is_some_and(|end| end <= now));
            if active.len() >= limits::KEYS_PER_PRINCIPAL {
                return Err(BrokerError::LimitReached("an owner can have at most 16 keys; delete one first"));
            }
            let pak = new_key(&*self.parts.entropy, owner, &new.name, new.expires_at, now)?;
            let mut changes = vec![Change::Key(pak.key.clone())];
            changes.extend(expired.into_iter().map(|key| revoked(key, now)));
            Ok(Decision::commit(pak, changes))
        })
        .await
    }

    /// Lists the keys of several owners of one kind.
    pub async fn key_list(
        &self,
        actor: &Actor,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> BrokerResult<Listing<ApiKey, KeyId>> {
        let Some(first) = owners.first() else {
            return Ok(Listing { items: Vec::new(), next: None });
        };
        let scope = self.authorise(actor, rules(first.kind()).read, "key.read", None)?;
        for owner in owners {
            self.check_owner(&scope, *owner).await?;
        }
        Ok(self.parts.store.key_list(&scope, owners, page).await?)
    }

    /// Revokes a key of one of these owners. Takes effect immediately on this replica, and on others when their views
    /// contain the change.
    pub async fn key_delete(&self, actor: &Actor, owners: &[KeyOwner], id: KeyId) -> BrokerResult<()> {
        const NAME: &str = "key.delete";
        let kind = owners.first().map_or(KeyKind::Admin, |owner| owner.kind());
        let scope = self.authorise(actor, rules(kind).manage, NAME, Some(EntityKey::Key(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Key(id)), || async {
            let key = self.parts.store.get::<ApiKey>(&scope, id).await?;
            if !owners.contains(&key.owner) {
                return Err(BrokerError::NotFound);
            }
            Ok(Decision::commit((), vec![revoked(key, self.now())]))
        })
        .await
    }

    /// Creates a new key and ends all existing ones after `overlap`, at most 7 days.
    pub async fn key_rotate(&self, actor: &Actor, owner: KeyOwner, overlap: Duration) -> BrokerResult<NewPak> {
        const NAME: &str = "key.rotate";
        let scope = self.authorise(actor, rules(owner.kind()).rotate, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            if overlap > Duration::from_secs(limits::ROTATION_OVERLAP_SECONDS) {
                let message = format!("at most {} seconds are allowed", limits::ROTATION_OVERLAP_SECONDS);
                return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("overlap_seconds").into());
            }
            self.check_owner(&scope, owner).await?;
            let now = self.now();
            let end = now.plus(overlap);
            let pak = new_key(&*self.parts.entropy, owner, "rotated", None, now)?;
            let mut changes = vec![Change::Key(pak.key.clone())];
            let present = keys_of(self, &scope, owner).await?;
            // The new key counts towards the limit: surplus keys, oldest first, end immediately.
            let surplus = (present.len() + 1).saturating_sub(limits::KEYS_PER_PRINCIPAL);
            for (n, mut key) in present.into_iter().enumerate() {
                if n < surplus || overlap.is_zero() || key.expires_at.is_some_and(|expiry| expiry <= now) {
                    changes.push(revoked(key, now));
                } else if key.expires_at.is_none_or(|expiry| expiry > end) {
                    key.version = key.version.next();
                    key.expires_at = Some(end);
                    changes.push(Change::Key(key));
                }
            }
            Ok(Decision::commit(pak, changes))
        })
        .await
    }

    /// Ensures that the store has an admin key. Without `given`, creates one on the first start and returns its secret. With
    /// `given`, the short id and hash of a key, stores that key and returns `None`.
    pub async fn ensure_admin_key(&self, given: Option<(String, Digest)>) -> BrokerResult<Option<SecretString>> {
        const NAME: &str = "key.create";
        let actor = self.system_actor();
        if let Some((short_id, _)) = &given
            && matches!(self.parts.view.key(short_id), Ok(Some(_)))
        {
            return Ok(None);
        }
        let made = self
            .decide(&actor, NAME, None, || async {
                let keys = keys_of(self, &Scope::All, KeyOwner::Admin).await?;
                let now = self.now();
                match &given {
                    Some((short_id, _)) if keys.iter().any(|key| key.short_id == *short_id) => {
                        Ok(Decision::nothing(None))
                    }
                    None if !keys.is_empty() => Ok(Decision::nothing(None)),
                    Some((short_id, hash)) => {
                        let mut key = new_key(&*self.parts.entropy, KeyOwner::Admin, "configured", None, now)?.key;
                        key.short_id.clone_from(short_id);
                        key.hash = *hash;
                        Ok(Decision::commit(None, vec![Change::Key(key)]))
                    }
                    None => {
                        let mut pak = new_key(&*self.parts.entropy, KeyOwner::Admin, "initial", None, now)?;
                        pak.key.id = KeyId::INITIAL;
                        Ok(Decision::commit(pak.pak, vec![Change::Key(pak.key)]))
                    }
                }
            })
            .await;
        match made {
            // The key existed and was revoked; it stays revoked.
            Err(BrokerError::Contention) => Ok(None),
            made => made,
        }
    }

    /// Returns the key that the actor presented; `None` for actors without a key.
    pub async fn key_of(&self, actor: &Actor) -> BrokerResult<Option<ApiKey>> {
        use brokkr_core::model::ActorRef as Ref;
        let id = match actor.reference() {
            Ref::Admin { key_id } | Ref::AdminReadOnly { key_id } => Some(key_id),
            Ref::Agent { key_id, .. } | Ref::Generator { key_id, .. } => key_id,
            Ref::System | Ref::Anonymous => None,
        };
        match id {
            Some(id) => Ok(Some(self.parts.store.get::<ApiKey>(&Scope::All, id).await?)),
            None => Ok(None),
        }
    }
}
