//! Members' tokens. The database stores only their hashes.

use brokkr::model::Digest;

pub(crate) fn hash(token: &str) -> String {
    Digest::of(token.as_bytes()).to_string()
}
