//! Replays the corpus of the fuzz targets, without a fuzzer.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the library of the fuzz targets")]
mod targets;

use std::path::Path;

/// Replays the inputs of one target and returns their number.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        run(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 5, "{count} inputs in {}", folder.display());
    run(b"");
}

#[test]
fn corpus_of_keys_is_handled() {
    replay("key", targets::key);
}

#[test]
fn corpus_of_manifests_is_handled() {
    replay("manifests", targets::manifests);
}

#[test]
fn corpus_of_json_is_handled() {
    replay("json", targets::json);
}

#[test]
fn corpus_of_cursors_is_handled() {
    replay("cursor", targets::cursor);
}

#[test]
fn corpus_of_selectors_is_handled() {
    replay("selector", targets::selector);
}

#[test]
fn corpus_of_heads_is_handled() {
    replay("head", targets::head);
}
