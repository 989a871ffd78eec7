//! One real API server with its controller manager.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::kubeconfig::write_kubeconfig;
use crate::wait::wait_for;
use crate::{Error, Process, Result, Tools, free_port};

/// Number of users with an agent's rights beside `brokkr-agent`. Each agent has its own user in the audit log.
const AGENTS: u32 = 99;
/// Number of users without any rights.
const STRANGERS: u32 = 9;
/// The rights of agents' users: read everything, and write the kinds of the examples and tests.
const AGENT_RIGHTS: &str = include_str!("agent-rights.yaml");
/// Logs every request without its body.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// A cluster: a kube-apiserver with an audit log, and a kube-controller-manager.
#[derive(Debug)]
pub struct TestCluster {
    /// The name of the cluster.
    pub name: String,
    /// The URL of the API server.
    pub url: String,
    /// The token of an administrator.
    pub admin_token: String,
    /// A kubeconfig for an administrator.
    pub admin_kubeconfig: PathBuf,
    /// A kubeconfig for the user `brokkr-agent`, with an agent's rights only.
    pub agent_kubeconfig: PathBuf,
    /// The API server's audit log, one JSON document per line.
    pub audit_log: PathBuf,
    kubectl: PathBuf,
    folder: PathBuf,
    api_server: Option<Process>,
    controller_manager: Option<Process>,
    args: Vec<String>,
    program: PathBuf,
}

impl TestCluster {
    pub(crate) fn start(tools: &Tools, name: &str, keys: &Path, etcd_port: u16) -> Result<Self> {
        let folder = keys.join(name);
        std::fs::create_dir_all(&folder)?;
        let file = |name: &str| folder.join(name);
        let text = |path: PathBuf| path.display().to_string();
        std::fs::write(file("tokens.csv"), tokens())?;
        std::fs::write(file("audit-policy.json"), AUDIT_POLICY)?;
        let port = free_port()?;
        let args = vec![
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            format!("--etcd-prefix=/{name}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", text(file("certificates"))),
            format!("--service-account-key-file={}", text(keys.join("sa.pub"))),
            format!("--service-account-signing-key-file={}", text(keys.join("sa.key"))),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", text(file("tokens.csv"))),
            format!("--audit-policy-file={}", text(file("audit-policy.json"))),
            format!("--audit-log-path={}", text(file("audit.log"))),
            // Maximum size in megabytes, high enough that the log does not rotate during a run.
            "--audit-log-maxsize=100000".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            // Many published files contain privileged node agents.
            "--allow-privileged=true".to_owned(),
            "--profiling=false".to_owned(),
        ];
        let url = format!("https://127.0.0.1:{port}");
        write_kubeconfig(&file("admin.kubeconfig"), &[(name, &url)], "admin-token")?;
        write_kubeconfig(&file("agent.kubeconfig"), &[(name, &url)], "agent-token")?;
        let program = tools.path("kube-apiserver");
        let api_server = Process::start(&program, &args, &[], &file("api-server.log"))?;
        Ok(Self {
            name: name.to_owned(),
            url,
            admin_token: "admin-token".to_owned(),
            admin_kubeconfig: file("admin.kubeconfig"),
            agent_kubeconfig: file("agent.kubeconfig"),
            audit_log: file("audit.log"),
            kubectl: tools.path("kubectl"),
            api_server: Some(api_server),
            controller_manager: None,
            folder,
            args,
            program,
        })
    }

