//! Reads of the audit.

use async_trait::async_trait;

use crate::model::{AuditId, AuditOutcome, AuditRecord, RequestId, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// A filter for audit records. All given fields must match; the default matches every record. Strings are compared
/// literally, without wildcards.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Records of this actor, in the form of [`ActorRef`](crate::model::ActorRef)'s `Display`.
    pub actor: Option<String>,
    /// Records of this action, for example `stack.create`.
    pub action: Option<String>,
    /// Records about the entity with this id.
    pub object: Option<String>,
    /// Records with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Records at or after this time.
    pub since: Option<Timestamp>,
    /// Records before this time.
    pub until: Option<Timestamp>,
    /// Records of this request.
    pub request_id: Option<RequestId>,
}

/// Reads audit records.
#[async_trait]
pub trait AuditReader {
    /// Lists the records that match the filter, newest first, then by id.
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<Listing<AuditRecord, (Timestamp, AuditId)>>;
}
