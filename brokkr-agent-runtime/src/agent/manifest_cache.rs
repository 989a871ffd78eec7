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
pub(super) struct ManifestCache(HashMap<Digest, Arc<ManifestSet>>);

impl ManifestCache {
    pub(super) fn get(&self, entry: &TargetEntry) -> Option<Arc<ManifestSet>> {
        self.0.get(&entry.digest?).cloned()
    }

    /// Downloads the manifests of these entries, a few at a time. Returns the entries whose download failed.
    ///
    /// Stops early if the broker is unavailable, because the remaining downloads would time out too. Those are not in the
    /// result.
    pub(super) async fn fetch<'a>(
        &mut self,
        control_plane: &dyn ControlPlane,
        entries: impl Iterator<Item = &'a TargetEntry>,
    ) -> Vec<(Vec<&'a TargetEntry>, ControlPlaneError)> {
        // Several entries may have the same content, which is downloaded once.
        let mut missing: HashMap<Digest, (DeploymentObjectId, Vec<&'a TargetEntry>)> = HashMap::new();
        for entry in entries {
            let (Some(id), Some(digest)) = (entry.object_id, entry.digest) else { continue };
            if !self.0.contains_key(&digest) {
                missing.entry(digest).or_insert_with(|| (id, Vec::new())).1.push(entry);
            }
        }
        let fetches: Vec<_> = missing
            .into_iter()
            .map(|(digest, (id, entries))| {
                async move { (entries, digest, download(control_plane, id, digest).await) }.boxed()
            })
            .collect();
        let mut fetched = stream::iter(fetches).buffer_unordered(FETCHES);
        let mut failed = Vec::new();
        while let Some((entries, digest, result)) = fetched.next().await {
            match result {
                Ok(set) => {
                    self.0.insert(digest, Arc::new(set));
                }
                Err(error) => {
                    let is_away =
                        matches!(error, ControlPlaneError::Unreachable(_) | ControlPlaneError::NotReady { .. });
                    failed.push((entries, error));
                    if is_away {
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

async fn download(
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
