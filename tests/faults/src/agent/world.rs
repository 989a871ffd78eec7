//! The clusters and the broker that all faults share. Each fault has its own agents, users, names and namespaces.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use brokkr_testbed::{BrokerProcess, Clusters, ScratchFolder, TestCluster, Tools, free_port, program};

use super::rest::{Kube, Rest};
use crate::Result;

/// Two clusters and a broker in memory.
pub(crate) struct World {
    pub(crate) clusters: Clusters,
    /// HTTP client that accepts any certificate and does not decompress.
    pub(crate) http: reqwest::Client,
    broker: BrokerProcess,
    folder: ScratchFolder,
    users: AtomicU32,
    /// Duration of the agents' Leases. Short, so that another process soon leads after a fault.
    pub(crate) lease_seconds: u32,
}

impl World {
    /// Starts clusters and broker, with all files in a folder named after the purpose.
    pub(crate) async fn start(purpose: &str) -> Result<Self> {
        let tools = Tools::ensure()?;
        let folder = ScratchFolder::new(purpose)?;
        println!("==> two clusters and a broker (logs and files in {})", folder.path().display());
        let clusters = Clusters::start(&tools, 2, &folder.path().join("clusters"))?;
        let log = folder.path().join("broker.log");
        let broker = BrokerProcess::start(&program("brokkr-broker")?, free_port()?, &[], None, &log)?;
        let http = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { clusters, http, broker, folder, users: AtomicU32::new(0), lease_seconds: 4 })
    }

    /// The administrator of the broker.
    pub(crate) fn broker(&self) -> Result<Rest> {
        let token = self.broker.admin.clone().ok_or("no admin key")?;
        Ok(Rest { http: self.http.clone(), base: format!("{}/api/v1", self.broker.url), token })
    }

    pub(crate) fn broker_url(&self) -> &str {
        &self.broker.url
    }

    pub(crate) fn cluster(&self, number: usize) -> Result<&TestCluster> {
        self.clusters.all.get(number).ok_or_else(|| "the test bed has no cluster with this number".into())
    }

    /// The administrator of a cluster.
    pub(crate) fn kube(&self, number: usize) -> Result<Kube> {
        let cluster = self.cluster(number)?;
        let (http, base, token) = (self.http.clone(), cluster.url.clone(), cluster.admin_token.clone());
        Ok(Kube(Rest { http, base, token }))
    }

    /// The number of a user that no agent has yet.
    pub(crate) fn next_user(&self) -> u32 {
        self.users.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first cluster, to inject faults into its API server.
    pub(crate) fn first(&mut self) -> Result<&mut TestCluster> {
        self.clusters.all.first_mut().ok_or_else(|| "the test bed has no cluster".into())
    }
}
