//! Keeps generators within their quotas.

use brokkr_core::model::{GeneratorId, Quota, QuotaExceeded, limits};
use brokkr_core::store::Precondition;

use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

/// Commits of one generator that may run at the same time, on all brokers together. Below the quota by what so many can add, commits
/// need not wait for each other.
const AT_ONCE: u64 = 250;

/// The most that one commit adds to a quota.
fn largest_step(quota: Quota) -> u64 {
    match quota {
        Quota::ManifestBytes => limits::BODY_BYTES as u64,
        _ => 1,
    }
}

impl Broker {
    /// Fails if `more` would exceed a generator's quota. Near the quota, returns the precondition that keeps concurrent commits within
    /// it; far below, they cannot reach it. The system generator, whose stacks admins publish, has no quotas.
    pub(crate) async fn within_quota(
        &self,
        generator: GeneratorId,
        quota: Quota,
        more: u64,
    ) -> BrokerResult<Option<Precondition>> {
        if generator == GeneratorId::SYSTEM {
            return Ok(None);
        }
        let maximum = self.parts.quotas.maximum(quota);
        let used = self.parts.store.quota_used(generator, quota).await?;
        if used.saturating_add(more) > maximum {
            return Err(BrokerError::QuotaExceeded(QuotaExceeded { quota, used, maximum }));
        }
        let is_near = used.saturating_add(AT_ONCE.saturating_mul(largest_step(quota))) > maximum;
        Ok(is_near.then_some(Precondition::Within(generator, quota, maximum)))
    }
}
