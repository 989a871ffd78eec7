//! Type-erased generators and the validation of their parameters.

use std::any::TypeId;
use std::fmt::Debug;

use async_trait::async_trait;
use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use crate::generate::{GenerateContext, GenerateError, Generator, Manifests};

/// Object-safe form of [`Generator`], implemented for every generator.
#[async_trait]
pub(crate) trait DynGenerator: Debug + Send + Sync + 'static {
    /// The generator's name.
    fn name(&self) -> &str;

    /// The JSON Schema (draft 2020-12) of its parameters.
    fn schema(&self) -> Value;

    /// Generates the manifests from parameters that match the schema.
    async fn run(&self, ctx: &GenerateContext<'_>, params: Value) -> Result<Manifests, GenerateError>;
}

#[async_trait]
impl<G: Generator> DynGenerator for G {
    fn name(&self) -> &str {
        Generator::name(self)
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(G::Params).to_value()
    }

    async fn run(&self, ctx: &GenerateContext<'_>, params: Value) -> Result<Manifests, GenerateError> {
        let params = serde_json::from_value(params).map_err(|_| {
            GenerateError::Refused("the parameters match the schema but not the generator's type".to_owned())
        })?;
        self.generate(ctx, params).await
    }
}

/// A registered generator with its compiled schema.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The concrete type, for lookups by type.
    pub(crate) of: TypeId,
    pub(crate) generator: Box<dyn DynGenerator>,
    validator: jsonschema::Validator,
}

impl Registered {
    /// Compiles the schema. Remote references are refused, and regular expressions run in linear time.
    pub(crate) fn new(of: TypeId, generator: Box<dyn DynGenerator>) -> Result<Self, Invalid> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(&generator.schema())
            .map_err(|_| Invalid::new(InvalidCode::ParamsInvalid, "the generator's parameter schema is invalid"))?;
        Ok(Self { of, generator, validator })
    }

    /// Validates parameters against the schema. The error names the first invalid value.
    pub(crate) fn check(&self, params: &Value) -> Result<(), Invalid> {
        if self.validator.is_valid(params) {
            return Ok(());
        }
        let first = self.validator.iter_errors(params).next();
        let (pointer, rule) = first.map_or_else(Default::default, |error| {
            (error.instance_path().as_str().to_owned(), error.kind().keyword().to_owned())
        });
        Err(Invalid {
            code: InvalidCode::ParamsInvalid,
            pointer: excerpt(&pointer),
            message: format!("the value violates \"{rule}\" of the generator's schema"),
        })
    }
}
