//! What the manifests ask for, made ready to be applied.

pub(crate) mod depends_on;
pub(crate) mod ignore;
pub(crate) mod prepare;
