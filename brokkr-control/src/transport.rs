//! What a front end, such as the HTTP API, needs of a broker beside its operations.

use brokkr_core::model::AuditOutcome;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::access::actor::Actor;
use crate::broker::Broker;

/// What carries requests to a broker uses this; a host that serves the API of `brokkr-http` does not.
pub trait Transport {
    /// A key for `purpose`, the same on every broker of one store: what one of them signs, each of them can check.
    fn derived_key(&self, purpose: &str) -> [u8; 32];

    /// Records in the audit a request that was refused before it became an operation. `what` names the request and the reason;
    /// equal ones are counted in one record, so it must take few different values.
    fn record_refused(&self, actor: &Actor, what: String);
}

impl Transport for Broker {
    fn derived_key(&self, purpose: &str) -> [u8; 32] {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.parts.secret) else {
            return [0; 32];
        };
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn record_refused(&self, actor: &Actor, what: String) {
        self.parts.attempts.record_problem(actor, "request", None, what.into(), AuditOutcome::Failed);
    }
}
