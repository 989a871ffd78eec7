//! Decides once per idempotency key: a repeated key with the same content returns the stored response.

use std::sync::atomic::Ordering;

use brokkr_core::model::{Digest, EntityKey, Quota};
use brokkr_core::store::IdempotencyRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::actor::Actor;
use crate::access::idempotency::Idempotency;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};

impl Broker {
    /// Like [`decide`](Self::decide), for operations that create something. If the request has an idempotency key, the
    /// operation commits at most once, even if requests with the key reach several replicas.
    pub(crate) async fn decide_once<T, F>(
        &self,
        actor: &Actor,
        name: &'static str,
        object: Option<EntityKey>,
        decide: impl Fn() -> F,
    ) -> BrokerResult<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = BrokerResult<Decision<T>>>,
    {
        let Some(idempotency) = &actor.idempotency else {
            return self.decide(actor, name, object, decide).await;
        };
        let fingerprint = idempotency.fingerprint();
        match self.replay(actor, idempotency, fingerprint).await {
            Ok(None) => {}
            Ok(Some(outcome)) => return Ok(outcome),
            Err(error) => {
                self.failed(actor, name, object, &error);
                return Err(error);
            }
        }
        let recorded = || {
            let decision = decide();
            async {
                // A new answer will be kept.
                let within = match actor.generator_id() {
                    Some(generator) => self.within_quota(generator, Quota::IdempotencyRecords, 1).await?,
                    None => None,
                };
                let mut decision = decision.await?;
                decision.preconditions.extend(within);
                let outcome = serde_json::to_value(&decision.outcome);
                decision.idempotency = Some(IdempotencyRecord {
                    actor: actor.reference().to_string(),
                    key: idempotency.key.clone(),
                    fingerprint,
                    outcome: outcome.map_err(|error| BrokerError::Internal(Box::new(error)))?,
                    at: self.now(),
                });
                Ok(decision)
            }
        };
        let result = self.decide_unrecorded(actor, name, recorded).await;
        let Err(error) = result else {
            return result;
        };
        // The commit may have failed because the same request, or another one with the same key, succeeded on another
        // replica.
        let error = match self.replay(actor, idempotency, fingerprint).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Err(reused @ BrokerError::IdempotencyKeyReused) => reused,
            _ => error,
        };
        self.failed(actor, name, object, &error);
        Err(error)
    }

    /// The stored response of an earlier request with this key.
    async fn replay<T: DeserializeOwned>(
        &self,
        actor: &Actor,
        idempotency: &Idempotency,
        fingerprint: Digest,
    ) -> BrokerResult<Option<T>> {
        let who = actor.reference().to_string();
        let found =
            self.parts.store.idempotency_find(&who, &idempotency.key, IdempotencyRecord::forgotten(self.now())).await?;
        let Some(record) = found else {
            return Ok(None);
        };
        if record.fingerprint != fingerprint {
            return Err(BrokerError::IdempotencyKeyReused);
        }
        let outcome = serde_json::from_value(record.outcome).map_err(|error| BrokerError::Internal(Box::new(error)))?;
        idempotency.replayed.store(true, Ordering::Relaxed);
        Ok(Some(outcome))
    }
}
