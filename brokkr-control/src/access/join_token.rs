//! Authenticates the holders of join tokens without a query: the fleet view contains the tokens.

use brokkr_core::model::{AuditOutcome, Digest, EntityKey};
use brokkr_core::pak::Pak;
use subtle::ConstantTimeEq as _;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::origin::Origin;

impl Broker {
    /// Authenticates a presented join token, which permits [`agent_join`](Self::agent_join) and nothing else. A join token is
    /// not a key: [`authenticate`](Self::authenticate) refuses it. Runs no query.
    ///
    /// # Errors
    ///
    /// Every invalid token gives the same [`BrokerError::Unauthenticated`]: malformed, unknown, wrong secret, expired, deleted, or
    /// `None`. [`BrokerError::Stale`] if the fleet view is too old to know about deletions. The audit records refusals.
    pub fn authenticate_join_token<'a>(
        &self,
        presented: impl Into<Option<&'a str>>,
        origin: Origin,
    ) -> BrokerResult<Actor> {
        let result = match presented.into() {
            Some(presented) => self.actor_of_join_token(presented, &origin),
            None => Err(BrokerError::Unauthenticated),
        };
        if let Err(BrokerError::Unauthenticated) = result {
            self.record_unauthenticated(&origin);
        }
        result
    }

    fn actor_of_join_token(&self, presented: &str, origin: &Origin) -> BrokerResult<Actor> {
        let Ok((short_id, hash)) = Pak::parse(presented) else {
            return Err(BrokerError::Unauthenticated);
        };
        let token = self.parts.view.join_token(short_id)?;
        // An unknown short id takes the same comparison as a known one, so timing does not reveal it.
        let expected = token.as_ref().map_or_else(|| Digest::of(b""), |token| token.hash);
        let equal: bool = expected.as_bytes().ct_eq(hash.as_bytes()).into();
        let Some(token) = token.filter(|_| equal) else {
            return Err(BrokerError::Unauthenticated);
        };
        let actor = Actor::with_join_token(token.id, origin.clone());
        if !token.is_usable(self.now()) {
            let object = Some(EntityKey::JoinToken(token.id));
            let problem = "join-token-expired".into();
            self.parts.attempts.record_problem(actor.by(), "authenticate", object, problem, AuditOutcome::Denied);
            return Err(BrokerError::Unauthenticated);
        }
        Ok(actor)
    }
}
