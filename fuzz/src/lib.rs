//! What each fuzz target does with its bytes. `tests/system/corpus.rs` includes this file and replays the corpus.

use std::sync::OnceLock;

use brokkr_control::{Actor, Broker, Origin};
use brokkr_core::manifest::{ManifestSet, parse_json};
use brokkr_core::model::LabelSelector;
use brokkr_core::store::MemoryStore;
use brokkr_http::server::fuzzing;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// A broker without a key, and the runtime of its tasks.
fn broker() -> &'static (Runtime, Broker) {
    static BROKER: OnceLock<(Runtime, Broker)> = OnceLock::new();
    BROKER.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let broker = runtime.block_on(async { Broker::builder(MemoryStore::new()).start().await }).expect("a broker");
        (runtime, broker)
    })
}

/// A presented key. No text is a valid key of a broker that has none.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (_, broker) = broker();
    assert!(broker.authenticate(&*text, Origin::in_process()).is_err(), "{text:?} is a key");
}

/// YAML manifests. What is accepted reads the same after it was encoded, and hides every value of a Secret.
pub fn manifests(bytes: &[u8]) {
    let Ok(set) = ManifestSet::parse_yaml(bytes) else { return };
    let documents: Vec<Value> = set.objects().iter().map(|object| Value::Object(object.body())).collect();
    for object in set.objects() {
        assert!(!object.kind().is_empty() && !object.name().is_empty(), "{object:?}");
    }
    drop(set.refuse_twins("default"));
    if let Ok((again, stored)) = ManifestSet::encode(documents) {
        assert_eq!(again.objects(), set.objects(), "encoding changes the objects");
        let read = ManifestSet::parse_yaml(&stored).expect("what is stored can be read");
        assert_eq!(read.objects(), set.objects(), "storing changes the objects");
    }
    if let Some(shown) = set.without_secret_values() {
        let shown = ManifestSet::parse_yaml(&shown).expect("what is shown can be read");
        assert_eq!(shown.secrets(), set.secrets(), "a Secret is lost");
        let again = shown.without_secret_values().expect("Secrets");
        let again = ManifestSet::parse_yaml(&again).expect("what is shown can be read");
        assert_eq!(again.objects(), shown.objects(), "a value was not hidden");
    }
}

/// A JSON body. What is accepted is JSON, and reads the same after it was written.
pub fn json(bytes: &[u8]) {
    let Ok(value) = parse_json(bytes) else { return };
    assert!(serde_json::from_slice::<Value>(bytes).is_ok(), "accepts what is not JSON");
    let written = serde_json::to_vec(&value).expect("a value");
    assert_eq!(parse_json(&written).as_ref(), Ok(&value), "reads back differently");
}

/// A cursor of a list. What was not issued is refused; what was issued is read, and refused after any change.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (_, broker) = broker();
    let actor: Actor = broker.system_actor();
    assert_eq!(fuzzing::read_cursor(&actor, &text), None, "{text:?} was never issued");
    let issued = fuzzing::issue_cursor(&actor, &text).expect("a cursor");
    assert_eq!(fuzzing::read_cursor(&actor, &issued).as_deref(), Some(&*text));
    let at = bytes.first().map_or(0, |byte| usize::from(*byte)) % issued.len();
    let mut changed = issued.into_bytes();
    if let Some(byte) = changed.get_mut(at) {
        // Bit 5 of a letter is its case; the other characters of Base64 become letters or nothing.
        *byte ^= 0x20;
    }
    let changed = String::from_utf8_lossy(&changed);
    assert_eq!(fuzzing::read_cursor(&actor, &changed), None, "{changed:?} was changed");
}

/// A label selector. What is accepted is valid.
pub fn selector(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(selector) = text.parse::<LabelSelector>() else { return };
    assert!(selector.validate().is_ok(), "{text:?} is accepted and not valid");
    let mut labels = selector.match_labels.clone();
    let _ = selector.matches(&labels);
    labels.clear();
    let _ = selector.matches(&labels);
    let written = serde_json::to_value(&selector).expect("a value");
    assert_eq!(serde_json::from_value::<LabelSelector>(written).ok().as_ref(), Some(&selector));
}

/// The bytes of an HTTP/1 connection. What passes does not depend on the pieces in which they arrive.
pub fn head(bytes: &[u8]) {
    let size = bytes.first().map_or(1, |byte| usize::from(*byte % 32) + 1);
    let (whole, pieces, single) =
        (fuzzing::passes(bytes, bytes.len()), fuzzing::passes(bytes, size), fuzzing::passes(bytes, 1));
    // In an invalid body, more of the valid part passes the smaller the pieces are.
    assert!(single.starts_with(&whole), "{:?}", String::from_utf8_lossy(bytes));
    assert!(single.starts_with(&pieces), "{:?}", String::from_utf8_lossy(bytes));
}
