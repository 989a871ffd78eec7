//! The desired objects of a stack, prepared from its manifests.

pub(crate) mod depends_on;
pub(crate) mod ignore;
pub(crate) mod prepare;
pub(crate) mod tenancy;
