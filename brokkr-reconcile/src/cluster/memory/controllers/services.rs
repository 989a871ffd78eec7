//! Services.

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use super::{set, set_status, text};

/// Gives a Service its addresses: one in the cluster, and for load balancers one outside. Both follow from its name, so that
/// runs repeat; two Services may share one.
pub(super) fn service(key: &ObjectRef, object: &mut Value) {
    let kind = text(object, "/spec/type").to_owned();
    let [.., third, last] = crc32fast::hash(key.to_string().as_bytes()).to_be_bytes();
    if kind != "ExternalName" && text(object, "/spec/clusterIP").is_empty() {
        set(object, "spec", "clusterIP", json!(format!("10.96.{third}.{last}")));
    }
    if kind == "LoadBalancer" {
        // The range that RFC 5737 keeps for documentation.
        set_status(object, json!({"loadBalancer": {"ingress": [{"ip": format!("203.0.113.{last}")}]}}));
    }
}
