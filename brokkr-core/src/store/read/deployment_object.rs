//! Reading deployment objects.

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{DeploymentObject, DeploymentObjectId, Revision, StackId};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads deployment objects. Those of a stack that is gone do not exist for scopes other than `All`.
#[async_trait]
pub trait DeploymentObjectReader {
    /// One object with its bytes, exactly as they were committed.
    async fn deployment_object_content(
        &self,
        scope: &Scope,
        id: DeploymentObjectId,
    ) -> StoreResult<(DeploymentObject, Bytes)>;

    /// The newest object of a stack; `None` when nothing was published.
    async fn deployment_object_latest(&self, scope: &Scope, stack: StackId) -> StoreResult<Option<DeploymentObject>>;

    /// The object with this revision.
    async fn deployment_object_by_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> StoreResult<DeploymentObject>;

    /// All of a stack, newest first.
    async fn deployment_object_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<Revision>,
    ) -> StoreResult<Listing<DeploymentObject, Revision>>;
}
