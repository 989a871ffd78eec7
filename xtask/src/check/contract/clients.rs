//! Clients generated from the OpenAPI document, each used by a small program.

use std::path::Path;

use brokkr_testbed::{Result, node_modules};

use super::{Scene, sources};

pub(super) fn python(scene: &Scene) -> Result<()> {
    let generate = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "brokkr_client"];
    scene.succeed(scene.python("openapi-python-client").args(generate))?;
    let program = sources().join("python/client.py");
    print!("{}", scene.succeed(scene.python("python").arg(program).env("PYTHONPATH", &scene.folder))?);
    Ok(())
}

pub(super) fn typescript(scene: &Scene) -> Result<()> {
    let folder = node_modules("contract-node", &sources().join("typescript"))?;
    std::fs::copy(scene.folder.join("openapi.json"), folder.join("openapi.json"))?;
    let run = |words: &[&str]| {
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let mut command = scene.command(Path::new(program), &folder);
        scene.succeed(command.args(arguments).env("BROKKR_PROBLEMS", sources().join("problems.json")))
    };
    run(&["npm", "run", "--silent", "generate"])?;
    run(&["npm", "run", "--silent", "build"])?;
    print!("{}", run(&["node", "out/client.js"])?);
    Ok(())
}
