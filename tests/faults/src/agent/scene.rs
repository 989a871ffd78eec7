//! One agent with its desired state, and objects of others that it must not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::{Value, json};

use super::key::Key;
use super::manifests::{config_map, holds, namespace};
use super::proxy::eventually;
use super::replica::Replica;
use super::rest::{Kube, Rest};
use super::rounds::Rounds;
use super::world::World;
use crate::{Outcome, Result};

/// Time limit for convergence. The agent retries failures after at most half a minute.
const ROUND_TIMEOUT: Duration = Duration::from_secs(75);

/// The desired state of one stack.
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) manifests: Vec<Value>,
}

/// One agent with stacks, in a namespace that existed before.
pub(crate) struct Scene {
    pub(crate) agent: String,
    pub(crate) replica: Replica,
    pub(crate) kube: Kube,
    pub(crate) namespace: String,
    pub(crate) broker: Rest,
    pub(crate) stacks: BTreeMap<String, Told>,
    /// Deleted stacks, whose removal must complete.
    pub(crate) leaving: Vec<String>,
    /// Every stack so far.
    pub(crate) known: BTreeSet<String>,
    /// Every object that was targeted at the agent so far.
    pub(crate) ever: BTreeSet<Key>,
    /// Objects of others, with their versions.
    pub(crate) planted: Vec<(Key, String)>,
    said: u64,
}

impl Scene {
    /// On the first cluster, with the agent running.
    pub(crate) async fn new(world: &World, name: &str) -> Result<Self> {
        Self::on(world, 0, name).await
    }

    /// On one of the clusters, with the agent running.
    pub(crate) async fn on(world: &World, cluster: usize, name: &str) -> Result<Self> {
        let (broker, kube) = (world.broker()?, world.kube(cluster)?);
        let new = json!({"name": name, "cluster_name": world.cluster(cluster)?.name});
        let created = broker.send(Method::POST, "/agents", Some(&new)).await?;
        let text = |pointer| created.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (agent, pak) = (text("/agent/id"), text("/pak"));
        let replica = Replica::new(world, cluster, &agent, &pak, name).await?;
        let mut scene = Self {
            agent,
            replica,
            kube,
            namespace: format!("trial-{name}"),
            broker,
            stacks: BTreeMap::new(),
            leaving: Vec::new(),
            known: BTreeSet::new(),
            ever: BTreeSet::new(),
            planted: Vec::new(),
            said: 0,
        };
        scene.kube.apply(&namespace(&scene.namespace)).await?;
        scene.plant().await?;
        scene.replica.start()?;
        Ok(scene)
    }

    /// Objects of others: a plain one, and one with the agent's labels.
    async fn plant(&mut self) -> Result<()> {
        let mut copied = config_map(&self.namespace, "foreign-labelled", "theirs");
        copied["metadata"]["labels"] = json!({
            "brokkr.io/agent": self.agent,
            "brokkr.io/stack": self.agent,
        });
        for manifest in [config_map(&self.namespace, "foreign", "theirs"), copied] {
            let object = self.kube.apply(&manifest).await?;
            let version = text_at(&object, "/metadata/resourceVersion")?;
            self.planted.push((Key::of(&manifest), version.to_owned()));
        }
        Ok(())
    }

    /// A stack's name in the broker, which all scenes share.
    pub(crate) fn full(&self, stack: &str) -> String {
        format!("{}-{stack}", self.namespace)
    }

    /// Publishes a revision of a stack, which is created and targeted at the agent if it is new.
    pub(crate) async fn publish(&mut self, stack: &str, manifests: Vec<Value>) -> Result<()> {
        self.publish_with(stack, manifests, None).await
    }

    /// [`publish`](Self::publish) with other policies.
    pub(crate) async fn publish_with(
        &mut self,
        stack: &str,
        manifests: Vec<Value>,
        policies: Option<Value>,
    ) -> Result<()> {
        // Note the objects before the request, because the agent may be faster than the response.
        self.ever.extend(manifests.iter().map(Key::of));
        let mut body = json!({"manifests": manifests});
        if let Some(policies) = policies {
            body["policies"] = policies;
        }
        let path = format!("/stacks/by-name/{}", self.full(stack));
        let answer = self.broker.send(Method::PUT, &path, Some(&body)).await?;
        let id = answer["stack"]["id"].as_str().ok_or("the response has no stack id")?.to_owned();
        let revision = answer["deployment_object"]["revision"].as_u64().ok_or("no revision")?;
        if self.known.insert(id.clone()) {
            let path = format!("/stacks/{id}/targets/{}", self.agent);
            self.broker.send(Method::PUT, &path, None).await?;
        }
        self.stacks.insert(stack.to_owned(), Told { id, revision, manifests });
        Ok(())
    }

