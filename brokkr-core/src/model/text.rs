//! Free texts: descriptions, messages, reasons.

use crate::error::{Invalid, InvalidCode};

/// Checks a free text: at most `max` bytes, no NUL (databases cannot store it).
pub fn validate_text(text: &str, max: usize) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(InvalidCode::TextContainsNul, "the text contains NUL"));
    }
    if text.len() > max {
        return Err(Invalid::new(
            InvalidCode::TextTooLong,
            format!("the text has {} bytes, at most {max} are allowed", text.len()),
        ));
    }
    Ok(())
}
