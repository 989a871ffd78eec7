//! One real API server with its controller manager.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::clusters::{wait_for, write_kubeconfig};
use crate::{Error, Process, Result, Tools, free_port};

/// What the user `brokkr-agent` may do: read everything, write what the examples and tests consist of, and no more.
const AGENT_RIGHTS: &str = include_str!("agent-rights.yaml");
/// Every request, without bodies: enough to tell who wrote what.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// A cluster: a kube-apiserver with an audit log, and a kube-controller-manager.
#[derive(Debug)]
pub struct TestCluster {
    /// Its name.
    pub name: String,
    /// Where its API server listens.
    pub url: String,
    /// A kubeconfig for an administrator.
    pub admin_kubeconfig: PathBuf,
    /// A kubeconfig for the user `brokkr-agent`, with an agent's rights only.
    pub agent_kubeconfig: PathBuf,
    /// The API server's audit log, one JSON document a line.
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
        std::fs::write(file("tokens.csv"), "admin-token,admin,1,\"system:masters\"\nagent-token,brokkr-agent,2\n")?;
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
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
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

    /// Waits for the API server, starts the controller manager, and gives the agent's user its rights.
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
        // What every namespace gets is made by the controller manager: then it works.
        wait_for(&format!("the controller manager of {}", self.name), Duration::from_secs(60), || {
            self.kubectl(&["get", "serviceaccount", "default", "-n", "default"]).is_ok()
        })
    }

    fn wait_ready(&self) -> Result<()> {
        wait_for(
            &format!("the API server of {} (see {})", self.name, self.folder.display()),
            Duration::from_secs(90),
            || self.kubectl(&["get", "--raw", "/readyz"]).is_ok(),
        )
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with(&[], args)
    }

    /// The same with environment variables, which turn on what kubectl hides otherwise.
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

    /// Applies a document as the administrator, in the way of a person: client-side.
    pub fn apply(&self, document: &Value) -> Result<String> {
        self.kubectl_on(document, &["apply"])
    }

    /// Runs a command of kubectl on a document, as the administrator.
    pub fn kubectl_on(&self, document: &Value, command: &[&str]) -> Result<String> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = self.folder.join(format!("document-{number}.json"));
        std::fs::write(&file, document.to_string())?;
        let file = file.display().to_string();
        self.kubectl(&[command, &["-f", &file]].concat())
    }

    /// One object as JSON; `None` when it does not exist.
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

    /// The requests in the audit log that a user made and that change something, without dry runs.
    pub fn writes_by(&self, user: &str) -> Result<Vec<Value>> {
        self.writes_since(0, user)
    }

    /// How long the audit log is now.
    pub fn audit_length(&self) -> Result<u64> {
        Ok(std::fs::metadata(&self.audit_log)?.len())
    }

    /// The same from a place in the audit log on.
    pub fn writes_since(&self, place: u64, user: &str) -> Result<Vec<Value>> {
        let mut file = std::fs::File::open(&self.audit_log)?;
        file.seek(SeekFrom::Start(place))?;
        let mut log = String::new();
        file.read_to_string(&mut log)?;
        // Reads are by far the most: they are left out before anything is parsed.
        let is_read =
            |line: &&str| ["get", "list", "watch"].iter().any(|it| line.contains(&format!("\"verb\":\"{it}\"")));
        let lines = log.lines().filter(|line| !is_read(line));
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_write = |event: &Value| {
            event["user"]["username"] == user
                && matches!(event["verb"].as_str(), Some("create" | "update" | "patch" | "delete" | "deletecollection"))
                && !event["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
        };
        Ok(events.filter(is_write).collect())
    }

    /// Kills the API server, as a crash would.
    pub fn kill_api_server(&mut self) {
        if let Some(process) = self.api_server.take() {
            process.kill();
        }
    }

    /// Starts the API server again after it was killed.
    pub fn restart_api_server(&mut self) -> Result<()> {
        let log = self.folder.join("api-server-again.log");
        self.api_server = Some(Process::start(&self.program, &self.args, &[], &log)?);
        self.wait_ready()
    }
}
