//! Shows deployment objects: the values of Secrets only to callers that may read them.

use brokkr_core::error::Invalid;
use brokkr_core::manifest::{ManifestSet, parsing_weight};
use brokkr_core::model::{AuditOutcome, AuditRecord, DeploymentObject, DeploymentObjectId, EntityKey};
use bytes::Bytes;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

/// The content of a deployment object, as the actor may see it.
#[derive(Debug, Clone)]
pub struct ShownContent {
    /// The deployment object.
    pub object: DeploymentObject,
    /// The stored bytes; if `redacted`, the same objects without the values of Secrets.
    pub bytes: Bytes,
    /// Whether values are hidden: the actor lacks the scope `secrets:read`, and a Secret has values.
    pub redacted: bool,
}

impl Broker {
    /// Returns a deployment object with its content. Agents and actors with the scope `secrets:read` get the stored bytes;
    /// others get [`REDACTED`](brokkr_core::manifest::REDACTED) in place of each value of a Secret.
    ///
    /// The audit records reads of Secret values by the holders of keys as `secret.read`.
    pub async fn deployment_object_content(&self, actor: &Actor, id: DeploymentObjectId) -> BrokerResult<ShownContent> {
        let (object, bytes) = self.stored_content(actor, id).await?;
        if actor.agent_id().is_some() && actor.may(Action::SecretRead) {
            return Ok(ShownContent { object, bytes, redacted: false });
        }
        let stored = bytes.clone();
        let read = move || {
            let set = ManifestSet::parse_yaml(&stored)?;
            Ok::<_, Invalid>((set.secrets(), set.without_secret_values()))
        };
        let may_see = actor.may(Action::SecretRead);
        match self.run_blocking(actor, parsing_weight(&bytes), read).await {
            Err(BrokerError::Overloaded) => Err(BrokerError::Overloaded),
            Ok((_, None)) => Ok(ShownContent { object, bytes, redacted: false }),
            Ok((_, Some(shown))) if !may_see => Ok(ShownContent { object, bytes: shown, redacted: true }),
            // Stored content was valid when it was published. If this version cannot read it, it may hold Secrets.
            Err(error) if !may_see => Err(BrokerError::Internal(Box::new(error))),
            read => {
                if actor.key_id().is_some() {
                    let secrets =
                        read.map_or_else(|_| "unreadable manifests".to_owned(), |(n, _)| format!("{n} Secrets"));
                    self.record_secret_read(actor, &object, &secrets).await?;
                }
                Ok(ShownContent { object, bytes, redacted: false })
            }
        }
    }

    /// Records the read before its answer. If the audit cannot be written, nothing is shown.
    async fn record_secret_read(&self, actor: &Actor, object: &DeploymentObject, secrets: &str) -> BrokerResult<()> {
        let record = AuditRecord {
            id: self.new_id(),
            at: self.now(),
            actor: actor.who,
            subject: actor.subject().map(str::to_owned),
            action: "secret.read".to_owned(),
            object_kind: Some(EntityKey::DeploymentObject(object.id).kind()),
            object_id: Some(object.id.to_string()),
            request_id: actor.origin.request_id,
            source: actor.origin.address.map(|address| address.to_string()),
            outcome: AuditOutcome::Success,
            detail: Some(format!("{secrets}, stack {}, revision {}", object.stack_id, object.revision)),
            changes: None,
            count: 1,
        };
        Ok(self.parts.store.record_attempts(vec![record]).await?)
    }
}
