//! Simulated nodes: a scheduler and kwok for a cluster.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::wait::wait_for;
use crate::{Kwok, Process, Result, TestCluster, Tools};

/// A kwok stage that makes labelled pods fail.
const FAILING_PODS: &str = include_str!("failing-pods.yaml");

/// A scheduler and a node that kwok simulates, for one cluster. Both processes end on drop.
///
/// Pods become ready at once, those of Jobs complete, and those with the label `brokkr.test/fails: "true"` fail.
#[derive(Debug)]
pub struct Nodes {
    _scheduler: Process,
    _kwok: Process,
}

impl Nodes {
    /// Starts both processes with their files in `folder`, and waits until the node is ready.
    pub fn start(tools: &Tools, kwok: &Kwok, cluster: &TestCluster, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let kubeconfig = format!("--kubeconfig={}", cluster.admin_kubeconfig.display());
        let args = [kubeconfig.clone(), "--leader-elect=false".to_owned(), "--secure-port=0".to_owned()];
        let log = folder.join("scheduler.log");
        let scheduler = Process::start(&tools.path("kube-scheduler"), &args, &[], &log)?;

        let failing = folder.join("failing-pods.yaml");
        std::fs::write(&failing, FAILING_PODS)?;
        let mut args =
            vec![kubeconfig, "--manage-all-nodes=true".to_owned(), "--node-lease-duration-seconds=40".to_owned()];
        args.extend(kwok.stages().iter().chain([&failing]).map(|stage| format!("--config={}", stage.display())));
        // kwok reads and writes files in the user's home folder.
        let home = [("HOME".to_owned(), folder.display().to_string())];
        let kwok = Process::start(&kwok.program(), &args, &home, &folder.join("kwok.log"))?;

        let labels = json!({"kubernetes.io/hostname": "node-1"});
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": labels}}))?;
        wait_for(&format!("the node of {}", cluster.name), Duration::from_secs(60), || {
            let node = cluster.get("node", "", "node-1").ok().flatten();
            let conditions = node.as_ref().and_then(|it| it["status"]["conditions"].as_array());
            let ready = conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True");
            // The node is tainted until the controller manager sees it ready.
            ready && node.is_some_and(|it| it["spec"]["taints"].as_array().is_none_or(Vec::is_empty))
        })?;
        Ok(Self { _scheduler: scheduler, _kwok: kwok })
    }
}
