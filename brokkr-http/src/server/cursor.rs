//! Opaque pagination cursors, each valid for one caller and one list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brokkr_control::Actor;
use brokkr_core::error::{Invalid, InvalidCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

/// The HMAC key that authenticates cursors.
pub(crate) struct CursorKey([u8; 32]);

impl CursorKey {
    /// Takes a key that all brokers of one store share, so that each accepts the cursors of the others.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// `None` never occurs: HMAC accepts keys of any length.
    fn mac(&self, list: &str, actor: &Actor, payload: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::new_from_slice(&self.0).ok()?;
        for part in [list.as_bytes(), actor.reference().to_string().as_bytes(), payload] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Some(mac)
    }

    pub(crate) fn issue<K: Serialize>(&self, list: &str, actor: &Actor, key: &K) -> Option<String> {
        let payload = serde_json::to_vec(key).ok()?;
        let mut bytes = self.mac(list, actor, &payload)?.finalize().into_bytes().to_vec();
        bytes.extend(payload);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn read<K: DeserializeOwned>(&self, list: &str, actor: &Actor, cursor: &str) -> Result<K, Invalid> {
        let refused = || {
            Invalid::new(
                InvalidCode::CursorInvalid,
                "the cursor is not valid for this list and key; omit it to start from the first page",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (tag, payload) = bytes.split_at_checked(32).ok_or_else(refused)?;
        let mac = self.mac(list, actor, payload).ok_or_else(refused)?;
        // In constant time.
        mac.verify_slice(tag).map_err(|_| refused())?;
        serde_json::from_slice(payload).map_err(|_| refused())
    }
}
