//! Validation of content, once per publication.

use std::sync::Arc;

use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use brokkr_core::manifest::{ManifestSet, parsing_weight};
use brokkr_core::model::{Digest, Name, Provenance, Stack, StackSpec, limits, validate_text};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::generate::{GenerateContext, GenerateError};

/// Content of a stack.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// YAML, stored byte for byte.
    Yaml {
        /// The YAML documents.
        bytes: Bytes,
        /// Describes the revision to readers.
        message: String,
    },
    /// Kubernetes objects as JSON values, stored as compact documents.
    Documents {
        /// The Kubernetes objects.
        documents: Vec<Value>,
        /// Describes the revision to readers.
        message: String,
    },
    /// The output of a registered generator.
    Generated {
        /// The generator's name.
        generator: String,
        /// The generator's parameters.
        params: Value,
    },
}

/// Validated content, ready to become a revision.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// `None` if the store already has the bytes.
    pub(super) bytes: Option<Bytes>,
    pub(super) object_count: usize,
    pub(super) warnings: Vec<String>,
    pub(super) message: String,
    pub(super) provenance: Provenance,
}

/// Content that is validated once, however many races against concurrent commits its publication loses.
pub(crate) struct Preparation(Mutex<Progress>);

enum Progress {
    /// `None` while it is being validated.
    Received(Option<Content>),
    Validated(Box<Validated>),
}

struct Validated {
    /// The spec and the content of a generated revision: if the stack's spec changes, the generator runs again.
    generated: Option<(StackSpec, Content)>,
    set: Arc<ManifestSet>,
    prepared: Prepared,
}

impl From<Content> for Preparation {
    fn from(content: Content) -> Self {
        Self(Mutex::new(Progress::Received(Some(content))))
    }
}

fn validate(
    bytes: Bytes,
    set: ManifestSet,
    message: String,
    provenance: Provenance,
) -> Result<(ManifestSet, Prepared), Invalid> {
    if bytes.len() > limits::BODY_BYTES {
        return Err(Invalid::new(
            InvalidCode::SetTooLarge,
            format!("the set exceeds {} bytes; split it into several stacks", limits::BODY_BYTES),
        ));
    }
    set.refuse_redacted()?;
    let prepared = Prepared {
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        bytes: Some(bytes),
        object_count: set.objects().len(),
        warnings: set.warnings().to_vec(),
        message,
        provenance,
    };
    Ok((set, prepared))
}

fn encode(documents: Vec<Value>, message: String, provenance: Provenance) -> Result<(ManifestSet, Prepared), Invalid> {
    let (set, bytes) = ManifestSet::encode(documents)?;
    validate(bytes, set, message, provenance)
}

fn check_message(message: &str) -> Result<(), Invalid> {
    validate_text(message, limits::MESSAGE_CHARACTERS).map_err(|error| error.within("message"))
}

/// What parsing documents again will cost, as [`parsing_weight`] estimates it for their text.
fn weight(documents: &[Value]) -> usize {
    const OF_VALUE: usize = 24;
    fn of(value: &Value) -> usize {
        OF_VALUE
            + match value {
                Value::Array(items) => items.iter().map(of).sum(),
                Value::Object(map) => map.iter().map(|(key, value)| key.len() + of(value)).sum(),
                Value::String(text) => text.len(),
                _ => 0,
            }
    }
    documents.iter().map(of).sum()
}

impl Broker {
    /// Validates content, unless that has happened. Runs the generator if the content is generated.
    pub(super) async fn prepare(
        &self,
        actor: &Actor,
        stack: &Stack,
        preparation: &Preparation,
    ) -> BrokerResult<Prepared> {
        let mut progress = preparation.0.lock().await;
        if let Progress::Validated(validated) = &mut *progress
            && let Some((_, content)) = validated.generated.take_if(|(spec, _)| *spec != StackSpec::from(stack))
        {
            *progress = Progress::Received(Some(content));
        }
        if let Progress::Received(content) = &mut *progress
            && let Some(content) = content.take()
        {
            *progress = Progress::Validated(Box::new(self.validated(actor, stack, content).await?));
        }
        let Progress::Validated(validated) = &*progress else {
            // A failed validation ends the publication.
            return Err(BrokerError::Internal("the content was refused before".into()));
        };
        let Validated { set, prepared, .. } = &**validated;
        let generator = self.parts.view.generator_name(stack.generator_id);
        let generator = generator.as_ref().map(Name::as_str).unwrap_or_default();
        set.refuse_twins(stack.policies.namespace_for(stack.generator_id, generator))?;
        self.refuse_ungranted(actor, stack, set, prepared.size).await?;
        Ok(prepared.clone())
    }

    async fn validated(&self, actor: &Actor, stack: &Stack, content: Content) -> BrokerResult<Validated> {
        let (generated, (set, prepared)) = match content {
            Content::Yaml { bytes, message } => {
                check_message(&message)?;
                let weight = parsing_weight(&bytes);
                let parse = move || {
                    let set = ManifestSet::parse_yaml(&bytes)?;
                    validate(bytes, set, message, Provenance::Published)
                };
                (None, self.run_blocking(actor, weight, parse).await?)
            }
            Content::Documents { documents, message } => {
                check_message(&message)?;
                let bytes = weight(&documents);
                let work = move || {
                    encode(documents, message, Provenance::Published).map_err(|error| error.within("manifests"))
                };
                (None, self.run_blocking(actor, bytes, work).await?)
            }
            Content::Generated { generator, params } => {
                let documents = self.run_generator(stack, &generator, &params).await?;
                let canonical = serde_json_canonicalizer::to_vec(&params).unwrap_or_default();
                let provenance =
                    Provenance::Generated { generator: generator.clone(), params_digest: Digest::of(&canonical) };
                let bytes = weight(&documents);
                let work = move || encode(documents, String::new(), provenance);
                let ready = self.run_blocking(actor, bytes, work).await?;
                (Some((StackSpec::from(stack), Content::Generated { generator, params })), ready)
            }
        };
        Ok(Validated { generated, set: Arc::new(set), prepared })
    }

    async fn run_generator(&self, stack: &Stack, name: &str, params: &Value) -> BrokerResult<Vec<Value>> {
        let registered = self.parts.generators.get(name).ok_or_else(|| {
            Invalid::new(InvalidCode::GeneratorUnknown, format!("no generator \"{}\" is registered", excerpt(name)))
        })?;
        registered.check(params).map_err(|error| error.within("params"))?;
        let spec = StackSpec::from(stack);
        let context = GenerateContext::new(&spec, stack.generator_id);
        let manifests = registered.generator.run(&context, params.clone()).await.map_err(|error| match error {
            GenerateError::Refused(reason) => BrokerError::GeneratorRefused(reason),
            GenerateError::Unavailable(source) => BrokerError::GeneratorUnavailable(source),
        })?;
        Ok(manifests.into_documents())
    }
}
