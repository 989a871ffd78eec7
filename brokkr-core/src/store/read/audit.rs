//! Reading the audit.

use async_trait::async_trait;

use crate::model::{AuditId, AuditOutcome, AuditRecord, RequestId, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Which records a list shows. Texts are compared as they are: no pattern has a meaning.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this actor, in the form of [`ActorRef`](crate::model::ActorRef)'s `Display`.
    pub actor: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// On the entity with this id.
    pub object: Option<String>,
    /// With this outcome.
    pub outcome: Option<AuditOutcome>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// In the course of this request.
    pub request_id: Option<RequestId>,
}

/// Reads the audit.
#[async_trait]
pub trait AuditReader {
    /// All that fit the filter, newest first, then by id.
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<Listing<AuditRecord, (Timestamp, AuditId)>>;
}
