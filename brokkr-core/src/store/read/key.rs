//! Reading keys.

use async_trait::async_trait;

use crate::model::{ApiKey, KeyId, KeyOwner, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads keys. Revoked ones do not exist for it.
#[async_trait]
pub trait KeyReader {
    /// The keys of some owners, by id.
    async fn key_list(
        &self,
        scope: &Scope,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> StoreResult<Listing<ApiKey, KeyId>>;

    /// When a key was used last, as far as that was recorded.
    async fn key_last_used(&self, scope: &Scope, id: KeyId) -> StoreResult<Option<Timestamp>>;
}
