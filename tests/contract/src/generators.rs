//! One generator for each kind of result.

use async_trait::async_trait;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Accepts any parameters, and generates one object from them.
#[derive(Debug)]
pub(crate) struct Greeting;

#[async_trait]
impl Generator for Greeting {
    type Params = Value;

    fn name(&self) -> &str {
        "greeting"
    }

    async fn generate(&self, _: &GenerateContext<'_>, params: Value) -> Result<Manifests, GenerateError> {
        let metadata = json!({"name": "greeting"});
        Ok(Manifests::new([json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"params": params.to_string()},
        })]))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Words {
    #[expect(dead_code, reason = "part of the parameters' schema only")]
    text: String,
}

/// Accepts only parameters of one schema.
#[derive(Debug)]
pub(crate) struct Picky;

#[async_trait]
impl Generator for Picky {
    type Params = Words;

    fn name(&self) -> &str {
        "picky"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Words) -> Result<Manifests, GenerateError> {
        Ok(Manifests::new([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "picky"}})]))
    }
}

/// Refuses all parameters.
#[derive(Debug)]
pub(crate) struct Refusing;

#[async_trait]
impl Generator for Refusing {
    type Params = Value;

    fn name(&self) -> &str {
        "refusing"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Value) -> Result<Manifests, GenerateError> {
        Err(GenerateError::Refused("this generator refuses all parameters".to_owned()))
    }
}

/// Fails because a service is unavailable.
#[derive(Debug)]
pub(crate) struct Away;

#[async_trait]
impl Generator for Away {
    type Params = Value;

    fn name(&self) -> &str {
        "away"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Value) -> Result<Manifests, GenerateError> {
        Err(GenerateError::Unavailable("the service is unavailable".into()))
    }
}

/// Panics.
#[derive(Debug)]
pub(crate) struct Broken;

#[async_trait]
impl Generator for Broken {
    type Params = Value;

    fn name(&self) -> &str {
        "broken"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Value) -> Result<Manifests, GenerateError> {
        panic!("a defect of this generator")
    }
}
