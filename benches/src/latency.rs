//! The time from the publication of one ConfigMap to its existence in a real cluster, beside a direct request to the API server.

use std::time::{Duration, Instant};

use brokkr_agent_runtime::{ClusterSource, KubeCluster};
use brokkr_reconcile::cluster::{ApplyOptions, Cluster as _, ClusterResult, ListOptions, ObjectKey, WatchEvent, meta};
use brokkr_testbed::{Clusters, Process, Tools, text_at};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Database, binary, text};
use crate::{Result, figure, percentile};

/// Number of measurements per figure.
pub(crate) const SAMPLES: usize = 200;
/// The first rounds open connections and fill caches, so they do not count.
pub(crate) const WARM_UP: usize = 10;

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let folder = database.folder.path();
    let tools = Tools::ensure().map_err(text)?;
    let clusters = Clusters::start(&tools, 1, folder).map_err(text)?;
    let cluster = clusters.all.first().ok_or("no cluster")?;
    let broker = database.broker(10)?;
    let admin = broker.admin()?;
    let created = broker.call(admin, Method::POST, "/agents", Some(&json!({"name": "edge"}))).await?;
    let variables = [
        ("BROKKR__AGENT__BROKER_URL".to_owned(), broker.process.url.clone()),
        ("BROKKR__AGENT__PAK".to_owned(), text_at(&created, "/pak")?.to_owned()),
        ("KUBECONFIG".to_owned(), cluster.agent_kubeconfig.display().to_string()),
    ];
    let log = folder.join("agent.log");
    let _agent = Process::start(&binary("brokkr-agent")?, &["start".to_owned()], &variables, &log).map_err(text)?;

    let stack = broker.call(admin, Method::POST, "/stacks", Some(&json!({"name": "latency"}))).await?;
    let stack = text_at(&stack, "/id")?;
    let agent = text_at(&created, "/agent/id")?;
    broker.call(admin, Method::PUT, &format!("/stacks/{stack}/targets/{agent}"), None).await?;
    let kube = KubeCluster::connect(&ClusterSource::default().file(&cluster.admin_kubeconfig)).await?;
    let discovery = kube.discover().await?;
    let kind = discovery.preferred("", "ConfigMap").ok_or("no ConfigMaps")?;
    let list = kube.list(kind, Some("default"), &ListOptions::default()).await?;
    let mut watch = kube.watch(kind, Some("default"), &ListOptions::default(), &list.meta.resource_version).await?;
    // One client for all rounds, as in a user's service.
    let client = brokkr_http::client::Client::builder([&broker.process.url], admin).build()?;
    let path = format!("/stacks/{stack}/deployment-objects");
    let (mut times, mut bare) = (Vec::new(), Vec::new());
    // Every other round bypasses Brokkr: a direct request with the same content, seen by the same watch.
    for number in 0..2 * (SAMPLES + WARM_UP) {
        // Pause, so that each publication meets an idle system.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let direct = number % 2 == 1;
        let name = format!("latency-{number}");
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}});
        let began = Instant::now();
        if direct {
            let options = ApplyOptions { field_manager: "bench", force: false, dry_run: false };
            kube.apply(&ObjectKey { kind, namespace: Some("default"), name: &name }, &manifest, &options).await?;
        } else {
            client.send::<Value>(Method::POST, &path, Some(&json!({"manifests": [manifest]}))).await?;
        }
        let exists = appears(&mut watch, &name);
        tokio::time::timeout(Duration::from_secs(60), exists)
            .await
            .map_err(|_| format!("the watch did not report {name} within 60 s"))??;
        if number >= 2 * WARM_UP {
            let time = began.elapsed().as_secs_f64() * 1000.0;
            if direct { bare.push(time) } else { times.push(time) }
        }
    }
    let (published, applied) = (percentile(&mut times, 0.5), percentile(&mut bare, 0.5));
    figure("publish_to_exists_p50_ms", published);
    figure("publish_to_exists_p99_ms", percentile(&mut times, 0.99));
    figure("bare_apply_to_exists_p50_ms", applied);
    figure("bare_apply_to_exists_p99_ms", percentile(&mut bare, 0.99));
    figure("publish_to_exists_vs_bare_apply", published / applied);
    Ok(())
}

/// Waits until the watch reports an object with this name.
async fn appears(watch: &mut BoxStream<'static, ClusterResult<WatchEvent>>, name: &str) -> Result<()> {
    while let Some(event) = watch.next().await {
        if let WatchEvent::Changed(object) = event?
            && meta::name(&object) == Some(name)
        {
            return Ok(());
        }
    }
    Err("the watch ended".into())
}
