//! Manifests: parsing and checking of Kubernetes objects.
//!
//! Broker and agent parse manifests with the same code, so an agent applies exactly what the broker accepted: what
//! `kubectl apply --server-side` of the same file would send, or an error. The code must withstand hostile input: no
//! recursion is unbounded, and limits apply before memory grows.

mod json;
mod lists;
mod normalise;
mod number;
mod object;
mod redact;
mod set;
mod warnings;
mod weight;
mod yaml;

pub use json::parse_json;
pub use object::Manifest;
pub use redact::{REDACTED, for_each_secret_value, is_secret};
pub use set::{ManifestSet, json_for_yaml};
pub use weight::parsing_weight;
