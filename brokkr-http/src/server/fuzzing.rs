//! Entry points for fuzzing. Not part of the API.

use brokkr_control::Actor;

use super::cursor::CursorKey;

pub use super::wire::passes;

const LIST: &str = "fuzzing";

fn key() -> CursorKey {
    CursorKey::new([7; 32])
}

/// Issues a cursor, as a list does for its next page.
pub fn issue_cursor(actor: &Actor, position: &str) -> Option<String> {
    key().issue(LIST, actor, &position)
}

/// The position of a presented cursor; `None` if it is refused.
pub fn read_cursor(actor: &Actor, cursor: &str) -> Option<String> {
    key().read(LIST, actor, cursor).ok()
}
