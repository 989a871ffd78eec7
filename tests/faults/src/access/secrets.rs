//! Canaries: secrets of this run, and where they appeared.

use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The start of each canary. Three bytes are four characters in Base64, so the start of the encoded canary is fixed too.
pub(super) const CANARY: &str = "zCanary9";
/// Maximum number of remembered places.
const SHOWN: usize = 20;

/// A canary, as text and in Base64.
pub(super) fn canary(number: usize) -> (String, String) {
    let text = format!("{CANARY}x{number}");
    let encoded = STANDARD.encode(&text);
    (text, encoded)
}

/// What must not appear, what was searched, and what was found.
#[derive(Default)]
pub(super) struct Secrets {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The secret parts of keys.
    keys: HashSet<String>,
    bytes: u64,
    hits: Vec<String>,
}

/// The secret part of each key in a text: the fourth of five parts.
fn keys_in(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("brokkr_").map(|(at, _)| text.get(at..).unwrap_or_default());
    starts.filter_map(|rest| {
        let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_' && it != '-').unwrap_or(rest.len());
        let parts: Vec<&str> = rest.get(..end)?.split('_').collect();
        let secret = parts.len().checked_sub(2).and_then(|at| parts.get(at)).copied()?;
        (secret.len() >= 32).then_some(secret)
    })
}

impl State {
    fn search(&mut self, place: &str, text: &str, shows_secrets: bool) {
        self.bytes += text.len() as u64;
        let words = text.split(|it: char| !it.is_ascii_alphanumeric());
        if words.into_iter().any(|word| word.len() >= 32 && self.keys.contains(word)) {
            self.hits.push(format!("{place}: a key"));
        }
        let encoded = STANDARD.encode(CANARY.get(..6).unwrap_or_default());
        // As `{:?}` shows bytes.
        let bytes = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        for (form, needle) in [("text", CANARY), ("Base64", encoded.as_str()), ("bytes", bytes.as_str())] {
            if let Some(at) = text.find(needle).filter(|_| !shows_secrets) {
                let near: String = text.get(at.saturating_sub(60)..).unwrap_or(needle).chars().take(140).collect();
                self.hits.push(format!("{place}: a canary as {form}: {near}"));
            }
        }
    }
}

impl Secrets {
    /// Adds a secret of which every appearance counts.
    pub(super) fn add_key(&self, text: &str) {
        if let Ok(mut state) = self.state.lock() {
            state.keys.extend(keys_in(text).map(str::to_owned));
        }
    }

    /// An empty search for the same keys.
    pub(super) fn of(other: &Self) -> Self {
        let keys = other.state.lock().map(|state| state.keys.clone()).unwrap_or_default();
        Self { state: Mutex::new(State { keys, ..State::default() }) }
    }

    /// Searches a text.
    pub(super) fn search(&self, place: &str, text: &str, shows_secrets: bool) {
        if let Ok(mut state) = self.state.lock() {
            state.search(place, text, shows_secrets);
        }
    }

    /// The number of secrets and of searched bytes, and the first places with a secret.
    pub(super) fn found(&self) -> (usize, u64, Vec<String>) {
        let Ok(state) = self.state.lock() else { return (0, 0, vec!["the search panicked".to_owned()]) };
        (state.keys.len(), state.bytes, state.hits.iter().take(SHOWN).cloned().collect())
    }
}
