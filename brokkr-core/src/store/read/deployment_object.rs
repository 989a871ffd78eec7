//! Reads of deployment objects.

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{DeploymentObject, DeploymentObjectId, Revision, StackId};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads deployment objects. Those of a deleted stack are visible to [`Scope::All`] only.
#[async_trait]
pub trait DeploymentObjectReader {
    /// Reads one deployment object with its content, byte for byte as committed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::store::StoreError::NotFound) when it does not exist or is outside of the scope.
    async fn deployment_object_content(
        &self,
        scope: &Scope,
        id: DeploymentObjectId,
    ) -> StoreResult<(DeploymentObject, Bytes)>;

    /// Reads the newest deployment object of a stack; `None` before the first publication.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::store::StoreError::NotFound) when the stack does not exist or is outside of the scope.
    async fn deployment_object_latest(&self, scope: &Scope, stack: StackId) -> StoreResult<Option<DeploymentObject>>;

    /// Reads the deployment object of a stack with this revision.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::store::StoreError::NotFound) when it does not exist or is outside of the scope.
    async fn deployment_object_by_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> StoreResult<DeploymentObject>;

    /// Lists the deployment objects of a stack, newest first.
    async fn deployment_object_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<Revision>,
    ) -> StoreResult<Listing<DeploymentObject, Revision>>;
}
