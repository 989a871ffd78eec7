//! External crates with types or traits in the public API of a library. A new version of such a crate is a new version of
//! the library, so each one is a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use brokkr_testbed::{Error, Result};
use serde_json::Value;

use super::Finding;
use crate::run::{built, cargo_with};

/// The libraries, and the external crates that each may show.
const ALLOWED: [(&str, &[&str]); 7] = [
    (
        "brokkr",
        &[
            "async_trait",
            "axum",
            "axum_core",
            "bytes",
            "http",
            "schemars",
            "schemars_derive",
            "secrecy",
            "serde",
            "serde_core",
            "serde_derive",
            "serde_json",
            "tokio",
            "tokio_util",
        ],
    ),
    (
        "brokkr_core",
        &["bytes", "futures_core", "jiff", "secrecy", "serde_core", "serde_json", "tokio", "utoipa", "uuid"],
    ),
    ("brokkr_control", &["bytes", "schemars", "secrecy", "serde_core", "serde_json"]),
    ("brokkr_reconcile", &["futures_core", "serde_core", "serde_json"]),
    ("brokkr_store_postgres", &["bytes", "secrecy", "tokio", "uuid"]),
    ("brokkr_agent_runtime", &["futures_core", "kube_client", "secrecy", "serde_json", "tokio_util"]),
    (
        "brokkr_http",
        &[
            "axum",
            "axum_core",
            "bytes",
            "http",
            "reqwest",
            "secrecy",
            "serde_core",
            "serde_json",
            "tokio",
            "tower_layer",
            "tower_service",
            "utoipa",
        ],
    ),
];
/// Crates of the standard library.
const STANDARD: [&str; 3] = ["std", "core", "alloc"];

pub(super) fn all() -> Result<Vec<Finding>> {
    let folder = document()?;
    ALLOWED.iter().map(|(library, allowed)| check(&folder, library, allowed)).collect()
}

/// Describes the public API of every library as JSON. Returns the folder of the files.
fn document() -> Result<std::path::PathBuf> {
    let folder = built("api", "");
    fs::create_dir_all(&folder)?;
    // JSON is an unstable output of rustdoc. The variable is for rustdoc alone: with it, build scripts of dependencies
    // would select other code, and cargo would compile them again.
    let rustdoc = folder.join("rustdoc");
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755))?;
    let rustdoc = rustdoc.to_string_lossy();
    let mut args =
        vec!["doc", "--no-deps", "--lib", "--locked", "--features", "brokkr-broker/kubeconfig", "--workspace"];
    args.extend(["--exclude", "xtask"]);
    let flags = "-Z unstable-options --output-format json";
    cargo_with("public API", &args, &[("RUSTDOC", &rustdoc), ("RUSTDOCFLAGS", flags)])?;
    Ok(built("doc", ""))
}

fn check(folder: &Path, library: &str, allowed: &[&str]) -> Result<Finding> {
    let path = folder.join(format!("{library}.json"));
    let text = fs::read(&path).map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))?;
    let api: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))?;
    let shown = external(&api);
    let wrong = shown.iter().filter(|(name, _)| !allowed.contains(&name.as_str()));
    let wrong = wrong.map(|(name, places)| {
        let places: Vec<&str> = places.iter().take(4).map(String::as_str).collect();
        format!("{library} shows {name} ({}); hide it, or add it to the list in external.rs", places.join(", "))
    });
    let unused = allowed.iter().filter(|name| !shown.contains_key(**name));
    let unused =
        unused.map(|name| format!("{library} does not show {name} any more; remove it from the list in external.rs"));
    let figure = format!("{} ({})", shown.len(), shown.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
    Ok(Finding { name: "external-types", figure: format!("{library} {figure}"), wrong: wrong.chain(unused).collect() })
}

/// The external crates that public items refer to, with the names of the items.
fn external(api: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in api["index"].as_object().into_iter().flat_map(|index| index.values()) {
        let is_local = item["crate_id"] == 0;
        let implementation = &item["inner"]["impl"];
        let is_written = implementation["is_synthetic"] != true && implementation["blanket_impl"].is_null();
        if !is_local || !is_written {
            continue;
        }
        let mut ids = BTreeSet::new();
        collect(&item["inner"], &mut ids);
        for id in ids {
            let of = &api["paths"][&id]["crate_id"];
            let Some(name) = api["external_crates"][of.to_string()]["name"].as_str() else { continue };
            if !STANDARD.contains(&name) && !name.starts_with("brokkr") {
                let names = [&item["name"], &implementation["trait"]["path"], &item["inner"]["use"]["name"]];
                let item = names.into_iter().find_map(Value::as_str);
                shown.entry(name.to_owned()).or_default().insert(item.unwrap_or("an implementation").to_owned());
            }
        }
    }
    shown
}

/// The identifiers of the paths below a value.
fn collect(value: &Value, ids: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, ids)),
        Value::Object(fields) => {
            if let Some(id) = fields.get("id").filter(|id| id.is_u64()) {
                ids.insert(id.to_string());
            }
            fields.values().for_each(|value| collect(value, ids));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn crates_of_public_items_are_found() {
        let path = |id: u64| json!({"resolved_path": {"path": "It", "id": id, "args": null}});
        let implementation = |id: u64, blanket: Value| json!({"is_synthetic": false, "blanket_impl": blanket, "trait": {"path": "From", "id": id}, "items": []});
        let api = json!({
            "index": {
                "1": {"crate_id": 0, "name": "open", "inner": {"function": {"sig": {"inputs": [["file", path(10)]], "output": path(11)}}}},
                "2": {"crate_id": 0, "name": null, "inner": {"impl": implementation(12, Value::Null)}},
                "3": {"crate_id": 0, "name": null, "inner": {"impl": implementation(13, json!({"generic": "T"}))}},
                "4": {"crate_id": 5, "name": "theirs", "inner": {"function": {"sig": {"output": path(13)}}}},
            },
            "paths": {
                "10": {"crate_id": 1}, "11": {"crate_id": 2}, "12": {"crate_id": 3}, "13": {"crate_id": 4},
            },
            "external_crates": {
                "1": {"name": "bytes"}, "2": {"name": "std"}, "3": {"name": "http"}, "4": {"name": "tower"},
            },
        });
        let found: Vec<(String, Vec<String>)> =
            external(&api).into_iter().map(|(name, items)| (name, items.into_iter().collect())).collect();
        assert_eq!(
            found,
            [("bytes".to_owned(), vec!["open".to_owned()]), ("http".to_owned(), vec!["From".to_owned()])]
        );
    }
}
