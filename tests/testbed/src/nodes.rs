//! Nodes on which pods run, or seem to: a scheduler and kwok beside a cluster.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::wait::wait_for;
use crate::{Kwok, Process, Result, TestCluster, Tools};

/// Lets pods fail on demand.
const FAILING_PODS: &str = include_str!("failing-pods.yaml");

/// A scheduler and a node that kwok plays, for one cluster. They end when this is dropped.
///
/// Pods become ready at once, those of Jobs complete, and those with the label `brokkr.test/fails: "true"` fail.
#[derive(Debug)]
pub struct Nodes {
    _scheduler: Process,
    _kwok: Process,
}

impl Nodes {
    /// Starts both with everything they write in a folder, and waits until the node is ready.
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
        // It looks for settings of the user's in the home folder, and keeps files there.
        let home = [("HOME".to_owned(), folder.display().to_string())];
        let kwok = Process::start(&kwok.program(), &args, &home, &folder.join("kwok.log"))?;

        let labels = json!({"kubernetes.io/hostname": "node-1"});
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": labels}}))?;
        wait_for(&format!("the node of {}", cluster.name), Duration::from_secs(60), || {
            let node = cluster.get("node", "", "node-1").ok().flatten();
            let conditions = node.as_ref().and_then(|it| it["status"]["conditions"].as_array());
            let ready = conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True");
            // Tainted until the controller manager has seen it ready.
            ready && node.is_some_and(|it| it["spec"]["taints"].as_array().is_none_or(Vec::is_empty))
        })?;
        Ok(Self { _scheduler: scheduler, _kwok: kwok })
    }
}
