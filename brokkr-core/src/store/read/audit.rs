//! Reads of the audit.

use async_trait::async_trait;

use crate::model::{AuditId, AuditOutcome, AuditRecord, RequestId, Timestamp};
use crate::store::{Page, Scope, StoreResult};

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

/// A page of audit records.
#[derive(Debug, Clone, Default)]
pub struct AuditListing {
    /// The records.
    pub items: Vec<AuditRecord>,
    /// The last position of the page; `None` if no further records exist.
    pub next: Option<(Timestamp, AuditId)>,
    /// Records of the page that this version cannot read. They are not among the items.
    pub unreadable: Vec<AuditId>,
}

/// Reads audit records.
#[async_trait]
pub trait AuditReader {
    /// Lists the records that match the filter, newest first, then by id. A record that cannot be decoded does not fail the
    /// page: its id is listed apart.
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<AuditListing>;
}
