//! Prefixed API keys: `brokkr_<kind>_<short id>_<secret>_<crc32>`.
//!
//! The prefix lets secret scanners find leaked keys, the short id identifies a key without its secret, and the checksum
//! rejects mistyped keys without a lookup. All parts are base62, so a double click selects the whole key.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::entropy::Entropy;
use crate::model::{Digest, KeyKind};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SHORT_ID: usize = 12;
/// 43 of 62 characters are 256.03 bits.
const SECRET: usize = 43;
const CHECK: usize = 6;

/// A new key. Shown once; the store keeps only its hash.
///
/// ```
/// use brokkr_core::entropy::SystemEntropy;
/// use brokkr_core::model::KeyKind;
/// use brokkr_core::pak::Pak;
/// use secrecy::ExposeSecret as _;
///
/// let pak = Pak::generate(KeyKind::Admin, &SystemEntropy)?;
/// let (short_id, hash) = (pak.short_id().to_owned(), pak.hash());
/// assert!(pak.into_secret().expose_secret().starts_with(&format!("brokkr_admin_{short_id}_")));
/// # let _ = hash;
/// # Ok::<_, brokkr_core::pak::PakError>(())
/// ```
pub struct Pak {
    short_id: String,
    text: SecretString,
}

/// The error of parsing or generating a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PakError {
    /// The text does not have the form of a key, or its checksum is wrong.
    #[error("malformed key")]
    Malformed,
    /// The source of randomness failed.
    #[error("the source of randomness failed")]
    NoRandomness,
}

/// The public part and the hash of a key that was generated elsewhere: `<short id>:sha256:<64 hexadecimal digits>`.
///
/// ```
/// use brokkr_core::pak::KeyHash;
///
/// let digits = "ab".repeat(32);
/// assert!(format!("0123456789ab:sha256:{digits}").parse::<KeyHash>().is_ok());
/// assert!(format!(":sha256:{digits}").parse::<KeyHash>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHash {
    short_id: String,
    hash: Digest,
}

impl std::str::FromStr for KeyHash {
    type Err = PakError;

    fn from_str(text: &str) -> Result<Self, PakError> {
        let (short_id, hash) = text.split_once(':').ok_or(PakError::Malformed)?;
        if !is_base62(short_id, SHORT_ID) {
            return Err(PakError::Malformed);
        }
        Ok(Self { short_id: short_id.to_owned(), hash: hash.parse().map_err(|_| PakError::Malformed)? })
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.short_id, self.hash)
    }
}

impl KeyHash {
    /// The public part and the hash of a key. Does not check that the key is valid.
    ///
    /// # Errors
    ///
    /// [`PakError::Malformed`] if the text does not have the form of a key, or its checksum is wrong.
    pub fn of(text: &str) -> Result<Self, PakError> {
        Pak::parse(text).map(|(short_id, hash)| Self { short_id: short_id.to_owned(), hash })
    }

    /// The public part of the key.
    pub fn short_id(&self) -> &str {
        &self.short_id
    }

    /// SHA-256 of the whole key.
    pub fn hash(&self) -> Digest {
        self.hash
    }
}

fn is_base62(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Pak {
    /// The beginning of the text of every key.
    pub const PREFIX: &'static str = "brokkr_";

    /// Generates a key of this kind.
    ///
    /// # Errors
    ///
    /// [`PakError::NoRandomness`] if `entropy` fails.
    pub fn generate(kind: KeyKind, entropy: &dyn Entropy) -> Result<Self, PakError> {
        let short_id = random(SHORT_ID, entropy)?;
        let head = format!("{}{}_{short_id}_{}", Self::PREFIX, kind.tag(), random(SECRET, entropy)?);
        let check: String = check(&head).into_iter().map(char::from).collect();
        let text = format!("{head}_{check}");
        Ok(Self { short_id, text: text.into() })
    }

    /// The public part of the key, which identifies it in the store and in logs.
    pub fn short_id(&self) -> &str {
        &self.short_id
    }

    /// The hash that the store keeps.
    pub fn hash(&self) -> Digest {
        Digest::of(self.text.expose_secret().as_bytes())
    }

    /// The public part and the hash, for a broker that stores a key which it did not generate.
    pub fn key_hash(&self) -> KeyHash {
        KeyHash { short_id: self.short_id.clone(), hash: self.hash() }
    }

    /// The full key text.
    pub fn into_secret(self) -> SecretString {
        self.text
    }

    /// Parses a presented key into its short id and its hash. Does not check that the key is valid.
    ///
    /// # Errors
    ///
    /// [`PakError::Malformed`] if the text does not have the form of a key, or its checksum is wrong.
    pub fn parse(text: &str) -> Result<(&str, Digest), PakError> {
        let (head, crc) = text.rsplit_once('_').ok_or(PakError::Malformed)?;
        let mut parts = head.split('_');
        let (Some("brokkr"), Some(kind), Some(short_id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PakError::Malformed);
        };
        let well_formed = KeyKind::ALL.iter().any(|it| it.tag() == kind)
            && is_base62(short_id, SHORT_ID)
            && is_base62(secret, SECRET)
            && crc.as_bytes() == check(head);
        if well_formed { Ok((short_id, Digest::of(text.as_bytes()))) } else { Err(PakError::Malformed) }
    }
}

impl fmt::Debug for Pak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pak").field("short_id", &self.short_id).finish_non_exhaustive()
    }
}

