//! Generators: host code that creates the manifests of a stack from parameters.

mod generator;
mod registered;

pub use generator::{GenerateContext, GenerateError, Generator, Manifests};
pub(crate) use registered::{DynGenerator, Registered};
