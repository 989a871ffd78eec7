//! Reads of API keys.

use async_trait::async_trait;

use crate::model::{ApiKey, KeyId, KeyOwner, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads API keys. Revoked keys are treated as absent.
#[async_trait]
pub trait KeyReader {
    /// Lists the keys of the given owners, ordered by id.
    async fn key_list(
        &self,
        scope: &Scope,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> StoreResult<Listing<ApiKey, KeyId>>;

    /// Reads the times of the latest use of these keys, to about a minute. Omits keys that were never used.
    async fn key_last_used(&self, scope: &Scope, ids: &[KeyId]) -> StoreResult<Vec<(KeyId, Timestamp)>>;
}
