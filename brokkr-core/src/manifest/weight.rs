//! What parsing costs, estimated before it.

/// Bytes that a small value counts. Parsed, it takes several times as many, but less than all values together.
const OF_VALUE: usize = 24;
/// Bytes up to which an estimate is not worth the time.
const SMALL: usize = 16 * 1024;

/// Estimates what parsing a text as YAML or JSON takes in memory, as a number of bytes to share a budget by: the bytes, and
/// more for a text of many small values.
///
/// ```
/// use brokkr_core::manifest::parsing_weight;
///
/// let (text, values) = ("a".repeat(100_000), "- a\n".repeat(25_000));
/// assert_eq!(text.len(), values.len());
/// assert!(parsing_weight(text.as_bytes()) < parsing_weight(values.as_bytes()) / 5);
/// ```
pub fn parsing_weight(text: &[u8]) -> usize {
    if text.len() <= SMALL {
        return text.len();
    }
    let values = text.iter().filter(|byte| matches!(byte, b':' | b',' | b'\n')).count();
    text.len() + OF_VALUE * values
}
