//! What a Kubernetes API is to us: a small trait in JSON, an in-memory cluster, and the suite that proves either.

mod api_kind;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod discovery;
mod error;
mod fence;
mod field_set;
mod into_cluster;
mod memory;
pub mod meta;
mod options;

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

pub use api_kind::{ApiKind, ObjectKey};
pub use discovery::Discovery;
pub use error::{ClusterError, FieldConflict};
pub use fence::{Fence, Fenceable, FencedCluster};
pub use field_set::FieldSet;
pub use into_cluster::{IntoCluster, IntoFenceable};
pub use memory::{Fault, MemoryCluster, Request, Verb};
pub use options::{
    ApplyOptions, ApplyOutcome, DeleteOptions, ListOptions, Listed, ObjectList, Patch, Propagation, WatchEvent,
};

/// The result of a cluster's operations.
pub type ClusterResult<T> = Result<T, ClusterError>;

/// A Kubernetes API.
///
/// Objects are JSON as the API server sends them, with `apiVersion`, `kind` and `metadata`.
///
/// # To ensure correctness
///
/// 1. **An answer is the server's.** `get` yields `None` only when the server said that the object does not exist;
///    not being able to ask is an error. A list is whole, or an error, or says that it is truncated.
/// 2. **Server-side apply** (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>): `apply` merges
///    what the body names, records the field manager, removes what that manager no longer names, and
///    fails with [`ClusterError::Conflict`] and its causes where another manager owns a field with another value,
///    unless `force` is set. Applying what is there already changes nothing, not even the resource version.
/// 3. **Preconditions.** A `metadata.uid` or `metadata.resourceVersion` in an applied body, and those in
///    [`DeleteOptions`], are checked by the server together with the write; if they do not hold nothing happens and the error is
///    [`ClusterError::Precondition`].
/// 4. **`created`** is true exactly if the call brought the object into being.
/// 5. **Deletion** is complete when the object cannot be read any more, not when `delete` returns.
/// 6. A dry run changes nothing.
/// 7. **Discovery** names what it could not see in [`Discovery::failed`]; absence of a kind means something only
///    when its group did not fail.
///
/// Methods are cancellation safe in the sense of HTTP: a write whose future is dropped may or may not have
/// happened. The macro `cluster_conformance!` (feature `conformance`) expands to one test per duty.
#[async_trait]
pub trait Cluster: Debug + Send + Sync + 'static {
    /// The kinds that are served.
    async fn discover(&self) -> ClusterResult<Discovery>;

    /// One object; `None` when it does not exist.
    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>>;

    /// The objects of a kind, in one namespace or everywhere.
    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList>;

    /// The same list, each object handed over as it comes, so that not all of them are in memory at once. An error may come
    /// after some of them.
    async fn list_each(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        each: &mut (dyn FnMut(Value) + Send),
    ) -> ClusterResult<Listed> {
        let ObjectList { items, resource_version, truncated } = self.list(kind, namespace, options).await?;
        items.into_iter().for_each(each);
        Ok(Listed { resource_version, truncated })
    }

    /// Applies an object on the server.
    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome>;

    /// Patches an object.
    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value>;

    /// Orders the deletion of an object. One that does not exist is [`ClusterError::NotFound`].
    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()>;

    /// What happens to the objects of a kind after a resource version, until the server ends it.
    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>>;
}

const _: Option<&dyn Cluster> = None;
