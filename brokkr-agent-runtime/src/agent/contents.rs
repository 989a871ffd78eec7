//! Cache of the deployment objects that the target state refers to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{DeploymentObjectId, Digest};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, TargetEntry, TargetState};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};

/// Maximum number of concurrent downloads.
const FETCHES: usize = 8;

/// Manifests by digest. The agent downloads, verifies and parses each of them once.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<Digest, Arc<ManifestSet>>);

impl Contents {
    pub(super) fn get(&self, entry: &TargetEntry) -> Option<Arc<ManifestSet>> {
        self.0.get(&entry.digest?).cloned()
    }

    /// Downloads the manifests of these entries, a few at a time. Returns the entries that failed.
    ///
    /// Stops early if the broker is unavailable: the other downloads would also wait for the timeout.
    pub(super) async fn fetch<'a>(
        &mut self,
        control_plane: &dyn ControlPlane,
        entries: impl Iterator<Item = &'a TargetEntry>,
    ) -> Vec<(&'a TargetEntry, ControlPlaneError)> {
        let mut wanted = HashSet::new();
        let missing = entries.filter_map(|entry| {
            let (id, digest) = (entry.object_id?, entry.digest?);
            (!self.0.contains_key(&digest) && wanted.insert(digest)).then_some((entry, id, digest))
        });
        let fetches: Vec<_> = missing
            .map(|(entry, id, digest)| async move { (entry, digest, get(control_plane, id, digest).await) }.boxed())
            .collect();
        let mut fetched = stream::iter(fetches).buffer_unordered(FETCHES);
        let mut failed = Vec::new();
        while let Some((entry, digest, got)) = fetched.next().await {
            match got {
                Ok(set) => drop(self.0.insert(digest, Arc::new(set))),
                Err(error) => {
                    let away = matches!(error, ControlPlaneError::Unreachable(_) | ControlPlaneError::NotReady { .. });
                    failed.push((entry, error));
                    if away {
                        break;
                    }
                }
            }
        }
        failed
    }

    /// Drops the manifests that the target state no longer refers to.
    pub(super) fn keep_only(&mut self, state: &TargetState) {
        let needed: HashSet<Digest> = state.entries.iter().filter_map(|entry| entry.digest).collect();
        self.0.retain(|digest, _| needed.contains(digest));
    }
}

async fn get(
    control_plane: &dyn ControlPlane,
    id: DeploymentObjectId,
    digest: Digest,
) -> Result<ManifestSet, ControlPlaneError> {
    let bytes = control_plane.deployment_object(id).await?;
    // Parsing megabytes takes time, and must not delay the heartbeat.
    let parsed = tokio::task::spawn_blocking(move || {
        if Digest::of(&bytes) != digest {
            return Err("the downloaded manifests do not match their digest".to_owned());
        }
        ManifestSet::parse_yaml(&bytes).map_err(|invalid| format!("the downloaded manifests are invalid: {invalid}"))
    });
    let set = parsed
        .await
        .map_err(|_| ControlPlaneError::Malformed("parsing the downloaded manifests panicked".to_owned()))?;
    set.map_err(ControlPlaneError::Malformed)
}
