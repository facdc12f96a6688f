//! Text forms inside JSON: ids by their Display and FromStr, times in RFC 3339 UTC.
//! Must not read the clock.

use kith_protocol::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// Writes a value in its Display form; use as `#[serde(with = "text")]`.
pub(crate) fn serialize<T: fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Reads a value by its FromStr.
pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// The same for optional values; `null` stands for none.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, FromStr, Serializer, fmt};
    use serde::de::Error as _;

    /// Writes the Display form or `null`.
    pub(crate) fn serialize<T: fmt::Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    /// Reads by FromStr, or none from `null`.
    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: fmt::Display,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|t| t.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A point in time, as RFC 3339 UTC with milliseconds in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Time(pub Timestamp);

/// The text is not a time in RFC 3339, or lies before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 like 2026-01-31T08:00:00Z")]
pub struct ParseTimeError;

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{at:.3}")
    }
}

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let at: jiff::Timestamp = text.parse().map_err(|_| ParseTimeError)?;
        u64::try_from(at.as_millisecond()).map(|ms| Self(Timestamp::from_millis(ms))).map_err(|_| ParseTimeError)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds_and_round_trip() {
        let at = Time(Timestamp::from_millis(1_767_225_600_007));
        assert_eq!(at.to_string(), "2026-01-01T00:00:00.007Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-01-01T01:00:00.007+01:00".parse(), Ok(at));
    }

    #[test]
    fn times_out_of_range_neither_panic_nor_wrap() {
        assert!(Time(Timestamp::from_millis(u64::MAX)).to_string().starts_with("9999-"));
        assert_eq!("1969-12-31T23:59:59Z".parse::<Time>(), Err(ParseTimeError));
        assert_eq!("yesterday".parse::<Time>(), Err(ParseTimeError));
    }
}
