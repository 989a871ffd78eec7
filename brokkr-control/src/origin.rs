//! The origin of a request.

use std::net::IpAddr;

use brokkr_core::model::RequestId;

/// The origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request id, which audit records, logs and error responses contain.
    pub request_id: RequestId,
    /// The caller's network address; `None` for calls within the process.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// Creates an origin with a new request id and no address, for calls within the process.
    pub fn in_process() -> Self {
        Self { request_id: RequestId::generate(), address: None }
    }
}
