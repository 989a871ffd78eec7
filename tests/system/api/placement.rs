//! What explaining targeting decisions costs, and shows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use brokkr_control::{Actor, Broker, NewAgent, NewGenerator, Origin};
use brokkr_core::model::{AgentId, GeneratorId, StackSpec};
use brokkr_core::store::{MemoryStore, Page};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::{Api, eventually};

/// Counts evaluations. The next one waits while the gate is closed.
#[derive(Debug, Default)]
struct Watched {
    evaluated: AtomicUsize,
    next_waits: AtomicBool,
    is_waiting: AtomicBool,
    open: Mutex<bool>,
    opened: Condvar,
}

#[derive(Debug, Clone, Default)]
struct Policy(Arc<Watched>);

impl TargetingPolicy for Policy {
    fn evaluate(&self, _: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        self.0.evaluated.fetch_add(1, Ordering::SeqCst);
        if self.0.next_waits.swap(false, Ordering::SeqCst) {
            self.0.is_waiting.store(true, Ordering::SeqCst);
            let open = self.0.open.lock().unwrap();
            drop(self.0.opened.wait_while(open, |open| !*open).unwrap());
        }
        Ok(Verdict::matched("everything"))
    }
}

async fn tenant(broker: &Broker, name: &str) -> (GeneratorId, Actor) {
    let admin = broker.system_actor();
    let new = NewGenerator { name: name.to_owned(), ..NewGenerator::default() };
    let (generator, key) = broker.generator_create(&admin, new).await.unwrap();
    let actor = broker.authenticate(key.pak.unwrap().expose_secret(), Origin::in_process()).unwrap();
    (generator.id, actor)
}

/// A broker with two tenants, their stacks, and an agent that serves both.
async fn scene(policy: &Policy) -> (Broker, Actor, AgentId) {
    let broker = Broker::builder(MemoryStore::new()).replace_policy(policy.clone()).start().await.unwrap();
    let ((many, busy), (few, actor)) = (tenant(&broker, "many").await, tenant(&broker, "few").await);
    let registrations = Some(vec![(many, None), (few, None)]);
    let new = NewAgent { name: "edge".to_owned(), registrations, ..NewAgent::default() };
    let (agent, _) = broker.agent_create(&broker.system_actor(), new).await.unwrap();
    for number in 0..300 {
        broker.stack_create(&busy, None, StackSpec::named(format!("s{number}"))).await.unwrap();
    }
    for number in 0..3 {
        broker.stack_create(&actor, None, StackSpec::named(format!("s{number}"))).await.unwrap();
    }
    (broker, actor, agent.id)
}

