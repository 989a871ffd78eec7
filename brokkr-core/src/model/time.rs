//! Points in time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time with microseconds, written in RFC 3339 in UTC.
///
/// Databases keep microseconds; a clock's nanoseconds would come back unequal, so they never get in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "jiff::Timestamp", into = "jiff::Timestamp")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Cuts a time to microseconds.
    pub fn new(time: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// A later time; the end of representable time when it would lie behind that.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let sum = self.as_micros().saturating_add(micros);
        Self(jiff::Timestamp::from_microsecond(sum).unwrap_or(jiff::Timestamp::MAX))
    }
}

impl Timestamp {
    /// An earlier time; the beginning of representable time when it would lie before that.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let difference = self.as_micros().saturating_sub(micros);
        Self(jiff::Timestamp::from_microsecond(difference).unwrap_or(jiff::Timestamp::MIN))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        Self::new(time)
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_never_get_in() {
        let time = jiff::Timestamp::from_nanosecond(1_700_000_000_123_456_789).expect("in range");
        assert_eq!(Timestamp::new(time).to_string(), "2023-11-14T22:13:20.123456Z");
        let parsed: Timestamp = serde_json::from_str("\"2023-11-14T22:13:20.123456789Z\"").expect("a time");
        assert_eq!(parsed, Timestamp::new(time));
    }
}
