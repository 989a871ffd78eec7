//! Crashes of an agent at any request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{AgentId, Policies, Revision, StackId};
use brokkr_core::protocol::Tenant;
use brokkr_reconcile::cluster::{ClusterError, MemoryCluster};
use brokkr_reconcile::{Applier, Desired, DesiredStack, Goal, Progress, Reconciler, ReconcilerConfig};
use serde_json::Value;

use crate::support::config_map;

fn desired(stack: StackId, documents: Option<Vec<Value>>) -> Desired {
    let goal = match documents {
        None => Goal::Remove,
        Some(documents) => Goal::Apply {
            revision: Revision::FIRST,
            manifests: Arc::new(ManifestSet::from_documents(documents).unwrap()),
        },
    };
    let (name, policies, depends_on) = ("web".to_owned(), Policies::default(), Vec::new());
    let tenant = Arc::new(Tenant::system());
    let stack = DesiredStack { stack_id: stack, name, tenant, policies, depends_on, goal };
    Desired { stacks: vec![stack], complete: true, may_remove: true }
}

fn reconciler(cluster: &MemoryCluster, agent: AgentId) -> Reconciler {
    Reconciler::new(cluster.clone(), ReconcilerConfig::new(agent, "kube-system"))
}

async fn run(reconciler: &Reconciler, stack: StackId, desired: &Desired) -> Progress {
    for _ in 0..50 {
        let outcomes = reconciler.reconcile(desired, &[stack].into()).await.unwrap();
        match &outcomes[0].progress {
            Progress::Waiting { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            progress => return progress.clone(),
        }
    }
    panic!("the pass does not end");
}

fn mine(cluster: &MemoryCluster) -> Vec<String> {
    let maps = cluster.objects().into_iter().filter(|it| it["kind"] == "ConfigMap");
    maps.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Crashes once at each request of a stack's lifecycle. The next run completes the work without
/// conflicts with itself, leftover objects, or writes to objects of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_at_any_request_is_recovered() {
    let first: Vec<Value> = ["a", "b", "c"].map(|name| config_map("default", name, "1")).into();
    let second: Vec<Value> = vec![config_map("default", "a", "1"), config_map("default", "d", "2")];
    let mut at = 0;
    loop {
        let cluster = MemoryCluster::new();
        let (agent, stack) = (AgentId::generate(), StackId::generate());
        let requests = Arc::new(AtomicU64::new(0));
        let crashed = Arc::new(AtomicBool::new(false));
        let (counter, flag) = (requests.clone(), crashed.clone());
        cluster.set_fault(Some(Box::new(move |_| {
            // Requests after the crash have no effect; earlier ones do.
            let number = counter.fetch_add(1, Ordering::SeqCst);
            if number >= at {
                flag.store(true, Ordering::SeqCst);
            }
            flag.load(Ordering::SeqCst).then(|| ClusterError::unavailable("crashed"))
        })));
        let life = reconciler(&cluster, agent);
        for desired in [desired(stack, Some(first.clone())), desired(stack, Some(second.clone())), desired(stack, None)]
        {
            for _ in 0..3 {
                let _ = life.reconcile(&desired, &[stack].into()).await;
            }
            if crashed.load(Ordering::SeqCst) {
                break;
            }
        }
        let complete = !crashed.load(Ordering::SeqCst);
        cluster.set_fault(None);
        // The next run only has the state of the cluster.
        let next = reconciler(&cluster, agent);
        assert_eq!(run(&next, stack, &desired(stack, Some(second.clone()))).await, Progress::Done, "crash at {at}");
        assert_eq!(mine(&cluster), ["a", "d"], "crash at {at}");
        let writes = cluster.writes();
        assert_eq!(run(&next, stack, &desired(stack, Some(second.clone()))).await, Progress::Done);
        assert_eq!(cluster.writes(), writes, "crash at {at}: no work was left");
        assert_eq!(run(&next, stack, &desired(stack, None)).await, Progress::Done, "crash at {at}");
        assert_eq!(mine(&cluster), Vec::<String>::new(), "crash at {at}");
        assert!(next.held().await.unwrap().is_empty());
        if complete {
            assert!(at > 20, "the lifecycle must have more than {at} requests");
            return;
        }
        at += 1;
    }
}
