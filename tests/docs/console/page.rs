//! Runs the blocks of one page from top to bottom in one session.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use brokkr_testbed::markdown::{Block, blocks};
use brokkr_testbed::{Postgres, Process, ScratchFolder, free_port, program};

use crate::transcript::Transcript;

/// The addresses in the pages. Each run replaces them with free ports.
const ADDRESS: &str = "127.0.0.1:3000";
const METRICS: &str = "127.0.0.1:9090";
/// Time limit for an output to match the page.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// A shell function that replaces `cargo run`: it runs the program that the workspace build produced, without compiling.
const CARGO: &str = r#"cargo() {
    [ "$1 $2 $4" = "run -p --" ] || { echo "cargo $*: pages may only use cargo run" >&2; return 1; }
    local program=$3; shift 4; "$program" "$@"
}
"#;

pub(crate) struct Page {
    name: &'static str,
    blocks: Vec<Block>,
    folder: ScratchFolder,
    address: String,
    metrics: String,
    background: Vec<Process>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

impl Page {
    pub(crate) fn read(name: &'static str) -> Self {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let metrics = format!("127.0.0.1:{}", free_port().unwrap());
        let folder = ScratchFolder::new("docs").unwrap();
        // Pages write files into `target`, which may not exist if `CARGO_TARGET_DIR` is set.
        std::fs::create_dir_all(root().join("target")).unwrap();
        let page = Self { name, blocks: blocks(&text), folder, address, metrics, background: Vec::new() };
        let programs = program("brokkr-broker").unwrap();
        let mut path = programs.parent().unwrap().display().to_string();
        if let Some(postgres) = Postgres::programs() {
            write!(path, ":{}", postgres.display()).unwrap();
        }
        std::fs::write(page.state(), format!("export PATH='{path}':\"$PATH\"\n")).unwrap();
        page
    }

    /// Sets a variable that readers set themselves.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.append(&format!("export {variable}='{value}'"));
    }

    pub(crate) fn run(mut self) {
        for block in std::mem::take(&mut self.blocks) {
            let text = block.text.replace(ADDRESS, &self.address).replace(METRICS, &self.metrics);
            if let Some(file) = block.attribute("file") {
                std::fs::write(root().join(file), text).unwrap();
            } else if block.language == "console" {
                let at = format!("{}:{}", self.name, block.line);
                let transcript = Transcript::parse(&text);
                if block.has("background") {
                    self.start(&at, &transcript);
                } else {
                    self.check(&at, &transcript, block.has("eventually"));
                }
            }
        }
    }

    /// The file that keeps the session's variables between blocks.
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn append(&self, line: &str) {
        let state = std::fs::read_to_string(self.state()).unwrap();
        std::fs::write(self.state(), format!("{state}{line}\n")).unwrap();
    }

    fn check(&self, at: &str, transcript: &Transcript, eventually: bool) {
        let began = Instant::now();
        loop {
            let state = self.state().display().to_string();
            let script = format!(
                "source '{state}'\n{CARGO}set -euo pipefail -a\n{}export -p > '{state}'\n",
                transcript.commands
            );
            let output = Command::new("bash").args(["-c", &script]).current_dir(root()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let missing = transcript.missing(&said);
            if output.status.success() && missing.is_none() {
                return;
            }
            let is_late = !eventually || began.elapsed() >= EVENTUALLY;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!is_late, "{at}: {}, missing {missing:?}\n{said}\n{errors}", output.status);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Starts a program and waits until its output matches. Applies `export` lines of the output, as readers do.
    fn start(&mut self, at: &str, transcript: &Transcript) {
        let log = self.folder.path().join(format!("background-{}", self.background.len()));
        // Start it without a shell, which would not end with it.
        let command = transcript.commands.replacen("cargo run -p brokkr-broker --", "brokkr-broker", 1);
        let command = command.replacen("brokkr-broker", "exec brokkr-broker", 1);
        let script = format!("cd '{}'\nsource '{}'\n{command}", root().display(), self.state().display());
        let process = Process::start(Path::new("bash"), &["-c".to_owned(), script], &[], &log).unwrap();
        let began = Instant::now();
        loop {
            let said = std::fs::read_to_string(&log).unwrap();
            let Some(missing) = transcript.missing(&said) else { break };
            let is_late = began.elapsed() >= 2 * EVENTUALLY || !process.is_running();
            assert!(!is_late, "{at}: missing {missing:?}\n{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.background.push(process);
        let said = std::fs::read_to_string(&log).unwrap();
        said.lines().map(str::trim).filter(|line| line.starts_with("export ")).for_each(|line| self.append(line));
    }
}
