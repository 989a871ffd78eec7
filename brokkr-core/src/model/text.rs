//! Validation of free text.

use crate::error::{Invalid, InvalidCode};

/// Checks a free text: at most `max` characters, and no NUL, which databases cannot store.
///
/// # Errors
///
/// [`TextTooLong`](InvalidCode::TextTooLong) or [`TextContainsNul`](InvalidCode::TextContainsNul).
pub fn validate_text(text: &str, max: usize) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(InvalidCode::TextContainsNul, "the text contains the character NUL; remove it"));
    }
    // Characters never outnumber bytes, so a short text needs no count.
    if text.len() > max && text.chars().count() > max {
        let message = format!("the text has {} characters; at most {max} are allowed", text.chars().count());
        return Err(Invalid::new(InvalidCode::TextTooLong, message));
    }
    Ok(())
}

/// Truncates a text to at most `max` bytes at a character boundary and appends `…`. A text that fits stays unchanged.
///
/// ```
/// use brokkr_core::model::shorten;
///
/// let mut text = "abcdef".to_owned();
/// shorten(&mut text, 5);
/// assert_eq!(text, "ab…");
/// ```
pub fn shorten(text: &mut String, max: usize) {
    const MARK: char = '…';
    if text.len() <= max {
        return;
    }
    let mut end = max.saturating_sub(MARK.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if end + MARK.len_utf8() <= max {
        text.push(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_truncated_at_character_boundary() {
        for (text, max, expected) in [
            ("abc", 3, "abc"),
            ("abcdef", 5, "ab…"),
            ("äöüß", 6, "ä…"),
            ("äöüß", 7, "äö…"),
            ("äöüß", 8, "äöüß"),
            ("abc", 2, ""),
            ("abcd", 3, "…"),
        ] {
            let mut cut = text.to_owned();
            shorten(&mut cut, max);
            assert_eq!(cut, expected, "{text} {max}");
            assert!(cut.len() <= max);
        }
    }
}
