//! What the broker does at the end of stacks and keys.

use brokkr_core::model::{ApiKey, Change, EntityKey, KeyId, Stack, StackId, StackPhase, Version};
use brokkr_core::store::{Scope, StoreExt as _};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::BrokerResult;

impl Broker {
    /// Announces the end of a stack with this version: subscribers of the feed see it before the stack is deleted.
    pub(crate) async fn stack_announce_expiry(&self, actor: &Actor, id: StackId, version: Version) -> BrokerResult<()> {
        self.decide(actor, "stack.expiring", Some(EntityKey::Stack(id)), || async {
            let before = self.parts.store.get::<Stack>(&Scope::All, id).await?;
            if before.version != version || before.expiry_announced_at.is_some() {
                return Ok(Decision::nothing(()));
            }
            let now = self.now();
            let after =
                Stack { version: version.next(), updated_at: now, expiry_announced_at: Some(now), ..before.clone() };
            let decision = Decision::update((), &before, after);
            let kept = before.deletion_protection.then_some("the stack stays: it is protected against deletion");
            Ok(kept.into_iter().fold(decision, Decision::detail))
        })
        .await
    }

    /// Starts the deletion of a stack with this version, whose end has come and was announced, and which nothing protects.
    pub(crate) async fn stack_expire(&self, actor: &Actor, id: StackId, version: Version) -> BrokerResult<()> {
        self.decide(actor, "stack.expired", Some(EntityKey::Stack(id)), || async {
            let before = self.parts.store.get::<Stack>(&Scope::All, id).await?;
            let is_over = before.expires_at.is_some_and(|end| end <= self.now());
            let is_due = is_over && before.expiry_announced_at.is_some() && !before.deletion_protection;
            if before.version != version || !before.is_active() || !is_due {
                return Ok(Decision::nothing(()));
            }
            let (version, updated_at) = (version.next(), self.now());
            let after = Stack { version, updated_at, phase: StackPhase::Deleting, ..before.clone() };
            Ok(Decision::update((), &before, after))
        })
        .await?;
        self.complete_removal(actor, id).await.map(drop)
    }

    /// Revokes a key with this version, whose end has come.
    pub(crate) async fn key_expire(&self, actor: &Actor, id: KeyId, version: Version) -> BrokerResult<()> {
        self.decide(actor, "key.expired", Some(EntityKey::Key(id)), || async {
            let mut key = self.parts.store.get::<ApiKey>(&Scope::All, id).await?;
            let now = self.now();
            if key.version != version || key.expires_at.is_none_or(|end| end > now) {
                return Ok(Decision::nothing(()));
            }
            key.version = version.next();
            key.deleted_at = Some(now);
            Ok(Decision::commit((), vec![Change::Key(key)]))
        })
        .await
    }
}
