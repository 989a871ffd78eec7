//! Operations on keys.

use std::fmt;
use std::time::Duration;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, ApiKey, Change, EntityKey, GeneratorPrincipal, KeyId, KeyKind, KeyOwner, Name, Quota, QuotaExceeded,
    Timestamp, Version, limits,
};
use brokkr_core::pak::Pak;
use brokkr_core::store::{Listing, Page, Precondition, Scope, StoreExt as _, StoreResult};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::access::actor::Actor;
use crate::access::key_actions::key_actions;
use crate::access::key_terms::{KeyTerms, Maker, last_admin, successor};
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};

/// Input of [`Broker::key_create`].
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// A DNS label, for display.
    pub name: String,
    /// What the key permits.
    pub terms: KeyTerms,
}

/// A key and its latest use.
#[derive(Debug, Clone)]
pub struct KeyDetails {
    /// The key.
    pub key: ApiKey,
    /// The time of the latest use, to about a minute; `None` if it was never used.
    pub last_used_at: Option<Timestamp>,
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

fn revoked(mut key: ApiKey, now: Timestamp) -> ApiKey {
    key.version = key.version.next();
    key.deleted_at = Some(now);
    key
}

/// The key with an earlier end: revoked if that is now, unchanged (`None`) if it ends by then anyway.
fn ended(mut key: ApiKey, end: Timestamp, now: Timestamp) -> Option<ApiKey> {
    if end <= now || !key.is_usable(now) {
        return Some(revoked(key, now));
    }
    if key.expires_at.is_some_and(|expiry| expiry <= end) {
        return None;
    }
    key.version = key.version.next();
    key.expires_at = Some(end);
    Some(key)
}

/// Adds the end of a key to the decision. The audit says when a key that is not revoked at once ends.
fn with_end<T>(mut decision: Decision<T>, key: &ApiKey, end: Option<ApiKey>) -> Decision<T> {
    match end {
        None => decision,
        Some(end) if end.deleted_at.is_some() => {
            decision.changes.push(Change::Key(end));
            decision
        }
        Some(end) => decision.and_update(key, end),
    }
}

/// All keys of these owners that are not revoked, oldest first.
pub(super) async fn keys_of(broker: &Broker, scope: &Scope, owners: &[KeyOwner]) -> StoreResult<Vec<ApiKey>> {
    let (mut keys, mut page) = (Vec::new(), Page::first(limits::PAGE_MAX));
    loop {
        let listing = broker.parts.store.key_list(scope, owners, &page).await?;
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
    Ok(keys_of(broker, scope, &[owner]).await?.into_iter().map(|key| Change::Key(revoked(key, now))).collect())
}

/// The owners whose keys share a limit.
fn beside(owner: KeyOwner) -> (Vec<KeyOwner>, usize, &'static str) {
    match owner {
        KeyOwner::Admin | KeyOwner::AdminReadOnly => (
            vec![KeyOwner::Admin, KeyOwner::AdminReadOnly],
            limits::ADMIN_KEYS,
            "there can be at most 256 admin keys; revoke one first",
        ),
        owner => (vec![owner], limits::KEYS_PER_PRINCIPAL, "an agent can have at most 16 keys; delete one first"),
    }
}

fn check_overlap(overlap: Duration) -> BrokerResult<()> {
    if overlap > Duration::from_secs(limits::ROTATION_OVERLAP_SECONDS) {
        let message = format!("at most {} seconds are allowed", limits::ROTATION_OVERLAP_SECONDS);
        return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("overlap_seconds").into());
    }
    Ok(())
}

impl Broker {
    pub(super) fn maker(&self, actor: &Actor) -> Maker {
        Maker { scopes: actor.scopes(), ends_at: actor.ends_at(), lifetime: self.parts.key_lifetime }
    }

    /// Makes a key within the limits of the actor's own.
    pub(crate) fn mint(
        &self,
        actor: &Actor,
        owner: KeyOwner,
        name: &str,
        terms: KeyTerms,
        now: Timestamp,
    ) -> BrokerResult<NewPak> {
        let granted = self.maker(actor).grant(owner.kind(), terms, now)?;
        let pak = self.new_secret(owner.kind())?;
        let key = ApiKey {
            id: self.new_id(),
            short_id: pak.short_id().to_owned(),
            hash: pak.hash(),
            name: name.parse().map_err(|error: Invalid| error.within("name"))?,
            owner,
            subject: granted.subject,
            scopes: granted.scopes,
            source_networks: granted.source_networks,
            expires_at: granted.expires_at,
            version: Version::FIRST,
            created_at: now,
            deleted_at: None,
        };
        Ok(NewPak { key, pak: Some(pak.into_secret()) })
    }

    pub(super) fn new_secret(&self, kind: KeyKind) -> BrokerResult<Pak> {
        Pak::generate(kind, &*self.parts.entropy).map_err(|error| BrokerError::Internal(Box::new(error)))
    }

