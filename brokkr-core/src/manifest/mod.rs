//! Manifests: from the bytes that somebody sent to checked Kubernetes objects.
//!
//! Broker and agent read them with the same code, so that what was accepted is what gets applied. All of it
//! runs on hostile input: nothing here recurses without bound, and what may grow is limited.

mod normalise;
mod object;
mod set;
mod strict;
mod yaml;

pub use object::Manifest;
pub use set::{ManifestSet, json_for_yaml};
pub use strict::parse_json;