#[tokio::test]
async fn placement_evaluates_only_the_page_of_the_callers_own_stacks() {
    let policy = Policy::default();
    let (broker, actor, agent) = scene(&policy).await;
    let mut page = Page::first(1);
    let mut seen = Vec::new();
    loop {
        let before = policy.0.evaluated.load(Ordering::SeqCst);
        let found = broker.agent_placement(&actor, agent, &page).await.unwrap();
        let evaluated = policy.0.evaluated.load(Ordering::SeqCst) - before;
        assert!(evaluated <= 2, "{evaluated} evaluations for one entry");
        seen.extend(found.items.into_iter().map(|it| it.stack_name.to_string()));
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["s0", "s1", "s2"]);
    let all = broker.agent_placement(&broker.system_actor(), agent, &Page::first(500)).await.unwrap();
    assert_eq!((all.items.len(), all.next), (303, None));
    let stack = all.items[0].stack_id;
    let agents = broker.stack_placement(&broker.system_actor(), stack, None, &Page::first(10)).await.unwrap();
    assert_eq!(agents.items.iter().map(|it| it.agent_id).collect::<Vec<_>>(), [agent]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn placement_is_evaluated_without_the_lock_that_polls_need() {
    let policy = Policy::default();
    let (broker, actor, agent) = scene(&policy).await;
    policy.0.next_waits.store(true, Ordering::SeqCst);
    let placing = {
        let broker = broker.clone();
        tokio::spawn(async move { broker.agent_placement(&actor, agent, &Page::first(10)).await })
    };
    let waits = || policy.0.is_waiting.load(Ordering::SeqCst);
    eventually("the evaluation has begun", || async { if waits() { Ok(()) } else { Err(()) } }).await;
    // The view folds this commit with its lock for writing, and then is read.
    let admin = broker.system_actor();
    let stack = broker.stack_create(&admin, None, StackSpec::named("meanwhile"));
    let stack = tokio::time::timeout(std::time::Duration::from_secs(10), stack).await.expect("no deadlock").unwrap();
    assert!(broker.stack_placement(&admin, stack.id, None, &Page::first(1)).await.is_ok());
    *policy.0.open.lock().unwrap() = true;
    policy.0.opened.notify_all();
    assert_eq!(placing.await.unwrap().unwrap().items.len(), 3);
}

#[tokio::test]
async fn only_admins_see_unknown_stacks() {
    let api = Api::new().await;
    let (generator, key) = api.generator("one").await;
    let new = json!({"name": "edge", "generator_ids": [generator]});
    let created = api.send("POST", "/agents", new).await;
    let (agent, pak) = (created.text("/agent/id"), created.text("/pak"));
    let unknown = brokkr_core::model::StackId::generate().to_string();
    let report = json!({"instance_id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d6", "sequence": 1, "cluster_uid": "c", "held": [unknown]});
    assert_eq!(api.send_as(&pak, "POST", &format!("/agents/{agent}/reports"), report).await.status, 200);
    let path = format!("/agents/{agent}");
    for (who, shown) in [(&api.admin, json!([unknown])), (&key, json!([])), (&pak, json!([]))] {
        let seen = api.get_as(who, &path).await;
        assert_eq!(seen.json()["session"]["unknown_stacks"], shown, "{seen:?}");
    }
}

#[tokio::test]
async fn null_in_a_patch_creates_nothing_and_unknown_nulls_are_refused() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let path = format!("/api/v1/stacks/{stack}");
    let patch = async |patch: serde_json::Value| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
        api.call(&api.admin, "PATCH", &path, &headers, patch.to_string()).await
    };
    for nothing in [
        json!({"targeting": {"exclude": null}}),
        json!({"targeting": {"exclude": {"match_labels": null}}}),
        json!({"targeting": {"match_labels": {"env": null}}}),
        json!({"policies": {"wait": null}}),
        json!({"policies": {"wait": {"timeout_seconds": null}}}),
    ] {
        let reply = patch(nothing.clone()).await;
        assert_eq!(reply.status, 200, "{nothing}: {reply:?}");
        assert_eq!(
            (reply.json()["targeting"].clone(), reply.json()["policies"]["wait"].clone()),
            (json!(null), json!(null))
        );
        assert_eq!(reply.json()["version"], 1, "{nothing} changes nothing");
    }
    for (unknown, pointer) in [
        (json!({"placing": null}), "/placing"),
        (json!({"targeting": {"excluded": null}}), "/targeting/excluded"),
        (json!({"targeting": {"exclude": {"labels": null}}}), "/targeting/exclude/labels"),
        (json!({"policies": {"waits": null}}), "/policies/waits"),
        (json!({"policies": {"wait": {"seconds": null}}}), "/policies/wait/seconds"),
    ] {
        let reply = patch(unknown.clone()).await;
        assert_eq!(
            (reply.slug(), reply.text("/pointer")),
            ("unknown-field".to_owned(), pointer.to_owned()),
            "{unknown}"
        );
    }
    let rule = patch(json!({"targeting": {"exclude": {"match_labels": {"env": "dev"}}}})).await;
    assert_eq!(rule.json()["targeting"]["exclude"], json!({"match_labels": {"env": "dev"}}));
}
