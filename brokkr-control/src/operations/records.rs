//! Reads events, audit records and changes.

use brokkr_core::model::{Agent, AgentEvent, AuditId, EventId, Stack, Timestamp};
use brokkr_core::store::{
    AuditFilter, AuditListing, EventFilter, FeedPage, FeedPosition, Listing, Page, Scope, StoreError, StoreExt as _,
    StoreResult,
};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;

impl Broker {
    /// Lists the events that the actor may see and that match the filter, newest first. A stack or agent in the filter must
    /// exist or have events: deleted ones keep their events for the retention period.
    pub async fn event_list(
        &self,
        actor: &Actor,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> BrokerResult<Listing<AgentEvent, (Timestamp, EventId)>> {
        let scope = self.authorise(actor, Action::EventRead, "event.read", None)?;
        if let Some(agent) = filter.agent {
            let there = self.parts.store.get::<Agent>(&scope, agent).await.map(drop);
            self.exists_or_has_events(&scope, there, EventFilter { agent: Some(agent), ..EventFilter::default() })
                .await?;
        }
        if let Some(stack) = filter.stack {
            let there = self.parts.store.get::<Stack>(&scope, stack).await.map(drop);
            self.exists_or_has_events(&scope, there, EventFilter { stack: Some(stack), ..EventFilter::default() })
                .await?;
        }
        Ok(self.parts.store.event_list(&scope, filter, page).await?)
    }

    /// Accepts a missing entity if it still has events.
    async fn exists_or_has_events(
        &self,
        scope: &Scope,
        there: StoreResult<()>,
        events: EventFilter,
    ) -> BrokerResult<()> {
        let Err(absent @ StoreError::NotFound) = there else { return Ok(there?) };
        let one = Page::first(1);
        let left = self.parts.store.event_list(scope, &events, &one).await?;
        if left.items.is_empty() { Err(absent.into()) } else { Ok(()) }
    }

    /// Returns a page of the changes after a position, in commit order and without gaps.
    ///
    /// # Errors
    ///
    /// [`BrokerError::PositionExpired`](crate::error::BrokerError::PositionExpired) if the changes after the position are no
    /// longer retained: read the current state from the lists and continue from the end of the feed.
    pub async fn change_list(&self, actor: &Actor, after: FeedPosition, limit: usize) -> BrokerResult<FeedPage> {
        let action = if actor.generator_id().is_some() { Action::OwnFeedRead } else { Action::FeedRead };
        let scope = self.authorise(actor, action, "change.read", None)?;
        Ok(self.parts.store.feed(&scope, after, limit).await?)
    }

    /// Lists the audit records that match the filter, newest first.
    pub async fn audit_list(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> BrokerResult<AuditListing> {
        let scope = self.authorise(actor, Action::AuditRead, "audit.read", None)?;
        Ok(self.parts.store.audit_list(&scope, filter, page).await?)
    }
}
