//! Services.

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use super::{set, set_status, text};

/// Assigns a Service its addresses: one inside the cluster, and an external one for load balancers. They derive from its
/// name, so that runs are reproducible; two Services may share one.
pub(super) fn service(key: &ObjectRef, object: &mut Value) {
    let kind = text(object, "/spec/type").to_owned();
    let [.., third, last] = crc32fast::hash(key.to_string().as_bytes()).to_be_bytes();
    if kind != "ExternalName" && text(object, "/spec/clusterIP").is_empty() {
        set(object, "spec", "clusterIP", json!(format!("10.96.{third}.{last}")));
    }
    if kind == "LoadBalancer" {
        // RFC 5737 reserves this range for documentation.
        set_status(object, json!({"loadBalancer": {"ingress": [{"ip": format!("203.0.113.{last}")}]}}));
    }
}
