//! Generators that answer in every way in which one can.

use async_trait::async_trait;
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Takes any parameters, and makes an object of them.
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
    #[expect(dead_code, reason = "asked for and not used")]
    text: String,
}

/// Takes parameters of one form only.
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

/// Refuses whatever it is given.
#[derive(Debug)]
pub(crate) struct Refusing;

#[async_trait]
impl Generator for Refusing {
    type Params = Value;

    fn name(&self) -> &str {
        "refusing"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Value) -> Result<Manifests, GenerateError> {
        Err(GenerateError::Refused("no parameters are good enough".to_owned()))
    }
}

/// Waits for a service that is away.
#[derive(Debug)]
pub(crate) struct Away;

#[async_trait]
impl Generator for Away {
    type Params = Value;

    fn name(&self) -> &str {
        "away"
    }

    async fn generate(&self, _: &GenerateContext<'_>, _: Value) -> Result<Manifests, GenerateError> {
        Err(GenerateError::Unavailable("the service is away".into()))
    }
}

/// Has a defect.
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
