//! `cargo xtask check contract`: tools and clients that know only the served OpenAPI document.

mod clients;
mod schemathesis;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use brokkr_testbed::{BrokerProcess, Error, Result, ScratchFolder, free_port, python_venv};

use crate::run::{cargo, debug, root};

type Check = fn(&Scene) -> Result<()>;

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let checks: [(&str, Check); 3] = [
        ("schemathesis", schemathesis::run),
        ("python-client", clients::python),
        ("typescript-client", clients::typescript),
    ];
    if let Some(name) = only.filter(|name| checks.iter().all(|(it, _)| it != name)) {
        let names = checks.map(|(name, _)| name).join(", ");
        return Err(Error::new(format!("no check named {name}; known checks: {names}")));
    }
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    let scratch = ScratchFolder::new("contract")?;
    let bin = python_venv("contract-python", &sources().join("requirements.txt"))?;
    for (name, check) in checks.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let began = Instant::now();
        println!("==> {name}");
        check(&Scene::start(name, scratch.path(), &bin)?)?;
        println!("==> {name}: {} s", began.elapsed().as_secs());
    }
    Ok(())
}

/// The folder with the sources of the checks.
fn sources() -> PathBuf {
    root().join("tests/contract")
}

/// A new broker in memory, its OpenAPI document, and the tools.
struct Scene {
    broker: BrokerProcess,
    pak: String,
    /// The folder of this check, with the OpenAPI document as `openapi.json`.
    folder: PathBuf,
    /// The `bin` folder of the Python virtual environment.
    bin: PathBuf,
}

impl Scene {
    fn start(name: &str, scratch: &Path, bin: &Path) -> Result<Self> {
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        let log = folder.join("broker.log");
        let broker = BrokerProcess::start(&debug("brokkr-contract"), free_port()?, &[], None, &log)?;
        let pak = broker.admin.clone().ok_or_else(|| Error::new("the broker printed no admin key"))?;
        let scene = Self { broker, pak, folder, bin: bin.to_owned() };
        let fetch = "import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], sys.argv[2])";
        let url = format!("{}/api/v1/openapi.json", scene.broker.url);
        scene.succeed(scene.python("python").args(["-c", fetch, &url, "openapi.json"]))?;
        Ok(scene)
    }

    /// A program of the virtual environment, run in the folder of this check.
    fn python(&self, program: &str) -> Command {
        self.command(&self.bin.join(program), &self.folder)
    }

    /// A program with the broker's address and key in its environment.
    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("BROKKR_URL", &self.broker.url).env("BROKKR_PAK", &self.pak);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs a program and returns its output. Fails if the program fails.
    fn succeed(&self, command: &mut Command) -> Result<String> {
        let Output { status, stdout, stderr } = command.output()?;
        let said = String::from_utf8_lossy(&stdout).into_owned();
        if status.success() {
            return Ok(said);
        }
        let program = command.get_program().to_string_lossy().into_owned();
        Err(Error::new(format!("{program} failed:\n{said}{}", String::from_utf8_lossy(&stderr))))
    }
}
