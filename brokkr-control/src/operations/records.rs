//! Reading what was recorded: events and the audit.

use brokkr_core::model::{Agent, AgentEvent, AuditId, AuditRecord, EventId, Stack, Timestamp};
use brokkr_core::store::{
    AuditFilter, EventFilter, FeedPage, FeedPosition, Listing, Page, Scope, StoreError, StoreExt as _, StoreResult,
};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;

impl Broker {
    /// Events that the actor may see and that fit the filter, newest first. A stack or an agent in the filter must
    /// exist for the actor, or have existed: what is gone keeps its events for as long as they are retained.
    pub async fn event_list(
        &self,
        actor: &Actor,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> BrokerResult<Listing<AgentEvent, (Timestamp, EventId)>> {
        let scope = self.authorise(actor, Action::EventRead, "event.read", None)?;
        if let Some(agent) = filter.agent {
            let there = self.parts.store.get::<Agent>(&scope, agent).await.map(drop);
            self.exists_or_left(&scope, there, EventFilter { agent: Some(agent), ..EventFilter::default() }).await?;
        }
        if let Some(stack) = filter.stack {
            let there = self.parts.store.get::<Stack>(&scope, stack).await.map(drop);
            self.exists_or_left(&scope, there, EventFilter { stack: Some(stack), ..EventFilter::default() }).await?;
        }
        Ok(self.parts.store.event_list(&scope, filter, page).await?)
    }

    /// Accepts what is not there when there are events of it.
    async fn exists_or_left(&self, scope: &Scope, there: StoreResult<()>, events: EventFilter) -> BrokerResult<()> {
        let Err(absent @ StoreError::NotFound) = there else { return Ok(there?) };
        let one = Page::first(1);
        let left = self.parts.store.event_list(scope, &events, &one).await?;
        if left.items.is_empty() { Err(absent.into()) } else { Ok(()) }
    }

    /// The changes after a position, in the order in which everybody sees them, none left out.
    /// [`BrokerError::PositionExpired`](crate::error::BrokerError::PositionExpired) when what follows is no longer kept: begin again
    /// from what is there.
    pub async fn change_list(&self, actor: &Actor, after: FeedPosition, limit: usize) -> BrokerResult<FeedPage> {
        let scope = self.authorise(actor, Action::FeedRead, "change.read", None)?;
        Ok(self.parts.store.feed(&scope, after, limit).await?)
    }

    /// Audit records that fit the filter, newest first.
    pub async fn audit_list(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> BrokerResult<Listing<AuditRecord, (Timestamp, AuditId)>> {
        let scope = self.authorise(actor, Action::AuditRead, "audit.read", None)?;
        Ok(self.parts.store.audit_list(&scope, filter, page).await?)
    }
}