    /// Waits for the API server, starts the controller manager, and grants the agent's user its rights.
    pub(crate) fn finish(&mut self, tools: &Tools) -> Result<()> {
        self.wait_ready()?;
        let keys = self.folder.parent().map(|it| it.join("sa.key")).unwrap_or_default();
        let args = [
            format!("--kubeconfig={}", self.admin_kubeconfig.display()),
            format!("--service-account-private-key-file={}", keys.display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let log = self.folder.join("controller-manager.log");
        self.controller_manager = Some(Process::start(&tools.path("kube-controller-manager"), &args, &[], &log)?);
        let rights = self.folder.join("agent-rights.yaml");
        std::fs::write(&rights, AGENT_RIGHTS)?;
        self.kubectl(&["apply", "-f", &rights.display().to_string()])?;
        // The controller manager creates the default service account of every namespace once it works.
        wait_for(&format!("the controller manager of {}", self.name), Duration::from_secs(60), || {
            self.kubectl(&["get", "serviceaccount", "default", "-n", "default"]).is_ok()
        })
    }

    /// Makes the user `brokkr-agent` an administrator of this cluster.
    pub fn let_agent_do_everything(&self) -> Result<()> {
        let args = ["create", "clusterrolebinding", "brokkr-agent-admin", "--clusterrole=cluster-admin"];
        self.kubectl(&[&args[..], &["--user=brokkr-agent"]].concat()).map(drop)
    }

    /// Grants the user `brokkr-agent` only the rights in this file of manifests.
    pub fn let_agent_do_only(&self, rights: &Path) -> Result<()> {
        self.kubectl(&["delete", "clusterrolebinding", "brokkr-agent"])?;
        self.kubectl(&["apply", "-f", &rights.display().to_string()]).map(drop)
    }

    /// Waits until the API server is ready.
    pub fn wait_ready(&self) -> Result<()> {
        wait_for(
            &format!("the API server of {} (see {})", self.name, self.folder.display()),
            Duration::from_secs(90),
            || self.kubectl(&["get", "--raw", "/readyz"]).is_ok(),
        )
    }

    /// Runs kubectl as the administrator and returns its output.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with(&[], args)
    }

    /// [`kubectl`](Self::kubectl) with environment variables, which enable hidden features of kubectl.
    pub fn kubectl_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Result<String> {
        let output = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.admin_kubeconfig)
            .args(args)
            .env("HOME", &self.folder)
            .envs(environment.iter().copied())
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::new(format!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
    }

    /// Applies a document as the administrator, with client-side apply.
    pub fn apply(&self, document: &Value) -> Result<String> {
        self.kubectl_on(document, &["apply"])
    }

    /// Runs a kubectl command on a document, as the administrator.
    pub fn kubectl_on(&self, document: &Value, command: &[&str]) -> Result<String> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = self.folder.join(format!("document-{number}.json"));
        std::fs::write(&file, document.to_string())?;
        let file = file.display().to_string();
        self.kubectl(&[command, &["-f", &file]].concat())
    }

    /// One object as JSON; `None` if it does not exist.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let mut args = vec!["get", kind, name, "-o", "json", "--ignore-not-found", "--show-managed-fields"];
        if !namespace.is_empty() {
            args.extend(["-n", namespace]);
        }
        let text = self.kubectl(&args)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).map_err(|error| Error::new(error.to_string()))
    }

    /// A user's write requests in the audit log, without dry runs.
    pub fn writes_by(&self, user: &str) -> Result<Vec<Value>> {
        self.writes_since(0, user)
    }

    /// The current length of the audit log, in bytes.
    pub fn audit_length(&self) -> Result<u64> {
        Ok(std::fs::metadata(&self.audit_log)?.len())
    }

    /// A user's write requests in the audit log from this byte on, without dry runs.
    pub fn writes_since(&self, place: u64, user: &str) -> Result<Vec<Value>> {
        crate::writes_by(&self.audit_log, place, user)
    }

    /// The user of this number with an agent's rights (1 to 99), and its token.
    pub fn agent_user(number: u32) -> (String, String) {
        (format!("brokkr-agent-{number}"), format!("agent-token-{number}"))
    }

    /// Writes a kubeconfig for a user with an agent's rights and another address of the API server.
    pub fn kubeconfig_by(&self, address: &str, number: u32) -> Result<PathBuf> {
        let file = self.folder.join(format!("agent-{number}.kubeconfig"));
        write_kubeconfig(&file, &[(&self.name, address)], &Self::agent_user(number).1)?;
        Ok(file)
    }

    /// Writes a kubeconfig for the user `stranger-<number>` (1 to 9), who has no rights at all.
    pub fn kubeconfig_of_stranger(&self, number: u32) -> Result<PathBuf> {
        let file = self.folder.join(format!("stranger-{number}.kubeconfig"));
        write_kubeconfig(&file, &[(&self.name, &self.url)], &format!("stranger-token-{number}"))?;
        Ok(file)
    }

    /// Sends a signal to the API server: `STOP` freezes it, `CONT` resumes it. Fails if the API server does not run.
    pub fn signal_api_server(&self, name: &str) -> Result<()> {
        let process = self.api_server.as_ref().ok_or_else(|| Error::new("the API server does not run"))?;
        process.signal(name)
    }

    /// Kills the API server with SIGKILL.
    pub fn kill_api_server(&mut self) {
        if let Some(process) = self.api_server.take() {
            process.kill();
        }
    }

    /// Restarts the API server after [`kill_api_server`](Self::kill_api_server).
    pub fn restart_api_server(&mut self) -> Result<()> {
        let log = self.folder.join("api-server-again.log");
        self.api_server = Some(Process::start(&self.program, &self.args, &[], &log)?);
        self.wait_ready()
    }
}

/// The token file: an administrator, users with an agent's rights, and users without rights.
fn tokens() -> String {
    let mut tokens = "admin-token,admin,1,\"system:masters\"\nagent-token,brokkr-agent,2\n".to_owned();
    for number in 1..=AGENTS {
        let (user, token) = TestCluster::agent_user(number);
        tokens.push_str(&format!("{token},{user},{user},\"brokkr-agents\"\n"));
    }
    for number in 1..=STRANGERS {
        tokens.push_str(&format!("stranger-token-{number},stranger-{number},stranger-{number}\n"));
    }
    tokens
}
