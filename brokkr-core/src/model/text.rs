//! Free texts: descriptions, messages, reasons.

use crate::error::{Invalid, InvalidCode};

/// Checks a free text: at most `max` characters, no NUL (databases cannot store it).
pub fn validate_text(text: &str, max: usize) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(InvalidCode::TextContainsNul, "the text contains NUL"));
    }
    // No text has more characters than bytes.
    if text.len() > max && text.chars().count() > max {
        let message = format!("the text has {} characters, at most {max} are allowed", text.chars().count());
        return Err(Invalid::new(InvalidCode::TextTooLong, message));
    }
    Ok(())
}
