//! A [`Cluster`] over a real Kubernetes API.

mod connect;
mod discover;
mod errors;
mod fence;
mod request;
mod watch;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use brokkr_core::manifest::json_for_yaml;
use brokkr_reconcile::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery, Fence,
    Fenceable, FencedCluster, ImpersonatedUser, ListMeta, ListOptions, ObjectKey, ObjectList, Patch, PropagationPolicy,
    WatchEvent, meta,
};
use futures::stream::BoxStream;
use http::{Method, StatusCode};
use serde_json::{Value, json};

pub use connect::{ClusterSource, ConnectError};
use request::{ApiRequest, path, query};

/// A real Kubernetes API.
///
/// Create it with [`connect`](Self::connect), or with [`new`](Self::new) from a `kube` client.
#[derive(Clone)]
pub struct KubeCluster {
    client: kube::Client,
    /// The client's configuration; absent if the caller supplied the client.
    config: Option<Box<kube::Config>>,
    /// The user to act as; absent for the client's own identity.
    user: Option<Arc<ImpersonatedUser>>,
}

impl KubeCluster {
    /// Wraps an existing client.
    ///
    /// Disable the client's own retries ([`kube::Config::default_retry`]): the agent retries itself, based on the current
    /// target state.
    pub fn new(client: kube::Client) -> Self {
        Self { client, config: None, user: None }
    }
}

impl fmt::Debug for KubeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeCluster").finish_non_exhaustive()
    }
}

const JSON: &str = "application/json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// Objects per page of a list. Bounds the memory of a list request.
const PAGE_SIZE: u32 = 250;

#[async_trait]
impl Cluster for KubeCluster {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        Arc::new(Self { user: Some(Arc::new(user.clone())), ..(*self).clone() })
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        discover::discover(self).await
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        let response = self.send(ApiRequest::new(Method::GET, path(at.kind, at.namespace, Some(at.name)))).await?;
        if response.status == StatusCode::NOT_FOUND && response.is_about(at.name) {
            return Ok(None);
        }
        response.json().map(Some)
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        let mut items = Vec::new();
        let meta = self.list_each(kind, namespace, options, &mut |item| items.push(item)).await?;
        Ok(ObjectList { items, meta })
    }

    async fn list_each(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        visit: &mut (dyn FnMut(Value) + Send),
    ) -> ClusterResult<ListMeta> {
        let (mut continue_token, mut count) = (String::new(), 0_u32);
        loop {
            let wanted = options.limit.map(|limit| limit.saturating_sub(count));
            // The API server takes a limit of 0 for none.
            let limit = wanted.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE).to_string();
            let mut parameters = vec![("limit", limit.as_str())];
            if !options.label_selector.is_empty() {
                parameters.push(("labelSelector", &options.label_selector));
            }
            if !continue_token.is_empty() {
                parameters.push(("continue", &continue_token));
            }
            let mut request = ApiRequest::new(Method::GET, query(path(kind, namespace, None), &parameters));
            request.accept = if options.metadata_only { METADATA_LIST } else { JSON };
            let mut list = self.send(request).await?.json()?;
            let text = |field| list["metadata"][field].as_str().unwrap_or_default().to_owned();
            let resource_version = text("resourceVersion");
            continue_token = text("continue");
            // An empty list without a version would say that every object is gone. Go writes an empty list as null.
            let items = match list.get_mut("items").map(Value::take) {
                _ if resource_version.is_empty() => None,
                Some(Value::Array(items)) => Some(items),
                Some(Value::Null) => Some(Vec::new()),
                _ => None,
            };
            let Some(items) = items else {
                return Err(ClusterError::unavailable("the server's response is not a list"));
            };
            count = count.saturating_add(u32::try_from(items.len()).unwrap_or(u32::MAX));
            items.into_iter().for_each(&mut *visit);
            if continue_token.is_empty() || options.limit.is_some_and(|limit| count >= limit) {
                return Ok(ListMeta { resource_version, truncated: !continue_token.is_empty() });
            }
        }
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        let mut parameters = vec![("fieldManager", options.field_manager), ("fieldValidation", "Strict")];
        if options.force {
            parameters.push(("force", "true"));
        }
        if options.dry_run {
            parameters.push(("dryRun", "All"));
        }
        let mut request =
            ApiRequest::new(Method::PATCH, query(path(at.kind, at.namespace, Some(at.name)), &parameters));
        request.body = Some(("application/apply-patch+yaml", json_for_yaml(body.to_string())));
        let response = self.send(request).await?;
        let created = response.status == StatusCode::CREATED;
        Ok(ApplyOutcome { object: response.json()?, created })
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        let Patch::Merge(patch) = patch;
        let parameters = [("fieldManager", manager)];
        let mut request =
            ApiRequest::new(Method::PATCH, query(path(at.kind, at.namespace, Some(at.name)), &parameters));
        request.body = Some(("application/merge-patch+json", patch.to_string()));
        self.send(request).await?.json()
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        let propagation = match options.propagation {
            PropagationPolicy::Background => "Background",
            PropagationPolicy::Foreground => "Foreground",
            PropagationPolicy::Orphan => "Orphan",
        };
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": options.uid},
        });
        if let Some(version) = options.resource_version {
            body["preconditions"]["resourceVersion"] = json!(version);
        }
        let mut request = ApiRequest::new(Method::DELETE, path(at.kind, at.namespace, Some(at.name)));
        request.body = Some((JSON, body.to_string()));
        self.send(request).await?.json()?;
        Ok(())
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        watch::watch(self, kind, namespace, options, resource_version).await
    }
}

impl Fenceable for KubeCluster {
    /// Checks the fence before each call, and the socket checks it again before each write. With a supplied client
    /// ([`KubeCluster::new`]), only the check before each call applies.
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster> {
        let client = self.config.as_deref().map(|config| fence::client(config, fence.clone())).transpose();
        let cluster = match client {
            Ok(Some(client)) => Arc::new(Self { client, config: self.config.clone(), user: self.user.clone() }),
            Ok(None) => self,
            Err(error) => {
                tracing::warn!(%error, "cannot create the fenced client, so the fence is checked before requests are queued, not when they are sent");
                self
            }
        };
        Arc::new(FencedCluster::new(cluster, fence))
    }
}

/// Returns the resource version of a bookmark's object.
fn version_of(object: &Value) -> String {
    meta::resource_version(object).unwrap_or_default().to_owned()
}
