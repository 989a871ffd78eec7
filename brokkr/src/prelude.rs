//! The types that most hosts need: `use brokkr::prelude::*;`.

pub use std::sync::Arc;

pub use async_trait::async_trait;
pub use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
pub use brokkr_control::{Actor, Broker, BrokerError, BrokerResult, Content};
pub use brokkr_core::model::{AgentId, Policies, Revision, StackId, StackSpec, TargetingRule};
pub use brokkr_core::store::{MemoryStore, Store};
pub use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, TargetingPolicyExt, Verdict};
#[cfg(feature = "http")]
pub use brokkr_http::api::ProblemType;
#[cfg(feature = "http")]
pub use brokkr_http::server::{ApiJson, ApiPath, Caller, Problem, RequestOrigin, Server, shutdown_signal};
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::json;

#[cfg(feature = "postgres")]
pub use brokkr_store_postgres::{PostgresConfig, PostgresStore};