    /// Fails with `NotFound` unless the actor may see the owner.
    async fn check_owner(&self, scope: &Scope, owner: KeyOwner) -> BrokerResult<()> {
        match owner {
            KeyOwner::Admin | KeyOwner::AdminReadOnly => {}
            KeyOwner::Agent { id } => drop(self.parts.store.get::<Agent>(scope, id).await?),
            KeyOwner::Generator { id } => drop(self.parts.store.get::<GeneratorPrincipal>(scope, id).await?),
        }
        Ok(())
    }

    /// Fails if the owner has no room for another key beside its active ones. Returns the precondition that keeps concurrent
    /// requests within the quota.
    fn room_for_key(&self, owner: KeyOwner, active: usize) -> BrokerResult<Option<Precondition>> {
        let (_, limit, full) = beside(owner);
        let KeyOwner::Generator { id } = owner else {
            return if active >= limit { Err(BrokerError::LimitReached(full)) } else { Ok(None) };
        };
        let (used, maximum) = (active as u64, self.parts.quotas.maximum(Quota::Keys));
        if used >= maximum {
            return Err(BrokerError::QuotaExceeded(QuotaExceeded { quota: Quota::Keys, used, maximum }));
        }
        Ok(Some(Precondition::Within(id, Quota::Keys, maximum)))
    }

    /// Creates a key. It has at most the scopes of the actor's key and ends with it at the latest.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid name, and for terms beyond those of the actor's key;
    /// [`BrokerError::LimitReached`] if the agent already has 16 keys, or if there are 256 admin keys;
    /// [`BrokerError::QuotaExceeded`] if the generator has as many as its quota allows.
    pub async fn key_create(&self, actor: &Actor, owner: KeyOwner, new: NewKey) -> BrokerResult<NewPak> {
        const NAME: &str = "key.create";
        let scope = self.authorise(actor, key_actions(actor, owner.kind()).manage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            self.check_owner(&scope, owner).await?;
            let now = self.now();
            let (owners, ..) = beside(owner);
            let (active, expired): (Vec<_>, Vec<_>) =
                keys_of(self, &scope, &owners).await?.into_iter().partition(|key| key.is_usable(now));
            let within = self.room_for_key(owner, active.len())?;
            let pak = self.mint(actor, owner, &new.name, new.terms.clone(), now)?;
            let mut changes = vec![Change::Key(pak.key.clone())];
            changes.extend(expired.into_iter().map(|key| Change::Key(revoked(key, now))));
            let detail = format!("scopes: {}", pak.key.scopes);
            let mut decision = Decision::commit(pak, changes).detail(detail);
            decision.preconditions.extend(within);
            Ok(decision)
        })
        .await
    }

