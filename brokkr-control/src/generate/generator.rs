//! The trait for generators.

use std::fmt::Debug;

use async_trait::async_trait;
use brokkr_core::model::{GeneratorId, StackSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The input of a generator besides its parameters.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GenerateContext<'a> {
    /// The stack that the manifests belong to, in its state after this operation.
    pub stack: &'a StackSpec,
    /// The generator principal that owns the stack.
    pub owner: GeneratorId,
}

impl<'a> GenerateContext<'a> {
    pub(crate) fn new(stack: &'a StackSpec, owner: GeneratorId) -> Self {
        Self { stack, owner }
    }
}

/// The output of a generator: Kubernetes objects as JSON. The broker validates them like published manifests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// Creates the output from Kubernetes objects.
    pub fn new(objects: impl IntoIterator<Item = Value>) -> Self {
        Self(objects.into_iter().collect())
    }

    pub(crate) fn into_documents(self) -> Vec<Value> {
        self.0
    }
}

/// The error of a generator. The stack stays unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The parameters are invalid in a way that their schema cannot express. The caller sees the text.
    #[error("{0}")]
    Refused(String),
    /// A dependency of the generator is unavailable. The caller may retry.
    #[error("the generator is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Generates the manifests of a stack from typed parameters.
///
/// # Contract
///
/// 1. **Deterministic**: equal parameters and stacks should give equal manifests. The broker publishes a new revision
/// whenever they differ.
/// 2. **Complete**: the output contains every object of the stack. Agents remove objects that are missing from it.
/// 3. **All or nothing**: return an error if some objects cannot be generated. Fewer objects would remove the others.
/// 4. **Idempotent**: the broker may call the generator several times for one request, so side effects must be idempotent.
/// 5. **Cancellable**: the future is dropped at any await point if the caller disconnects.
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
    /// The parameters. The broker derives a JSON Schema from the type and validates parameters before every run.
    type Params: DeserializeOwned + JsonSchema + Send;

    /// The name under which callers select the generator; a DNS label, unique in the broker.
    fn name(&self) -> &str;

    /// Generates all manifests of the stack.
    async fn generate(&self, ctx: &GenerateContext<'_>, params: Self::Params) -> Result<Manifests, GenerateError>;
}
