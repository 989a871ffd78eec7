//! The writes of agents, from the API server's audit log.

use brokkr_testbed::TestCluster;
use serde_json::Value;

/// A position in a cluster's audit log.
pub(crate) struct AuditMark<'a> {
    cluster: &'a TestCluster,
    place: u64,
}

impl<'a> AuditMark<'a> {
    /// The current end of the log.
    pub(crate) fn now(cluster: &'a TestCluster) -> Self {
        Self { cluster, place: cluster.audit_length().unwrap() }
    }

    /// The agents' writes since this position whose URI contains one of these parts, without an agent's own records (its Lease, the
    /// accepted epoch), which belong to no stack.
    pub(crate) fn writes(&self, parts: &[&str]) -> Vec<Value> {
        let writes = self.cluster.writes_since(self.place, "brokkr-agent").unwrap();
        let concerns = |event: &Value| {
            let uri = event["requestURI"].as_str().unwrap();
            let own = uri.contains("/leases/brokkr-agent-") || uri.contains("/configmaps/brokkr-agent-");
            !own && parts.iter().any(|it| uri.contains(it))
        };
        writes.into_iter().filter(concerns).collect()
    }

    /// Fails if there is such a write.
    pub(crate) fn none(&self, parts: &[&str]) -> Result<(), Vec<Value>> {
        let writes = self.writes(parts);
        if writes.is_empty() { Ok(()) } else { Err(writes) }
    }
}

/// Whether the API server executed a request.
pub(crate) fn succeeded(event: &Value) -> bool {
    event["responseStatus"]["code"].as_u64().is_some_and(|code| (200..300).contains(&code))
}
