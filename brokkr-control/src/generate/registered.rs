//! Generators without their parameters' type.

use std::any::TypeId;
use std::fmt::Debug;

use async_trait::async_trait;
use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use crate::generate::{GenerateContext, GenerateError, Generator, Manifests};

/// A generator as the broker keeps it. Implemented for every [`Generator`].
#[async_trait]
pub(crate) trait DynGenerator: Debug + Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// The JSON Schema (draft 2020-12) of its parameters.
    fn schema(&self) -> Value;

    /// Makes the manifests from parameters that fit the schema.
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
        let params = serde_json::from_value(params)
            .map_err(|_| GenerateError::Refused("the parameters do not fit the generator's type".to_owned()))?;
        self.generate(ctx, params).await
    }
}

/// A registered generator with its compiled schema.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The type that implements [`Generator`].
    pub(crate) of: TypeId,
    pub(crate) generator: Box<dyn DynGenerator>,
    validator: jsonschema::Validator,
}

impl Registered {
    /// Compiles the schema. References to elsewhere are refused, and patterns run in linear time.
    pub(crate) fn new(of: TypeId, generator: Box<dyn DynGenerator>) -> Result<Self, Invalid> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(&generator.schema())
            .map_err(|_| Invalid::new(InvalidCode::ParamsInvalid, "the generator's schema cannot be compiled"))?;
        Ok(Self { of, generator, validator })
    }

    /// Checks parameters against the schema; names the first place that does not fit.
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
            message: format!("the parameters break the rule \"{rule}\" of the generator's schema"),
        })
    }
}
