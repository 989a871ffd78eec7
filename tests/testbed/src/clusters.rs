//! Real API servers on one etcd.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kubeconfig::write_kubeconfig;
use crate::{Error, Process, Result, TestCluster, Tools, ensure_command, free_port};

/// Several clusters: API servers and controller managers on one etcd, each with its own prefix. All processes end
/// on drop.
#[derive(Debug)]
pub struct Clusters {
    /// The clusters.
    pub all: Vec<TestCluster>,
    /// A kubeconfig for an administrator, with one context per cluster. Each context has the name of its cluster.
    pub kubeconfig: PathBuf,
    /// The URL of etcd.
    pub etcd_url: String,
    etcd: Option<Process>,
    etcd_args: Vec<String>,
    etcd_program: PathBuf,
    folder: PathBuf,
}

impl Clusters {
    /// Starts clusters `cluster-1`, `cluster-2`, … with their files in `folder`, and waits until they are ready.
    pub fn start(tools: &Tools, count: usize, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        make_keys(folder)?;
        let etcd_port = free_port()?;
        let etcd_args = etcd_args(folder, etcd_port)?;
        let etcd_program = tools.path("etcd");
        let etcd = Process::start(&etcd_program, &etcd_args, &[], &folder.join("etcd.log"))?;
        let mut all = Vec::new();
        for n in 1..=count {
            all.push(TestCluster::start(tools, &format!("cluster-{n}"), folder, etcd_port)?);
        }
        for cluster in &mut all {
            cluster.finish(tools)?;
        }
        let kubeconfig = folder.join("kubeconfig");
        let entries: Vec<_> = all.iter().map(|it| (it.name.as_str(), it.url.as_str())).collect();
        write_kubeconfig(&kubeconfig, &entries, "admin-token")?;
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let folder = folder.to_owned();
        Ok(Self { all, kubeconfig, etcd_url, etcd: Some(etcd), etcd_args, etcd_program, folder })
    }

    /// Kills the etcd of all clusters with SIGKILL.
    pub fn kill_etcd(&mut self) {
        if let Some(process) = self.etcd.take() {
            process.kill();
        }
    }

    /// Restarts etcd on its data after [`kill_etcd`](Self::kill_etcd), and waits until all API servers are ready.
    pub fn restart_etcd(&mut self) -> Result<()> {
        let log = self.folder.join("etcd-again.log");
        self.etcd = Some(Process::start(&self.etcd_program, &self.etcd_args, &[], &log)?);
        self.all.iter().try_for_each(TestCluster::wait_ready)
    }
}

/// Creates the keys that sign service account tokens.
fn make_keys(folder: &Path) -> Result<()> {
    let openssl = ensure_command("openssl", "openssl")?;
    let run = |args: &[&str]| -> Result<()> {
        let output = Command::new(&openssl).args(args).current_dir(folder).output()?;
        if output.status.success() { Ok(()) } else { Err(Error::new(String::from_utf8_lossy(&output.stderr))) }
    };
    run(&["genrsa", "-out", "sa.key", "2048"])?;
    run(&["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"])
}

fn etcd_args(folder: &Path, port: u16) -> Result<Vec<String>> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()?));
    let data = folder.join("etcd").display().to_string();
    let args = [
        ("--data-dir", data.as_str()),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &format!("default={peer}")),
    ];
    let mut args: Vec<String> = args.iter().flat_map(|(key, value)| [(*key).to_owned(), (*value).to_owned()]).collect();
    // The data is temporary, so skip the sync to disk.
    args.push("--unsafe-no-fsync".to_owned());
    Ok(args)
}
