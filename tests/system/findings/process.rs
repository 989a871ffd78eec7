//! A broker in its own process under attack, and the peak of its memory.

use std::time::Duration;

use brokkr_testbed::{BrokerProcess, ScratchFolder, free_port, program};
use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Time limit of an exchange, on a machine that other tests keep busy.
const EXCHANGE: Duration = Duration::from_secs(60);

pub(super) struct Attacked {
    pub(super) broker: BrokerProcess,
    pub(super) admin: String,
    // Declared last: the folder is deleted after the broker has ended.
    _folder: ScratchFolder,
}

impl Attacked {
    pub(super) fn new(name: &str) -> Self {
        Self::started(name, None)
    }

    /// A broker that starts with this soft limit of open files.
    pub(super) fn with_open_files(name: &str, limit: u32) -> Self {
        Self::started(name, Some(limit))
    }

    fn started(name: &str, open_files: Option<u32>) -> Self {
        brokkr_http::client::install_crypto_provider();
        let folder = ScratchFolder::new(&format!("finding-{name}")).unwrap();
        let mut started = program("brokkr-broker").unwrap();
        if let Some(limit) = open_files {
            let script = folder.path().join("limited");
            let text = format!("#!/bin/sh\nulimit -Sn {limit}\nexec '{}' \"$@\"\n", started.display());
            std::fs::write(&script, text).unwrap();
            {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            started = script;
        }
        let log = folder.path().join("broker.log");
        let broker = BrokerProcess::start(&started, free_port().unwrap(), &[], None, &log).unwrap();
        Self { admin: broker.admin.clone().unwrap(), broker, _folder: folder }
    }

    pub(super) fn address(&self) -> &str {
        self.broker.url.trim_start_matches("http://")
    }

    /// A field of `/proc/PID/status`, in KiB.
    fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.broker.process.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Runs an attack, and returns by how many MiB the peak exceeded the memory before it, with the attack's result.
    pub(super) async fn peak<T>(&self, attack: impl Future<Output = T>) -> (u64, T) {
        // 5 resets the peak.
        std::fs::write(format!("/proc/{}/clear_refs", self.broker.process.pid()), "5").unwrap();
        let before = self.status("VmRSS");
        let result = attack.await;
        (self.status("VmHWM").saturating_sub(before) / 1024, result)
    }

    /// Sends bytes and keeps the connection open until a response or its end. Returns the status, 0 without one.
    pub(super) async fn exchange(&self, sent: Vec<u8>) -> u16 {
        let mut connection = TcpStream::connect(self.address()).await.unwrap();
        let (mut reading, mut writing) = connection.split();
        let mut answer = [0; 64];
        let write = async {
            let _ = writing.write_all(&sent).await;
            std::future::pending::<usize>().await
        };
        let exchange = async {
            tokio::select! { it = write => it, it = reading.read(&mut answer) => it.unwrap_or_default() }
        };
        let count = tokio::time::timeout(EXCHANGE, exchange).await.expect("an answer");
        let text = String::from_utf8_lossy(&answer[..count]).into_owned();
        text.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default()
    }

    /// Sends the same bytes on many connections at once.
    pub(super) async fn all(&self, count: usize, sent: &[u8]) -> Vec<u16> {
        join_all((0..count).map(|_| self.exchange(sent.to_vec()))).await
    }

    pub(super) fn request(&self, key: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Sends JSON as the admin.
    pub(super) async fn json(&self, method: http::Method, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let client = brokkr_http::client::Client::builder([&self.broker.url], self.admin.as_str()).build().unwrap();
        client.send(method, path, Some(body)).await.unwrap()
    }
}
