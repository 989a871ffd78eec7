//! Members' tokens, of which the database has the hash alone.

use brokkr::model::Digest;

pub(crate) fn hash(token: &str) -> String {
    Digest::of(token.as_bytes()).to_string()
}
