//! Reads of the audit.

use async_trait::async_trait;
use brokkr_core::model::{AuditId, AuditOutcome, AuditRecord, Timestamp};
use brokkr_core::store::{AuditFilter, AuditListing, AuditReader, Listing, Page, Scope, StoreError, StoreResult};
use serde::Deserialize as _;
use serde_json::Value;
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

/// The position of a row, whatever its other columns contain.
fn place(row: &Value) -> StoreResult<(Timestamp, AuditId)> {
    let field = |name| row.get(name).unwrap_or(&Value::Null);
    let broken = |error: serde_json::Error| StoreError::Internal(Box::new(error));
    Ok((Timestamp::deserialize(field("at")).map_err(broken)?, AuditId::deserialize(field("id")).map_err(broken)?))
}

#[async_trait]
impl AuditReader for PostgresStore {
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<AuditListing> {
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
        let rows: Vec<Value> = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        let places = rows.iter().map(place).collect::<StoreResult<Vec<_>>>()?;
        let page = Listing::collect(places.into_iter().zip(rows), page.limit, |(place, _)| *place);
        let mut listing = AuditListing { next: page.next, ..AuditListing::default() };
        for ((_, id), row) in page.items {
            match AuditRecord::deserialize(row) {
                Ok(record) => listing.items.push(record),
                Err(error) => {
                    tracing::error!(%id, %error, "cannot read an audit record; GET /audit lists it as unreadable");
                    listing.unreadable.push(id);
                }
            }
        }
        Ok(listing)
    }
}
