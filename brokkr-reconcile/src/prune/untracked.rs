//! Objects of a stack that no inventory lists.

use brokkr_core::model::{ObjectRef, StackId};
use futures::FutureExt as _;

use crate::cluster::{ClusterError, ClusterResult, ListOptions, meta};
use crate::context::PassContext;
use crate::observed::live::Live;
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::labels::{AGENT_LABEL, STACK_LABEL};
use crate::prune::emptiness::one_version_each;

impl PassContext<'_> {
    /// Finds objects that this agent created for a stack without an inventory. After the loss of an inventory the agent
    /// must not report the stack as removed, and must not delete objects based on their labels alone.
    pub(crate) async fn untracked(&self, stack: StackId) -> ClusterResult<Vec<ObjectProblem>> {
        if let Some(failed) = self.discovery.failed.first() {
            return Err(ClusterError::unavailable(format!("the API group {failed} does not respond")));
        }
        let label_selector = format!("{AGENT_LABEL}={},{STACK_LABEL}={stack}", self.agent);
        let options = ListOptions { label_selector, metadata_only: true, ..ListOptions::default() };
        let options = &options;
        let kinds = one_version_each(self.discovery.kinds.iter());
        let places = kinds
            .into_iter()
            .flat_map(|kind| self.limits.places(kind.namespaced).into_iter().map(move |place| (kind, place)));
        let lists =
            places.map(|(kind, place)| async move { (kind, self.cluster.list(kind, place, options).await) }.boxed());
        let mut untracked = Vec::new();
        for (kind, list) in concurrently(lists, CONCURRENCY).await {
            let list = match list {
                Ok(list) => list,
                // The agent cannot have created objects that it may not list or that the cluster does not serve.
                Err(ClusterError::Forbidden(_) | ClusterError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            for body in &list.items {
                let made = Live::of(kind, body, self.manager, None)
                    .is_some_and(|live| live.made_for(self.agent) == Some(stack));
                let (true, Some(name)) = (made, meta::name(body)) else {
                    continue;
                };
                let object = ObjectRef {
                    group: kind.group.clone(),
                    kind: kind.kind.clone(),
                    namespace: meta::namespace(body).map(str::to_owned),
                    name: name.to_owned(),
                };
                let message = "the agent's inventory was lost, so the agent does not delete the object: delete it by hand, or target the stack again before removing it";
                untracked.push(ObjectProblem::failed(object, Reason::InventoryLost, message));
            }
        }
        Ok(untracked)
    }
}
