//! schemathesis: sends requests that are valid by the document, and invalid ones, and checks the broker's responses.

use std::collections::BTreeSet;

use brokkr_testbed::{Error, Result};
use serde_json::Value;

use super::{Scene, sources};

/// A fixed seed, so that every run sends the same requests.
const SEED: &str = "20261130";
/// Maximum number of generated requests for each operation and phase.
const EXAMPLES: &str = "20";

pub(super) fn run(scene: &Scene) -> Result<()> {
    // Read the document from a file: from its URL, the tool omits the operation that serves it.
    let document = scene.folder.join("openapi.json");
    let (report, succeeded) = (scene.folder.join("report.json"), scene.folder.join("succeeded.json"));
    // The tool writes its own files into the current folder.
    for name in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(sources().join("schemathesis").join(name), scene.folder.join(name))?;
    }
    let mut command = scene.python("schemathesis");
    command.arg("run").arg(&document).args([
        "--url",
        &scene.broker.url,
        "--seed",
        SEED,
        "--max-examples",
        EXAMPLES,
        "--continue-on-failure",
        "--no-color",
    ]);
    command.args(["--generation-database", "none", "--report", "json", "--report-json-path"]).arg(&report);
    let output = command.env("BROKKR_SUCCEEDED", &succeeded).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let read = |path| -> Result<Value> {
        let text =
            std::fs::read_to_string(path).map_err(|_| Error::new(format!("schemathesis did not run:\n{said}")))?;
        serde_json::from_str(&text).map_err(|error| Error::new(error.to_string()))
    };
    let (report, succeeded) = (read(&report)?, read(&succeeded)?);
    let cases = |name: &str| report["test_cases"][name].as_u64().unwrap_or_default();
    let (generated, wrong) = (cases("generated"), cases("with_failures") + cases("errored"));
    let failures = report["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let server_errors = failures.iter().filter(|it| it["code"] == "ST101").count();
    let operations = operations(&read(&document)?);
    let reached = |id: &&String| succeeded[id.as_str()].as_u64().unwrap_or_default() > 0;
    let missed: Vec<&String> = operations.iter().filter(|id| !reached(id)).collect();
    println!("schemathesis {}/{generated}", generated.saturating_sub(wrong));
    println!("operations-2xx {}/{}", operations.len() - missed.len(), operations.len());
    println!("failures {}", failures.len());
    println!("server-errors {server_errors}");
    let is_whole = report["complete"] == true && report["operations"]["tested"] == operations.len();
    if output.status.success() && missed.is_empty() && is_whole {
        return Ok(());
    }
    Err(Error::new(format!(
        "the API differs from the document; operations without a successful response: {missed:?}\n{said}"
    )))
}

/// The ids of the document's operations.
fn operations(document: &Value) -> BTreeSet<String> {
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let operations = items.filter_map(Value::as_object).flat_map(|item| item.values());
    operations.filter_map(|operation| operation.get("operationId")?.as_str().map(str::to_owned)).collect()
}