/// Generates characters of the alphabet with equal probability: bytes above the largest multiple of 62 are discarded.
fn random(length: usize, entropy: &dyn Entropy) -> Result<String, PakError> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        entropy.fill(&mut bytes).map_err(|_| PakError::NoRandomness)?;
        let fair = bytes.iter().filter(|byte| **byte < 248);
        text.extend(
            fair.filter_map(|byte| ALPHABET.get(usize::from(*byte) % 62))
                .map(|b| char::from(*b))
                .take(length - text.len()),
        );
    }
    Ok(text)
}

/// CRC-32 in base62, of fixed length.
fn check(head: &str) -> [u8; CHECK] {
    let mut rest = crc32fast::hash(head.as_bytes()) as usize;
    let mut out = [0; CHECK];
    for place in out.iter_mut().rev() {
        *place = ALPHABET.get(rest % 62).copied().unwrap_or_default();
        rest /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn hash_of_a_key_needs_a_whole_short_id_and_digest() {
        let digits = "0123456789abcdef".repeat(4);
        let given: KeyHash = format!("0aZ456789abc:sha256:{digits}").parse().expect("valid");
        assert_eq!((given.short_id(), given.hash().to_string()), ("0aZ456789abc", format!("sha256:{digits}")));
        assert_eq!(given.to_string().parse(), Ok(given));
        for wrong in [
            String::new(),
            format!(":sha256:{digits}"),
            format!("short:sha256:{digits}"),
            format!("0123456789abc:sha256:{digits}"),
            format!("01234567-9ab:sha256:{digits}"),
            format!("0123456789ab:{digits}"),
            format!("0123456789ab:sha256:{}", &digits[1..]),
            format!("0123456789ab:sha256:{digits}0"),
            format!("0123456789ab:md5:{digits}"),
            format!("brokkr_admin_0123456789ab_{}_000000", "a".repeat(43)),
        ] {
            assert_eq!(wrong.parse::<KeyHash>(), Err(PakError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn generated_key_parses_and_altered_keys_do_not() {
        let pak = Pak::generate(KeyKind::Agent, &SystemEntropy).expect("randomness");
        let (short_id, hash) = (pak.short_id().to_owned(), pak.hash());
        assert_eq!(pak.key_hash().to_string(), format!("{short_id}:{hash}"));
        let text = pak.into_secret();
        let text = text.expose_secret();
        assert!(text.starts_with("brokkr_agent_"));
        assert_eq!(Pak::parse(text), Ok((short_id.as_str(), hash)));
        let mut malformed =
            vec![String::new(), "x".repeat(65_536), format!("{text}\n"), format!("{text}_x"), text.replace('_', "-")];
        malformed.push(text.replacen("agent", "admin", 1));
        for at in [0, 10, 20, 40, text.len() - 1] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            malformed.push(String::from_utf8(bytes).expect("ASCII"));
        }
        for malformed in malformed {
            assert_eq!(Pak::parse(&malformed), Err(PakError::Malformed), "{malformed}");
        }
        assert!(!format!("{:?}", Pak::generate(KeyKind::Admin, &SystemEntropy)).contains("brokkr_"));
    }
}
