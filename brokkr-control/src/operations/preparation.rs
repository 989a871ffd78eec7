//! Validation of content, once per publication.

use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{Digest, Provenance, Stack, StackSpec, limits, validate_text};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::generate::{GenerateContext, GenerateError};

/// Content of a stack.
#[derive(Debug, Clone)]
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
    /// A generator's output also depends on the stack's spec. If that changes, the generator runs again.
    Validated { output_for: Option<Box<StackSpec>>, content: Option<Content>, set: ManifestSet, prepared: Prepared },
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

/// The bytes of documents as compact JSON, roughly: what parsing them again will cost.
fn weight(documents: &[Value]) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| key.len() + of(value)).sum(),
            Value::String(text) => text.len(),
            _ => 4,
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
        if let Progress::Validated { output_for: Some(spec), content, .. } = &mut *progress
            && **spec != StackSpec::from(stack)
        {
            let content = content.take();
            *progress = Progress::Received(content);
        }
        if let Progress::Received(content) = &mut *progress
            && let Some(content) = content.take()
        {
            *progress = self.validated(actor, stack, content).await?;
        }
        let Progress::Validated { set, prepared, .. } = &*progress else {
            // A failed validation ends the publication.
            return Err(BrokerError::Internal("the content was refused before".into()));
        };
        set.refuse_twins(&stack.policies.default_namespace)?;
        Ok(prepared.clone())
    }

    async fn validated(&self, actor: &Actor, stack: &Stack, content: Content) -> BrokerResult<Progress> {
        let (output_for, content, (set, prepared)) = match content {
            Content::Yaml { bytes, message } => {
                check_message(&message)?;
                let size = bytes.len();
                let parse = move || {
                    let set = ManifestSet::parse_yaml(&bytes)?;
                    validate(bytes, set, message, Provenance::Published)
                };
                (None, None, self.run_blocking(actor, size, parse).await?)
            }
            Content::Documents { documents, message } => {
                check_message(&message)?;
                let bytes = weight(&documents);
                let work = move || {
                    encode(documents, message, Provenance::Published).map_err(|error| error.within("manifests"))
                };
                (None, None, self.run_blocking(actor, bytes, work).await?)
            }
            Content::Generated { generator, params } => {
                let documents = self.run_generator(stack, &generator, &params).await?;
                let canonical = serde_json_canonicalizer::to_vec(&params).unwrap_or_default();
                let provenance =
                    Provenance::Generated { generator: generator.clone(), params_digest: Digest::of(&canonical) };
                let bytes = weight(&documents);
                let work = move || encode(documents, String::new(), provenance);
                let ready = self.run_blocking(actor, bytes, work).await?;
                (Some(Box::new(StackSpec::from(stack))), Some(Content::Generated { generator, params }), ready)
            }
        };
        Ok(Progress::Validated { output_for, content, set, prepared })
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
