//! Generators: code of the host that makes the manifests of a stack from parameters.

mod erased;
mod generator;

pub use erased::DynGenerator;
pub(crate) use erased::Registered;
pub use generator::{GenerateContext, GenerateError, Generator, Manifests};
