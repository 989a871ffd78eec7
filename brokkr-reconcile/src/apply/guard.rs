//! Keeps a generator out of Namespaces that it did not create.
//!
//! A grant allows `{generator}` and `{generator}-*` by default. The name alone proves nothing: an operator or another
//! generator may have created the Namespace. So such a Namespace counts only if this agent created it for the generator,
//! which its UID in the inventories proves. A namespace that an admin has named in the grant, or an operator in the agent's
//! local limits, needs no proof.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brokkr_core::model::ObjectRef;
use futures::FutureExt as _;

use crate::applier::DesiredStack;
use crate::apply::decide::Step;
use crate::cluster::{ApiKind, ClusterError, ClusterResult};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::order::namespace_ref;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;

/// What a Namespace is to a generator.
enum Place {
    /// The agent created it for the generator, or is about to.
    Own,
    /// It exists, and the agent did not create it for the generator.
    Others,
    /// It does not exist, and no stack of the generator contains it.
    Missing,
}

impl PassContext<'_> {
    /// Replaces the writes into Namespaces of others by problems.
    pub(crate) async fn guard_namespaces(&self, stack: &DesiredStack, steps: &mut [(&Prepared, Step)]) {
        let guarded = |(prepared, step): &(&Prepared, Step)| {
            prepared.object.namespace.clone().filter(|it| step.writes() && self.is_guarded(stack, it))
        };
        let namespaces: BTreeSet<String> = steps.iter().filter_map(guarded).collect();
        let looks = namespaces.into_iter().map(|namespace| {
            async move {
                let place = self.place(stack, &namespace).await;
                (namespace, place)
            }
            .boxed()
        });
        let places: BTreeMap<_, _> = concurrently(looks, CONCURRENCY).await.into_iter().collect();
        for (prepared, step) in steps.iter_mut().filter(|(_, step)| step.writes()) {
            let object = &prepared.object;
            let Some(namespace) = &object.namespace else { continue };
            match places.get(namespace) {
                None | Some(Ok(Place::Own)) => {}
                Some(Ok(Place::Missing)) => {
                    *step = Step::Problem(ObjectProblem::api(object.clone(), &missing(namespace)))
                }
                Some(Ok(Place::Others)) => *step = Step::Problem(not_own(object, namespace, &stack.tenant.name)),
                Some(Err(error)) => *step = Step::Problem(ObjectProblem::api(object.clone(), error)),
            }
        }
    }

    /// Returns the problem of an object whose Namespace the agent has not created by now, although it was about to. The next
    /// pass knows why.
    pub(crate) fn without_namespace(&self, stack: &DesiredStack, object: &Arc<ObjectRef>) -> Option<ObjectProblem> {
        let namespace = object.namespace.as_deref().filter(|it| self.is_guarded(stack, it))?;
        let is_own = self.claims().owns_namespace(stack.stack_id, namespace);
        (!is_own).then(|| ObjectProblem::api(object.clone(), &missing(namespace)))
    }

    /// Whether a stack may write to a namespace only if its generator created the Namespace.
    fn is_guarded(&self, stack: &DesiredStack, namespace: &str) -> bool {
        // An agent that works only in some namespaces never creates them: its operator names them.
        self.limits.namespaces.is_none() && stack.tenant.rules.needs_own_namespace(&stack.tenant.name, namespace)
    }

    async fn place(&self, stack: &DesiredStack, namespace: &str) -> ClusterResult<Place> {
        let kind = ApiKind::v1("", "Namespace", "namespaces", false);
        let live = self.observer.read(&kind, &namespace_ref(namespace)).await?;
        let claims = self.claims();
        Ok(match live {
            None if claims.wants_namespace(stack.stack_id, namespace) => Place::Own,
            None => Place::Missing,
            Some(live) if claims.namespace_uids(stack.stack_id, namespace).any(|uid| uid == live.uid) => Place::Own,
            // The agent created it and could not record its UID; it takes the Namespace first.
            Some(live)
                if live.made_for(self.agent).is_some_and(|it| !claims.are_strangers(it, stack.stack_id))
                    && claims.wants_namespace(stack.stack_id, namespace) =>
            {
                Place::Own
            }
            Some(_) => Place::Others,
        })
    }
}

fn missing(namespace: &str) -> ClusterError {
    ClusterError::NotFound(format!("namespaces \"{namespace}\" not found"))
}

fn not_own(object: &Arc<ObjectRef>, namespace: &str, generator: &str) -> ObjectProblem {
    let message = format!("the Namespace {namespace} exists and was not created by {generator}");
    ObjectProblem::failed(object.clone(), Reason::NotAllowed, message).with_remedy(format!(
        "use another namespace, or ask an admin of the broker for a grant that names \"{namespace}\" itself"
    ))
}
