//! Reads of the audit.

use async_trait::async_trait;
use brokkr_core::model::{AuditId, AuditOutcome, AuditRecord, Timestamp};
use brokkr_core::store::{AuditFilter, AuditReader, Listing, Page, Scope, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{one_more, scoped, statements, unwrapped};

statements! {
    LIST = "SELECT to_jsonb(t) FROM brokkr.audit t
        WHERE $1::int4 = 0 AND $2::uuid IS NULL AND $3::uuid[] IS NOT NULL
            AND ($4::text IS NULL OR t.actor_text = $4) AND ($5::text IS NULL OR t.action = $5)
            AND ($6::text IS NULL OR t.object_id = $6) AND ($7::text IS NULL OR t.outcome = $7)
            AND ($8::uuid IS NULL OR t.request_id = $8)
            AND t.at >= coalesce($9::text::timestamptz, '-infinity') AND t.at < coalesce($10::text::timestamptz, 'infinity')
            AND (t.at, t.id) < (coalesce($11::text::timestamptz, 'infinity'), $12::uuid)
        ORDER BY t.at DESC, t.id DESC LIMIT $13";
}

#[async_trait]
impl AuditReader for PostgresStore {
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<Listing<AuditRecord, (Timestamp, AuditId)>> {
        let outcome = filter.outcome.map(|outcome| match outcome {
            AuditOutcome::Success => "success",
            AuditOutcome::Denied => "denied",
            AuditOutcome::Failed => "failed",
        });
        let query = scoped(LIST, scope)
            .bind(filter.actor.clone())
            .bind(filter.action.clone())
            .bind(filter.object.clone())
            .bind(outcome)
            .bind(filter.request_id.map(|id| id.as_uuid()))
            .bind(filter.since.map(|at| at.to_string()))
            .bind(filter.until.map(|at| at.to_string()))
            .bind(page.after.map(|(at, _)| at.to_string()))
            .bind(page.after.map_or(Uuid::max(), |(_, id)| id.as_uuid()))
            .bind(one_more(page.limit));
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &AuditRecord| (it.at, it.id)))
    }
}
