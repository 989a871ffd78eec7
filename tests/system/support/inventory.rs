//! Reads an agent's inventory by its documented format only.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_testbed::TestCluster;
use serde_json::Value;

/// The name of the Secret that contains a stack's inventory.
pub(crate) fn inventory_name(agent: impl Display, stack: impl Display) -> String {
    format!("brokkr-{agent}-{stack}")
}

/// The objects in a stack's inventory, sorted: kind with group, namespace (empty if cluster-scoped), name and UID.
/// Omits objects that the agent only uses.
pub(crate) fn inventory(cluster: &TestCluster, agent: &str, stack: &str) -> Vec<[String; 4]> {
    let secret = cluster.get("secret", "brokkr-system", &inventory_name(agent, stack)).unwrap();
    let Some(secret) = secret else { return Vec::new() };
    let bytes = STANDARD.decode(secret["data"]["inventory.json"].as_str().unwrap()).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let ours = entries.iter().filter(|it| it["s"] != "used");
    let mut ours: Vec<_> = ours
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            assert!(["k", "n"].iter().all(|key| it[*key].is_string()), "an entry without a kind or a name: {it}");
            let kind = if text("g").is_empty() { text("k") } else { format!("{}.{}", text("k"), text("g")) };
            [kind, text("ns"), text("n"), text("u")]
        })
        .collect();
    ours.sort();
    ours
}