    /// Deletes a stack. All of its objects must be deleted.
    pub(crate) async fn delete(&mut self, stack: &str) -> Result<()> {
        let Some(told) = self.stacks.remove(stack) else { return Ok(()) };
        self.broker.send(Method::DELETE, &format!("/stacks/{}", told.id), None).await?;
        self.leaving.push(told.id);
        Ok(())
    }

    pub(crate) fn id(&self, stack: &str) -> String {
        self.stacks.get(stack).map(|told| told.id.clone()).unwrap_or_default()
    }

    /// The revision that the next publication will have.
    pub(crate) fn next_revision(&self, stack: &str) -> u64 {
        self.stacks.get(stack).map_or(1, |told| told.revision + 1)
    }

    /// The broker's status of a stack on the agent, also of deleted stacks.
    pub(crate) async fn status(&self, id: &str) -> Result<Value> {
        let (_, status) = self.broker.ask(Method::GET, &format!("/stacks/{id}/status"), "", None).await?;
        Ok(status["agents"][0].clone())
    }

    /// Waits until the status of a stack contains all of these words. Returns false after the time limit.
    pub(crate) async fn reports(&self, id: &str, words: &[&str]) -> Result<bool> {
        let look = || async {
            let said = self.status(id).await?.to_string();
            Ok(words.iter().all(|word| said.contains(word)))
        };
        eventually(Duration::from_secs(30), look).await
    }

    /// Publishes a revision of an unaffected stack. Returns an error text if the agent does not apply it in time.
    pub(crate) async fn others_go_on(&mut self, within: Duration) -> Result<Vec<String>> {
        self.said += 1;
        let manifest = config_map(&self.namespace, "other", self.said);
        self.publish("other", vec![manifest.clone()]).await?;
        let key = Key::of(&manifest);
        let arrived =
            eventually(within, || async { Ok(self.kube.get(&key).await?.is_some_and(|it| holds(&it, &manifest))) });
        let late = !arrived.await?;
        Ok(late
            .then(|| format!("the agent did not apply another stack within {} s", within.as_secs()))
            .into_iter()
            .collect())
    }

    /// The recorded failures of a stack.
    pub(crate) async fn failures(&self, stack: &str) -> Result<Vec<Value>> {
        let path = format!("/stacks/{}/events?outcome=failure", self.id(stack));
        let mut events = self.broker.send(Method::GET, &path, None).await?;
        Ok(events["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Whether a stack's removal is complete.
    pub(crate) async fn is_gone(&self, id: &str) -> Result<bool> {
        Ok(self.broker.ask(Method::GET, &format!("/stacks/{id}"), "", None).await?.0 == 404)
    }

    /// The differences from the desired state.
    async fn unfinished(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for (name, told) in &self.stacks {
            let status = self.status(&told.id).await?;
            if status["applied_revision"] != told.revision {
                wrong.push(format!("stack {name} is not at revision {}: {status}", told.revision));
            }
        }
        for id in &self.leaving {
            if !self.is_gone(id).await? {
                wrong.push(format!("the removal of stack {id} is not complete: {}", self.status(id).await?));
            }
        }
        Ok(wrong)
    }

    /// Waits for convergence. Returns the remaining differences, and forbidden writes in the meantime.
    pub(crate) async fn judge(&self) -> Result<Vec<String>> {
        self.judge_within(ROUND_TIMEOUT).await
    }

    pub(crate) async fn judge_within(&self, patience: Duration) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            wrong.clear();
            wrong.extend(self.unfinished().await?);
            if wrong.is_empty() {
                wrong.extend(self.content_defects().await?);
            }
            if wrong.is_empty() || tokio::time::Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wrong.extend(self.strayed(&self.replica.writes()?));
        Ok(wrong)
    }

    /// Converges before the fault. Fails if that does not succeed.
    pub(crate) async fn settle(&self) -> Result<()> {
        match self.judge().await?.first() {
            None => Ok(()),
            Some(wrong) => Err(format!("the agent did not converge before the fault: {wrong}").into()),
        }
    }

    /// Deletes all stacks, waits until they are gone, and returns the outcome of all rounds.
    pub(crate) async fn end(self, rounds: Rounds) -> Result<Outcome> {
        self.end_within(ROUND_TIMEOUT, rounds).await
    }

    pub(crate) async fn end_within(mut self, patience: Duration, rounds: Rounds) -> Result<Outcome> {
        let stacks: Vec<String> = self.stacks.keys().cloned().collect();
        for stack in stacks {
            self.delete(&stack).await?;
        }
        let wrong = self.judge_within(patience).await?;
        self.replica.stop();
        self.kube.delete(&Key::namespace(&self.namespace)).await?;
        Ok(rounds.end(wrong))
    }
}

/// Adds an error text unless a condition is true.
pub(crate) fn must(wrong: &mut Vec<String>, is_so: bool, what: impl Display) {
    if !is_so {
        wrong.push(what.to_string());
    }
}
