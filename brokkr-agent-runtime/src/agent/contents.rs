//! The deployment objects that the target state refers to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::Digest;
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, TargetEntry, TargetState};

/// Content by digest: fetched once, checked, parsed once.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<Digest, Arc<ManifestSet>>);

impl Contents {
    pub(super) fn get(&self, entry: &TargetEntry) -> Option<Arc<ManifestSet>> {
        self.0.get(&entry.digest?).cloned()
    }

    /// Gets what an entry refers to.
    pub(super) async fn fetch(
        &mut self,
        control_plane: &dyn ControlPlane,
        entry: &TargetEntry,
    ) -> Result<(), ControlPlaneError> {
        let (Some(id), Some(digest)) = (entry.object_id, entry.digest) else {
            return Ok(());
        };
        if self.0.contains_key(&digest) {
            return Ok(());
        }
        let bytes = control_plane.deployment_object(id).await?;
        // Parsing megabytes takes its time; the heartbeat must not wait for it.
        let parsed = tokio::task::spawn_blocking(move || {
            if Digest::of(&bytes) != digest {
                return Err("the content does not have the digest that was announced".to_owned());
            }
            ManifestSet::parse_yaml(&bytes).map_err(|invalid| format!("the content is refused: {invalid}"))
        });
        let set = parsed.await.map_err(|_| ControlPlaneError::Malformed("the content cannot be parsed".to_owned()))?;
        self.0.insert(digest, Arc::new(set.map_err(ControlPlaneError::Malformed)?));
        Ok(())
    }

    /// Forgets what the target state no longer refers to.
    pub(super) fn keep_only(&mut self, state: &TargetState) {
        let needed: HashSet<Digest> = state.entries.iter().filter_map(|entry| entry.digest).collect();
        self.0.retain(|digest, _| needed.contains(digest));
    }
}
