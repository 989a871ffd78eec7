//! Waiting for custom resource definitions.

use std::time::Duration;

use brokkr_core::model::Health;
use serde_json::Value;

use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::health;
use crate::order::is_crd;

/// How long a pass waits for custom resource definitions to be established.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl PassContext<'_> {
    /// Waits until the custom resource definitions among these objects are established, or the timeout expires.
    pub(crate) async fn established(&self, objects: &[Prepared]) {
        let crds: Vec<&Prepared> = objects.iter().filter(|it| is_crd(&it.object)).collect();
        let all = async {
            for crd in crds {
                let at = crd.kind.at(None, &crd.object.name);
                let is_on_its_way =
                    |live: &Value| health::assess(&crd.kind.group, &crd.kind.kind, live).health == Health::Progressing;
                // The next step detects whether the definition is established, rejected, deleted, or unreadable.
                while self.cluster.get(&at).await.is_ok_and(|live| live.as_ref().is_some_and(is_on_its_way)) {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        };
        // A timeout is no error: the next pass reads the served kinds again.
        let _ = tokio::time::timeout(ESTABLISH_TIMEOUT, all).await;
    }
}
