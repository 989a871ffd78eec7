//! The gauges of a broker.

use metrics::gauge;

use crate::broker::Broker;
use crate::metrics::{ADMIN_KEY_EXPIRES, VIEW_AGE, VIEW_ENTITIES, VIEW_GENERATION};

impl Broker {
    /// Updates the gauges. Call it before the metrics are rendered.
    pub async fn observe(&self) {
        let view = &self.parts.view;
        gauge!(VIEW_AGE).set(view.age().as_secs_f64());
        gauge!(VIEW_GENERATION).set(view.token().generation().get() as f64);
        let (agents, stacks) = view.counts();
        gauge!(VIEW_ENTITIES, "kind" => "agent").set(agents as f64);
        gauge!(VIEW_ENTITIES, "kind" => "stack").set(stacks as f64);
        gauge!(ADMIN_KEY_EXPIRES).set(self.admin_access_seconds());
        self.parts.store.observe().await;
    }
}
