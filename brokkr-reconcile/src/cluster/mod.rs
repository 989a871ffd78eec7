//! The Kubernetes API as a small trait over JSON, an in-memory cluster, and a conformance suite for implementations.

mod api_kind;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod discovery;
mod error;
mod fence;
mod field_set;
mod impersonated_user;
mod into_cluster;
mod memory;
pub mod meta;
mod options;
mod results;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

pub use api_kind::{ApiKind, ObjectKey};
pub use discovery::Discovery;
pub use error::{ClusterError, FieldConflict};
pub use fence::{Fence, Fenceable, FencedCluster};
pub use field_set::FieldSet;
pub use impersonated_user::{ImpersonatedUser, generator_user};
pub use into_cluster::{IntoCluster, IntoFenceable};
pub use memory::{Fault, MemoryCluster, Request, Verb};
pub use options::{ApplyOptions, DeleteOptions, ListOptions, Patch, PropagationPolicy};
pub use results::{ApplyOutcome, ListMeta, ObjectList, WatchEvent};

/// Result of a cluster operation.
pub type ClusterResult<T> = Result<T, ClusterError>;

/// A Kubernetes API.
///
/// Objects are JSON as the API server sends them, with `apiVersion`, `kind` and `metadata`.
///
/// # Contract
///
/// 1. **Answers come from the server.** `get` returns `None` only if the server says that the object does not exist; a
///    failed request is an error. A list is complete, or marked as truncated, or an error.
/// 2. **Server-side apply** (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>): `apply` merges the
///    fields of the body, records the field manager, and removes the fields that this manager no longer names. If another
///    manager owns a field with a different value, it fails with [`ClusterError::Conflict`] and the conflicting fields,
///    unless `force` is set. Applying an unchanged body changes nothing, not even the resource version.
/// 3. **Preconditions.** The server checks `metadata.uid` and `metadata.resourceVersion` of an applied body, and those in
///    [`DeleteOptions`], atomically with the write. If they do not match, the server writes nothing and the error is
///    [`ClusterError::Precondition`].
/// 4. **`created`** is true exactly if the call created the object.
/// 5. **Deletion** is complete when the object can no longer be read, not when `delete` returns.
/// 6. **A dry run** changes nothing.
/// 7. **Discovery** lists the groups that it could not read in [`Discovery::failed`]. The absence of a kind is meaningful
///    only if its group did not fail.
/// 8. **Impersonation.** The server authorizes each request of an impersonated cluster with the rights of that user alone,
///    never with those of this client, except for the right to impersonate.
///
/// # Cancel safety
///
/// Reads can be dropped at any time. A write whose future is dropped may or may not happen.
///
/// # Examples
///
/// A complete implementation, which wraps a cluster and rejects all writes. The macro `cluster_conformance!` (feature
/// `conformance`) generates one test per point of the contract.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use brokkr_reconcile::cluster::{
///     ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery,
///     ImpersonatedUser, ListOptions, ObjectKey, ObjectList, Patch, WatchEvent,
/// };
/// use futures::stream::BoxStream;
/// use serde_json::Value;
///
/// #[derive(Debug)]
/// struct ReadOnly(Arc<dyn Cluster>);
///
/// fn denied<T>() -> ClusterResult<T> {
///     Err(ClusterError::Forbidden("this cluster is read-only".to_owned()))
/// }
///
/// #[async_trait]
/// impl Cluster for ReadOnly {
///     fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
///         Arc::new(Self(self.0.clone().impersonate(user)))
///     }
///
///     async fn discover(&self) -> ClusterResult<Discovery> {
///         self.0.discover().await
///     }
///
///     async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
///         self.0.get(at).await
///     }
///
///     async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
///         self.0.list(kind, namespace, options).await
///     }
///
///     async fn apply(&self, _: &ObjectKey<'_>, _: &Value, _: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
///         denied()
///     }
///
///     async fn patch(&self, _: &ObjectKey<'_>, _: &Patch, _: &str) -> ClusterResult<Value> {
///         denied()
///     }
///
///     async fn delete(&self, _: &ObjectKey<'_>, _: &DeleteOptions<'_>) -> ClusterResult<()> {
///         denied()
///     }
///
///     async fn watch(
///         &self,
///         kind: &ApiKind,
///         namespace: Option<&str>,
///         options: &ListOptions,
///         resource_version: &str,
///     ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
///         self.0.watch(kind, namespace, options, resource_version).await
///     }
/// }
/// ```
#[async_trait]
pub trait Cluster: Debug + Send + Sync + 'static {
    /// Returns the same cluster for requests as another user. Sends no request: without the right to impersonate the user,
    /// the server rejects each request.
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster>;

    /// Returns the kinds that the API server serves.
    async fn discover(&self) -> ClusterResult<Discovery>;

    /// Reads an object. Returns `None` if it does not exist.
    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>>;

    /// Lists the objects of a kind, in one namespace, or in all if `namespace` is `None`.
    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList>;

    /// Lists objects like [`list`](Self::list), but passes each object to `visit` as it arrives, so that they are not all
    /// in memory at once. May return an error after it has passed some objects.
    async fn list_each(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        visit: &mut (dyn FnMut(Value) + Send),
    ) -> ClusterResult<ListMeta> {
        let ObjectList { items, meta } = self.list(kind, namespace, options).await?;
        items.into_iter().for_each(visit);
        Ok(meta)
    }

    /// Applies an object with server-side apply. Creates the object if it does not exist, unless the body has a UID.
    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome>;

    /// Patches an object as the field manager `manager`, and returns the changed object.
    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value>;

    /// Requests the deletion of an object.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NotFound`] if the object does not exist, and [`ClusterError::Precondition`] if it has a different
    /// UID or resource version.
    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()>;

    /// Watches the objects of a kind from a resource version on, until the server ends the watch.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Expired`], from the call or as an item, if the server no longer has the events after the version.
    /// List again then.
    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>>;
}

const _: Option<&dyn Cluster> = None;
