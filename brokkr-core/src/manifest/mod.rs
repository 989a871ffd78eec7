//! Manifests: from the bytes that somebody sent to checked Kubernetes objects.
//!
//! Broker and agent read them with the same code, so that what was accepted is what gets applied: what `kubectl apply --server-side`
//! of the same file would send, or a refusal. All of it runs on hostile input: nothing here recurses without bound, and what may
//! grow is limited before it grows.

mod json;
mod lists;
mod normalise;
mod number;
mod object;
mod set;
mod warnings;
mod yaml;

pub use json::parse_json;
pub use object::Manifest;
pub use set::{ManifestSet, json_for_yaml};