    /// Lists the keys of several owners of one kind.
    pub async fn key_list(
        &self,
        actor: &Actor,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> BrokerResult<Listing<KeyDetails, KeyId>> {
        let Some(first) = owners.first() else {
            return Ok(Listing { items: Vec::new(), next: None });
        };
        let scope = self.authorise(actor, key_actions(actor, first.kind()).read, "key.read", None)?;
        for owner in owners {
            self.check_owner(&scope, *owner).await?;
        }
        let listing = self.parts.store.key_list(&scope, owners, page).await?;
        let ids: Vec<KeyId> = listing.items.iter().map(|key| key.id).collect();
        let used: std::collections::HashMap<_, _> =
            self.parts.store.key_last_used(&scope, &ids).await?.into_iter().collect();
        Ok(listing.map(|key| KeyDetails { last_used_at: used.get(&key.id).copied(), key }))
    }

    /// A key of one of these owners.
    async fn key_of_owners(&self, scope: &Scope, owners: &[KeyOwner], id: KeyId) -> BrokerResult<ApiKey> {
        let key = self.parts.store.get::<ApiKey>(scope, id).await?;
        if owners.contains(&key.owner) { Ok(key) } else { Err(BrokerError::NotFound) }
    }

    /// Revokes a key of one of these owners. Takes effect immediately on this replica, and on others when their views
    /// contain the change.
    ///
    /// # Errors
    ///
    /// [`BrokerError::LastAdminKey`] if no other usable key has every scope of an admin.
    pub async fn key_delete(&self, actor: &Actor, owners: &[KeyOwner], id: KeyId) -> BrokerResult<()> {
        const NAME: &str = "key.delete";
        let kind = owners.first().map_or(KeyKind::Admin, |owner| owner.kind());
        let scope = self.authorise(actor, key_actions(actor, kind).manage, NAME, Some(EntityKey::Key(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Key(id)), || async {
            let (key, now) = (self.key_of_owners(&scope, owners, id).await?, self.now());
            let mut decision = Decision::commit((), vec![Change::Key(revoked(key.clone(), now))]);
            if key.is_full_admin() && key.is_usable(now) {
                let admins = keys_of(self, &Scope::All, &[KeyOwner::Admin]).await?;
                let other = last_admin(admins.iter().filter(|other| other.id != id), now);
                // The other key may be revoked concurrently.
                let other = other.ok_or(BrokerError::LastAdminKey)?;
                decision = decision.provided(Precondition::Version(EntityKey::Key(other.id), other.version));
            }
            Ok(decision)
        })
        .await
    }

    /// Replaces a key of one of these owners by a new one with the same name, subject, scopes, source networks and lifetime,
    /// within the limits of the actor's own key. The old key ends after `overlap`, at most 7 days.
    pub async fn key_replace(
        &self,
        actor: &Actor,
        owners: &[KeyOwner],
        id: KeyId,
        overlap: Duration,
    ) -> BrokerResult<NewPak> {
        const NAME: &str = "key.rotate";
        let kind = owners.first().map_or(KeyKind::Admin, |owner| owner.kind());
        let scope = self.authorise(actor, key_actions(actor, kind).rotate, NAME, Some(EntityKey::Key(id)))?;
        self.decide_once(actor, NAME, Some(EntityKey::Key(id)), || async {
            check_overlap(overlap)?;
            let (key, now) = (self.key_of_owners(&scope, owners, id).await?, self.now());
            if !key.is_usable(now) {
                return Err(BrokerError::NotFound);
            }
            let (same, ..) = beside(key.owner);
            let (active, expired): (Vec<_>, Vec<_>) =
                keys_of(self, &scope, &same).await?.into_iter().partition(|key| key.is_usable(now));
            // Without an overlap, the new key takes the place of the old one.
            let within = if overlap.is_zero() { None } else { self.room_for_key(key.owner, active.len())? };
            let terms = self.maker(actor).within_reach(kind, successor(&[&key], now)?, now);
            let pak = self.mint(actor, key.owner, key.name.as_str(), terms, now)?;
            let end = ended(key.clone(), now.plus(overlap), now);
            let created = Change::Key(pak.key.clone());
            let mut decision = with_end(Decision::commit(pak, vec![created]), &key, end);
            decision.changes.extend(expired.into_iter().map(|key| Change::Key(revoked(key, now))));
            decision.preconditions.extend(within);
            Ok(decision.detail(format!("replaces {id}")))
        })
        .await
    }

    /// Creates a new key and ends all existing ones after `overlap`, at most 7 days. The new key permits what the existing
    /// ones permit together, within the limits of the actor's own key.
    pub async fn key_rotate(&self, actor: &Actor, owner: KeyOwner, overlap: Duration) -> BrokerResult<NewPak> {
        const NAME: &str = "key.rotate";
        let scope = self.authorise(actor, key_actions(actor, owner.kind()).rotate, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            check_overlap(overlap)?;
            self.check_owner(&scope, owner).await?;
            let now = self.now();
            let present = keys_of(self, &scope, &[owner]).await?;
            // The successor of an admin's key has every scope of it, so an admin is left.
            let usable: Vec<&ApiKey> = present.iter().filter(|key| key.is_usable(now)).collect();
            let terms = self.maker(actor).within_reach(owner.kind(), successor(&usable, now)?, now);
            let pak = self.mint(actor, owner, "rotated", terms, now)?;
            let created = Change::Key(pak.key.clone());
            let mut decision = Decision::commit(pak, vec![created]);
            // The new key counts towards the limit: surplus keys, oldest first, end immediately.
            let most = match owner {
                KeyOwner::Generator { .. } => {
                    usize::try_from(self.parts.quotas.maximum(Quota::Keys)).unwrap_or(usize::MAX)
                }
                owner => beside(owner).1,
            };
            let surplus = (present.len() + 1).saturating_sub(most.max(1));
            let end = |n: usize| if n < surplus { now } else { now.plus(overlap) };
            for (n, key) in present.iter().enumerate() {
                decision = with_end(decision, key, ended(key.clone(), end(n), now));
            }
            Ok(decision)
        })
        .await
    }

    /// Returns the name of the actor's agent or generator, whatever the scopes of its key; `None` for other actors.
    pub async fn principal_name(&self, actor: &Actor) -> BrokerResult<Option<Name>> {
        let (store, scope) = (&self.parts.store, self.scope(actor));
        Ok(match (actor.agent_id(), actor.generator_id()) {
            (Some(id), _) => Some(store.get::<Agent>(&scope, id).await?.name),
            (None, Some(id)) => Some(store.get::<GeneratorPrincipal>(&scope, id).await?.name),
            (None, None) => None,
        })
    }

    /// Returns the key that the actor presented; `None` for actors without a key.
    pub async fn key_of(&self, actor: &Actor) -> BrokerResult<Option<ApiKey>> {
        match actor.key_id() {
            Some(id) => Ok(Some(self.parts.store.get::<ApiKey>(&Scope::All, id).await?)),
            None => Ok(None),
        }
    }
}
