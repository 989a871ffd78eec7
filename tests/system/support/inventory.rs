//! Reading an agent's inventory as somebody would who knows nothing but its format.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_testbed::TestCluster;
use serde_json::Value;

/// The name of the Secret with the inventory of a stack.
pub(crate) fn inventory_name(agent: impl Display, stack: impl Display) -> String {
    format!("brokkr-{agent}-{stack}")
}

/// What an agent holds of a stack: for each object its kind with its group, namespace (empty without one), name and UID, sorted.
/// What is only used is left out.
pub(crate) fn inventory(cluster: &TestCluster, agent: &str, stack: &str) -> Vec<[String; 4]> {
    let secret = cluster.get("secret", "brokkr-system", &inventory_name(agent, stack)).unwrap();
    let Some(secret) = secret else { return Vec::new() };
    let bytes = STANDARD.decode(secret["data"]["inventory.json"].as_str().unwrap()).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let ours = entries.iter().filter(|it| it["s"] != "used");
    let mut ours: Vec<_> = ours
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            let kind = if text("g").is_empty() { text("k") } else { format!("{}.{}", text("k"), text("g")) };
            [kind, text("ns"), text("n"), text("u")]
        })
        .collect();
    ours.sort();
    ours
}
