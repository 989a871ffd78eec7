//! Requests that may be repeated: the same key and the same content give the same answer once more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::decide::Decision;
use super::{Actor, Broker, BrokerError, BrokerResult};
use crate::model::{Digest, EntityKey};
use crate::store::IdempotencyRecord;

/// The caller's name for one attempt to do something, and what that was.
///
/// See the IETF draft "The Idempotency-Key HTTP Header Field". The name belongs to the caller's key: others may use the same
/// one. It is remembered for [`IDEMPOTENCY_HOURS`](crate::model::limits::IDEMPOTENCY_HOURS).
#[derive(Debug)]
pub struct Idempotency {
    key: String,
    content: Mutex<Sha256>,
    replayed: AtomicBool,
}

impl Idempotency {
    /// For a request with this key; what the request says is added by [`add`](Self::add).
    pub fn new(key: String) -> Self {
        Self { key, content: Mutex::default(), replayed: AtomicBool::new(false) }
    }

    /// Adds a part of the request. All of it is to be added before the operation is called.
    pub fn add(&self, part: &[u8]) {
        let mut content = self.content.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        content.update(part);
    }

    /// Whether the answer is that of an earlier request.
    pub fn was_replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }

    fn fingerprint(&self) -> Digest {
        let content = self.content.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Digest::from_bytes(content.clone().finalize().into())
    }
}

impl Actor {
    /// The same caller in a request that may be repeated.
    #[must_use]
    pub fn repeating(mut self, idempotency: Arc<Idempotency>) -> Self {
        self.idempotency = Some(idempotency);
        self
    }
}

impl Broker {
    /// [`decide`](Self::decide) for what creates something: if the caller has named the attempt, it is made once, however often
    /// it is repeated and by way of however many replicas.
    pub(super) async fn decide_once<T, F>(
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
                let mut decision = decision.await?;
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
        // It may have failed because its twin succeeded meanwhile, or somebody who used the same name for something else.
        let error = match self.replay(actor, idempotency, fingerprint).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Err(reused @ BrokerError::IdempotencyKeyReused) => reused,
            _ => error,
        };
        self.failed(actor, name, object, &error);
        Err(error)
    }

    /// The answer of an earlier attempt of this name.
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
