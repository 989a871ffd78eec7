//! Cache of recently published or read contents. When a thousand agents fetch the same deployment object, the store reads
//! its bytes only once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use brokkr_core::model::{Change, DeploymentObject, DeploymentObjectId, Digest, Epoch};
use brokkr_core::store::{StoreError, StoreResult};
use bytes::Bytes;
use moka::future::Cache;
use moka::policy::EvictionPolicy;

/// Approximate memory limit of the cache.
const CAPACITY_BYTES: u64 = 64 * 1024 * 1024;
/// Approximate memory of an entry besides its bytes and texts.
const ENTRY_OVERHEAD_BYTES: usize = 1024;

/// A deployment object with its stored bytes.
pub(crate) type Found = (DeploymentObject, Bytes);

/// Contents by epoch and deployment object. Within an epoch neither ever changes, so entries never become stale. Callers
/// check access.
pub(crate) struct RecentContents(Cache<(Epoch, DeploymentObjectId), Found>);

impl Default for RecentContents {
    fn default() -> Self {
        let weight = |_: &(Epoch, DeploymentObjectId), (object, bytes): &Found| {
            let texts = object.message.len() + object.warnings.iter().map(String::len).sum::<usize>();
            u32::try_from(bytes.len() + texts + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        // Agents fetch the newest contents next, however often they fetched older ones.
        let policy = EvictionPolicy::lru();
        Self(Cache::builder().weigher(weight).max_capacity(CAPACITY_BYTES).eviction_policy(policy).build())
    }
}

impl fmt::Debug for RecentContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentContents").field("bytes", &self.0.weighted_size()).finish_non_exhaustive()
    }
}

impl RecentContents {
    /// Returns the cached entry, or runs `read` and caches its result. Concurrent callers share one read and its result.
    pub(crate) async fn get_or_read(
        &self,
        epoch: Epoch,
        id: DeploymentObjectId,
        read: impl Future<Output = StoreResult<Found>>,
    ) -> StoreResult<Found> {
        let found = self.0.try_get_with((epoch, id), async { read.await.map(copied) }).await;
        found.map_err(|error: Arc<StoreError>| match &*error {
            StoreError::NotFound => StoreError::NotFound,
            StoreError::Unavailable(source) => StoreError::Unavailable(source.to_string().into()),
            _ => StoreError::Internal(Box::new(error)),
        })
    }

    pub(crate) async fn keep(&self, epoch: Epoch, found: Found) {
        self.0.insert((epoch, found.0.id), copied(found)).await;
    }
}

/// Copies the bytes: they may be a slice of a large buffer, which would stay allocated as long as the slice.
fn copied((object, bytes): Found) -> Found {
    (object, Bytes::copy_from_slice(&bytes))
}

/// The new deployment objects in a commit, with their bytes.
pub(crate) fn published(changes: &[Change], contents: &BTreeMap<Digest, Bytes>) -> Vec<Found> {
    let object = |change: &Change| match change {
        Change::DeploymentObject(object) => Some((object.clone(), contents.get(&object.digest)?.clone())),
        _ => None,
    };
    changes.iter().filter_map(object).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use brokkr_core::model::{ActorRef, GeneratorId, Policies, Provenance, Revision, StackId};

    fn found(size: usize) -> Found {
        let bytes = Bytes::from(vec![b' '; size]);
        let object = DeploymentObject {
            id: DeploymentObjectId::generate(),
            stack_id: StackId::generate(),
            generator_id: GeneratorId::SYSTEM,
            revision: Revision::FIRST,
            digest: Digest::of(&bytes),
            size: size as u64,
            object_count: 0,
            message: String::new(),
            provenance: Provenance::Published,
            policies: Policies::default(),
            depends_on: Vec::new(),
            warnings: Vec::new(),
            created_by: ActorRef::System,
            created_at: brokkr_core::clock::Clock::now(&brokkr_core::clock::SystemClock),
        };
        (object, bytes)
    }

    #[tokio::test]
    async fn full_cache_evicts_the_oldest_entries() {
        let (contents, epoch) = (RecentContents::default(), Epoch::generate());
        let mut ids = Vec::new();
        for _ in 0..20 {
            let found = found(8 * 1024 * 1024);
            ids.push(found.0.id);
            contents.keep(epoch, found).await;
            contents.0.run_pending_tasks().await;
        }
        assert!(contents.0.weighted_size() <= CAPACITY_BYTES);
        let nothing = async || Err(StoreError::NotFound);
        assert!(contents.get_or_read(epoch, ids[0], nothing()).await.is_err());
        assert!(contents.get_or_read(epoch, ids[19], nothing()).await.is_ok());
        assert!(
            contents.get_or_read(Epoch::generate(), ids[19], nothing()).await.is_err(),
            "other epochs have no entry"
        );
    }

    #[tokio::test]
    async fn failed_read_fails_all_waiters_and_is_not_cached() {
        let (contents, epoch, found) = (RecentContents::default(), Epoch::generate(), found(1));
        let (id, reads) = (found.0.id, AtomicUsize::new(0));
        let fails = async || {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(StoreError::Unavailable("away".into()))
        };
        let (one, other) =
            tokio::join!(contents.get_or_read(epoch, id, fails()), contents.get_or_read(epoch, id, fails()));
        assert!(matches!((one, other), (Err(StoreError::Unavailable(_)), Err(StoreError::Unavailable(_)))));
        assert_eq!(reads.into_inner(), 1);
        assert!(contents.get_or_read(epoch, id, async { Ok(found) }).await.is_ok());
    }
}
