//! The objects in the cluster.

pub(crate) mod job_ends;
pub(crate) mod live;
pub(crate) mod observer;
pub(crate) mod watches;
