//! Points in time.

use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// A point in time with microsecond precision, written as RFC 3339 in UTC.
///
/// Nanoseconds are truncated, because databases store microseconds: a time reads back equal to what was written. Parsed
/// times must lie in the years 1 to 9999, which every database can store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "jiff::Timestamp")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Truncates a time to microseconds.
    pub fn new(time: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The time this many microseconds after the Unix epoch.
    ///
    /// # Errors
    ///
    /// A text for times outside of the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self, &'static str> {
        let time = jiff::Timestamp::from_microsecond(micros).map_err(|_| "the time is out of range")?;
        Self::try_from(time)
    }

    /// The duration since an earlier time; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.as_micros().saturating_sub(earlier.as_micros())).unwrap_or(0))
    }

    /// The time plus a duration, saturating at the latest representable time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let sum = self.as_micros().saturating_add(micros);
        Self(jiff::Timestamp::from_microsecond(sum).unwrap_or(jiff::Timestamp::MAX))
    }
}

impl Timestamp {
    /// The time minus a duration, saturating at the earliest representable time.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let difference = self.as_micros().saturating_sub(micros);
        Self(jiff::Timestamp::from_microsecond(difference).unwrap_or(jiff::Timestamp::MIN))
    }
}

/// Microseconds from the Unix epoch to the year 1.
const YEAR_ONE: i64 = -62_135_596_800_000_000;

impl TryFrom<jiff::Timestamp> for Timestamp {
    type Error = &'static str;

    fn try_from(time: jiff::Timestamp) -> Result<Self, Self::Error> {
        let time = Self::new(time);
        if time.as_micros() >= YEAR_ONE { Ok(time) } else { Err("the time must lie in the years 1 to 9999") }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORM: &str = "RFC 3339, such as 2026-01-01T00:00:00Z, in the years 1 to 9999";
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time: Option<jiff::Timestamp> = text.parse().ok();
        time.and_then(|time| Self::try_from(time).ok())
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("another text"), &FORM))
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
    fn nanoseconds_are_truncated() {
        let time = jiff::Timestamp::from_nanosecond(1_700_000_000_123_456_789).expect("in range");
        assert_eq!(Timestamp::new(time).to_string(), "2023-11-14T22:13:20.123456Z");
        let parsed: Timestamp = serde_json::from_str("\"2023-11-14T22:13:20.123456789Z\"").expect("a time");
        assert_eq!(parsed, Timestamp::new(time));
    }

    #[test]
    fn year_outside_1_to_9999_is_refused() {
        for year in ["0001", "9999"] {
            assert!(serde_json::from_str::<Timestamp>(&format!("\"{year}-01-01T00:00:00Z\"")).is_ok(), "{year}");
        }
        for time in ["0000-12-31T23:59:59Z", "-000001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"] {
            assert!(serde_json::from_str::<Timestamp>(&format!("\"{time}\"")).is_err(), "{time}");
        }
    }
}
