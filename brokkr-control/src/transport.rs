//! The interface for front ends such as the HTTP API, besides the operations.

use brokkr_core::model::{ActorRef, AuditOutcome};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::origin::Origin;
use crate::recent::attempts::By;

/// Functions for front ends that carry requests to a broker. Hosts that serve the API of `brokkr-http` do not need them.
pub trait Transport {
    /// A key for `purpose`, equal on all brokers of one store, so that each can verify what another one signs.
    fn derived_key(&self, purpose: &str) -> [u8; 32];

    /// Audits a request that was refused before it became an operation. `what` names the request and the reason. Equal texts
    /// share one record with a count, so callers use few distinct ones.
    fn record_refused(&self, actor: &Actor, what: String);

    /// Audits a request that the front end denied to its caller. `actor` is `None` for a caller that is not identified.
    /// Otherwise like [`record_refused`](Self::record_refused).
    fn record_denied(&self, actor: Option<&Actor>, origin: Origin, what: String);
}

impl Transport for Broker {
    fn derived_key(&self, purpose: &str) -> [u8; 32] {
        // HMAC accepts keys of any length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.parts.secret) else {
            return [0; 32];
        };
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn record_refused(&self, actor: &Actor, what: String) {
        self.parts.attempts.record_problem(actor.by(), "request", None, what.into(), AuditOutcome::Failed);
    }

    fn record_denied(&self, actor: Option<&Actor>, origin: Origin, what: String) {
        let who = actor.map_or(ActorRef::Anonymous, Actor::reference);
        let by = By { actor: who, subject: actor.and_then(Actor::subject), origin: &origin };
        self.parts.attempts.record_problem(by, "request", None, what.into(), AuditOutcome::Denied);
    }
}
