//! Times and durations for people.

use kith_node::api::types::Time;

/// Writes a time in the machine's zone with its offset.
pub(crate) fn local(time: Time) -> String {
    let millis = i64::try_from(time.0.as_millis()).unwrap_or(i64::MAX);
    let Ok(at) = jiff::Timestamp::from_millisecond(millis) else { return time.to_string() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Writes a duration given in milliseconds with its two largest units.
pub(crate) fn words(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, 0) => format!("{ms} ms"),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, _, _) => format!("{d} d"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let said = [0, 999, 1_000, 90_000, 3_600_000, 3_660_000, 86_400_000, 90_000_000].map(words);
        assert_eq!(said, ["0 ms", "999 ms", "1 s", "1 min 30 s", "1 h", "1 h 1 min", "1 d", "1 d 1 h"]);
    }

    #[test]
    fn the_end_of_time_does_not_panic() {
        let far: Time = "9999-12-30T00:00:00Z".parse().unwrap();
        assert!(local(far).contains("9999-") || local(far).starts_with("10000"));
    }
}
