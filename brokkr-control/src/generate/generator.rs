//! The generator's contract.

use std::fmt::Debug;

use async_trait::async_trait;
use brokkr_core::model::{GeneratorId, StackSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a generator is told beside its parameters.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GenerateContext<'a> {
    /// The stack that the manifests are for, as it will be.
    pub stack: &'a StackSpec,
    /// The principal under which the generator runs, the stack's owner.
    pub owner: GeneratorId,
}

impl<'a> GenerateContext<'a> {
    pub(crate) fn new(stack: &'a StackSpec, owner: GeneratorId) -> Self {
        Self { stack, owner }
    }
}

/// What a generator made: Kubernetes objects as JSON. The broker checks them like any others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// These objects.
    pub fn new(objects: impl IntoIterator<Item = Value>) -> Self {
        Self(objects.into_iter().collect())
    }

    pub(crate) fn into_documents(self) -> Vec<Value> {
        self.0
    }
}

/// Why a generator made nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The parameters make no sense, in a way that their schema cannot say. The text is shown to the caller.
    #[error("{0}")]
    Refused(String),
    /// Something that the generator needs is not there now.
    #[error("the generator cannot work now: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes the manifests of a stack from typed parameters.
///
/// # To ensure correctness
///
/// 1. **Deterministic**: the same parameters and stack make the same manifests, as far as possible. The
///    broker publishes a new revision whenever they differ.
/// 2. **Whole**: the result is everything that the stack consists of; what is left out of it is removed from the clusters.
/// 3. An error publishes nothing. Returning fewer objects for want of knowledge would remove the others.
/// 4. It may be called again for the same request: effects elsewhere must be idempotent.
///
/// The future may be dropped at any await when the caller goes away.
///
/// ```
/// use async_trait::async_trait;
/// use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
/// use serde_json::json;
///
/// #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
/// struct Params {
///     greeting: String,
/// }
///
/// #[derive(Debug)]
/// struct Greeter;
///
/// #[async_trait]
/// impl Generator for Greeter {
///     type Params = Params;
///
///     fn name(&self) -> &str {
///         "greeter"
///     }
///
///     async fn generate(&self, ctx: &GenerateContext<'_>, params: Params) -> Result<Manifests, GenerateError> {
///         Ok(Manifests::new([json!({
///             "apiVersion": "v1",
///             "kind": "ConfigMap",
///             "metadata": { "name": ctx.stack.name },
///             "data": { "greeting": params.greeting },
///         })]))
///     }
/// }
/// ```
#[async_trait]
pub trait Generator: Debug + Send + Sync + 'static {
    /// What it needs to know. The JSON Schema is derived from the type and checked before every run.
    type Params: DeserializeOwned + JsonSchema + Send;

    /// The name by which callers choose it; a DNS label.
    fn name(&self) -> &str;

    /// Makes the manifests.
    async fn generate(&self, ctx: &GenerateContext<'_>, params: Self::Params) -> Result<Manifests, GenerateError>;
}
